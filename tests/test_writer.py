"""Checkpoints written by a thread: in order, the newest in the place of one that waits, failures told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from paceline import checkpoint
from paceline.writer import Writer

ROOT = Path(__file__).parents[1]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A writer whose thread has ended after the test."""
    made = Writer(tmp_path / "select")
    yield made
    made.close()


def files(step: int) -> Callable[[], Mapping[str, bytes]]:
    """Return what makes the files of a step."""
    return lambda: {"step": str(step).encode()}


def newest(folder: Path) -> int | None:
    """Return the step of the newest whole checkpoint."""
    found, damaged = checkpoint.latest(folder)
    assert [] == damaged
    return None if found is None else found.step


def test_what_was_handed_over_is_on_the_disk_after_waiting(writer: Writer) -> None:
    """With its bytes; step, number and processor time are counted."""
    assert writer.seconds_each() is None
    for step in (1, 2, 3):
        writer.put(step, files(step))
        writer.wait()
    found, _ = checkpoint.latest(writer.folder)
    assert found is not None
    assert (3, {"step": b"3"}) == (found.step, dict(found.files))
    assert ["00000002", "00000003"] == sorted(path.name for path in writer.folder.iterdir())
    assert (3, 3) == (writer.written, writer.saves)
    assert 0 < (writer.seconds_each() or 0) < 1


def test_the_newest_takes_the_place_of_the_one_that_waits(writer: Writer) -> None:
    """Nobody waits for a slow disk: what ended meanwhile is written as its newest state, after what was begun."""
    begun, go, made = threading.Event(), threading.Event(), []

    def slow() -> Mapping[str, bytes]:
        begun.set()
        assert go.wait(60)
        return files(1)()

    def noting(step: int) -> Callable[[], Mapping[str, bytes]]:
        return lambda: made.append(step) or files(step)()  # type: ignore[func-returns-value]

    writer.put(1, slow)
    assert begun.wait(60)
    for step in (2, 3, 4):
        writer.put(step, noting(step))
    assert (0, []) == (writer.written, made)
    go.set()
    writer.wait()
    assert ([4], 4, 2) == (made, writer.written, writer.saves)
    assert ["00000001", "00000004"] == sorted(path.name for path in writer.folder.iterdir())


def full() -> Mapping[str, bytes]:
    """Raise what a full disk raises."""
    raise OSError(28, "No space left on device")


def test_a_failure_is_raised_once_where_it_is_waited_for(writer: Writer) -> None:
    """The checkpoint before it is the newest, and the next one is written again."""
    writer.put(1, files(1))
    writer.wait()
    writer.put(2, full)
    with pytest.raises(OSError, match="No space left on device"):
        writer.wait()
    assert (1, 1) == (writer.written, newest(writer.folder))
    writer.put(3, files(3))
    writer.wait()
    assert 3 == newest(writer.folder)


def test_a_failure_is_raised_at_the_next_checkpoint(writer: Writer) -> None:
    """Which is not written then: the training has ended."""
    writer.put(1, full)
    with writer._changed:
        assert writer._changed.wait_for(lambda: writer._failure is not None and not writer._busy, 60)
    with pytest.raises(OSError, match="No space left on device"):
        writer.put(2, files(2))
    writer.wait()
    assert newest(writer.folder) is None


def test_a_failure_that_nobody_heard_of_is_told_at_the_end(tmp_path: Path) -> None:
    """As a text, since another error is on its way then."""
    writer = Writer(tmp_path)
    writer.put(1, full)
    assert "[Errno 28] No space left on device" == writer.close()
    assert "" == writer.close()


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    """And ends the thread."""
    writer = Writer(tmp_path / "select")
    for step in range(1, 6):
        writer.put(step, files(step))
    assert "" == writer.close()
    assert 5 == newest(writer.folder)
    assert "checkpoints" not in {thread.name for thread in threading.enumerate()}


def test_a_kill_at_any_moment_leaves_the_last_one_written_or_the_one_before(tmp_path: Path) -> None:
    """SIGKILL at twelve moments of saving as fast as it goes: whole, and no older than the last one said to be done."""
    code = (
        "import sys; from pathlib import Path; from paceline.writer import Writer\\n"
        "writer, step = Writer(Path(sys.argv[1])), 0\\n"
        "while True:\\n"
        "    step += 1\\n"
        "    writer.put(step, lambda step=step: {'step': str(step).encode() * 100_000})\\n"
        "    if step % 2: writer.wait(); print(step, flush=True)\\n"
    ).replace("\\n", "\n")
    for number in range(12):
        folder = tmp_path / str(number)
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "shared")},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert "1\n" == process.stdout.readline()
        time.sleep(0.013 * number)
        process.send_signal(signal.SIGKILL)
        said = [1, *map(int, process.communicate()[0].split())]
        found, damaged = checkpoint.latest(folder)
        assert (True, []) == (found is not None, damaged)
        assert found is not None
        assert found.files["step"] == str(found.step).encode() * 100_000
        assert said[-1] <= found.step <= said[-1] + 2
