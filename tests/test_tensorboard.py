"""Training curves as TensorBoard events."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from paceline import tensorboard
from paceline.errors import PacelineError
from paceline.tensorboard import Events


def written(folder: Path) -> list[tuple[str, int, float]]:
    """Return tag, step and value of every scalar below `folder`, files in the order of their making."""
    from tensorboardX.proto import event_pb2

    found = []
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        data = path.read_bytes()
        at = 0
        while at < len(data):  # length, its checksum, the event, its checksum
            length = int.from_bytes(data[at : at + 8], "little")
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + length])
            found += [(value.tag, event.step, round(value.simple_value, 6)) for value in event.summary.value]
            at += 12 + length + 4
    return found


ROWS: list[dict[str, Any]] = [
    {"step": step, "train_loss": 1 / step, "validation_auc_roc": 0.5, "elapsed_seconds": step} for step in (1, 2, 3)
]


def test_each_row_is_written_once(tmp_path: Path) -> None:
    """However often the course is handed over; curves of one score under one heading."""
    events = Events(tmp_path, "select")
    events.write(ROWS[:1])
    events.write(ROWS[:2])
    events.write(ROWS)
    events.close()
    found = written(tmp_path / "tensorboard" / "select")
    assert [("loss/train", 1, 1.0), ("loss/train", 2, 0.5), ("loss/train", 3, 0.333333)] == [
        each for each in found if each[0] == "loss/train"
    ]
    assert {"loss/train", "auc_roc/validation", "elapsed_seconds"} == {tag for tag, _, _ in found}


def test_a_resumed_run_writes_its_whole_course_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file that tells TensorBoard to hide the interrupted one, whose last seconds may be missing."""
    for process, rows in ((1, ROWS[:2]), (2, ROWS)):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        events = Events(tmp_path, "select")
        events.write(rows)
        events.close()
    assert [1, 2, 1, 2, 3] == [step for tag, step, _ in written(tmp_path) if tag == "loss/train"]


def test_without_the_extra_there_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to do."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PacelineError, match=r"'tensorboardX' is not installed\. Install the extra: pip install"):
        Events(tmp_path, "select")


def test_what_is_no_number_is_left_out() -> None:
    """Texts and flags have no curve."""
    assert {"a": 1.0} == tensorboard.scalars({"step": 1, "a": 1, "b": "x", "c": True, "d": None})
