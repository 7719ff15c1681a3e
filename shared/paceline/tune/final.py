"""The end of a search: the best settings trained for good, or, where no time is left, the trial's own model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from paceline import atomic, budget, clock
from paceline import config as configuration
from paceline.budget import Ceiling
from paceline.errors import PacelineError
from paceline.tune import kept, plan, space
from paceline.tune.deadline import Budget
from paceline.tune.task import Task

REPORT_SECONDS = 2.0  # for the search's own page, whose charts are drawn before


def train(
    task: Task[Any, Any],
    chosen: Any,
    best: FrozenTrial,
    *,
    path: Path,
    kept_models: Path | None,
    time_left: Budget,
    ceiling: Ceiling | None,
    times: clock.Clock,
    runs_folder: Path,
    command: str,
) -> dict[str, Any]:
    """Return what the project's `train` does for the best settings, and as `is_a_trial` whether it is a trial's model.

    Below a ceiling the final run has what is left of it, and is shortened where that is too little. Where less than
    half of its training would fit, or none, the model that the best trial left is worth more, and becomes the run.

    Args:
        task: the project's side.
        chosen: the best settings.
        best: their trial.
        path: the file that keeps them.
        kept_models: the folder of the trials' own models, see `kept`; None: there is none.
        time_left: of the search.
        ceiling: of the whole command.
        times: of the whole command.
        runs_folder: where the run is made.
        command: the command line, for the record.

    Raises:
        PacelineError: the final run failed; the settings are still there.
    """
    own = kept_models is not None and kept.has(kept_models, best.number)

    def of_the_trial() -> dict[str, Any]:
        assert kept_models is not None  # noqa: S101 -- `own` is true
        made = kept.as_run(
            kept_models,
            best.number,
            chosen,
            score=task.monitor,
            runs_folder=runs_folder,
            command=command,
            started=clock.now(),
        )
        return {**made, "is_a_trial": True}

    if own and not time_left.final_run_fits(float(plan.facts(best)["seconds"])):
        return of_the_trial()
    if ceiling is not None:
        left = ceiling.seconds - times.elapsed() - REPORT_SECONDS * time_left.slower()
        ceiling = Ceiling(left, f"{ceiling.asked}, of which {left:.0f} s are left,")
    try:
        made = task.train(chosen, runs_folder=runs_folder, command=command, started=clock.now(), ceiling=ceiling)
    except PacelineError as error:
        if own and isinstance(error, budget.TooLittleTimeError):
            return of_the_trial()
        remedy = f"{error.remedy} The best settings are kept: --config {path}."
        raise PacelineError(f"The final run failed: {error.cause}", remedy) from error
    return {**made, "is_a_trial": False}


def keep_shortened(task: Task[Any, Any], chosen: Any, record: dict[str, Any], path: Path) -> bool:
    """Write the settings that train a shortened final run again to `path`; return whether there are any.

    Args:
        task: the project's side.
        chosen: the best settings.
        record: of the final run, as its run.json has it.
        path: the file that keeps the best settings; they stay there where no settings train the run again.
    """
    settings = task.reproduction(chosen, record)
    if settings is not None:
        atomic.write_text(path, configuration.dump(settings))
    return settings is not None


def cut_short(
    task: Task[Any, Any],
    config: Any,
    study: optuna.Study,
    *,
    kept_models: Path | None,
    runs_folder: Path,
    command: str,
) -> dict[str, Any]:
    """Return what a search answers of which no trial came to its end: the model of the one that time has ended.

    Empty where that has left none.
    """
    numbers = [] if kept_models is None else kept.numbers(kept_models)
    if kept_models is None or not numbers:
        return {}
    settings = study.trials[numbers[0]].params
    made = kept.as_run(
        kept_models,
        numbers[0],
        space.applied(config, settings),
        score=task.monitor,
        runs_folder=runs_folder,
        command=command,
        started=clock.now(),
    )
    kept.drop(kept_models)
    return {
        "status": "done",
        "best_value": made["scores"][task.monitor]["value"],
        "verdict": "No trial came to its end in time: the result is the model that the first one had by then.",
        "settings": settings,
        "best_run": made["run"],
        "best_run_is_a_trial": True,
        "report": made["report"],
    }
