"""Work done once: decoded images and frozen features in memory maps, keyed by content and parameters.

`images` decodes files and `arrays` keeps any stream of batches; both are a key and `_entry`, which owns the life of an
entry: half-written ones go on where a kill left them, whole ones are renamed into place, old ones make room. An entry
is a folder named for its key; file names, which may hold a patient's, appear in no name and no file of the cache.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from paceline import atomic
from paceline.clock import now
from paceline.device import usable_cores
from paceline.errors import PacelineError
from paceline.progress import Progress
from paceline.quarantine import Quarantine
from paceline.record import Run

try:
    import fcntl
except ImportError:  # Windows: two processes that fill one entry at a time are not kept apart
    fcntl = None  # type: ignore[assignment] # a module or nothing

FORMAT = 1  # of an entry's files; part of every key
MAX_BYTES = 8 * 2**30
MAX_TOTAL_BYTES = 32 * 2**30
SYNC_SECONDS = 1.0  # what a kill costs at most
Arrays = dict[str, NDArray[Any]]


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
        key = _key(
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

        arrays, refused = _entry(
            key,
            decode,
            specs={"rows": (row, tuple(shape))},
            rows=len(files),
            folder=folder,
            limits=(max_bytes, max_total_bytes, setting),
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
        key = _key(
            {"rows": rows, "specs": {n: (d.str, s) for n, (d, s) in rowwise.items()}, "parameters": dict(parameters)}
        )
        limits = (max_bytes, max_total_bytes, setting)
        return _entry(key, batches, specs=rowwise, rows=rows, folder=folder, limits=limits)[0]


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


def _entry(
    key: str,
    make: Callable[[int], Iterator[tuple[int, Arrays, dict[int, str]]]],
    *,
    specs: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]],
    rows: int,
    folder: Path | None,
    limits: tuple[int, int, str],
) -> tuple[Arrays, dict[int, str]]:
    """Return the arrays and refused places of the entry `key`, made now where there is none.

    `make`, given the number of items done, yields how many more are done, their rows, and what was refused of them.
    """
    place = globals()["folder"]() if folder is None else folder
    entry, part = place / key, place / f".{key}.part"
    if (found := _open(entry, specs, rows)) is not None:
        return found
    row_bytes = {name: dtype.itemsize * math.prod(shape) for name, (dtype, shape) in specs.items()}
    _refuse_size(rows * sum(row_bytes.values()), place, limits)
    with _alone(part):
        if (found := _open(entry, specs, rows)) is not None:  # another process has made it while this one waited
            shutil.rmtree(part, ignore_errors=True)
            return found
        shutil.rmtree(entry, ignore_errors=True)
        try:
            _fill(part, make, row_bytes, rows)
        except Exception:  # an error of what makes the rows: once it is mended, none of them may be the old ones
            shutil.rmtree(part, ignore_errors=True)
            raise
        part.rename(entry)
        atomic.sync_folder(place)
    _make_room(place, keep=entry, max_total_bytes=limits[1])
    found = _open(entry, specs, rows)
    if found is None:
        raise PacelineError(f"The cache entry '{entry.name}' is not what was written.", "Check the disk.")
    return found


def _fill(
    part: Path,
    make: Callable[[int], Iterator[tuple[int, Arrays, dict[int, str]]]],
    row_bytes: Mapping[str, int],
    rows: int,
) -> None:
    """Append rows to `part` until all are there; the journal says how far the files can be trusted."""
    done, kept, refused = _journal(part, row_bytes)
    files: dict[str, IO[bytes]] = {name: (part / f"{name}.bin").open("ab") for name in row_bytes}
    try:
        for name, file in files.items():
            file.truncate(kept * row_bytes[name])
        synced = now()
        for more, batch, bad in make(done):
            for name, values in batch.items():
                files[name].write(np.ascontiguousarray(values).data)
            done, kept = done + more, kept + more - len(bad)
            refused |= {str(place): reason for place, reason in bad.items()}
            if now() - synced > SYNC_SECONDS:
                _sync(part, files, {"done": done, "kept": kept, "refused": refused})
                synced = now()
        if done != rows:
            raise ValueError(f"{done} rows were made, not {rows}")
        _sync(part, files, {"done": done, "kept": kept, "refused": refused})
    finally:
        for file in files.values():
            file.close()


def _sync(part: Path, files: Mapping[str, IO[bytes]], journal: dict[str, Any]) -> None:
    """Bring the rows to the disk, and only then the journal that vouches for them."""
    for file in files.values():
        file.flush()
        os.fsync(file.fileno())
    atomic.write_json(part / "entry.json", journal)


def _journal(part: Path, row_bytes: Mapping[str, int]) -> tuple[int, int, dict[str, str]]:
    """Return the items done, the rows kept and what was refused, as far as the files bear it out; else nothing."""
    try:
        found = json.loads((part / "entry.json").read_text(encoding="utf-8"))
        done, kept, refused = int(found["done"]), int(found["kept"]), dict(found["refused"])
        if all((part / f"{name}.bin").stat().st_size >= kept * size for name, size in row_bytes.items()):
            return done, kept, refused
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, 0, {}


def _open(
    entry: Path, specs: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]], rows: int
) -> tuple[Arrays, dict[int, str]] | None:
    """Return a whole entry's arrays and refusals, and mark it as used now; None where there is none."""
    row_bytes = {name: dtype.itemsize * math.prod(shape) for name, (dtype, shape) in specs.items()}
    done, kept, refused = _journal(entry, row_bytes)
    try:
        whole = all((entry / f"{name}.bin").stat().st_size == kept * size for name, size in row_bytes.items())
        if done != rows or not whole or kept + len(refused) != rows or not (entry / "entry.json").exists():
            return None
        os.utime(entry / "entry.json")
        maps = {
            name: np.memmap(entry / f"{name}.bin", dtype=dtype, mode="r", shape=(kept, *shape))
            if kept * row_bytes[name]
            else np.zeros((kept, *shape), dtype)  # an empty file cannot be mapped
            for name, (dtype, shape) in specs.items()
        }
    except OSError:
        return None
    return maps, {int(place): reason for place, reason in refused.items()}


def _refuse_size(size: int, place: Path, limits: tuple[int, int, str]) -> None:
    max_bytes, max_total_bytes, setting = limits
    for limit, what in ((max_bytes, setting), (max_total_bytes, "the limit of the whole cache")):
        if size > limit:
            raise PacelineError(
                f"The cache entry would take {size / 2**30:.2f} GB, and {limit / 2**30:.2f} GB are allowed ({what}).",
                f"Choose smaller images or less data, or raise {setting}.",
            )
    there = next(folder for folder in [place.absolute(), *place.absolute().parents] if folder.exists())
    free = shutil.disk_usage(there).free
    if size > free:
        raise PacelineError(
            f"The cache entry would take {size / 2**30:.2f} GB, and {free / 2**30:.2f} GB are free on its disk.",
            "Free some, or point PACELINE_CACHE to another disk.",
        )


def _make_room(place: Path, *, keep: Path, max_total_bytes: int) -> None:
    """Delete the entries used longest ago until all take at most `max_total_bytes`; `keep` stays."""
    entries = []
    for entry in place.iterdir():
        try:
            if _is_key(entry.name.removeprefix(".").removesuffix(".part")) and not _held(entry):
                files = [file.stat() for file in entry.iterdir()]
                used = max((file.st_mtime for file in files), default=0.0)
                entries.append((entry == keep, used, sum(file.st_size for file in files), entry))
        except OSError:  # another process has deleted or renamed it
            continue
    total = sum(size for *_, size, _ in entries)
    for kept, _, size, entry in sorted(entries, key=lambda item: item[:2]):
        if total <= max_total_bytes or kept:
            return
        shutil.rmtree(entry, ignore_errors=True)  # where it is mapped, the map stays valid until it is closed
        total -= size


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Make the folder `part` and hold it for the block; wait while another process fills it."""
    while True:
        part.mkdir(mode=0o700, parents=True, exist_ok=True)  # for the owner alone: the content may be private
        descriptor = os.open(part, os.O_RDONLY) if fcntl is not None else None
        try:
            if descriptor is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if not (part.exists() and os.path.samestat(os.fstat(descriptor), part.stat())):
                    continue  # the other process has renamed it
            yield
            return
        finally:
            if descriptor is not None:
                os.close(descriptor)


def _held(entry: Path) -> bool:
    """Whether a process is filling `entry` now."""
    if fcntl is None:
        return False
    descriptor = os.open(entry, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


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


def _key(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps({"format": FORMAT, **atomic.plain(parts)}, sort_keys=True).encode()).hexdigest()


def _is_key(name: str) -> bool:
    return len(name) == 64 and all(character in "0123456789abcdef" for character in name)
