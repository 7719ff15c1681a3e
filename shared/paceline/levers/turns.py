"""Two trainings in turns: each works for a quarter of a second or more while the other waits.

Machines drift and neighbours come and go; two turns that follow each other meet the same of it. A training is a whole
`fit` with its input, in a thread of its own, and hands over where it tells about a stretch: the device is idle there.
Batches that the waiting side still makes ahead are bounded by its queue.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from paceline import clock
from paceline.budget import Ceiling
from paceline.course import Course
from paceline.stretch import Stretch

TURN_SECONDS = 0.25
PRIMER_PAIRS = 1  # the first turn of each side fills caches and is left out
LEAST_PAIRS = 5  # are made also where they take longer than the time given, twice as long at most


@dataclass(frozen=True)
class Turn:
    """What a training did in its turn.

    Attributes:
        epochs: passes over the training data; rounds, of boosting.
        seconds: that their steps took, input included, validation not.
    """

    epochs: float
    seconds: float


class Side:
    """A training that goes on by turns.

    Args:
        train: trains with the `Handover` as its `run.pace`.
        turn_seconds: the least length of a turn.
    """

    def __init__(self, train: Callable[[Handover], None], *, turn_seconds: float = TURN_SECONDS) -> None:
        self._handover = Handover(turn_seconds)
        self._thread = threading.Thread(target=self._work, args=(train,), name="probe", daemon=True)

    def take_turn(self) -> Turn | None:
        """Let it train for a turn; the first one lasts until something was measured. None: the training is over.

        Raises:
            Exception: what the training raised.
        """
        if not self._thread.is_alive():
            if self._thread.ident is not None:
                return None
            self._thread.start()
        else:
            self._handover.go.put(True)
        done = self._handover.done.get()
        if isinstance(done, Exception):
            raise done
        return done

    def leave(self) -> None:
        """End the training where it is."""
        if self._thread.is_alive():
            self._handover.go.put(False)
            self._thread.join()

    @property
    def setup_seconds(self) -> float:
        """What passed before its first step that was neither compiled nor sketched, in its own turns."""
        return self._handover.setup_seconds

    def _work(self, train: Callable[[Handover], None]) -> None:
        done: Turn | Exception | None = None
        try:
            self._handover.start()
            train(self._handover)
        except _Left:
            return
        except Exception as error:  # raised again where the turn was asked for
            done = error
        self._handover.done.put(done)


class Handover:
    """What a fit tells of itself (see `stretch.Follower`): stops it at the end of its turn, and lets it go on."""

    ceiling: Ceiling | None = None

    def __init__(self, turn_seconds: float) -> None:
        self.go: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[Turn | Exception | None] = queue.SimpleQueue()
        self.setup_seconds = 0.0
        self._turn_seconds = turn_seconds
        self._began = clock.now()
        self._most = self._steps = 1
        self._epochs = self._seconds = 0.0

    def start(self) -> None:
        """Count the time of getting ready from now on: the other side may have had its turn before."""
        self._began = clock.now()

    def begin(
        self, stage: str, course: Course, *, most: int, steps: int, validation_steps: int, trend: float | None
    ) -> None:
        """Take in how many steps an epoch has."""
        self._most, self._steps = most, steps
        self._epochs = self._seconds = 0.0  # of an earlier stage: its epochs are others

    def observe(self, stretch: Stretch) -> None:
        """Add up the steps; hand over when they make a turn."""
        if stretch.kind != "steps":
            return
        if stretch.compiled:
            self.setup_seconds = clock.now() - self._began
            return
        self._epochs += stretch.steps / self._steps
        self._seconds += stretch.seconds
        if self._seconds >= self._turn_seconds:
            turn = Turn(self._epochs, self._seconds)
            self._epochs = self._seconds = 0.0
            self.done.put(turn)
            if not self.go.get():
                raise _Left

    def end(self, done: float) -> float:
        """Return the end as it was planned."""
        return self._most

    def ended(self) -> None:
        """Nothing is left to do."""


class _Left(BaseException):
    """Leaves a training that has shown enough; no error, so nothing that recovers from errors takes it for one."""


def pairs(without: Side, having: Side, *, seconds: float, read: Callable[[], float] = clock.now) -> list[list[Turn]]:
    """Return pairs of turns, the side that goes without the lever first in each, until `seconds` have passed.

    Which side begins changes from pair to pair. The first pair is not among them. A slow training gets up to twice the
    time, for a few pairs at least.

    Raises:
        Exception: what a training raised.
    """
    began = read()
    found: list[list[Turn]] = []
    try:
        while (passed := read() - began) < seconds or (len(found) < LEAST_PAIRS and passed < 2 * seconds):
            order = (without, having) if len(found) % 2 == 0 else (having, without)
            turns = {side: side.take_turn() for side in order}
            first, second = turns[without], turns[having]
            if first is None or second is None:
                break
            found.append([first, second])
    finally:
        without.leave()
        having.leave()
    return found[PRIMER_PAIRS:]
