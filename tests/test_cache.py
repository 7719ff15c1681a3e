"""The cache: decoded once, whole or absent, bounded, and without a file's name anywhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from paceline import cache
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

SHAPE = (4, 3)


def write(folder: Path, count: int) -> list[Path]:
    """Return `count` files; the one numbered i holds the byte i."""
    folder.mkdir(exist_ok=True)
    files = [folder / f"JANE_DOE_{index}.raw" for index in range(count)]
    for index, file in enumerate(files):
        file.write_bytes(bytes([index]))
    return files


def read(file: Path) -> NDArray[np.uint8]:
    """Return an image full of the file's one byte; an empty file is refused."""
    if not (content := file.read_bytes()):
        raise cache.Refused("empty file")
    return np.full(SHAPE, content[0], np.uint8)


class Reader:
    """Reads and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, file: Path) -> NDArray[np.uint8]:
        """See `read`."""
        self.calls += 1
        return read(file)


def images(files: list[Path], reader: object, folder: Path, **more: object) -> cache.Cached:
    """Call `cache.images` with the defaults of these tests."""
    settings = {"shape": SHAPE, "dtype": np.uint8, "parameters": {"size": 4}, "folder": folder, **more}
    return cache.images(files, reader, **settings)  # type: ignore[arg-type] # a test gives what it likes


def test_the_second_call_decodes_nothing(tmp_path: Path) -> None:
    """The first call reads every file once; the second reads none and gives the same rows, read-only."""
    files, reader = write(tmp_path / "in", 40), Reader()
    first = images(files, reader, tmp_path / "cache")
    assert (40, 40) == (reader.calls, first.decoded)
    second = images(files, reader, tmp_path / "cache")
    assert (40, 0) == (reader.calls, second.decoded)
    for cached in (first, second):
        assert list(range(40)) == cached.array[:, 0, 0].tolist() == cached.kept.tolist()
        with pytest.raises(ValueError, match="read-only"):
            cached.array[0] = 1


def test_content_and_parameters_are_the_key(tmp_path: Path) -> None:
    """A moved file is found again; a changed one, another size or another order is made anew."""
    files, reader, folder = write(tmp_path / "in", 3), Reader(), tmp_path / "cache"
    images(files, reader, folder)
    moved = [file.rename(tmp_path / f"{index}.raw") for index, file in enumerate(files)]
    images(moved, reader, folder)
    assert 3 == reader.calls
    images(moved[::-1], reader, folder)
    images(moved, reader, folder, parameters={"size": 5})
    assert 9 == reader.calls
    moved[1].write_bytes(b"\x09")
    assert [0, 9, 2] == images(moved, reader, folder).array[:, 0, 0].tolist()


def test_refused_items_are_listed_from_the_cache_too(tmp_path: Path) -> None:
    """A file that is bad or missing leaves no row, and every call puts it into the quarantine under the given name."""
    files = write(tmp_path / "in", 5)
    files[1].write_bytes(b"")
    files[3].unlink()
    for decoded in (5, 0):
        quarantine = Quarantine()
        name = lambda file: f"item {files.index(file)}"  # noqa: E731 -- shorter here than a function
        cached = images(files, read, tmp_path / "cache", quarantine=quarantine, source=name)
        assert decoded == cached.decoded
        assert ([0, 2, 4], [0, 2, 4]) == (cached.kept.tolist(), cached.array[:, 0, 0].tolist())
        assert {1: "empty file", 3: "the file cannot be read"} == cached.refused
        state = quarantine.state()
        assert (5, 3, 2) == (state["read"], state["kept"], state["quarantined"])
        assert ["item 1", "item 3"] == [item["source"] for item in state["examples"]]


def test_all_refused_and_none_given(tmp_path: Path) -> None:
    """No usable file is an array without rows, not an error of the cache."""
    files = write(tmp_path / "in", 1)
    files[0].write_bytes(b"")
    assert (0, *SHAPE) == images(files, read, tmp_path / "cache").array.shape
    assert (0, *SHAPE) == images([], read, tmp_path / "cache").array.shape


def test_no_name_of_a_file_is_in_the_cache(tmp_path: Path) -> None:
    """Neither the names nor the contents of the cache folder have a file's name, which may be a patient's."""
    files = write(tmp_path / "in", 3)
    files[2].unlink()
    images(files, read, tmp_path / "cache")
    written = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert written
    for file in written:
        assert "JANE" not in str(file.relative_to(tmp_path))
        assert b"JANE" not in file.read_bytes()


def test_too_much_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """The size is known beforehand: the message has it, the limit and the setting; nothing is decoded or written."""
    reader = Reader()
    with pytest.raises(PacelineError, match=r"0\.00 GB.*data\.cache_gb"):
        images(write(tmp_path / "in", 3), reader, tmp_path / "cache", max_bytes=35, setting="data.cache_gb")
    assert 0 == reader.calls
    assert not (tmp_path / "cache").exists()


def test_a_reader_that_breaks_its_promise_is_an_error(tmp_path: Path) -> None:
    """Another shape than promised ends it, and nothing half-made is left for the mended reader to go on with."""
    files, wrong = write(tmp_path / "in", 3), [True]

    def reader(file: Path) -> NDArray[np.uint8]:
        return read(file)[: 3 if wrong else 4]

    with pytest.raises(ValueError, match=r"uint8\(3, 3\)"):
        images(files, reader, tmp_path / "cache")
    assert [] == list((tmp_path / "cache").iterdir())
    wrong.clear()
    assert 3 == images(files, reader, tmp_path / "cache").decoded


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from paceline import cache, entries
entries.SYNC_SECONDS = -1.0
folder = Path(sys.argv[1])
def read(file):
    if file.name == "JANE_DOE_30.raw" and not (folder / "again").exists():
        (folder / "there").touch()
        time.sleep(60)
    with (folder / "calls").open("a") as calls:
        calls.write(".")
    return np.full((4, 3), file.read_bytes()[0], np.uint8)
files = [folder / "in" / f"JANE_DOE_{index}.raw" for index in range(40)]
found = cache.images(files, read, shape=(4, 3), dtype=np.uint8, parameters={}, folder=folder / "cache")
print(found.decoded, found.array[:, 0, 0].tolist() == list(range(40)))
"""


@pytest.mark.slow
def test_sigkill_costs_only_what_was_not_written(tmp_path: Path) -> None:
    """After SIGKILL in the middle the next process decodes the rest, and the rows are those of an undisturbed call."""
    write(tmp_path / "in", 40)
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(cache.__file__).parents[1])}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def journaled() -> int:
        return max((json.loads(p.read_text())["done"] for p in tmp_path.glob("cache/.*.part/entry.json")), default=0)

    while process.poll() is None and not ((tmp_path / "there").exists() and journaled() >= 10):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "again").touch()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    decoded, same = done.stdout.split()
    assert "True" == same
    assert 0 < int(decoded) <= 30


@pytest.mark.slow
def test_processes_decode_as_threads_do(tmp_path: Path) -> None:
    """A reader that holds the interpreter's lock can run in processes: the same rows, refusals included."""
    files = write(tmp_path / "in", 6)
    files[2].write_bytes(b"")
    cached = images(files, read, tmp_path / "cache", processes=True)
    assert [0, 1, 3, 4, 5] == cached.array[:, 0, 0].tolist()


def test_arrays_hold_several_names_and_refuse_broken_promises(tmp_path: Path) -> None:
    """Batches of several arrays come back by name; another type, or too few rows, is an error of who makes them."""

    def make(first: int) -> Iterator[dict[str, NDArray[np.float32]]]:
        for start in range(first, 6, 3):
            yield {"pooled": np.full((3, 2), start, np.float32), "map": np.full((3, 2, 2, 1), -start, np.float32)}

    specs = {"pooled": (np.float32, (2,)), "map": (np.float32, (2, 2, 1))}
    found = cache.arrays({"model": "m"}, make, rows=6, specs=specs, folder=tmp_path)
    assert ([0, 0, 0, 3, 3, 3], (6, 2, 2, 1)) == (found["pooled"][:, 0].tolist(), found["map"].shape)
    with pytest.raises(ValueError, match="not 7"):
        cache.arrays({"model": "m"}, make, rows=7, specs=specs, folder=tmp_path)
    with pytest.raises(ValueError, match="a batch has"):
        cache.arrays({"model": "n"}, make, rows=6, specs=specs | {"map": (np.int8, (2, 2, 1))}, folder=tmp_path)


def test_the_folder_is_the_environments_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`PACELINE_CACHE` decides; without it the user's cache folder of the system."""
    monkeypatch.setenv("PACELINE_CACHE", str(tmp_path))
    assert tmp_path == cache.folder()
    monkeypatch.delenv("PACELINE_CACHE")
    assert "paceline" in cache.folder().parts
