"""The fraud template on the Fraud Detection Handbook's own transactions: its published features and counts come out."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from fraud_detection import data, features, synthetic
from fraud_detection.config import Data
from fraud_detection.splits import PrequentialSplit
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

SAMPLES = Path(os.environ.get("PACELINE_SAMPLE_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "fraud"
TRANSACTIONS = SAMPLES / "handbook_transactions_2018-06-10_2018-08-14.parquet"
PUBLISHED = SAMPLES / "handbook_features_2018-07-25_2018-08-14.parquet"
CONFIG = Data(
    source="handbook", path=str(TRANSACTIONS), test_start="2018-08-08", test_days=7, train_days=7, validation_days=7
)

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not PUBLISHED.exists(), reason=f"the Handbook's sample data is not in {SAMPLES}"),
]


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    """Return the sample, all of which is usable."""
    quarantine = Quarantine()
    table = data.load(CONFIG, quarantine)
    assert (632_496, 632_496, 0) == (quarantine.read, quarantine.kept, quarantine.quarantined)
    return table


def names() -> dict[str, str]:
    """Return the published names of the features and ours."""
    pairs = {"TX_DURING_WEEKEND": "during_weekend", "TX_DURING_NIGHT": "during_night"}
    for days in (1, 7, 30):
        pairs[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"] = f"customer_count_{days}d"
        pairs[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"] = f"customer_mean_amount_{days}d"
        pairs[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"] = f"terminal_count_{days}d"
        pairs[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"] = f"terminal_risk_{days}d"
    return pairs


def test_features_equal_the_published_ones_but_for_ties(table: pl.DataFrame) -> None:
    """All 14 features of 201,295 transactions agree to 1e-9; the 2 rows that do not are one card's in one second."""
    made = features.compute(table, CONFIG).with_columns(
        table["transaction_id"].alias("TRANSACTION_ID"),
        table.select(pl.struct("customer_id", "datetime").is_duplicated()).to_series().alias("tied"),
    )
    both = pl.read_parquet(PUBLISHED).join(made, on="TRANSACTION_ID", validate="1:1")
    assert 201_295 == both.height
    assert 14 == len(names())
    differs = both.select(
        pl.any_horizontal((pl.col(theirs) - pl.col(ours)).abs() > 1e-9 for theirs, ours in names().items())
    ).to_series()
    assert both.filter(differs)["tied"].all()
    assert 2 == differs.sum()
    # The published rows of the tie are ours in the other order of the two.
    first, second = both.filter(differs).sort("TRANSACTION_ID").to_dicts()
    assert first["CUSTOMER_ID_NB_TX_30DAY_WINDOW"] == second["customer_count_30d"]
    assert second["CUSTOMER_ID_NB_TX_30DAY_WINDOW"] == first["customer_count_30d"]


def test_published_counts_of_the_split(table: pl.DataFrame) -> None:
    """Training has 67,240 transactions with 598 frauds; the test, known cards removed, 58,264 with 385."""
    fold = PrequentialSplit(table, CONFIG).final()
    state = fold.state()
    assert (["2018-07-25", "2018-07-31"], ["2018-08-08", "2018-08-14"]) == (state["train"], state["test"])
    assert (67_240, 598) == (state["train_transactions"], state["train_frauds"])
    assert (58_264, 385) == (state["test_transactions"], state["test_frauds"])


def test_folds_that_the_sample_allows(table: pl.DataFrame) -> None:
    """66 days hold the test and five folds before it; a sixth is refused with the days it needs."""
    split = PrequentialSplit(table, CONFIG)
    assert 5 == len(split.folds(5))
    with pytest.raises(PacelineError, match=r"'validation-5' to the end of the test it takes \d+ days"):
        split.folds(6)


def test_csv_gives_the_same_table(table: pl.DataFrame, tmp_path: Path) -> None:
    """The same transactions as CSV, and through a mapping of columns, load equal."""
    pl.read_parquet(TRANSACTIONS).write_csv(tmp_path / "transactions.csv")
    for change in (
        {},
        {
            "source": "table",
            "columns": data.HANDBOOK.model_copy(update=dict.fromkeys(("labelled_at", "device_id", *data.CONTEXT), "")),
        },
    ):
        again = data.load(
            CONFIG.model_copy(update={"path": str(tmp_path / "transactions.csv"), **change}), Quarantine()
        )
        assert table.equals(again)


def test_the_simulator_resembles_the_handbook(table: pl.DataFrame) -> None:
    """At the Handbook's density of compromises its share of fraud is within a third of the published 0.88 %."""
    made = synthetic.generate(Data())
    assert 2 / 3 < made["fraud"].mean() / table["fraud"].mean() < 4 / 3  # type: ignore[operator] # numbers, says the schema
