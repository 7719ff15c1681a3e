"""The loop of one process: trials one after the other, until there are enough, or the next would not end in time."""

from __future__ import annotations

import math
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel

from paceline import clock
from paceline.errors import PacelineError, Stopped
from paceline.stop import Listener
from paceline.tune import plan, space, storage
from paceline.tune.settings import Tune
from paceline.tune.task import Task
from paceline.tune.trial import Outcome, Trial

Config = TypeVar("Config", bound=BaseModel)
Prepared = TypeVar("Prepared")

DEADLINE = "no time left"
PRUNER = "pruner"  # the study's attribute that names it
FAILURES = 3  # trials that may fail before the first succeeds
MARGIN = 1.25  # on the time kept for the final run


class Failed(Exception):  # noqa: N818 -- how a trial ended
    """A trial came to nothing, by a mistake of its settings or a defect; its study knows why."""


class Interrupted(Exception):  # noqa: N818 -- how a trial ended
    """A signal ended a trial that is worth doing again."""


class Budget:
    """The time there is, and what of it belongs to what follows the search.

    Args:
        deadline: the performance counter's reading at which everything is to be over; None: no end.
        setup_seconds: to read the data and get ready, once more.
        finish_seconds: what a run takes beside its training: scoring, report.
        trainings: of the final run, as a multiple of a trial's.
        repeats: trials that compare the best with the beginning.
        comparison_seconds: the most to keep for those; there are fewer where they take longer.
        read: the source of time, replaced in tests.
    """

    def __init__(
        self,
        deadline: float | None,
        *,
        setup_seconds: float,
        finish_seconds: float,
        trainings: float,
        repeats: int = 0,
        comparison_seconds: float = 0.0,
        read: Callable[[], float] = clock.now,
    ) -> None:
        self.deadline = deadline
        self.setup_seconds, self.finish_seconds, self.trainings = setup_seconds, finish_seconds, trainings
        self.repeats, self.comparison_seconds, self.read = repeats, comparison_seconds, read

    def reserve(self, trial_seconds: float) -> float:
        """Return the seconds to keep for the final run of settings whose trial took so long."""
        return MARGIN * (self.setup_seconds + self.finish_seconds + self.trainings * trial_seconds)

    def before_final_run(self, trial_seconds: float) -> float | None:
        """Return the seconds until the final run has to begin, None without a deadline."""
        return None if self.deadline is None else self.deadline - self.read() - self.reserve(trial_seconds)

    def to_search(self, trial_seconds: float) -> float | None:
        """Return the seconds left for searching, None without a deadline."""
        left = self.before_final_run(trial_seconds)
        return None if left is None else left - min(self.comparison_seconds, self.repeats * trial_seconds)


class Search(Generic[Config, Prepared]):
    """One process's part in a study.

    Args:
        task: the project's side.
        config: the settings that trials start from.
        study: shared with the other processes.
        parameters: what varies.
        prepared: of `task.prepare`.
        budget: the time there is.
        trials: in all, of all processes; None: as many as fit.
        claim: returns whether one more trial may begin.
        tell: is given the search after every step and trial, for the progress line.
    """

    def __init__(
        self,
        task: Task[Config, Prepared],
        config: Config,
        study: optuna.Study,
        parameters: space.Space,
        prepared: Prepared,
        budget: Budget,
        *,
        trials: int | None,
        claim: Callable[[], bool],
        seed: int,
        tell: Callable[[Search[Config, Prepared]], None] = lambda search: None,
    ) -> None:
        self.task, self.config, self.study, self.parameters = task, config, study, parameters
        self.prepared, self.budget, self.trials = prepared, budget, trials
        self.claim, self.tell, self.seed = claim, tell, seed
        self.settings: Tune = config.tune  # type: ignore[attr-defined] # every project's configuration has it
        self.finished: list[FrozenTrial] = finished(study)
        self.under_way: Trial[Config] | None = None
        self.began = 0.0
        self._chosen: tuple[str, int] | None = None
        self._interrupted: Stopped | None = None
        self._number = 0  # of the trial under way
        self._out_of_time = False  # a trial had to be ended: what is kept grew with it, and shrinks when it is gone

    def run(self) -> str:
        """Search until the end and return why it came.

        Raises:
            Stopped: a signal asked for the end; the trial under way is in the queue again.
            PacelineError: the default settings fail, or nothing but failures came of the first trials.
        """
        with Listener(lambda: None) as listener:
            while not (reason := self._over()):
                if listener.requested:
                    raise Stopped(f"{listener.requested} ended it.", resumable=False)
                self._suit()
                self.study.optimize(self._attempt, n_trials=1, catch=(Failed, Interrupted))
                self.under_way = None
                if self._interrupted is not None:
                    storage.requeue(self.study, self.study.trials[self._number])
                    raise self._interrupted
                self.finished = finished(self.study)
                self._verify()
                self.tell(self)
        return reason

    def longest(self) -> float:
        """Return the seconds of the longest trial that may be trained for good, the one under way included."""
        took = [float(plan.facts(trial)["seconds"]) for trial in plan.complete(self.finished)]
        return max([*took, self.elapsed()])

    def elapsed(self) -> float:
        """Return the seconds of the trial under way, 0 between two."""
        return self.budget.read() - self.began if self.under_way is not None else 0.0

    def _over(self) -> str:
        left, following = self.budget.to_search(self.longest()), plan.trial_seconds(self.finished)
        if self._out_of_time or (left is not None and (left <= 0 or (following is not None and following > left))):
            return "the time left is less than a trial takes"
        if self.settings.sampler == "grid" and not any(
            trial.state == TrialState.WAITING for trial in self.study.get_trials(deepcopy=False)
        ):
            return "the whole grid was tried"
        return "" if self.claim() else "as many trials as asked for"

    def _suit(self) -> None:
        """Take the pruner and the sampler that suit the number of trials that fit, as soon as that is known."""
        left = self.budget.to_search(self.longest())
        fit = plan.trials_that_fit(self.finished, left, self.trials)
        several = len(self.study.directions) > 1
        name = "none" if several or not plan.complete(self.finished) else plan.pruner_name(self.settings.pruner, fit)
        name = self._agreed(name)
        if (choice := (name, plan.startup_trials(fit))) != self._chosen and (self._chosen is None or fit is not None):
            self.study.pruner = plan.pruner(name, most_steps=self.task.part_steps(self.config))
            self.study.sampler = plan.sampler(
                self.settings.sampler,
                seed=self.seed + len(self.finished),
                trials=fit,
                objectives=len(self.study.directions),
            )
            self._chosen = choice

    def _agreed(self, name: str) -> str:
        """Return the pruner that the study's processes settled on; the first to know the number of trials chooses."""
        settled: str = self.study.user_attrs.get(PRUNER, "")
        if settled or name == "none":
            return settled or name
        self.study.set_user_attr(PRUNER, name)
        return name

    def _attempt(self, attempt: optuna.Trial) -> float | tuple[float, float]:
        """Train and judge one trial; Optuna takes its value, or from the exception what became of it."""
        self.began, self._number = self.budget.read(), attempt.number
        phases = clock.Clock(read=self.budget.read)
        ended = "complete"
        attempt.set_user_attr("worker", worker())
        try:
            with tempfile.TemporaryDirectory(prefix="tune-") as folder:
                settings = space.applied(self.config, space.suggest(attempt, self.parameters))
                trial = self._trial(settings, attempt, Path(folder), phases)
                self.under_way = trial
                outcome = self.task.objective(self.prepared, trial)
            return self._values(attempt, outcome)
        except optuna.TrialPruned:
            ended = plan.PRUNED if trial.ended == plan.PRUNED else DEADLINE
            raise
        except (Stopped, KeyboardInterrupt) as stop:
            ended = "interrupted"
            self._interrupted = stop if isinstance(stop, Stopped) else Stopped("Ctrl-C ended it.", resumable=False)
            raise Interrupted from None
        except Exception as error:
            ended = "failed"
            text = str(error) if isinstance(error, PacelineError) else f"{type(error).__name__}: {error}"
            attempt.set_user_attr("error", text)
            raise Failed(text) from error
        finally:
            steps = 0 if self.under_way is None else self.under_way.steps
            seconds = self.elapsed() or self.budget.read() - self.began
            attempt.set_user_attr(
                "facts", {"seconds": seconds, "steps": steps, "ended": ended, "phases": phases.phases()}
            )

    def _values(self, attempt: optuna.Trial, outcome: Outcome) -> float | tuple[float, float]:
        if not math.isfinite(outcome.value):
            raise PacelineError(f"Its {self.task.score} is {outcome.value}.", "See the data of the folds.")
        for name in self.settings.limits:
            attempt.set_constraint(name, outcome.limits[name])
        attempt.set_user_attr("notes", {**outcome.notes, **outcome.limits})
        several = len(self.study.directions) > 1
        return (outcome.value, self.elapsed()) if several else outcome.value

    def _trial(self, settings: Config, attempt: optuna.Trial, folder: Path, phases: clock.Clock) -> Trial[Config]:
        several = len(self.study.directions) > 1

        def ask(place: int, score: float) -> str:
            if several:  # Optuna compares trials of one objective only
                return ""
            attempt.report(score, place)
            return plan.PRUNED if attempt.should_prune() else ""

        def overdue() -> str:
            left = self.budget.to_search(self.longest())
            self._out_of_time = left is not None and left <= 0
            return DEADLINE if self._out_of_time else ""

        return Trial(
            settings,
            attempt.number,
            part_steps=self.task.part_steps(self.config),
            monitor=self.task.monitor,
            larger_is_better=self.task.larger_is_better,
            ask=ask,
            overdue=overdue,
            folder=folder,
            clock=phases,
            tell=lambda step: self.tell(self),
        )

    def _verify(self) -> None:
        """Refuse to go on where nothing succeeds."""
        failures = [trial for trial in self.finished if trial.state == TrialState.FAIL]
        if plan.complete(self.finished) or not failures:
            return
        last = failures[-1]
        reason = last.user_attrs.get("error", "its process was killed")
        if last.number == 0 or "fixed_params" in last.system_attrs:
            raise PacelineError(f"The present settings fail: {reason}", "Correct them; see that `train` works.")
        if len(failures) >= FAILURES:
            raise PacelineError(
                f"Each of {len(failures)} trials failed, the last by: {reason}", "Correct the space in tune.py."
            )


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the study's finished trials, without those that another has taken the place of."""
    trials = study.get_trials(deepcopy=False)
    replaced = storage.requeued(trials)
    return [trial for trial in trials if trial.state.is_finished() and trial.number not in replaced]


def best(trials: Sequence[FrozenTrial], *, larger_is_better: bool) -> FrozenTrial | None:
    """Return the best complete trial that keeps all limits; where none does, the one that exceeds them least."""
    candidates = plan.complete(trials)
    if not candidates:
        return None
    sign = 1 if larger_is_better else -1
    return max(candidates, key=lambda trial: (-excess(trial), sign * trial.values[0], -trial.number))


def excess(trial: FrozenTrial) -> float:
    """Return by how much a trial exceeds its limits, all together; 0 where it keeps them."""
    return sum(max(0.0, value) for value in trial.constraints.values())


def worker() -> str:
    """Return the name of this process among all machines'."""
    return f"{platform.node()}:{os.getpid()}"
