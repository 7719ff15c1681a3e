"""Trainings that take turns: one works at a time, each is measured by its own steps, and both can be left."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from paceline import clock
from paceline.course import Course
from paceline.errors import PacelineError
from paceline.levers import turns
from paceline.levers.turns import Handover, Side, Turn
from paceline.stretch import Stretch


def training(step_seconds: float, log: list[str], name: str, epochs: int = 1000) -> Callable[[Handover], None]:
    """Return a training of `epochs` epochs of two steps each, which writes its name to `log` at every epoch."""

    def train(handover: Handover) -> None:
        handover.begin("fit", Course("epoch", "s", True, 0), most=epochs, steps=2, validation_steps=0, trend=0.0)
        handover.observe(Stretch("steps", 1, 2, 9.0, True))
        for epoch in range(epochs):
            log.append(name)
            handover.observe(Stretch("steps", epoch, 2, 2 * step_seconds, False))
            handover.observe(Stretch("validation", epoch, 1, 5.0, False))
        handover.ended()

    return train


def ticking(seconds: float) -> Callable[[], float]:
    """Return a clock that is a second later at each reading, `seconds` of them."""
    readings = iter(range(10_000))
    return lambda: float(next(readings))


def test_turns_change_hands_and_are_counted_without_compilation_and_validation() -> None:
    """A turn lasts until its steps make it; compiled steps and validations are no part; the first pair is left out."""
    log: list[str] = []
    sides = [Side(training(seconds, log, name), turn_seconds=0.1) for seconds, name in ((0.02, "a"), (0.01, "b"))]
    found = turns.pairs(*sides, seconds=5, read=ticking(5))
    assert 4 == len(found)
    assert [Turn(3.0, pytest.approx(0.12)), Turn(5.0, pytest.approx(0.1))] == found[0]
    first_pair = ["a"] * 3 + ["b"] * 5
    assert first_pair + ["b"] * 5 + ["a"] * 3 == log[:16]


def test_no_thread_outlives_the_pairs() -> None:
    """Trainings that were not over are left where they are."""
    before = threading.active_count()
    log: list[str] = []
    turns.pairs(*[Side(training(0.1, log, "a"), turn_seconds=0.1) for _ in range(2)], seconds=3, read=ticking(3))
    assert before == threading.active_count()
    assert len(log) < 100


def test_a_training_that_ends_ends_the_pairs() -> None:
    """What was measured until then is kept."""
    log: list[str] = []
    short = Side(training(0.1, log, "a", epochs=3), turn_seconds=0.1)
    long = Side(training(0.1, log, "b"), turn_seconds=0.1)
    assert 2 == len(turns.pairs(long, short, seconds=50, read=ticking(50)))


def test_a_mistake_in_a_training_is_raised_where_the_turn_was_asked_for() -> None:
    """A lever that a machine cannot have says so."""

    def train(handover: Handover) -> None:
        raise PacelineError("A GPU was asked for.", "Buy one.")

    log: list[str] = []
    with pytest.raises(PacelineError, match="A GPU was asked for"):
        turns.pairs(Side(training(0.1, log, "a"), turn_seconds=0.1), Side(train), seconds=5)
    assert not [thread for thread in threading.enumerate() if thread.name == "probe"]


def test_getting_ready_is_counted_in_its_own_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The side that begins second is not charged with what the first one took before it."""
    now = 0.0
    monkeypatch.setattr(clock, "now", lambda: now)

    def train(handover: Handover) -> None:
        nonlocal now
        now += 2.0
        handover.observe(Stretch("steps", 1, 1, 0.1, True))
        handover.observe(Stretch("steps", 1, 1, 1.0, False))

    sides = [Side(train), Side(train)]
    for side in sides:
        side.take_turn()
        side.leave()
    assert [2.0, 2.0] == [side.setup_seconds for side in sides]
