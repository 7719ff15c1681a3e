"""What the first stretches of a training measure: the mean step and its error, its trend, validation, compilation.

The *mean* step counts, not the median: a run's time is a sum. What was compiled or sketched is kept apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from paceline.stretch import Stretch
from paceline.terms import Measured, Stage

FEW_BLOCKS_SPREAD = 0.05  # relative, of a block, as long as hardly any were seen
RECENT_BLOCKS = 5
CORRELATION = 1.5  # neighbouring blocks are alike, so the error of their mean is larger than that of as many strangers
FORWARD_SHARE = 0.4  # of a training step: forward alone, where backward takes twice as long
FORWARD_ERROR = 0.5  # relative, of that guess
REPEATED = 0.25  # relative error of a stage's compilation when it is compiled again
# Of a step that may take a time in proportion to its number: that growth's mean and standard error, 1 for proportion.
PROPORTIONAL = (0.75, 0.35)


class Probe:
    """Collects the stretches of one training.

    Args:
        unit: what the training counts, `epoch` or `round`.
        steps: training steps in an epoch; 1 in boosting.
        validation_steps: batches of a validation; for a guess until one was measured.
        trend: by how much of itself a step's time may change over the whole training, 0.1; None where it may come near
            to being in proportion to the step's number, validation too, as in DART, which predicts the trees it drops.
        most: the most epochs, or rounds.
    """

    def __init__(self, *, unit: str, steps: int, validation_steps: int, trend: float | None, most: float) -> None:
        self.validation_steps = validation_steps
        self.unit, self.steps, self.trend, self.most = unit, steps, trend, most
        self.blocks: list[Stretch] = []
        self.validations: list[Stretch] = []
        self.checkpoints: list[Stretch] = []
        self.compiled: list[Stretch] = []
        self.done = 0.0
        self._parts = 0.0  # seconds of the epoch under way that its steps and its validation took
        self._rests = 0.0  # seconds of all epochs beside those; of epochs that compiled nothing
        self._epochs = 0

    def add(self, stretch: Stretch) -> None:
        """Take in a stretch."""
        if stretch.kind == "checkpoint":
            self.checkpoints.append(stretch)
            return
        if stretch.kind == "epoch":
            if not stretch.compiled:
                self._rests += stretch.seconds - self._parts
                self._epochs += 1
            self._parts = 0.0
            return
        self._parts += stretch.seconds
        if stretch.kind == "steps":
            self.done += stretch.steps / self.steps
        uncompiled = self.blocks if stretch.kind == "steps" else self.validations
        (self.compiled if stretch.compiled else uncompiled).append(stretch)

    def step(self) -> Measured:
        """Return the mean step; nothing where none was measured that did not compile."""
        counted = self.blocks or [each for each in self.compiled if each.kind == "steps"]
        mean = _ratio(sum(block.seconds for block in counted), sum(block.steps for block in counted))
        if not self.blocks:
            return Measured(mean, 1.0)
        return Measured(mean, self._spread() * _imbalance(self.blocks) * CORRELATION)

    def recent(self) -> float:
        """Return the mean seconds of a step over the latest blocks."""
        latest = self.blocks[-RECENT_BLOCKS:]
        return _ratio(sum(block.seconds for block in latest), sum(block.steps for block in latest))

    def growth(self) -> tuple[float, float]:
        """Return the growth of a step with each epoch as a share of the mean step, and its standard error.

        A regression over the blocks, shrunk to what may be expected before any is seen.
        """
        if self.trend is None:
            expected, allowed = (each / max(self.measured_at(), 1.0) for each in PROPORTIONAL)
        else:
            expected, allowed = 0.0, self.trend / max(self.most, 1)
        if self.step().seconds <= 0 or not self.blocks or not allowed:
            return expected, allowed
        xx, xy = self._moments()
        variance = max(self._spread() * CORRELATION, 1e-3) ** 2
        precision = xx + variance / allowed**2
        return (xy + expected * variance / allowed**2) / precision, math.sqrt(variance / precision)

    def measured_at(self) -> float:
        """Return the mean epoch of the blocks."""
        steps = sum(block.steps for block in self.blocks)
        return _ratio(sum(block.steps * (block.epoch - block.steps / self.steps / 2) for block in self.blocks), steps)

    def validation(self) -> Measured:
        """Return what the validation of an epoch takes."""
        epochs = sum(each.steps for each in self.validations) if self.unit == "round" else len(self.validations)
        if epochs:
            seconds = sum(each.seconds for each in self.validations)
            return Measured(seconds / epochs, 2 * FEW_BLOCKS_SPREAD / math.sqrt(len(self.validations)))
        compiled = [each.seconds for each in self.compiled if each.kind == "validation"]
        if compiled and not self.validation_steps:
            return Measured(sum(compiled) / len(compiled), 1.0)
        return Measured(FORWARD_SHARE * self.step().seconds * self.validation_steps, FORWARD_ERROR)

    def overhead(self) -> Measured:
        """Return what an epoch takes beside its steps and its validation."""
        return Measured(max(0.0, self._rests / self._epochs), 0.3) if self._epochs else Measured()

    def compile(self) -> Measured:
        """Return the time of tracing and compiling, the steps among it taken off."""
        step, validation = self.step().seconds if self.blocks else 0.0, self.validation().seconds
        seconds = 0.0
        for each in self.compiled:
            usual = each.steps * step if each.kind == "steps" else (validation if self.validations else 0.0)
            seconds += max(0.0, each.seconds - usual)
        return Measured(seconds, REPEATED)

    def checkpoint(self) -> Measured:
        """Return what a checkpoint takes."""
        seconds = [each.seconds for each in self.checkpoints]
        return Measured(sum(seconds) / len(seconds), 0.3) if seconds else Measured()

    def stage(self, name: str, *, checkpoint_every_seconds: float) -> Stage:
        """Return the training as the model of time sees it."""
        growth, error = self.growth()
        if self.unit == "epoch":
            checkpoint_every_seconds = 0.0  # after every epoch, or nearly: see `checkpoint.due_after`
        return Stage(
            name,
            self.most,
            self.step(),
            self.steps,
            growth,
            error,
            self.measured_at(),
            self.overhead(),
            self.validation(),
            self.compile(),
            self.checkpoint(),
            checkpoint_every_seconds,
            self.done,
            validation_grows=self.trend is None,
        )

    def _moments(self) -> tuple[float, float]:
        """Return the sums of the regression of the blocks' relative time on their epoch, each block of its steps."""
        mean, middle = self._mean(), self.measured_at()
        weight = sum(block.steps for block in self.blocks) / len(self.blocks)
        xx = xy = 0.0
        for block in self.blocks:
            x = block.epoch - block.steps / self.steps / 2 - middle
            xx += x * x * block.steps / weight
            xy += x * (block.seconds / block.steps / mean - 1) * block.steps / weight
        return xx, xy

    def _mean(self) -> float:
        return _ratio(sum(block.seconds for block in self.blocks), sum(block.steps for block in self.blocks))

    def _spread(self) -> float:
        """Return the relative spread of the blocks around the mean, shrunk to the usual one where they are few.

        Where steps grow in proportion, it is that around a straight line.
        """
        mean = self._mean()
        if mean <= 0:
            return FEW_BLOCKS_SPREAD
        slope, middle = 0.0, self.measured_at()
        if self.trend is None:
            xx, xy = self._moments()
            slope = _ratio(xy, xx)
        squares = [
            (block.seconds / (mean * block.steps) - 1 - slope * (block.epoch - block.steps / self.steps / 2 - middle))
            ** 2
            for block in self.blocks
        ]
        return math.sqrt((sum(squares) + 2 * FEW_BLOCKS_SPREAD**2) / (len(squares) + 1))


def _imbalance(blocks: Sequence[Stretch]) -> float:
    """Return by what the spread of a block is multiplied to be that of their mean: 1/√n for blocks alike."""
    return math.sqrt(sum(block.steps**2 for block in blocks)) / sum(block.steps for block in blocks)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
