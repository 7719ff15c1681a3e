"""What an objective is given: the settings of its trial, a run and a progress line to train with, and when to stop.

Nothing is raised inside a training, which would lose its history: the trainer is told why to end (`TrialRun.log`), and
the objective says `Trial.part_ended` after it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import optuna
from pydantic import BaseModel

from paceline.clock import Clock
from paceline.progress import Unseen
from paceline.record import Run
from paceline.tune import plan

Config = TypeVar("Config", bound=BaseModel)


@dataclass(frozen=True)
class Own:
    """A trial's own model, of one of its trainings: the result where no time is left to train its settings for good.

    Attributes:
        value: its quality, on the data before the test that it was judged by.
        save: writes it into a folder and returns what the record of a run says of its model, as `run.model` has it;
            called for few of the trials, so what only it needs is best computed there.
    """

    value: float
    save: Callable[[Path], dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What an objective returns.

    Attributes:
        value: the quality, on data before the test.
        limits: by name, by how much a limit is exceeded; zero or less keeps it.
        notes: further figures of the trial, for the report.
    """

    value: float
    limits: dict[str, float] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)


class Trial(Generic[Config]):
    """One trial while it lasts.

    Args:
        config: the settings to train with.
        number: of the trial; None where settings are only repeated with another seed.
        part_steps: the most steps of one of its trainings; it may have several, one for each fold.
        monitor: the row's name of the watched score.
        larger_is_better: of that score.
        ask: given the place and the score at each rung, returns why to end, or an empty text. The place is the step,
            as if earlier trainings had taken all their steps, so that the same place is the same part in all trials.
        overdue: given whether a further step of this training may follow, returns why to end for lack of time, or an
            empty text.
        folder: of its own, for checkpoints; removed after it.
        clock: its time.
        tell: is given every step, for the progress line.
        curve: is given the place of the training among the trial's, and each of its steps as a row of figures.

    Attributes:
        run: for the trainer.
        progress: for the trainer.
        ended: why it was ended from outside; empty for one that went to its own end.
        steps: done so far, in all its trainings.
        offered: its own model; None before it is offered.
    """

    def __init__(
        self,
        config: Config,
        number: int | None,
        *,
        part_steps: int,
        monitor: str,
        larger_is_better: bool,
        ask: Callable[[int, float], str],
        overdue: Callable[[bool], str],
        folder: Path,
        clock: Clock,
        tell: Callable[[int], None],
        curve: Callable[[int, dict[str, Any]], None] = lambda part, row: None,
    ) -> None:
        self.config, self.number = config, number
        self.monitor, self.larger_is_better = monitor, larger_is_better
        self._ask, self._overdue, self._tell, self._curve = ask, overdue, tell, curve
        self._part_steps, self._rungs = part_steps, set(plan.rungs(part_steps))
        self._parts: list[float] = []  # the scores of the trainings that are over
        self._best: float | None = None  # of the one under way
        self._step = 0  # of the one under way
        self.ended = ""
        self.steps = 0
        self.offered: Own | None = None
        self.run = TrialRun(folder, config, clock, self)
        self.progress = Unseen()

    def report(self, value: float | None) -> str:
        """Count a step and its score; return why training is to end, or an empty text.

        `run.log` calls it, so a trainer of `paceline` needs nothing; a loop of your own calls it once a step.
        """
        self.steps += 1
        self._step += 1
        if value is not None and value == value:
            better = self._best is None or (value > self._best if self.larger_is_better else value < self._best)
            self._best = value if better else self._best
        self._tell(self.steps)
        if self._best is not None and self._step in self._rungs:
            place = len(self._parts) * self._part_steps + self._step
            self.ended = self.ended or self._ask(place, statistics.fmean([*self._parts, self._best]))
        self.ended = self.ended or self._overdue(self._step < self._part_steps)
        return self.ended

    def draw(self, row: dict[str, Any]) -> None:
        """Show a step's figures where the trial's curves are watched; `run.log` calls it."""
        self._curve(len(self._parts), row)

    def offer(self, own: Own) -> None:
        """Take in the trial's own model, before `part_ended`: where time ends the first trial it is all there is."""
        self.offered = own

    def part_ended(self, score: float) -> None:
        """Take in the score of one training, after it; leaves the objective where the trial was ended from outside.

        Raises:
            optuna.TrialPruned: it was.
        """
        if self.ended:
            raise optuna.TrialPruned(self.ended)
        self._parts.append(score)
        self._best, self._step = None, 0


class TrialRun(Run):
    """A run that keeps no record: the time by phase, and word to its trial of every step."""

    def __init__(self, folder: Path, config: BaseModel, clock: Clock, trial: Trial[Any]) -> None:
        super().__init__(folder, config, clock)
        self._trial = trial

    def log(self, values: dict[str, Any]) -> str:
        """Return why training is to end after this step, or an empty text."""
        self._trial.draw(values)
        return self._trial.report(values.get(self._trial.monitor))

    def save(self) -> None:
        """Leave the record: the study keeps what a trial came to."""

    def warn(self, sentence: str) -> None:
        """Keep the sentence, off the screen: the best settings are trained again, as a run that shows it."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
