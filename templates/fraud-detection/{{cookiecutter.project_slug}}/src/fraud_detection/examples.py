"""What a model sees of a fold, and what it is judged by: features, labels, and the transactions behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection.splits import Fold, customers


@dataclass(frozen=True)
class Examples:
    """Transactions with known labels; all of one length, in the order of time.

    Attributes:
        X: the features, a row each.
        y: 1 for fraud, 0 for honest.
        amounts: in the currency of the data.
        days: the day of each.
        customers: codes from 0 on, equal for transactions of one card.
    """

    X: NDArray[np.float32]
    y: NDArray[np.int8]
    amounts: NDArray[np.float64]
    days: pl.Series
    customers: NDArray[np.int64]


def divide(table: pl.DataFrame, features: pl.DataFrame, fold: Fold) -> tuple[Examples, Examples]:
    """Return what `fold` trains on and what it is evaluated on."""
    return _take(table, features, fold.train, fold.train_labels), _take(table, features, fold.test, fold.test_labels)


def waiting(table: pl.DataFrame, features: pl.DataFrame, fold: Fold) -> NDArray[np.float32]:
    """Return the features of the days between training and test, whose labels are still to come."""
    between = table["datetime"].is_between(fold.train_end, fold.test_start, closed="left")
    return features.filter(between).cast(pl.Float32).to_numpy(order="c")


def _take(table: pl.DataFrame, features: pl.DataFrame, rows: NDArray[np.int64], labels: NDArray[np.int8]) -> Examples:
    chosen = table[rows]
    return Examples(
        X=features[rows].cast(pl.Float32).to_numpy(order="c"),
        y=labels,
        amounts=chosen["amount"].to_numpy(),
        days=chosen["datetime"].dt.date(),
        customers=customers(chosen),
    )
