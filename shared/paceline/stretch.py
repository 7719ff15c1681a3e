"""A stretch of training and how long it took: what both engines tell whoever watches the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from paceline.budget import Ceiling
    from paceline.course import Course


@dataclass(frozen=True)
class Stretch:
    """A stretch of training after which the device was idle, so that its seconds are those of its work.

    For whoever predicts the time while training: a fit hands each over as soon as it has ended.

    Attributes:
        kind: `steps` (a block of training steps or of rounds, input included), `validation`, `checkpoint`, or `epoch`
            (all from its begin to the end of its bookkeeping, checkpoint excluded; boosting has none).
        epoch: the epoch under way, from 1; of boosting, the last round in it.
        steps: training steps (rounds) in it, or validation steps.
        seconds: how long it took.
        compiled: whether something was compiled or sketched in it, so that it says nothing about the others.
    """

    kind: Literal["steps", "validation", "checkpoint", "epoch"]
    epoch: int
    steps: int
    seconds: float
    compiled: bool


class Follower(Protocol):
    """Who is told about the trainings of a run while they pass, and may end them: `pace.Pace`, or a probe of levers."""

    @property
    def ceiling(self) -> Ceiling | None:
        """The most wall time of the run; None where it may take what it takes."""

    def begin(
        self, stage: str, course: Course, *, most: int, steps: int, validation_steps: int, trend: float | None
    ) -> None:
        """Take in that a training begins or goes on; see `pace.Pace.begin`."""

    def observe(self, stretch: Stretch) -> None:
        """Take in a stretch of it."""

    def end(self, done: float) -> float:
        """Return the epoch, or round, at which it is to end."""

    def ended(self) -> None:
        """Take in that it is over."""
