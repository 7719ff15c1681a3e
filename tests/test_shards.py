"""A matrix on disk gives the rows that were asked for, in batches of whole files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paceline import shards
from paceline.errors import PacelineError

MATRIX = np.arange(60, dtype=np.float32).reshape(20, 3)
COUNTS = (7, 1, 0, 12)


@pytest.fixture
def on_disk(tmp_path: Path) -> shards.Shards:
    """`MATRIX` in four files of unequal length, one of them empty."""
    files = []
    for number, part in enumerate(np.split(MATRIX, np.cumsum(COUNTS)[:-1])):
        files.append(tmp_path / f"{number}.parquet")
        pl.DataFrame(part, schema=["a", "b", "c"]).write_parquet(files[-1])
    return shards.scan(files)


@pytest.mark.parametrize("rows", [range(20), [0, 6, 7, 8, 19], [7], []])
def test_rows_are_taken_by_their_numbers(on_disk: shards.Shards, rows: list[int]) -> None:
    """Over the edges of files, from one file, and none at all."""
    asked = np.array(rows, np.int64)
    np.testing.assert_array_equal(MATRIX[asked], on_disk.take(asked))
    assert (20, ["a", "b", "c"]) == (len(on_disk), on_disk.columns)


@pytest.mark.parametrize(("most", "sizes"), [(100, [20]), (8, [8, 12]), (1, [7, 1, 12])])
def test_batches_hold_whole_files_and_every_row_once(on_disk: shards.Shards, most: int, sizes: list[int]) -> None:
    """As many files as fit, a file that is too large alone; unequal files lose and repeat nothing."""
    rows = shards.Labelled(on_disk, np.arange(20), np.arange(20, dtype=np.int8))
    batches = rows.batches(most)
    assert sizes == [len(batch) for batch in batches]
    np.testing.assert_array_equal(MATRIX, np.concatenate([batch.read() for batch in batches]))
    np.testing.assert_array_equal(rows.y, np.concatenate([batch.y for batch in batches]))


def test_a_damaged_or_a_different_shard_is_named(on_disk: shards.Shards, tmp_path: Path) -> None:
    """An error with the file's name, before anything is trained."""
    other = tmp_path / "other.parquet"
    pl.DataFrame({"a": [1.0]}).write_parquet(other)
    with pytest.raises(PacelineError, match=r"'other.parquet' has 1 columns, others than the 3 of the first"):
        shards.scan([*on_disk.files, other])
    other.write_bytes(other.read_bytes()[:40])
    with pytest.raises(PacelineError, match=r"'other.parquet' cannot be read"):
        shards.scan([other])
    with pytest.raises(PacelineError, match="no shard"):
        shards.scan([])
