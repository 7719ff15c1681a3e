"""The loop of one process: trials one after the other, until there are enough, or the next would not end in time."""

from __future__ import annotations

import math
import os
import platform
import statistics
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel

from paceline import clock
from paceline.errors import PacelineError, Stopped
from paceline.stop import Listener
from paceline.tune import alike, kept, plan, ranking, space, storage
from paceline.tune.deadline import Budget
from paceline.tune.events import TrialEvents
from paceline.tune.settings import Tune
from paceline.tune.task import Task
from paceline.tune.trial import Outcome, Own, Trial

Config = TypeVar("Config", bound=BaseModel)
Prepared = TypeVar("Prepared")

FAILURES = 3  # trials that may fail before the first succeeds
RECENT = 9  # steps whose median says what the following ones take
REFUSALS = 3  # settings in a row that would not end in time, before the search is over
HOPE = 0.9  # of what a trial is projected to take: steps may become so much quicker


class Failed(Exception):  # noqa: N818 -- how a trial ended
    """A trial came to nothing, by a mistake of its settings or a defect; its study knows why."""


class Interrupted(Exception):  # noqa: N818 -- how a trial ended
    """A signal ended a trial that is worth doing again."""


class Search(Generic[Config, Prepared]):
    """One process's part in a study.

    Args:
        task: the project's side.
        config: the settings that trials start from.
        study: shared with the other processes.
        parameters: what varies.
        prepared: of `task.prepare`.
        budget: the time there is.
        trials: in all, of all processes on all machines; None: as many as fit.
        tell: is given the search after every step and trial, for the progress line.
        events: the folder for TensorBoard events; None writes none.
        kept: the folder where the best trial's own model is kept, in case time is short; None keeps none.
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
        seed: int,
        tell: Callable[[Search[Config, Prepared]], None] = lambda search: None,
        events: Path | None = None,
        kept: Path | None = None,
    ) -> None:
        self.task, self.config, self.study, self.parameters = task, config, study, parameters
        self.prepared, self.budget, self.trials = prepared, budget, trials
        self.tell, self.seed, self.events = tell, seed, events
        self.settings: Tune = config.tune  # type: ignore[attr-defined] # every project's configuration has it
        self.finished: list[FrozenTrial] = ranking.finished(study)
        self.under_way: Trial[Config] | None = None
        self.began = 0.0
        self._chosen: tuple[str, int] | None = None
        self._interrupted: Stopped | None = None
        self._number = 0  # of the trial under way
        self._kept = kept
        self._own: Own | None = None  # of the trial that has just ended
        self._told, self._took = 0.0, deque[float](maxlen=RECENT)  # when a step ended last, what the latest ones took
        self._most_steps = 0  # that the trial under way can have
        self._refused = 0  # settings in a row that would not have ended in time
        self._projected = 0.0  # seconds, of a trial that was ended because it would take them
        self._computing: dict[str, Any] = {}
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
                self.finished = ranking.finished(self.study)
                self._keep()
                self._verify()
                self.tell(self)
        return reason

    def longest(self) -> float:
        """Return the seconds of the longest trial that may be trained for good, the one under way included."""
        took = [float(plan.facts(trial)["seconds"]) for trial in plan.complete(self.finished)]
        return max([*took, self.elapsed()])

    def time_left(self) -> float | None:
        """Return the seconds left to search, None without a deadline; a first trial whose model is kept has more."""
        if self._kept is not None and self.task.keeps_models and not plan.complete(self.finished):
            return self.budget.to_first_trial()
        return self.budget.to_search(self.longest())

    def elapsed(self) -> float:
        """Return the seconds of the trial under way, 0 between two."""
        return self.budget.read() - self.began if self.under_way is not None else 0.0

    def _over(self) -> str:
        several = len(plan.times(self.finished)) >= alike.FEWEST  # then each is asked for by itself
        left, following = self.time_left(), plan.trial_seconds(self.finished, hardly_less=several)
        if (
            self._out_of_time
            or self._refused == REFUSALS
            or (left is not None and (left <= 0 or (following is not None and following > left)))
        ):
            return "the time left is less than a trial takes"
        if self.settings.sampler == "grid" and not any(
            trial.state == TrialState.WAITING for trial in self.study.get_trials(deepcopy=False)
        ):
            return "the whole grid was tried"
        if self._may_begin():
            return ""
        storage.requeue_missed(self.study)
        return "" if self._may_begin() else "as many trials as asked for"

    def _may_begin(self, number: int | None = None) -> bool:
        """Return whether the study has fewer trials than asked for; for one that has begun, fewer before it.

        Two machines may begin one at the same moment: the later by number, which the storage gives, is given up.
        """
        begun = ranking.begun(self.study)
        if number is not None:
            begun = [trial for trial in begun if trial.number < number]
        return self.trials is None or len(begun) < self.trials

    def _suit(self) -> None:
        """Take the pruner and the sampler that suit the number of trials that fit, as soon as that is known."""
        left = self.budget.to_search(self.longest())
        fit = plan.trials_that_fit(self.finished, left, self.trials)
        several = len(self.study.directions) > 1
        name = "none" if several or not plan.complete(self.finished) else plan.pruner_name(self.settings.pruner, fit)
        name = self._agreed(name)
        if (choice := (name, plan.startup_trials(fit))) != self._chosen and (self._chosen is None or fit is not None):
            self.study.pruner = plan.pruner(
                name, part_steps=self.task.part_steps(self.config), parts=self.settings.folds
            )
            self.study.sampler = plan.sampler(
                self.settings.sampler,
                seed=self.seed + len(self.finished),
                trials=fit,
                objectives=len(self.study.directions),
            )
            self._chosen = choice

    def _agreed(self, name: str) -> str:
        """Return the pruner that the study's processes settled on; the first to know the number of trials chooses."""
        settled: str = self.study.user_attrs.get(plan.PRUNER, "")
        if settled or name == "none":
            return settled or name
        self.study.set_user_attr(plan.PRUNER, name)
        return name

    def _attempt(self, attempt: optuna.Trial) -> float | tuple[float, float]:
        """Train and judge one trial; Optuna takes its value, or from the exception what became of it."""
        self.began, self._number = self.budget.read(), attempt.number
        self._told, self._projected = self.began, 0.0
        self._took.clear()
        phases = clock.Clock(read=self.budget.read)
        ended, reached = "complete", {}
        events = None if self.events is None else TrialEvents(self.events, attempt.number)
        attempt.set_user_attr("worker", worker())
        if not self._may_begin(attempt.number):
            attempt.set_user_attr("facts", plan.NOTHING)
            raise Failed("Another process has begun the last trial.")
        point = space.suggest(attempt, self.parameters)
        self._refuse_long(attempt, point)
        try:
            with tempfile.TemporaryDirectory(prefix="tune-") as folder:
                settings = space.applied(self.config, point)
                self._most_steps = self.task.part_steps(settings) * self.settings.folds
                trial = self._trial(settings, attempt, Path(folder), phases, events)
                self.under_way = trial
                outcome = self.task.objective(self.prepared, trial)
            reached = {self.task.score: outcome.value, "seconds": self.elapsed()}
            values = self._values(attempt, outcome)
            self._own, self._computing = trial.offered, trial.run.device
            return values
        except optuna.TrialPruned:
            ended = plan.PRUNED if trial.ended == plan.PRUNED else plan.DEADLINE
            if ended == plan.DEADLINE:
                self._own, self._computing = trial.offered, trial.run.device
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
            if events is not None:
                events.close(attempt.params, reached)
            steps = 0 if self.under_way is None else self.under_way.steps
            seconds = self.elapsed() or self.budget.read() - self.began
            facts = {"seconds": seconds, "steps": steps, "ended": ended, "phases": phases.phases()}
            facts |= {"most_steps": self._most_steps}
            attempt.set_user_attr("facts", facts | ({"projected_seconds": self._projected} if self._projected else {}))

    def _refuse_long(self, attempt: optuna.Trial, point: dict[str, Any]) -> None:
        """Leave a trial that would not end in time, by those most alike; one of the queue waits for another session.

        Raises:
            Failed: it is one.
        """
        left, needed = self.time_left(), alike.seconds(self.finished, point, self.parameters)
        if left is None or needed is None or needed <= left:
            self._refused = 0
            return
        self._refused += 1
        if "fixed_params" in self.study.get_trials(deepcopy=False)[attempt.number].system_attrs:
            self.study.enqueue_trial(point)
        attempt.set_user_attr("facts", plan.NOTHING)
        raise Failed(f"Trials like it take {needed:.0f} s, and {left:.0f} s are left.")

    def _values(self, attempt: optuna.Trial, outcome: Outcome) -> float | tuple[float, float]:
        if not math.isfinite(outcome.value):
            raise PacelineError(f"Its {self.task.score} is {outcome.value}.", "See the data of the folds.")
        for name in self.settings.limits:
            attempt.set_constraint(name, outcome.limits[name])
        attempt.set_user_attr("notes", {**outcome.notes, **outcome.limits})
        several = len(self.study.directions) > 1
        return (outcome.value, self.elapsed()) if several else outcome.value

    def _trial(
        self, settings: Config, attempt: optuna.Trial, folder: Path, phases: clock.Clock, events: TrialEvents | None
    ) -> Trial[Config]:
        several = len(self.study.directions) > 1

        def ask(place: int, score: float) -> str:
            if several:  # Optuna compares trials of one objective only
                return ""
            attempt.report(score, place)
            return plan.PRUNED if attempt.should_prune() else ""

        def overdue(goes_on: bool) -> str:
            before, self._told = self._told, self.budget.read()
            if before > self.began:  # the first step compiles
                self._took.append(self._told - before)
            left = self.time_left()
            self._out_of_time = left is not None and left <= (min(self._took, default=0.0) if goes_on else 0.0)
            return plan.DEADLINE if self._out_of_time or self._hopeless() else ""

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
            curve=(lambda part, row: None) if events is None else events.write,
        )

    def _hopeless(self) -> bool:
        """Return whether the trial under way would not end in time, by its latest steps and those of earlier trials."""
        if self.budget.deadline is None or not self._took or self.under_way is None:
            return False
        steps = plan.steps_left(self.finished, self.under_way.steps, self._most_steps)
        more = steps * statistics.median(self._took)
        whole = self.elapsed() + more
        left = self.budget.to_search(max(self.longest(), whole))  # a longer trial also has a longer final run
        if left is None or not more or left >= HOPE * more:
            return False
        self._projected = whole
        return True

    def _keep(self) -> None:
        """Keep the model of the trial that has just ended where it is the best so far, or all there is."""
        best = ranking.best(self.finished, larger_is_better=self.task.larger_is_better)
        own, self._own = self._own, None
        if self._kept is not None and own is not None and (best is None or best.number == self._number):
            kept.keep(self._kept, self._number, own, self._computing)

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


def worker() -> str:
    """Return the name of this process among all machines'."""
    return f"{platform.node()}:{os.getpid()}"
