"""The Handbook's simulator: its published sizes give its published totals, to within what a seed changes."""

from __future__ import annotations

import statistics
from pathlib import Path

import polars as pl
import pytest

from fraud_detection import synthetic
from fraud_detection.config import Config, Data
from paceline import config

SIZES = Path(__file__).parent.parent / "configs" / "handbook.toml"


PUBLISHED = {"transactions": 1_754_155, "frauds": 14_681, 1: 978, 2: 9_099, 3: 4_604}
SEEDS = 5


@pytest.fixture(scope="module")
def tables() -> list[pl.DataFrame]:
    """Return the transactions of the published sizes, all 183 days, by several seeds."""
    given = config.load(Config, SIZES).data
    return [synthetic.generate(given.model_copy(update={"seed": seed})) for seed in range(SEEDS)]


@pytest.fixture(scope="module")
def table(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Return those of the first seed."""
    return tables[0]


def test_published_totals_lie_inside_the_spread_of_the_seeds(tables: list[pl.DataFrame]) -> None:
    """Each published count, in all and by kind of fraud, is within three standard deviations of the seeds' mean."""
    counts = [
        {
            "transactions": made.height,
            "frauds": made["fraud"].sum(),
            **dict(made["scenario"].value_counts().iter_rows()),
        }
        for made in tables
    ]
    for name, published in PUBLISHED.items():
        found = [count[name] for count in counts]
        assert statistics.mean(found) == pytest.approx(published, abs=3 * statistics.stdev(found))
        assert statistics.stdev(found) < published / 10  # or anything would be inside


def test_transactions_follow_the_description(table: pl.DataFrame) -> None:
    """Mean amounts between 5 and 100, times around noon, every honest amount at most 220, perfect labels."""
    assert ("2018-04-01", "2018-09-30") == tuple(str(table["datetime"].dt.date().sort()[row]) for row in (0, -1))
    seconds = table["datetime"].dt.hour().cast(pl.Int64) * 3600
    assert 12 * 3600 - 1800 == pytest.approx(seconds.mean(), abs=600)
    honest = table.filter(pl.col("fraud") == 0)
    assert honest["amount"].max() <= 220  # type: ignore[operator] # a number, says the schema
    assert table["fraud"].equals((table["scenario"] > 0).cast(pl.Int8))
    assert table["datetime"].is_sorted()
    assert 0 == table.null_count().to_numpy().sum()


def test_a_compromised_terminal_is_fraud_for_28_days() -> None:
    """From the day it is drawn no honest transaction follows at it until the days are over."""
    table = synthetic.generate(Data(simulator="handbook", customers=300, terminals=200, days=40))
    frauds = table.filter(pl.col("scenario") == 2)
    spans = frauds.group_by("terminal_id").agg(
        pl.col("datetime").min().alias("first"), pl.col("datetime").max().alias("last")
    )
    spans = spans.filter(pl.col("last") - pl.col("first") < pl.duration(days=28))
    inside = table.join(spans, on="terminal_id").filter(pl.col("datetime").is_between("first", "last"))
    assert spans.height > 5
    assert 1.0 == inside["fraud"].mean()
