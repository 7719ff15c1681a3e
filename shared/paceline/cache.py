"""Work done once: decoded images and frozen features in memory maps, keyed by content and parameters.

`images` decodes files and `arrays` keeps any stream of batches; both are a key and an entry, whose life `entries` owns.
File names, which may hold a patient's, appear in no name and no file of the cache.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from paceline import entries
from paceline.device import usable_cores
from paceline.entries import Arrays, Limits
from paceline.progress import Progress
from paceline.quarantine import Quarantine
from paceline.record import Run

MAX_BYTES = 8 * 2**30
MAX_TOTAL_BYTES = 32 * 2**30


class Refused(Exception):  # noqa: N818 -- not a failure of the program: the item is bad
    """Raised by a reader for an item that cannot be used.

    Args:
        reason: why, in a few words and without the item's own values: it is kept in the cache and counted by.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Cached:
    """Decoded files.

    Attributes:
        array: a read-only memory map, one row a usable file: `array[i]` is of `files[kept[i]]`.
        kept: the places in `files` of those that could be used, ascending.
        refused: by place in `files`, why the others could not.
        decoded: how many files were read for it now; 0 where the cache had them all.
    """

    array: NDArray[Any]
    kept: NDArray[np.int64]
    refused: Mapping[int, str]
    decoded: int


def folder() -> Path:
    """Return the cache folder: what `PACELINE_CACHE` says, or the user's cache folder of this system."""
    if chosen := os.environ.get("PACELINE_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "paceline" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "paceline"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paceline"


def images(
    files: Sequence[Path],
    read: Callable[[Path], NDArray[Any]],
    *,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    parameters: Mapping[str, Any],
    quarantine: Quarantine | None = None,
    source: Callable[[Path], str] = str,
    folder: Path | None = None,
    max_bytes: int = MAX_BYTES,
    max_total_bytes: int = MAX_TOTAL_BYTES,
    setting: str = "max_bytes",
    processes: bool = False,
    run: Run | None = None,
) -> Cached:
    """Decode `files` once, in parallel, into a memory map; a second call with the same content decodes nothing.

    The key covers each file's content (SHA-256), their order, `shape`, `dtype`, `parameters` and the source text of
    `read`, but not of what `read` calls: put a version into `parameters` for that. Decoding that was killed goes on
    where it was, and what a call finds is whole or absent.

    Args:
        files: what to decode. A file that cannot be opened is refused.
        read: returns one file's array; raises `Refused` for a bad one. It runs in threads, so it must not share state.
        shape: of what `read` returns.
        dtype: of what `read` returns.
        parameters: everything that `read` depends on beside the file, as JSON types.
        quarantine: is told how many files were read and kept, and of each refused one, in later calls as well.
        source: how a file is named in the quarantine; give a salted id where its name may hold a patient's.
        folder: where entries are kept; `cache.folder()` by default.
        max_bytes: of this entry; the size is known before anything is decoded.
        max_total_bytes: of all entries in the folder: those used longest ago are deleted to stay below.
        setting: the name of the setting that holds `max_bytes`, for the error message.
        processes: decode in processes instead of threads, for a reader that holds the interpreter's lock; `read` must
            then be picklable, and the files many, for starting them takes seconds.
        run: gets the time as the phase `data`, part `data/cache`.

    Raises:
        PacelineError: the entry would be larger than `max_bytes` or than what is free on the disk.
        ValueError: `read` returned another shape or type than promised.
    """
    with run.phase("data/cache") if run is not None else nullcontext():
        row = np.dtype(dtype)
        with ThreadPoolExecutor(usable_cores()) as pool:
            contents = list(pool.map(_content, files))
        key = entries.key(
            {"files": contents, "shape": shape, "dtype": row.str, "parameters": parameters, "read": _source(read)}
        )
        decoded = 0

        def decode(done: int) -> Iterator[tuple[int, Arrays, dict[int, str]]]:
            nonlocal decoded
            with Progress({"decode": len(files)}, unit="file") as progress, _pool(processes) as pool:
                progress.begin("decode", step=done)
                for place, item in _ordered(pool, functools.partial(_attempt, read), files, done):
                    decoded += 1
                    progress.step(place + 1, "")
                    if isinstance(item, str):
                        yield 1, {}, {place: item}
                        continue
                    if item.shape != tuple(shape) or item.dtype != row:
                        raise ValueError(f"the reader returned {item.dtype}{item.shape}, not {row}{tuple(shape)}")
                    yield 1, {"rows": item[None]}, {}

        arrays, refused = entries.keep(
            key,
            decode,
            specs={"rows": (row, tuple(shape))},
            rows=len(files),
            place=_place(folder),
            limits=Limits(max_bytes, max_total_bytes, setting),
        )
    kept = np.setdiff1d(np.arange(len(files), dtype=np.int64), np.fromiter(refused, dtype=np.int64, count=len(refused)))
    if quarantine is not None:
        quarantine.count(read=len(files), kept=len(kept))
        for place, reason in refused.items():
            quarantine.add(source(files[place]), "", reason)
    return Cached(arrays["rows"], kept, refused, decoded)


def arrays(
    parameters: Mapping[str, Any],
    make: Callable[[int], Iterator[Mapping[str, NDArray[Any]]]],
    *,
    rows: int,
    specs: Mapping[str, tuple[DTypeLike, tuple[int, ...]]],
    folder: Path | None = None,
    max_bytes: int = MAX_BYTES,
    max_total_bytes: int = MAX_TOTAL_BYTES,
    setting: str = "max_bytes",
    run: Run | None = None,
) -> Arrays:
    """Keep named arrays that are made batch by batch, such as frozen features, under `parameters` as their key.

    Args:
        parameters: everything that the arrays depend on, as JSON types; `fingerprint` turns arrays into one.
        make: given the number of rows that are kept already, yields the following ones: in every batch the same
            number of rows for each name.
        rows: how many there are to be.
        specs: by name the type and the shape of one row.
        folder: see `images`, as for the limits, `setting` and `run`.
        max_bytes: of this entry.
        max_total_bytes: of all entries in the folder.
        setting: the name of the setting that holds `max_bytes`.
        run: gets the time as the phase `data`, part `data/cache`.

    Returns:
        Read-only memory maps by name.

    Raises:
        PacelineError: see `images`.
        ValueError: `make` yields other shapes or types than promised, or another number of rows.

    >>> import tempfile
    >>> def squares(first_row):
    ...     yield {"square": np.arange(first_row, 4) ** 2}
    >>> with tempfile.TemporaryDirectory() as name:
    ...     kept = arrays({"of": "doctest"}, squares, rows=4, specs={"square": (np.int64, ())}, folder=Path(name))
    ...     kept["square"].tolist()
    [0, 1, 4, 9]
    """
    rowwise = {name: (np.dtype(dtype), tuple(shape)) for name, (dtype, shape) in specs.items()}

    def batches(done: int) -> Iterator[tuple[int, Arrays, dict[int, str]]]:
        for batch in make(done):
            lengths = {len(values) for values in batch.values()}
            found = {name: (values.dtype, values.shape[1:]) for name, values in batch.items()}
            if found != rowwise or len(lengths) != 1:
                raise ValueError(f"a batch has {found}, not {rowwise}, with one number of rows")
            yield lengths.pop(), dict(batch), {}

    with run.phase("data/cache") if run is not None else nullcontext():
        key = entries.key(
            {"rows": rows, "specs": {n: (d.str, s) for n, (d, s) in rowwise.items()}, "parameters": dict(parameters)}
        )
        limits = Limits(max_bytes, max_total_bytes, setting)
        return entries.keep(key, batches, specs=rowwise, rows=rows, place=_place(folder), limits=limits)[0]


def fingerprint(*values: NDArray[Any]) -> str:
    """Return a SHA-256 of the arrays' types, shapes and contents, for `parameters`.

    >>> fingerprint(np.zeros(3)) == fingerprint(np.zeros(3)), fingerprint(np.zeros(3)) == fingerprint(np.zeros(4))
    (True, False)
    """
    digest = hashlib.sha256()
    for array in values:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        step = max(1, 2**24 // max(1, array[:1].nbytes))  # 16 MB at a time: a memory map need not fit into memory
        for start in range(0, len(array), step):
            digest.update(np.ascontiguousarray(array[start : start + step]).data)
    return digest.hexdigest()


def _ordered(
    pool: Executor, attempt: Callable[[Path], NDArray[Any] | str], files: Sequence[Path], first: int
) -> Iterator[tuple[int, NDArray[Any] | str]]:
    """Yield place and result in order; only a few items per worker are decoded ahead of what is written."""
    waiting: deque[tuple[int, Future[NDArray[Any] | str]]] = deque()
    try:
        for place in range(first, len(files)):
            waiting.append((place, pool.submit(attempt, files[place])))
            if len(waiting) >= 8 * usable_cores():
                at, future = waiting.popleft()
                yield at, future.result()
        while waiting:
            at, future = waiting.popleft()
            yield at, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def _attempt(read: Callable[[Path], NDArray[Any]], file: Path) -> NDArray[Any] | str:
    """Return what `read` makes of `file`, or why it is refused."""
    try:
        return read(file)
    except Refused as error:
        return error.reason
    except OSError:  # the message would hold its name
        return "the file cannot be read"


def _pool(processes: bool) -> Executor:
    if processes:  # forking after a framework has started its threads can hang
        return ProcessPoolExecutor(usable_cores(), mp_context=get_context("spawn"))
    return ThreadPoolExecutor(usable_cores())


def _content(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def _source(read: Callable[..., Any]) -> str:
    """Return the source text of `read`, so that editing it makes a new entry; empty where there is none."""
    while isinstance(read, functools.partial):
        read = read.func
    try:
        return inspect.getsource(read)
    except (OSError, TypeError):
        return ""


def _place(chosen: Path | None) -> Path:
    return folder() if chosen is None else chosen
