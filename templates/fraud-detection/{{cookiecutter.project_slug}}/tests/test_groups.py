"""The groups that scores are sliced by."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from fraud_detection import groups, metrics

START = datetime(2025, 1, 1)


def table(**columns: list[str]) -> pl.DataFrame:
    """Six transactions: a customer seen on days 0, 6, 7, 30 and 90, and one seen on day 90 only."""
    days = [0, 6, 7, 30, 90, 90]
    return pl.DataFrame(
        {
            "datetime": [START + timedelta(days=day) for day in days],
            "customer_id": ["a", "a", "a", "a", "a", "b"],
            "amount": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            **columns,
        }
    )


def test_age_of_the_account_counts_from_the_first_transaction() -> None:
    """Also where the first one is not among the rows that are judged."""
    found = groups.of(table(), np.arange(1, 6))["account_age_days"].to_list()
    assert ["0 to 6", "7 to 29", "30 to 89", "90 and more", "0 to 6"] == found


def test_ages_come_in_their_order() -> None:
    """Slices are sorted by age, not by the alphabet, in which 7 follows 30."""
    by_age = {"age": groups.of(table(), np.arange(6))["account_age_days"]}
    rows = metrics.slices(np.array([1, 0, 1, 0, 1, 0], np.int8), np.full(6, 0.5), 0.4, by_age)
    assert ["age=0 to 6", "age=7 to 29", "age=30 to 89", "age=90 and more"] == [row["slice"] for row in rows]


def test_the_rarer_of_many_values_are_one_group() -> None:
    """Of fifteen countries eleven are told apart and four are `other`; of twelve, all; a missing one is none."""
    codes = [f"C{number:02}" for number in range(15)]
    many = pl.concat([table(country=codes[part : part + 6]) for part in (0, 0, 3, 6, 9)])
    found = groups.of(many, np.arange(30))["country"]
    # Seen twice or more: C00 to C11; of those the last, by the alphabet, is one too many.
    assert [*codes[:11], "other"] == found.unique().sort().to_list()
    assert 30 == len(found)
    assert found.filter(many["country"] >= "C11").to_list() == ["other"] * int((many["country"] >= "C11").sum())
    twelve = many.filter(pl.col("country") < "C12")
    assert twelve["country"].equals(groups.of(twelve, np.arange(len(twelve)))["country"])
    gaps = many.with_columns(country=pl.when(pl.col("amount") > 1).then("country"))
    assert 5 == groups.of(gaps, np.arange(30))["country"].null_count()


def test_false_positive_rate_is_of_the_honest() -> None:
    """Of three honest payments of a group one is stopped; frauds do not count."""
    labels = np.array([0, 0, 0, 1, 1, 0], np.int8)
    (row, _) = metrics.slices(
        labels, np.array([0.9, 0.1, 0.1, 0.9, 0.1, 0.9]), 0.5, {"channel": pl.Series(["atm"] * 5 + ["pos"])}
    )
    assert (1 / 3, 1 / 2, 1 / 2) == tuple(row[name]["value"] for name in ("false_positive_rate", "precision", "recall"))
