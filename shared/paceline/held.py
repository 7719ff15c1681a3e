"""A training that only prepares another, such as a new head before fine-tuning, below the ceiling of its run.

Its few seconds tell nothing of the steps that follow, so nothing is predicted from it, and no time is said to be of it:
it may take a share of what the ceiling leaves, and where that is too little, it ends earlier.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from paceline import budget
from paceline.budget import Ceiling
from paceline.course import Course
from paceline.pace import Pace
from paceline.record import Run
from paceline.stretch import Stretch

SHARE = 0.3  # of the time that is left for training


class Held:
    """Follows one preparing training for `pace`, which follows the rest of the run."""

    def __init__(self, pace: Pace) -> None:
        self.pace, self.course = pace, Course("epoch", "", larger_is_better=True, patience=0)
        self._began = self._ends_at = 0.0
        self._most, self._done = 0, 0.0  # epochs; those done when it began in this session

    @property
    def ceiling(self) -> Ceiling | None:
        """The most wall time of the run."""
        return self.pace.ceiling

    def begin(
        self, stage: str, course: Course, *, most: int, steps: int, validation_steps: int, trend: float | None
    ) -> None:
        """Take in that it begins, or goes on; see `pace.Pace.begin`."""
        self.course, self._most, self._done = course, most, float(course.step)
        self._began = self.pace.run.clock.elapsed()
        self._ends_at = self._began + SHARE * self.pace.left_seconds()

    def observe(self, stretch: Stretch) -> None:
        """Take in a stretch of it, which tells nothing."""

    def end(self, done: float) -> float:
        """Return the epoch at which it ends: the last, or what fits at the rate so far."""
        if self.ceiling is None or done <= self._done:
            return self._most
        each = (self.pace.run.clock.elapsed() - self._began) / (done - self._done)
        return min(self._most, max(done, self._done + (self._ends_at - self._began) / each))

    def ended(self) -> None:
        """Take in that it is over; as much again is kept free for each that is to come."""
        self.pace.beside(self.pace.run.clock.elapsed() - self._began)
        if self.course.ended.startswith(budget.ENDED):
            self.pace.run.budget["changed"] = True


@contextlib.contextmanager
def held(run: Run) -> Iterator[None]:
    """Train what prepares another training within this; `run.pace` is back after it. Others are told nothing."""
    pace = run.pace
    run.pace = Held(pace) if isinstance(pace, Pace) else None
    try:
        yield
    finally:
        run.pace = pace
