"""A training that prepares another: below the ceiling, and nothing is predicted from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from paceline import budget
from paceline.budget import Ceiling
from paceline.clock import Clock
from paceline.config import Section
from paceline.course import Course
from paceline.held import SHARE, Held, held
from paceline.pace import Pace, Training
from paceline.record import Run
from paceline.stretch import Stretch
from paceline.terms import After, Measured


class Nothing(Section):
    """A configuration without a key."""


class World:
    """A run with one training to come, on a clock that a test turns."""

    def __init__(self, folder: Path, seconds: float = 0.0) -> None:
        self.reading = 0.0
        folder.mkdir(parents=True)
        self.run = Run(folder, Nothing(), Clock(started=0.0, read=lambda: self.reading))
        limit = Ceiling(seconds, f"--time-budget {seconds:.0f}s") if seconds else None
        self.pace = Pace(self.run, [Training("fine_tune", 10)], after=After(Measured()), ceiling=limit)
        self.run.pace = self.pace

    def prepare(self, most: int, epoch_seconds: float) -> Course:
        """Train as many epochs as the follower lets."""
        course = Course("epoch", "validation_loss", larger_is_better=False, patience=0)
        follower = self.run.pace
        assert isinstance(follower, Held)
        follower.begin("head", course, most=most, steps=4, validation_steps=1, trend=0.1)
        while course.step + 0.25 < follower.end(course.step):
            self.reading += epoch_seconds
            course.step += 1
            follower.observe(Stretch("steps", course.step, 4, epoch_seconds, False))
        course.ended = f"all {most} epochs" if course.step == most else f"{budget.ENDED}, after {course.step} epochs"
        follower.ended()
        return course


def test_without_a_ceiling_it_takes_its_epochs(tmp_path: Path) -> None:
    """And the run is predicted by what follows alone."""
    world = World(tmp_path / "run")
    with held(world.run):
        assert 40 == world.prepare(40, 1.0).step
    assert world.pace is world.run.pace
    assert [] == world.run.predictions


@pytest.mark.parametrize("epoch_seconds", [0.5, 3.0, 40.0])
def test_below_a_ceiling_it_takes_its_share(tmp_path: Path, epoch_seconds: float) -> None:
    """The record says that time decided, and as much is kept free for the next one like it."""
    world = World(tmp_path / "run", seconds=200.0)
    left = world.pace.left_seconds()
    with held(world.run):
        course = world.prepare(1000, epoch_seconds)
    assert SHARE * left == pytest.approx(course.step * epoch_seconds, abs=epoch_seconds)  # epochs are whole here
    assert world.run.budget["changed"]
    assert world.reading == world.pace._beside


def test_whoever_measures_levers_hears_nothing_of_it(tmp_path: Path) -> None:
    """A follower of another kind counts the training that is compared."""
    world = World(tmp_path / "run")
    world.run.pace = None
    with held(world.run):
        assert world.run.pace is None
