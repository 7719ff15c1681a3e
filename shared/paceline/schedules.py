"""Learning-rate schedules over the *progress* of a training, 0 to 1, so that its length can change while it runs.

`factor` and `plateau_scale` are pure functions; `Schedule` is the thin Keras object around them. What may change
(where the training ends, the scale that a plateau or a rollback lowers) are variables of the optimizer: the compiled
step reads them as state, so changing one compiles nothing anew, and a checkpoint holds them. The highest rate is one
too: trainings that differ in it alone, as those of a search, share a program.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from paceline import device, recipe

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import ops  # noqa: E402

POLYNOMIAL_POWER = 0.9  # of DeepLab (Chen et al. 2017)
ONE_CYCLE_RISE, ONE_CYCLE_START, ONE_CYCLE_END = 0.3, 1 / 25, 1e-4  # as PyTorch's OneCycleLR


def factor(name: recipe.Schedule, progress: Any, *, warmup_share: float, by: Any = ops) -> Any:
    """Return what the learning rate is multiplied with at `progress`, a number or a tensor between 0 and 1.

    It is computed `by` Keras as part of a step, or by NumPy where only its value is wanted and nothing to be compiled.

    `cosine` falls to 0 (Loshchilov & Hutter 2017), `polynomial` with power 0.9 (Chen et al. 2017), both after a linear
    rise over `warmup_share`; `one_cycle` rises and falls along cosines (Smith & Topin 2018; the rise takes
    `warmup_share`, or 0.3 where that is 0); `constant` and `plateau` stay at 1 after the rise.

    >>> [round(float(factor("cosine", at, warmup_share=0.2)), 3) for at in (0.1, 0.2, 0.6, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    progress = by.clip(progress, 0.0, 1.0)
    if name == "one_cycle":
        rise = warmup_share or ONE_CYCLE_RISE
        up = _between(by, ONE_CYCLE_START, 1.0, by.minimum(progress / rise, 1.0))
        down = _between(by, 1.0, ONE_CYCLE_START * ONE_CYCLE_END, by.maximum((progress - rise) / (1.0 - rise), 0.0))
        return by.where(progress < rise, up, down)
    warm = by.minimum(progress / warmup_share, 1.0) if warmup_share else 1.0
    rest = by.maximum(progress - warmup_share, 0.0) / (1.0 - warmup_share)
    if name == "cosine":
        return warm * _between(by, 1.0, 0.0, rest)
    if name == "polynomial":
        return warm * by.maximum(1.0 - rest, 0.0) ** POLYNOMIAL_POWER  # rounded, the rest can be above 1
    return warm * by.ones_like(progress)


def plateau_scale(scores: Sequence[float], *, larger_is_better: bool, patience_epochs: int, lower_by: float) -> float:
    """Return the scale after epochs with these scores: times `lower_by` each time `patience_epochs` brought no better.

    >>> plateau_scale([0.5, 0.6, 0.6, 0.6], larger_is_better=True, patience_epochs=2, lower_by=0.5)
    0.5
    """
    best, waited, scale = math.nan, 0, 1.0
    for score in scores:
        if math.isnan(best) or (score > best if larger_is_better else score < best):
            best, waited = score, 0
            continue
        waited += 1
        if waited == patience_epochs:
            waited, scale = 0, scale * lower_by
    return scale


@keras.saving.register_keras_serializable(package="paceline")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # Keras publishes no types
    """The learning rate of each update: `learning_rate · scale · factor(progress)`, progress at the update's middle.

    Give it to an optimizer, then `attach` it; `fit_keras.fit` tells it how many updates there are.

    Args:
        name: the shape; see `factor`.
        learning_rate: the highest rate.
        warmup_share: share of the updates in which the rate rises.
        plateau_epochs: plateau: epochs without a better score that lower the rate.
        plateau_factor: plateau: by how much.
    """

    def __init__(
        self,
        name: recipe.Schedule,
        learning_rate: float,
        warmup_share: float = 0.0,
        plateau_epochs: int = 3,
        plateau_factor: float = 0.3,
    ) -> None:
        super().__init__()
        self.name, self.learning_rate, self.warmup_share = name, learning_rate, warmup_share
        self.plateau_epochs, self.plateau_factor = plateau_epochs, plateau_factor
        self.optimizer: Any = None

    def attach(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Put what may change while training among the variables of `optimizer`, which has this schedule."""
        self.optimizer = optimizer
        values = {"highest_rate": self.learning_rate, "scale": 1.0}
        values |= {"from_update": 0.0, "from_progress": 0.0, "to_update": 1.0}
        self.highest_rate, self.scale, self.from_update, self.from_progress, self.to_update = (
            optimizer.add_variable((), keras.initializers.Constant(value), "float32", name=name)
            for name, value in values.items()
        )

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of the optimizer's step `step`; several micro-batches make one update."""
        update = ops.cast(step // (self.optimizer.gradient_accumulation_steps or 1), "float32")
        progress = self._progress(update + 0.5, self.from_update, self.from_progress, self.to_update)
        return self.highest_rate * self.scale * factor(self.name, progress, warmup_share=self.warmup_share)

    def last_rate(self) -> float:
        """Return the rate of the last update done, to the rounding of a float32; this compiles nothing."""
        step = int(ops.convert_to_numpy(self.optimizer._iterations)) - 1
        update = step // (self.optimizer.gradient_accumulation_steps or 1)
        progress = self._progress(update + 0.5, *self._stretch())
        highest, scale = (float(ops.convert_to_numpy(part)) for part in (self.highest_rate, self.scale))
        return highest * scale * float(factor(self.name, progress, warmup_share=self.warmup_share, by=np))

    def end_at(self, update: int, *, now: int = 0) -> None:
        """Let the schedule reach its end after `update` updates, of which `now` are done: the rest is compressed.

        To call between epochs; the rate goes on from where it is, without a jump.
        """
        self.from_progress.assign(self._progress(now, *self._stretch()) if now else 0.0)
        self.from_update.assign(now)
        self.to_update.assign(max(update, now + 1))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("name", "learning_rate", "warmup_share", "plateau_epochs", "plateau_factor")
        return {name: getattr(self, name) for name in names}

    def _stretch(self) -> list[float]:
        return [float(ops.convert_to_numpy(part)) for part in (self.from_update, self.from_progress, self.to_update)]

    @staticmethod
    def _progress(update: Any, from_update: Any, from_progress: Any, to_update: Any) -> Any:
        return from_progress + (1.0 - from_progress) * (update - from_update) / (to_update - from_update)


def of(optimizer: keras.optimizers.Optimizer) -> Schedule | None:
    """Return the schedule of `optimizer` where it has one of this module's."""
    schedule = optimizer._learning_rate  # `learning_rate` is its value
    return schedule if isinstance(schedule, Schedule) else None


def _between(by: Any, start: float, end: float, share: Any) -> Any:
    return end + (start - end) * 0.5 * (1.0 + by.cos(math.pi * share))
