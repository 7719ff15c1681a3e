"""Files that are either wholly there or not there."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paceline import atomic


class PowerCut(BaseException):
    """What a test raises where a process would be killed."""


def cut(*_: Any, **__: Any) -> None:
    """Stand in for a call at which the process dies."""
    raise PowerCut


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """Bytes arrive as they are, text as UTF-8, and nothing else is left in the folder."""
    atomic.write_bytes(tmp_path / "a.bin", b"\0\xff\r\n")
    atomic.write_text(tmp_path / "b.txt", "zażółć\n")
    assert b"\0\xff\r\n" == (tmp_path / "a.bin").read_bytes()
    assert "zażółć\n".encode() == (tmp_path / "b.txt").read_bytes()
    assert ["a.bin", "b.txt"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_a_crash_before_the_rename_leaves_the_old_content(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off between writing and renaming, a reader finds the old content, whole, and no leftover."""
    path = tmp_path / "run.json"
    atomic.write_bytes(path, b"old")
    monkeypatch.setattr(*((os, "fsync") if place == "fsync" else (Path, "replace")), cut)
    with pytest.raises(PowerCut):
        atomic.write_bytes(path, b"new and longer")
    assert b"old" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_content_is_synced_before_it_gets_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of power after the rename must not find an empty file: the order of the calls is the promise."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        calls.append("sync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "sync file")  # noqa: PTH112 -- a descriptor
        fsync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        calls.append("rename")
        assert b"data" == path.read_bytes()
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    atomic.write_bytes(tmp_path / "x", b"data")
    if not Path("/proc/self/fd").exists():
        pytest.skip("tells files and folders apart by /proc")
    assert ["sync file", "rename", "sync folder"] == calls


def test_a_folder_that_cannot_be_opened_is_no_error(tmp_path: Path) -> None:
    """Where folders cannot be opened, renames are as safe as the system makes them."""
    atomic.sync_folder(tmp_path / "absent")


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (None, float("nan")),
        (None, float("-inf")),
        (None, np.float32("nan")),
        (0.5, np.float32(0.5)),
        (3, np.int64(3)),
        (True, np.bool_(True)),
        ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        ([1.5, None], np.array([1.5, np.inf])),
        ([1, "a", None], (1, "a", None)),
        ("runs/a", Path("runs/a")),
        ("2026-01-02", date(2026, 1, 2)),
        ({"1": {"x": [0.0]}}, {1: {"x": np.zeros(1)}}),
        ([7], {7}),
    ],
)
def test_plain_turns_values_into_json_types(expected: Any, value: Any) -> None:
    """Types and values come out as JSON has them, and what is no number as null."""
    found = atomic.plain(value)
    assert json.dumps(expected) == json.dumps(found, allow_nan=False)


def test_json_that_is_written_is_strict_and_readable(tmp_path: Path) -> None:
    """No NaN literal, which other readers refuse; names stay readable; the file ends its line."""
    atomic.write_json(tmp_path / "x.json", {"naïve": float("nan"), "emoji": "🙂", "n": np.arange(2)})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert {"naïve": None, "emoji": "🙂", "n": [0, 1]} == json.loads(text, parse_constant=cut)
    assert "naïve" in text
    assert text.endswith("}\n")
