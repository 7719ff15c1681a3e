"""The model of a run's time, term by term.

T = setup + compile + epochs · (steps · step + overhead + validation) + checkpoints · checkpoint + finalise, for each
training of the run. A boosting round is an epoch of one step. Every measured term carries the error of its mean, so a
sum can be drawn as often as a distribution needs. Everything here is arithmetic on what others have measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

PHASES = ("setup", "compile", "training", "validation", "checkpoint", "finalise")
# The phases of a run's ledger that each phase of an estimate covers.
LEDGER = {
    "setup": ("import", "data", "build", "estimate", "other"),
    "compile": ("compile",),
    "training": ("train", "input_wait", "callbacks"),
    "validation": ("validation",),
    "checkpoint": ("checkpoint",),
    "finalise": ("score", "finalise"),
}
LEAST_GROWN = 0.2  # of a step's time, whatever a trend says
ANSWERS_ERROR = 0.25  # relative, of answers by the time of a validation: another program, and other batches

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """A mean in seconds with the relative standard error of that mean."""

    seconds: float = 0.0
    error: float = 0.0

    def scaled(self, by: float, error: float = 0.0) -> Measured:
        """Return it `by` times as long, with a further relative error."""
        return Measured(self.seconds * by, float(np.hypot(self.error, error)))

    def draws(self, noise: _Noise) -> Floats:
        """Return draws of it, log-normal and with this mean."""
        return self.seconds * noise.factor(self.error)


@dataclass(frozen=True)
class After:
    """What follows the trainings of a run.

    Attributes:
        rest: scores, figures, cards and the report.
        answers: those of the model; a guess, until a validation shows what they take.
        in_validations: how many validations of an epoch they are worth; 0 where no validation tells of them.
    """

    rest: Measured
    answers: Measured = Measured()
    in_validations: float = 0.0

    def total(self, validation: Measured | None = None) -> Measured:
        """Return all of it, the answers by `validation` where one was measured.

        >>> After(Measured(2.0), Measured(6.0, 0.5), in_validations=3).total(Measured(0.5)).seconds
        3.5
        """
        answers = self.answers
        if validation is not None and self.in_validations:
            answers = validation.scaled(self.in_validations, ANSWERS_ERROR)
        seconds = self.rest.seconds + answers.seconds
        spread = np.hypot(self.rest.seconds * self.rest.error, answers.seconds * answers.error)
        return Measured(seconds, float(spread) / seconds if seconds else 0.0)


@dataclass(frozen=True)
class Stage:
    """One training of a run.

    Attributes:
        name: as in the progress line.
        epochs: epochs (of boosting: rounds) in all, if nothing stops it.
        step: of training, input included, at the epoch `measured_at`.
        steps: in an epoch; 1 in boosting.
        growth: what a step grows by with each epoch, as a share of `step`; its standard error is `growth_error`.
        growth_error: see `growth`.
        measured_at: the mean epoch of the measurements.
        overhead: what an epoch takes beside its steps and its validation.
        validation: of one epoch; none where nothing is watched.
        compile: before the first step; counted where `done` is 0.
        checkpoint: one of them.
        checkpoint_every_seconds: as configured; there is one more at the end.
        done: epochs done already.
        validation_grows: whether `growth` is that of a validation as well.
    """

    name: str
    epochs: float
    step: Measured
    steps: float = 1.0
    growth: float = 0.0
    growth_error: float = 0.0
    measured_at: float = 0.0
    overhead: Measured = Measured()
    validation: Measured = Measured()
    compile: Measured = Measured()
    checkpoint: Measured = Measured()
    checkpoint_every_seconds: float = 30.0
    done: float = 0.0
    validation_grows: bool = False

    def epoch_seconds(self, until: float) -> float:
        """Return the mean seconds of an epoch between `done` and `until`, its validation included."""
        middle = (self.done + until) / 2
        grown = max(LEAST_GROWN, 1 + self.growth * (middle - self.measured_at))
        validation = self.validation.seconds * (grown if self.validation_grows else 1.0)
        return self.steps * self.step.seconds * grown + self.overhead.seconds + validation

    def seconds_left(self, ends: Floats, noise: _Noise) -> dict[str, Floats]:
        """Return the seconds of the epochs from `done` to `ends`, by phase."""
        left = np.maximum(ends - self.done, 0.0)
        growth = self.growth + self.growth_error * noise.normal()
        grown = np.maximum(LEAST_GROWN, 1 + growth * ((self.done + ends) / 2 - self.measured_at))
        epoch = self.steps * self.step.draws(noise) * grown + self.overhead.draws(noise)
        every = max(self.checkpoint_every_seconds, 1e-9)
        checkpoints = np.where(left > 0, 1 + np.minimum(left, left * epoch / every), 0.0)
        return {
            "compile": self.compile.draws(noise) * ((self.done == 0) & (left > 0)),
            "training": left * epoch,
            "validation": left * self.validation.draws(noise) * (grown if self.validation_grows else 1.0),
            "checkpoint": checkpoints * self.checkpoint.draws(noise),
        }


@dataclass(frozen=True)
class Terms:
    """All terms of a run's time.

    Attributes:
        spent: the seconds known already, by phase of `PHASES`.
        setup: what is still to come of it.
        stages: the trainings that are under way or to come.
        finalise: what follows the last training: scores, report.
        drift: how far the machine's speed may move, from now to the end, as the standard deviation of its logarithm.
    """

    spent: Mapping[str, float]
    stages: tuple[Stage, ...]
    finalise: Measured
    setup: Measured = Measured()
    drift: float = 0.0
    ends: Mapping[str, Floats] = field(default_factory=dict)

    def draw(self, draws: int, seed: int = 0) -> dict[str, Floats]:
        """Return `draws` draws of the seconds of each phase.

        Where a training may end early, `ends` holds equally likely epochs of its end, `draws` of them, paired between
        the trainings.
        """
        return self._sum(_Noise(draws, np.random.default_rng(seed)))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each phase, every term at its mean and every end at its median."""
        middle = {name: np.array([np.median(ends)]) for name, ends in self.ends.items()}
        still = Terms(self.spent, self.stages, self.finalise, self.setup, ends=middle)
        return {phase: float(values[0]) for phase, values in still._sum(_Noise(1, None)).items()}

    def state(self) -> dict[str, Any]:
        """Return the terms for the record: of each training the means, in seconds."""
        return {
            "stages": {
                stage.name: {
                    "epochs": stage.epochs,
                    "done": stage.done,
                    "steps": stage.steps,
                    "step_seconds": stage.step.seconds,
                    "step_error": stage.step.error,
                    "growth": stage.growth,
                    "overhead_seconds": stage.overhead.seconds,
                    "validation_seconds": stage.validation.seconds,
                    "compile_seconds": stage.compile.seconds,
                    "checkpoint_seconds": stage.checkpoint.seconds,
                }
                for stage in self.stages
            },
            "finalise_seconds": self.finalise.seconds,
            "drift": self.drift,
        }

    def _sum(self, noise: _Noise) -> dict[str, Floats]:
        found = {phase: np.full(noise.draws, float(self.spent.get(phase, 0.0))) for phase in PHASES}
        speed = noise.factor(self.drift)
        found["setup"] += speed * self.setup.draws(noise)
        found["finalise"] += speed * self.finalise.draws(noise)
        for stage in self.stages:
            ends = self.ends.get(stage.name, np.full(noise.draws, float(stage.epochs)))
            for phase, seconds in stage.seconds_left(ends, noise).items():
                found[phase] += speed * seconds
        return found


class _Noise:
    """Draws of errors; all of them none where there is no generator."""

    def __init__(self, draws: int, rng: np.random.Generator | None) -> None:
        self.draws, self.rng = draws, rng

    def normal(self) -> Floats:
        return np.zeros(self.draws) if self.rng is None else self.rng.standard_normal(self.draws)

    def factor(self, error: float) -> Floats:
        """Return log-normal factors with mean 1 and this relative spread."""
        width = float(np.sqrt(np.log1p(error**2)))
        return np.exp(width * self.normal() - (width**2 / 2 if self.rng is not None else 0.0))


def by_phase(ledger: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of a run's ledger by phase of an estimate; what no phase names is setup.

    >>> {phase: seconds for phase, seconds in by_phase({"import": 2, "score": 3}).items() if seconds}
    {'setup': 2.0, 'finalise': 3.0}
    """
    found = dict.fromkeys(PHASES, 0.0)
    phase_of = {name: phase for phase, names in LEDGER.items() for name in names}
    for name, seconds in ledger.items():
        found[phase_of.get(name, "setup")] += seconds
    return found
