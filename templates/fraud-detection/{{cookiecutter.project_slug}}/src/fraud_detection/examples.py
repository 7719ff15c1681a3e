"""What a model sees of a fold, and what it is judged by: features, labels, and the transactions behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection.splits import Fold, customers
from paceline.shards import Labelled, Shards

# Of training rows on disk: enough for what looks at their distribution (the linear floor, the stability index).
SAMPLE_ROWS = 200_000


@dataclass(frozen=True)
class Examples:
    """Transactions with known labels; all of one length, in the order of time.

    Attributes:
        X: the features, a row each.
        y: 1 for fraud, 0 for honest.
        amounts: in the currency of the data.
        days: the day of each.
        customers: codes from 0 on, equal for transactions of one card.
        names: of the features, in the order of the columns of `X`.
        on_disk: all the rows, where they are on disk and the fields above hold a sample of them.
    """

    X: NDArray[np.float32]
    y: NDArray[np.int8]
    amounts: NDArray[np.float64]
    days: pl.Series
    customers: NDArray[np.int64]
    names: tuple[str, ...] = ()
    on_disk: Labelled | None = None

    @property
    def rows(self) -> int:
        """The number of all rows."""
        return len(self.y) if self.on_disk is None else len(self.on_disk)


def divide(table: pl.DataFrame, features: pl.DataFrame | Shards, fold: Fold) -> tuple[Examples, Examples]:
    """Return what `fold` trains on and what it is evaluated on."""
    if isinstance(features, Shards):
        everything = Labelled(features, fold.train, fold.train_labels)
        chosen = np.arange(len(everything))
        if len(chosen) > SAMPLE_ROWS:
            chosen = np.sort(np.random.default_rng(0).choice(len(everything), SAMPLE_ROWS, replace=False))
        sample = _take(table, features, fold.train[chosen], fold.train_labels[chosen])
        return replace(sample, on_disk=everything), _take(table, features, fold.test, fold.test_labels)
    return _take(table, features, fold.train, fold.train_labels), _take(table, features, fold.test, fold.test_labels)


def waiting(table: pl.DataFrame, features: pl.DataFrame | Shards, fold: Fold) -> NDArray[np.float32]:
    """Return the features of the days between training and test, whose labels are still to come."""
    between = table["datetime"].is_between(fold.train_end, fold.test_start, closed="left")
    return _rows(features, between.arg_true().to_numpy().astype(np.int64))


def _rows(features: pl.DataFrame | Shards, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    if isinstance(features, Shards):
        return features.take(rows)
    return features[rows].cast(pl.Float32).to_numpy(order="c")


def _take(
    table: pl.DataFrame, features: pl.DataFrame | Shards, rows: NDArray[np.int64], labels: NDArray[np.int8]
) -> Examples:
    chosen = table[rows]
    return Examples(
        X=_rows(features, rows),
        y=labels,
        amounts=chosen["amount"].to_numpy(),
        days=chosen["datetime"].dt.date(),
        customers=customers(chosen),
        names=tuple(features.columns),
    )
