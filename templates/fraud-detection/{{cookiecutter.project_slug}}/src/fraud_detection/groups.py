"""The groups between which a model's errors may differ: by channel, country, amount, age of the customer's account."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

SLICED_BY = ("channel", "country", "mcc", "portfolio")
MOST_GROUPS = 12  # of a column; of more values the most frequent are told apart
OTHER = "other"
ACCOUNT_AGES_DAYS = (7, 30, 90)  # where a bin of ages ends and the next begins


def of(table: pl.DataFrame, rows: NDArray[np.int64]) -> dict[str, pl.Series]:
    """Return the groups of the rows of `table`, a series by what they are grouped by.

    `account_age_days` counts from the customer's first transaction in `table`, so no account can be older than the
    data, and young ones are told from old ones only where the history is long. Of a column with more than `MOST_GROUPS`
    values the rarer ones are together in `other`.
    """
    chosen = table[rows]
    groups = {name: chosen[name].cast(pl.String) for name in SLICED_BY if name in chosen.columns}
    groups = {name: _fewer(values) for name, values in groups.items()}
    amounts = chosen["amount"].to_numpy()
    groups["amount_quartile"] = pl.Series(np.digitize(amounts, np.quantile(amounts, [0.25, 0.5, 0.75])) + 1)
    if "customer_id" in table.columns:
        first = table.select(pl.col("datetime").min().over("customer_id")).to_series()[rows]
        age = (chosen["datetime"] - first).dt.total_days().to_numpy()
        bins = pl.Series([*_age_names()], dtype=pl.String)
        groups["account_age_days"] = bins[np.digitize(age, ACCOUNT_AGES_DAYS)].cast(pl.Enum(bins))
    return groups


def _fewer(values: pl.Series) -> pl.Series:
    """Return `values` with the rarer ones as `OTHER` where they are too many; equally frequent ones by the alphabet."""
    counts = values.drop_nulls().alias("value").value_counts().sort("count", "value", descending=[True, False])
    if counts.height <= MOST_GROUPS:
        return values
    kept = counts["value"].head(MOST_GROUPS - 1)
    return values.set(values.is_not_null() & ~values.is_in(kept.implode()), OTHER)


def _age_names() -> list[str]:
    ends = (0, *ACCOUNT_AGES_DAYS)
    return [f"{low} to {high - 1}" for low, high in pairwise(ends)] + [f"{ends[-1]} and more"]
