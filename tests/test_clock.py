"""Spans of wall time: disjoint, adding up to the whole, owned by the innermost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline import clock
from paceline.clock import OUTSIDE, Clock


class Time:
    """A source of time that moves only when it is told to."""

    def __init__(self) -> None:
        self.reading = 100.0

    def __call__(self) -> float:
        """Return the present reading."""
        return self.reading

    def pass_(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.reading += seconds


@pytest.fixture
def watch() -> Time:
    """Time under the test's control."""
    return Time()


@pytest.fixture
def timer(watch: Time) -> Clock:
    """A clock that reads `watch`."""
    return Clock(read=watch)


def test_the_innermost_span_owns_the_time(watch: Time, timer: Clock) -> None:
    """What an inner span claims is not counted again in the outer one, nor outside."""
    watch.pass_(1)
    with timer.span("train"):
        watch.pass_(2)
        with timer.span("validation"):
            watch.pass_(4)
        watch.pass_(8)
    watch.pass_(16)
    assert {OUTSIDE: 17.0, "train": 10.0, "validation": 4.0} == timer.spans()
    assert 31.0 == timer.elapsed()


def test_a_span_within_itself_counts_once(watch: Time, timer: Clock) -> None:
    """The same name inside itself is one account."""
    with timer.span("data"):
        watch.pass_(1)
        with timer.span("data"):
            watch.pass_(2)
    assert {OUTSIDE: 0.0, "data": 3.0} == timer.spans()


def test_parts_add_up_to_their_phase(watch: Time, timer: Clock) -> None:
    """What stands before the slash is the phase, the first to appear comes first."""
    with timer.span("data"):
        watch.pass_(1)
        with timer.span("data/read"):
            watch.pass_(2)
    with timer.span("score/floor"):
        watch.pass_(4)
    assert {OUTSIDE: 0.0, "data": 3.0, "score": 4.0} == timer.phases()
    assert ["other", "data", "score"] == list(timer.phases())


def test_mark_takes_the_time_since_the_last_boundary_from_the_open_span(watch: Time, timer: Clock) -> None:
    """A stretch can be named when it is over; what comes before and after it stays with the open span."""
    with timer.span("train"):
        watch.pass_(1)
        with timer.span("input_wait"):
            watch.pass_(2)
        watch.pass_(4)
        assert 4.0 == timer.mark("compile")
        watch.pass_(8)
    assert {OUTSIDE: 0.0, "train": 9.0, "input_wait": 2.0, "compile": 4.0} == timer.spans()


def test_an_open_span_is_reported_up_to_now(watch: Time, timer: Clock) -> None:
    """A record written in the middle of a phase has that phase's time so far."""
    with timer.span("train"):
        watch.pass_(3)
        assert 3.0 == timer.spans()["train"]
        watch.pass_(3)
    assert 6.0 == timer.spans()["train"]


def test_closing_a_span_closes_those_left_open_inside(watch: Time, timer: Clock) -> None:
    """A callback whose end never came (an exception in between) does not keep claiming time."""
    with timer.span("train"):
        timer.begin("validation")
        watch.pass_(2)
        timer.begin("callbacks")
        watch.pass_(3)
    watch.pass_(5)
    assert {OUTSIDE: 5.0, "train": 0.0, "validation": 2.0, "callbacks": 3.0} == timer.spans()


def test_an_exception_closes_its_span(watch: Time, timer: Clock) -> None:
    """The time after a failure belongs to what follows it."""

    def fail() -> None:
        with timer.span("score"):
            watch.pass_(1)
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    watch.pass_(2)
    assert {OUTSIDE: 2.0, "score": 1.0} == timer.spans()


def test_time_before_the_clock_was_made_counts_from_started(watch: Time) -> None:
    """A clock can start at a reading in the past, that of the process."""
    timer = Clock(started=watch() - 7, read=watch)
    assert 7.0 == timer.mark("import")
    assert {"import": 7.0} == {name: seconds for name, seconds in timer.spans().items() if seconds}


@given(st.lists(st.tuples(st.sampled_from(["begin", "end", "mark"]), st.integers(0, 5), st.integers(0, 1000))))
def test_spans_are_disjoint_and_sum_to_the_elapsed_time(moves: list[tuple[str, int, int]]) -> None:
    """Whatever is opened, closed and marked in whatever order, no instant is lost or counted twice."""
    watch = Time()
    timer = Clock(read=watch)
    depths: list[int] = []
    for move, choice, ticks in moves:
        watch.pass_(ticks / 8)  # eighths add up exactly in binary
        if move == "begin":
            depths.append(timer.begin(f"phase {choice}/part"))
        elif move == "mark":
            timer.mark(f"phase {choice}")
        elif depths:
            depth = depths[choice % len(depths)]
            timer.end(depth)
            depths = [open_ for open_ in depths if open_ < depth]
    assert timer.elapsed() == sum(timer.spans().values()) == sum(timer.phases().values())
    assert all(seconds >= 0 for seconds in timer.spans().values())


def test_another_thread_cannot_open_a_span(timer: Clock) -> None:
    """Two threads' spans would overlap: the second is refused by name."""
    refused: list[str] = []

    def intrude() -> None:
        try:
            timer.begin("decode")
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=intrude)
    thread.start()
    thread.join()
    assert ["span 'decode' was opened from another thread than the clock's"] == refused


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares the performance counter between processes")
def test_process_start_is_what_was_measured_from_outside(process_environment: dict[str, str]) -> None:
    """A process knows when it was started, imports before it could ask included, to the system's 10 ms."""
    code = "import time; time.sleep(0.2); from paceline import clock; print(clock.process_start())"
    before = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=process_environment
    ) as process:
        after = time.perf_counter()
        started = float(process.communicate()[0])
    assert before - 0.02 <= started <= after + 0.02


def test_process_start_is_before_now_and_does_not_move() -> None:
    """Asked twice it gives the same instant, in the past."""
    first, second = clock.process_start(), clock.process_start()
    assert first == pytest.approx(second, abs=0.005)
    assert first < clock.now() - 0.01


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the way it is done on Linux")
def test_process_start_that_cannot_be_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system says that the process is yet to start, the present reading is the answer."""
    monkeypatch.setattr(clock.time, "clock_gettime", lambda _: 0.0)
    before = clock.now()
    assert before <= clock.process_start() <= clock.now()
