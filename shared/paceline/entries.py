"""The life of an entry of the cache: half-written ones go on where a kill left them, whole ones are renamed into place.

An entry is a folder named for its key, with a file of rows for each array and a journal that says how far they can be
trusted. Old entries make room for new ones, and two processes do not fill one at the same time.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from paceline import atomic
from paceline.clock import now
from paceline.errors import PacelineError

try:
    import fcntl
except ImportError:  # Windows: two processes that fill one entry at a time are not kept apart
    fcntl = None  # type: ignore[assignment] # a module or nothing

FORMAT = 1  # of an entry's files; part of every key
SYNC_SECONDS = 1.0  # what a kill costs at most

Arrays: TypeAlias = dict[str, NDArray[Any]]
Specs: TypeAlias = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]
Make: TypeAlias = Callable[[int], Iterator[tuple[int, Arrays, dict[int, str]]]]


@dataclass(frozen=True)
class Limits:
    """What the cache may take.

    Attributes:
        max_bytes: of an entry; the size is known before it is made.
        max_total_bytes: of all entries of the folder.
        setting: the name of the setting that holds `max_bytes`, for the error message.
    """

    max_bytes: int
    max_total_bytes: int
    setting: str


def key(parts: Mapping[str, Any]) -> str:
    """Return the name of the entry that depends on `parts`, given as JSON types."""
    return hashlib.sha256(json.dumps({"format": FORMAT, **atomic.plain(parts)}, sort_keys=True).encode()).hexdigest()


def keep(
    key: str,
    make: Make,
    *,
    specs: Specs,
    rows: int,
    place: Path,
    limits: Limits,
) -> tuple[Arrays, dict[int, str]]:
    """Return the arrays and refused places of the entry `key`, made now where there is none.

    Args:
        key: see `key`.
        make: given the number of items done, yields how many more are done, their rows, and what was refused of them.
        specs: by name the type and the shape of one row.
        rows: the number of items in all.
        place: the folder that holds the entries.
        limits: what it may take.

    Raises:
        PacelineError: it would take more than it may, or than is free.
        ValueError: `make` made another number of rows.
    """
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
    _make_room(place, keep=entry, max_total_bytes=limits.max_total_bytes)
    found = _open(entry, specs, rows)
    if found is None:
        raise PacelineError(f"The cache entry '{entry.name}' is not what was written.", "Check the disk.")
    return found


def _fill(
    part: Path,
    make: Make,
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


def _open(entry: Path, specs: Specs, rows: int) -> tuple[Arrays, dict[int, str]] | None:
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


def _refuse_size(size: int, place: Path, limits: Limits) -> None:
    setting = limits.setting
    for limit, what in ((limits.max_bytes, setting), (limits.max_total_bytes, "the limit of the whole cache")):
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


def _is_key(name: str) -> bool:
    return len(name) == 64 and all(character in "0123456789abcdef" for character in name)
