"""The features: equal to their definition, blind to what is not known yet, independent of the rows' order."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fraud_detection import data, features, synthetic
from fraud_detection.config import Data

CONFIG = Data(windows_days=(1, 3))
START = datetime(2025, 3, 1)


def random_table(seed: int, rows: int = 300) -> pl.DataFrame:
    """Few cards and terminals, many equal times, boundaries hit exactly, labels early, late and missing."""
    rng = np.random.default_rng(seed)
    moment = np.sort(rng.integers(0, 80, rows)) * 6  # hours: whole days apart are frequent
    delay = rng.choice([0, 6, 24, 72, 240], rows)
    labelled = rng.random(rows) < 0.8
    return pl.DataFrame(
        {
            "transaction_id": np.arange(rows),
            "datetime": [START + timedelta(hours=int(hours)) for hours in moment],
            "customer_id": rng.integers(0, 5, rows),
            "terminal_id": rng.integers(0, 4, rows),
            "amount": rng.integers(0, 20_000, rows) / 100,
            "device_id": pl.Series(rng.integers(0, 6, rows)).set(pl.Series(rng.random(rows) < 0.5), None),
            "fraud": pl.Series(rng.integers(0, 2, rows), dtype=pl.Int8).set(pl.Series(~labelled), None),
            "labelled_at": pl.Series(
                [
                    START + timedelta(hours=int(h + d)) if ok else None
                    for h, d, ok in zip(moment, delay, labelled, strict=True)
                ],
                dtype=pl.Datetime("us"),
            ),
        }
    )


def by_definition(table: pl.DataFrame, windows: tuple[int, ...]) -> list[dict[str, float]]:
    """Compute every feature of every row by looking at all rows."""
    rows = table.sort("datetime", "transaction_id").to_dicts()
    result = {}
    for position, row in enumerate(rows):
        now = row["datetime"]
        values = {
            "amount": row["amount"],
            "during_weekend": float(now.weekday() >= 5),
            "during_night": float(now.hour <= 6),
        }
        for days in windows:
            since = now - timedelta(days=days)
            spent = [
                r["amount"]
                for r in rows[: position + 1]
                if r["customer_id"] == row["customer_id"] and r["datetime"] > since
            ]
            labels = [
                r["fraud"]
                for r in rows
                if r["terminal_id"] == row["terminal_id"]
                and r["fraud"] is not None
                and r["datetime"] < now  # nothing sees its own label or that of the same moment
                and since < max(r["labelled_at"], r["datetime"] + timedelta(microseconds=1)) <= now
            ]
            mean = sum(spent) / len(spent)
            values[f"customer_count_{days}d"] = len(spent)
            values[f"customer_mean_amount_{days}d"] = mean
            values[f"amount_ratio_{days}d"] = row["amount"] / mean if mean else 1.0
            if days == max(windows):
                largest = max(spent[:-1], default=0.0)
                values[f"amount_to_max_{days}d"] = row["amount"] / largest if largest else 0.0
            values[f"terminal_count_{days}d"] = len(labels)
            values[f"terminal_risk_{days}d"] = sum(labels) / len(labels) if labels else 0.0
        same = [r for r in rows[: position + 1] if row["device_id"] is not None and r["device_id"] == row["device_id"]]
        own = [r["datetime"] for r in same if r["customer_id"] == row["customer_id"]]
        values["device_age_days"] = (now - own[0]) / timedelta(days=1) if own else -1.0
        values["device_count_1d"] = sum(r["datetime"] > now - timedelta(days=1) for r in same)
        result[row["transaction_id"]] = values
    return [result[name] for name in table["transaction_id"]]


@pytest.mark.parametrize("seed", range(5))
def test_features_equal_their_definition(seed: int) -> None:
    """Every value is what a direct count over all rows gives, with ties, exact boundaries and missing labels."""
    table = random_table(seed)
    expected = pl.DataFrame(
        by_definition(table, CONFIG.windows_days), schema=dict.fromkeys(features.names(CONFIG), pl.Float64)
    )
    assert_frame_equal(expected, features.compute(table, CONFIG), rel_tol=0, abs_tol=1e-9)


def test_windows_are_open_at_the_left_and_closed_at_the_right() -> None:
    """What lies exactly w days back is outside; a label that arrives at this very moment is inside."""
    moments = [START, START + timedelta(days=1), START + timedelta(days=2)]
    table = pl.DataFrame(
        {
            "transaction_id": [1, 2, 3],
            "datetime": moments,
            "customer_id": [7, 7, 7],
            "terminal_id": [9, 9, 9],
            "amount": [10.0, 20.0, 60.0],
            "fraud": pl.Series([1, 0, 0], dtype=pl.Int8),
            "labelled_at": [moments[1], moments[2], moments[2] + timedelta(days=9)],
        }
    )
    made = features.compute(table, CONFIG)
    assert [1, 1, 1] == made["customer_count_1d"].to_list()
    assert [10, 15, 30] == made["customer_mean_amount_3d"].to_list()
    assert [0, 1, 1] == made["terminal_count_1d"].to_list()
    assert [0, 1, 0] == made["terminal_risk_1d"].to_list()
    assert [0, 1, 0.5] == made["terminal_risk_3d"].to_list()


@pytest.mark.parametrize("seed", range(3))
def test_a_label_newer_than_the_delay_changes_no_feature(seed: int) -> None:
    """At any cut, labels that arrive after it may be anything, or missing: features up to it stay the same."""
    config = Data(customers=40, terminals=25, days=60, seed=seed)
    table = synthetic.generate(config)
    cut = table["datetime"][int(np.random.default_rng(seed).integers(table.height // 4, table.height))]
    known = features.compute(table, config).filter(table["datetime"] <= cut)
    later = pl.col("labelled_at") > cut
    flipped = table.with_columns(fraud=pl.when(later).then(1 - pl.col("fraud")).otherwise("fraud").cast(pl.Int8))
    missing = table.with_columns(fraud=pl.when(~later).then("fraud"), labelled_at=pl.when(~later).then("labelled_at"))
    for changed in (flipped, missing):
        assert not changed["fraud"].equals(table["fraud"])
        assert known.equals(features.compute(changed, config).filter(table["datetime"] <= cut))
    # And those that arrive in time do count: the test above is not passed by ignoring labels.
    early = table.with_columns(fraud=pl.when(~later).then(1 - pl.col("fraud")).otherwise("fraud").cast(pl.Int8))
    assert not known.equals(features.compute(early, config).filter(table["datetime"] <= cut))


def test_features_of_a_prefix_are_the_prefix_of_the_features() -> None:
    """Nothing of the future is used: a history cut at any row gives the same features up to it, bit for bit."""
    config = Data(customers=40, terminals=25, days=60)
    table = synthetic.generate(config)
    whole = features.compute(table, config)
    for rows in (1, 100, table.height // 2, table.height - 1):
        assert whole.head(rows).equals(features.compute(table.head(rows), config))


def test_order_of_rows_and_type_of_ids_make_no_difference() -> None:
    """Shuffled rows give the same features bit for bit, in the shuffled order; so do ids as text and ids far apart."""
    table = random_table(9)
    expected = features.compute(table, CONFIG)
    order = np.random.default_rng(0).permutation(table.height)
    assert expected[order].equals(features.compute(table[order], CONFIG))
    text = table.with_columns(pl.col("customer_id", "terminal_id").cast(pl.String))
    assert expected.equals(features.compute(text, CONFIG))
    apart = table.with_columns(pl.col("customer_id", "terminal_id") * 10**17)
    assert expected.equals(features.compute(apart, CONFIG))


def test_new_transactions_are_scored_after_their_history() -> None:
    """Unlabelled rows appended to the history get the features they would have had, and repeated ones count once."""
    config = Data(customers=40, terminals=25, days=40)
    table = synthetic.generate(config)
    cut = table.height - 200
    new = table.tail(250).with_columns(fraud=pl.lit(None, pl.Int8), labelled_at=pl.lit(None, pl.Datetime("us")))
    both = data.append(table.head(cut), new)  # 50 of the new ones are in the history already
    assert table.height == both.height
    unlabelled = pl.int_range(table.height) >= table.height - 250
    expected = features.compute(
        table.with_columns(pl.when(~unlabelled).then(pl.col(name)).alias(name) for name in ("fraud", "labelled_at")),
        config,
    )
    assert expected.tail(250).equals(features.compute(both, config).tail(250))


def test_sums_are_exact_for_large_amounts() -> None:
    """A mean after a long run of the largest amounts is exact: no rounding is carried along, no total overflows."""
    rows = 3_000
    table = pl.DataFrame(
        {
            "transaction_id": np.arange(rows),
            "datetime": [START + timedelta(days=2 * index) for index in range(rows)],
            "customer_id": 0,
            "terminal_id": 0,
            "amount": [1e9] * (rows - 1) + [0.01],
            "fraud": pl.Series([0] * rows, dtype=pl.Int8),
            "labelled_at": [START + timedelta(days=2 * index + 7) for index in range(rows)],
        }
    )
    assert 0.01 == features.compute(table, CONFIG)["customer_mean_amount_1d"][-1]


def test_an_empty_table_has_the_columns() -> None:
    """No rows give no rows, not an error."""
    assert features.names(CONFIG) == features.compute(random_table(0).clear(), CONFIG).columns
