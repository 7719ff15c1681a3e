"""Transactions beyond memory (`train.external_memory`): read file by file, features made part by part, rows on disk.

In memory stay the columns that time, cards and labels are judged by, some 70 bytes a transaction, and the days that
are evaluated; features and training rows lie in Parquet files, one a day. The numbers are those of `features.compute`:
its windows look at one card, one terminal or one device at a time, so each is made from whole cards, terminals or
devices, a share of them after the other; the workers of a cluster (`train.scheduler`) make a share each.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection import data, features, files, synthetic
from fraud_detection.config import Data
from paceline import cluster, shards
from paceline.quarantine import Quarantine
from paceline.record import Run
from paceline.shards import Shards

PART_ROWS = 2_000_000  # in memory at a time while features are made
ALWAYS = ("transaction_id", "datetime", "amount")
# What the windows of a party need beside those; devices are looked at by card as well.
PARTIES = {
    "customer_id": ("customer_id",),
    "terminal_id": ("terminal_id", "fraud", "labelled_at"),
    "device_id": ("device_id", "customer_id"),
}
IN_MEMORY = (*data.TABLE, *data.CONTEXT, "true_fraud")


def folder(run: Run) -> Path:
    """Return where the run keeps its shards while it lasts."""
    return run.folder / "shards"


@contextmanager
def space(run: Run) -> Iterator[None]:
    """Leave no shard behind, neither of this session nor of one that was killed."""
    shutil.rmtree(folder(run), ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder(run), ignore_errors=True)


def load(config: Data, run: Run, quarantine: Quarantine) -> tuple[pl.DataFrame, list[Path]]:
    """Return the transactions as `data.load` does, without what only features are made of, and one file a day.

    A repeated transaction is quarantined as there; the days' files hold the same rows in the same order as the table.

    Raises:
        PacelineError: as `data.load`.
    """
    pieces, names, kinds = _by_day(config, folder(run) / "read", quarantine)
    repeated = _repeated(pieces, names, kinds, quarantine)
    table, days = [], []
    (folder(run) / "days").mkdir(parents=True, exist_ok=True)
    for day, found in sorted(pieces.items()):
        rows = pl.concat([_typed(pl.scan_parquet(piece), kinds).collect() for piece in found], how="diagonal")
        rows = rows.join(repeated, on=("_file", files.ROW), how="anti").sort("datetime", "transaction_id")
        days.append(folder(run) / "days" / f"{day}.parquet")
        rows.drop("_file", files.ROW).write_parquet(days[-1])
        kept = rows.select(name for name in IN_MEMORY if name in rows.columns)
        context = [name for name in data.CONTEXT if name in kept.columns]
        table.append(kept.with_columns(pl.col(name).cast(pl.Categorical) for name in context))
    shutil.rmtree(folder(run) / "read", ignore_errors=True)
    data.accept(sum(map(len, table)), config, quarantine)
    # A column that only some files have is empty in the days of the others.
    return pl.concat(table, how="diagonal"), days


@dataclass(frozen=True)
class Share:
    """Some of the cards, terminals or devices, whose windows are made at a time.

    Attributes:
        days: the files of the transactions, whole paths.
        config: `windows_days` are used.
        party: the column that names them.
        part: which share this is, from 0.
        parts: how many there are.
        target: the file for what a worker makes of it.
    """

    days: tuple[Path, ...]
    config: Data
    party: str
    part: int
    parts: int
    target: Path


def compute(days: list[Path], config: Data, run: Run, part_rows: int = PART_ROWS, scheduler: str = "") -> Shards:
    """Return the features of every transaction in the files of `days`, as `features.compute` gives them, on disk.

    Args:
        days: as `load` returns them.
        config: `windows_days` are used.
        run: the features are kept in its folder while it lasts.
        part_rows: about as many rows are in memory at a time, here or on a worker.
        scheduler: address of a Dask cluster whose workers make the windows; empty: they are made here.

    Raises:
        PacelineError: the cluster cannot be used.
    """
    present = pl.scan_parquet(days, glob=False).collect_schema().names()
    counts = [int(pl.scan_parquet(day).select(pl.len()).collect().item()) for day in days]
    rows = sum(counts)
    parties = [party for party in PARTIES if party in present]
    place = {name: index for index, name in enumerate(name for party in parties for name in _owned(party, config))}
    (folder(run) / "windows").mkdir(parents=True, exist_ok=True)
    scratch = folder(run) / "windows" / "all"
    X = np.memmap(scratch, np.float32, "w+", shape=(max(1, len(place)), max(1, rows)))  # a row for each feature
    for name, default in zip(features.DEVICE, (-1.0, 0.0), strict=True):
        if name in place:
            X[place[name]] = default  # of what was not paid with a device
    parts = -(-rows // part_rows)
    whole = tuple(day.resolve() for day in days)
    asked = [
        Share(whole, config, party, part, parts, (scratch.parent / f"{party}-{part}.parquet").resolve())
        for party in parties
        for part in range(parts)
    ]
    for made in _by_workers(scheduler, asked, whole) if scheduler else map(windows, asked):
        row = made["row"].to_numpy()
        for name in made.columns[1:]:
            X[place[name], row] = made[name].to_numpy()
    result = _written(days, counts, X, place, config, folder(run) / "features")
    scratch.unlink()
    return result


def windows(share: Share) -> pl.DataFrame:
    """Return `row`, the number of each row of the share's parties, and the features that are made from all of them."""
    columns = ["row", *dict.fromkeys((*ALWAYS, *PARTIES[share.party]))]
    lazy = pl.scan_parquet(list(share.days), row_index_name="row", glob=False)
    of_share = pl.col(share.party).hash() % share.parts == share.part
    chosen = lazy.filter(of_share, pl.col(share.party).is_not_null()).select(columns).collect()
    narrow = share.party == "device_id"  # its features have windows of their own
    config = share.config.model_copy(update={"windows_days": (1,)}) if narrow else share.config
    found = features.compute(chosen.drop("row"), config).select(_owned(share.party, share.config))
    return found.cast(pl.Float32).insert_column(0, chosen["row"])


def write_windows(share: Share) -> Path:
    """Write the `windows` of a share to its file, and say where: a worker's task."""
    windows(share).write_parquet(share.target, compression="lz4")
    return share.target


def _by_workers(scheduler: str, asked: list[Share], days: tuple[Path, ...]) -> Iterator[pl.DataFrame]:
    for file in cluster.each(scheduler, write_windows, asked, days):
        yield pl.read_parquet(file, glob=False)
        file.unlink()


def _owned(party: str, config: Data) -> list[str]:
    """Return the features that are made from all rows of one such party."""
    start = {"customer_id": ("customer_", "amount_"), "terminal_id": ("terminal_",), "device_id": ("device_",)}[party]
    return [name for name in features.names(config) if name.startswith(start)]


def _written(
    days: list[Path], counts: list[int], X: NDArray[np.float32], place: dict[str, int], config: Data, target: Path
) -> Shards:
    target.mkdir(parents=True, exist_ok=True)
    written, first = [], 0
    for day, count in zip(days, counts, strict=True):
        simple = features.compute(pl.read_parquet(day, columns=list(ALWAYS), glob=False), config)
        windows = {name: X[index, first : first + count] for name, index in place.items()}
        known = {name: simple[name].to_numpy() for name in simple.columns} | windows
        table = pl.DataFrame({name: known[name] for name in features.names(config) if name in known})
        written.append(target / day.name)
        table.cast(pl.Float32).write_parquet(written[-1], compression="lz4")
        first += count
    return shards.scan(written)


def _by_day(
    config: Data, target: Path, quarantine: Quarantine
) -> tuple[dict[str, list[Path]], list[str], dict[str, pl.DataType]]:
    """Write the usable rows of every file to `target`, a piece for each day in it.

    Returns:
        The pieces by day, in the order of the files; the files' names; the type that each id has in all of them.
    """
    pieces: dict[str, list[Path]] = {}
    names: list[str] = []
    kinds: dict[str, pl.DataType] = {}
    for number, (name, table) in enumerate(_tables(config, quarantine)):
        names.append(name)
        usual = data.joined([table]).drop("_file").with_columns(pl.lit(number, pl.UInt32).alias("_file"))
        for column in (column for column in data.CODED if column in usual.columns):
            kind = usual[column].dtype
            kinds[column] = kind if kinds.get(column, kind) == kind else pl.String()
        for (day,), rows in usual.group_by(pl.col("datetime").dt.date().alias("_day"), maintain_order=True):
            pieces.setdefault(f"{day}", []).append(target / f"{day}" / f"{number:06}.parquet")
            pieces[f"{day}"][-1].parent.mkdir(parents=True, exist_ok=True)
            rows.write_parquet(pieces[f"{day}"][-1], compression="lz4")
    return pieces, names, kinds


def _tables(config: Data, quarantine: Quarantine) -> Iterator[tuple[str, pl.DataFrame]]:
    if config.source != "synthetic":
        yield from data.each_file(config, quarantine, data.folder_of(config.path), labelled=True)
        return
    table = synthetic.generate(config)
    quarantine.count(read=table.height)
    yield "synthetic", table.with_row_index(files.ROW)


def _typed(rows: pl.LazyFrame, kinds: dict[str, pl.DataType]) -> pl.LazyFrame:
    present = rows.collect_schema().names()
    return rows.with_columns(pl.col(name).cast(kind) for name, kind in kinds.items() if name in present)


def _repeated(
    pieces: dict[str, list[Path]], names: list[str], kinds: dict[str, pl.DataType], quarantine: Quarantine
) -> pl.DataFrame:
    """Return `_file` and the row of every transaction that repeats an earlier one, which is quarantined."""
    identity = ("_file", files.ROW, "transaction_id")
    found = [_typed(pl.scan_parquet(piece), kinds).select(identity) for each in pieces.values() for piece in each]
    if not found:
        return pl.DataFrame(schema={"_file": pl.UInt32, files.ROW: pl.UInt32})
    every = pl.concat(found).collect()
    again = every.filter(pl.col("transaction_id").is_duplicated()).sort("_file", files.ROW)
    again = again.filter(~again["transaction_id"].is_first_distinct())
    items = ((names[file], files.place(names[file], row), str(repeated)) for file, row, repeated in again.iter_rows())
    quarantine.add_many("transaction_id is repeated", items)
    return again.drop("transaction_id")
