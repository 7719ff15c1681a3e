"""A matrix that lies on disk: Parquet files, a stretch of its rows each, read a batch at a time.

`Shards` owns where the rows are; `Labelled` is what a training takes of them, with the labels that hold for it.
Nothing here knows of a framework, so the same files serve one machine and the workers of a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paceline.errors import PacelineError

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

BATCH_ROWS = 1 << 20  # at a time: 80 MB of 20 columns


@dataclass(frozen=True)
class Shards:
    """A matrix of Float32 in files.

    Attributes:
        files: Parquet files with the same columns, in the order of the rows.
        ends: for each file the number of rows up to its end, those of the files before it included.
        columns: the names of the columns.
    """

    files: tuple[Path, ...]
    ends: tuple[int, ...]
    columns: list[str]

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.ends[-1] if self.ends else 0

    def take(self, rows: Rows) -> Floats:
        """Return the rows of these numbers, which ascend, as an array of shape (rows, columns)."""
        result = np.empty((len(rows), len(self.columns)), np.float32)
        for file, inside, span in self._files_of(rows):
            result[span] = read(file, inside, self.columns)
        return result

    def _files_of(self, rows: Rows) -> Iterator[tuple[Path, Rows, slice]]:
        """Yield each file that holds some of `rows`, their numbers inside it, and their places in `rows`."""
        places = np.searchsorted(rows, [0, *self.ends]).tolist()
        for file, start, (first, last) in zip(self.files, (0, *self.ends[:-1]), pairwise(places), strict=True):
            if first < last:
                yield file, rows[first:last] - start, slice(first, last)


def scan(files: list[Path]) -> Shards:
    """Return the matrix in `files`, in their order; their columns are its columns.

    Raises:
        PacelineError: there is no file, one cannot be read, or one has other columns than the first.
    """
    if not files:
        raise PacelineError("There is no shard to read.", "Name a folder with Parquet files.")
    counts: list[int] = []
    columns: list[str] = []
    for file in files:
        try:
            lazy = pl.scan_parquet(file, glob=False)
            names = lazy.collect_schema().names()
            counts.append(int(lazy.select(pl.len()).collect().item()))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _unreadable(file, error) from None
        columns = columns or names
        if names != columns:
            raise PacelineError(
                f"The shard '{file.name}' has {len(names)} columns, others than the {len(columns)} of the first.",
                "Write all shards by one configuration.",
            )
    return Shards(tuple(files), tuple(np.cumsum(counts).tolist()), columns)


def read(file: Path, rows: Rows, columns: list[str]) -> Floats:
    """Return some rows of one file, by their numbers inside it.

    Raises:
        PacelineError: it cannot be read.
    """
    try:
        table = pl.read_parquet(file, columns=columns, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(file, error) from None
    chosen = table if len(rows) == table.height else table[rows]
    values: Floats = chosen.to_numpy(order="c").astype(np.float32, copy=False)
    return values


def _unreadable(file: Path, error: Exception) -> PacelineError:
    return PacelineError(f"The shard '{file.name}' cannot be read: {str(error).splitlines()[0]}.", "Write it anew.")


@dataclass(frozen=True)
class Labelled:
    """Rows of a matrix on disk, each with its label.

    Attributes:
        shards: the matrix.
        rows: the numbers of the rows, ascending.
        y: their labels.
    """

    shards: Shards
    rows: Rows
    y: NDArray[np.int8]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def batches(self, most: int = BATCH_ROWS) -> list[Labelled]:
        """Return the rows in stretches of whole files of at most `most` rows, a single file whatever it holds."""
        batches: list[Labelled] = []
        first = last = 0
        for _, inside, span in self.shards._files_of(self.rows):
            if last > first and last - first + len(inside) > most:
                batches.append(self[first:last])
                first = last
            last = span.stop
        return [*batches, self[first:last]] if last > first else batches

    def __getitem__(self, places: slice) -> Labelled:
        """Return the rows at these places."""
        return Labelled(self.shards, self.rows[places], self.y[places])

    def read(self) -> Floats:
        """Return the values of the rows."""
        return self.shards.take(self.rows)
