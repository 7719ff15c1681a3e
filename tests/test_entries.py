"""The life of an entry: gone on with after a kill, made again when damaged, deleted to make room, never half of one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from paceline import entries
from paceline.entries import Arrays, Limits, Make
from paceline.errors import PacelineError

ROWS = 6
SPECS = {"x": (np.dtype(np.int64), ())}
LIMITS = Limits(10**6, 10**6, "max_bytes")


def counting(asked: list[int]) -> Make:
    """Return what makes the numbers from 0, two at a time, and notes from where it was asked to."""

    def make(first: int) -> Iterator[tuple[int, Arrays, dict[int, str]]]:
        asked.append(first)
        for start in range(first, ROWS, 2):
            yield 2, {"x": np.arange(start, start + 2)}, {}

    return make


def kept(place: Path, asked: list[int], of: int = 1, limits: Limits = LIMITS) -> list[int]:
    """Return the rows of the entry `of`."""
    found, refused = entries.keep(
        entries.key({"of": of}), counting(asked), specs=SPECS, rows=ROWS, place=place, limits=limits
    )
    assert {} == refused
    return [int(value) for value in found["x"]]


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    """The second call opens it; another key is another entry."""
    asked: list[int] = []
    assert list(range(ROWS)) == kept(tmp_path, asked) == kept(tmp_path, asked)
    assert [0] == asked
    kept(tmp_path, asked, of=2)
    assert [0, 0] == asked


def test_a_killed_call_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose journal reached the disk are not made again; what was torn after them is dropped."""
    monkeypatch.setattr(entries, "SYNC_SECONDS", -1.0)
    asked: list[int] = []

    def killed(first: int) -> Iterator[tuple[int, Arrays, dict[int, str]]]:
        for number, made in enumerate(counting(asked)(first)):
            if number == 2:
                with next(tmp_path.glob(".*.part/x.bin")).open("ab") as torn:
                    torn.write(b"torn")
                raise KeyboardInterrupt
            yield made

    with pytest.raises(KeyboardInterrupt):
        entries.keep(entries.key({"of": 1}), killed, specs=SPECS, rows=ROWS, place=tmp_path, limits=LIMITS)
    assert list(range(ROWS)) == kept(tmp_path, asked)
    assert [0, 4] == asked


@pytest.mark.parametrize(("name", "content"), [("x.bin", b"short"), ("entry.json", b"{"), ("entry.json", b"[]")])
def test_a_damaged_entry_is_made_again(name: str, content: bytes, tmp_path: Path) -> None:
    """An entry whose files do not have their sizes, or whose journal is torn, counts as absent."""
    asked: list[int] = []
    kept(tmp_path, asked)
    next(tmp_path.glob(f"*/{name}")).write_bytes(content)
    assert list(range(ROWS)) == kept(tmp_path, asked)
    assert [0, 0] == asked


def test_the_entry_used_longest_ago_makes_room(tmp_path: Path) -> None:
    """Above the total it goes; younger ones and foreign files stay."""
    asked: list[int] = []
    (tmp_path / "mine.txt").write_text("no entry")
    for of in (1, 2):
        kept(tmp_path, asked, of)
    for age, of in enumerate((1, 2)):
        for file in (tmp_path / entries.key({"of": of})).iterdir():
            os.utime(file, (1000 + age, 1000 + age))
    kept(tmp_path, asked, of=1)  # used again: now the second is the oldest
    size = sum(file.stat().st_size for file in (tmp_path / entries.key({"of": 1})).iterdir())
    kept(tmp_path, asked, of=3, limits=Limits(10**6, 2 * size + 8, "max_bytes"))
    assert (tmp_path / "mine.txt").exists()
    asked.clear()
    kept(tmp_path, asked, of=1)
    kept(tmp_path, asked, of=3)
    assert [] == asked
    kept(tmp_path, asked, of=2)
    assert [0] == asked


def test_too_much_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """For the entry, with the setting's name, and for all of them."""
    asked: list[int] = []
    for limits, expected in ((Limits(40, 10**6, "cache_gb"), "cache_gb"), (Limits(10**6, 40, ""), "the whole cache")):
        with pytest.raises(PacelineError, match=expected):
            kept(tmp_path / "new", asked, limits=limits)
    assert ([], False) == (asked, (tmp_path / "new").exists())


def test_two_that_fill_one_entry_make_it_once(tmp_path: Path) -> None:
    """The second waits for the first, and opens what that has made."""
    asked: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(first: int) -> Iterator[tuple[int, Arrays, dict[int, str]]]:
        begun.set()
        assert go_on.wait(30)
        yield from counting(asked)(first)

    def fill() -> None:
        entries.keep(entries.key({"of": 1}), slow, specs=SPECS, rows=ROWS, place=tmp_path, limits=LIMITS)

    threads = [threading.Thread(target=fill) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    time.sleep(0.05)  # for the second to come to the lock; were it later, it would find the entry made
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert [0] == asked


def test_another_number_of_rows_than_promised_leaves_nothing(tmp_path: Path) -> None:
    """No half of an entry is gone on with once what makes it is mended."""
    with pytest.raises(ValueError, match="6 rows were made, not 7"):
        entries.keep(entries.key({"of": 1}), counting([]), specs=SPECS, rows=7, place=tmp_path, limits=LIMITS)
    assert [] == list(tmp_path.iterdir())
