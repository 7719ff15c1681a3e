"""Boosting on rows that do not fit in memory: XGBoost's bins of them are kept in files and read page by page.

Each batch is read four times while the bins are found and once a level of every tree from the cache, so a fast disk
counts. What is trained is the same as in memory when the rows come in one batch, and as good when they come in several:
the quantiles of many batches are merged sketches.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import xgboost

from paceline.errors import PacelineError
from paceline.shards import BATCH_ROWS, Labelled


def matrix(
    rows: Labelled, *, max_bin: int, cache: Path, ref: xgboost.DMatrix | None = None, batch_rows: int = BATCH_ROWS
) -> xgboost.ExtMemQuantileDMatrix:
    """Return `rows` as a matrix of bins on disk, for `fit_xgboost.fit`.

    Args:
        rows: what to learn from.
        max_bin: bins of a feature; the same as the booster's.
        cache: a folder of this matrix alone, on a fast disk: a byte or two a value. Gone once the matrix is.
        ref: the matrix whose bins are used, for rows to judge by.
        batch_rows: rows in memory at a time.

    Raises:
        PacelineError: there is no row, or the cache cannot be written.
    """
    if not len(rows):
        raise PacelineError("There is no row to learn from.", "See what `data` says of the configured data.")
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PacelineError(
            f"No cache can be kept in '{cache}': {error.strerror}.", "Choose a folder on another disk."
        ) from None
    return xgboost.ExtMemQuantileDMatrix(_Batches(rows.batches(batch_rows), cache), max_bin=max_bin, ref=ref)


class _Batches(xgboost.DataIter):  # type: ignore[misc]  # XGBoost has no types
    """Hands XGBoost one batch after the other, as often as it begins anew."""

    def __init__(self, batches: list[Labelled], cache: Path) -> None:
        self._batches, self._next = batches, 0
        super().__init__(cache_prefix=str(cache / "bins"))

    def next(self, input_data: Callable[..., None]) -> bool:
        """Give the next batch; False where there is none."""
        if self._next == len(self._batches):
            return False
        batch = self._batches[self._next]
        input_data(data=batch.read(), label=batch.y)
        self._next += 1
        return True

    def reset(self) -> None:
        """Begin anew."""
        self._next = 0
