"""The command `tune` from top to bottom: search, compare with the beginning, train the best for good, report."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial
from pydantic import BaseModel

from paceline import atomic, clock, duration, report
from paceline import config as configuration
from paceline.errors import PacelineError, Stopped
from paceline.redact import redact
from paceline.report import format as fmt
from paceline.tune import charts, comparison, outcome, plan, search, space, storage, workers
from paceline.tune.line import Line, text
from paceline.tune.settings import Tune
from paceline.tune.task import Task

Config = TypeVar("Config", bound=BaseModel)
Prepared = TypeVar("Prepared")

FOLDER = Path("tune")
TRAINING = ("import", "data", "build", "compile", "train", "validation", "checkpoint", "input_wait", "callbacks")
COMPARISON_SHARE = 0.15  # of a budget, at most
UNKNOWN_FINISH_SECONDS = 10.0  # scoring and report, before any run has shown what they take


def from_arguments(task: Task[Config, Prepared], config: Config, arguments: Namespace, command: str) -> dict[str, Any]:
    """Run the command `tune` as its arguments say; see `tune`.

    Raises:
        PacelineError: an argument is no time, or no number of trials.
    """
    if arguments.trials is not None and arguments.trials < 1:
        raise PacelineError(f"--trials is {arguments.trials}.", "Ask for one at least.")
    started, seconds = clock.process_start(), None
    if arguments.time_budget is not None:
        seconds = duration.seconds(arguments.time_budget)
    if arguments.finish_by is not None:
        until = duration.until(arguments.finish_by, datetime.now()) + clock.now() - started
        seconds = until if seconds is None else min(seconds, until)
    return tune(
        task,
        config,
        runs_folder=arguments.runs,
        storage_url=arguments.storage or os.environ.get("PACELINE_STORAGE", ""),
        budget_seconds=seconds,
        trials=arguments.trials,
        command=command,
        started=started,
    )


def tune(
    task: Task[Config, Prepared],
    config: Config,
    *,
    runs_folder: Path,
    folder: Path = FOLDER,
    storage_url: str = "",
    budget_seconds: float | None = None,
    trials: int | None = None,
    command: str = "",
    started: float | None = None,
) -> dict[str, Any]:
    """Search for better settings, train the best for good, and leave a report beside the study.

    With a budget everything ends within it, the final run included: a trial that would not end in time is not begun,
    one that does not is ended, and the time that the final run takes is kept for it.

    Args:
        task: the project's side.
        config: the settings to begin from; trial 0.
        runs_folder: where the final run is made.
        folder: where studies are kept.
        storage_url: of a database that several machines share; empty: a file in the study's folder.
        budget_seconds: from `started` on.
        trials: in all; None: `tune.trials`, or as many as fit where there is a budget.
        command: the command line, for the final run's record.
        started: the performance counter's reading that counts as zero.

    Returns:
        `best_run` (its folder), `best_value`, `trials`, `wall_seconds`, and more.

    Raises:
        PacelineError: the search is not possible as asked for, or nothing came of it.
        Stopped: a signal asked for the end; the same command goes on.
    """
    times = clock.Clock(started=started)
    times.mark("import")
    settings: Tune = config.tune  # type: ignore[attr-defined] # every project's configuration has it
    _verify_limits(task, settings)
    parameters = space.chosen(task.space(config), config, settings.vary)
    place = folder / settings.study
    place.mkdir(parents=True, exist_ok=True)
    url = storage.url_of(storage_url, place)
    with storage.connected(url) as backend:
        with times.span("storage"):
            study = storage.open_study(
                backend, settings.study, _directions(task, settings), _made_for(config, parameters)
            )
            _queue(study, config, parameters, settings)
        with times.span("data"):
            prepared = task.prepare(config)
        asked = trials if trials is not None else (None if budget_seconds is not None else settings.trials)
        train = config.train  # type: ignore[attr-defined] # every project's configuration has it
        part = workers.Part(
            task,
            config,
            url,
            settings.study,
            parameters,
            None if budget_seconds is None else times.started + budget_seconds,
            setup_seconds=times.spans()["data"],
            finish_seconds=finish_seconds(runs_folder) or UNKNOWN_FINISH_SECONDS,
            trainings=task.trainings(config) / settings.folds,
            repeats=2 * settings.repeats,
            comparison_seconds=COMPARISON_SHARE * (budget_seconds or 0.0),
            trials=asked,
            seed=train.seed,
        )
        try:
            with times.span("search"):
                _search(part, study, prepared)
        except Stopped as stop:
            raise Stopped(
                f"{stop.reason.split(' ended ')[0]} ended the search after {len(search.finished(study))} trials. "
                f"All are kept: the same command goes on.",
                resumable=False,
            ) from None
        found, budget = search.finished(study), part.budget()
        best = search.best(found, larger_is_better=task.larger_is_better)
        if best is None:
            raise _nothing(found, budget_seconds, part, config)
        chosen = space.applied(config, best.params)
        path = place / "config.toml"
        atomic.write_text(path, configuration.dump(chosen))
        with times.span("comparison"):
            longest = float(plan.facts(best)["seconds"])
            compared = _compare(task, config, chosen, prepared, settings, budget, longest)
        del prepared  # the final run reads the data again, as `train` does
        with times.span("final_run"):
            answer = task.train(chosen, runs_folder=runs_folder, command=command, started=clock.now())
        facts = _facts(task, study, found, parameters, best, compared, settings)
        facts |= {"best_run": answer["run"], "scores_of_best_run": answer["scores"], "config": str(path)}
        facts |= {"wall_seconds": times.elapsed(), "budget_seconds": budget_seconds, "time": times.phases()}
        drawn = charts.draw(
            study, found, parameters, compared, score=task.score, larger_is_better=task.larger_is_better
        )
        sheet = report.write_sheet(place / "report.html", f"Search '{settings.study}'", redact(facts), drawn)["sheet"]
        return {
            "status": "done",
            "best_value": best.values[0],
            "value_before": _value_before(found),
            "trials": len(found),
            "pruned": sum(plan.facts(trial).get("ended") == plan.PRUNED for trial in found),
            "saved_seconds": plan.saved_seconds(found),
            "verdict": facts["verdict"],
            "settings": best.params,
            "config": str(path),
            "wall_seconds": times.elapsed(),
            "best_run": answer["run"],
            "report": sheet,
        }


def finish_seconds(runs_folder: Path) -> float | None:
    """Return what the latest finished run took beside reading and training, or None without one."""
    for path in sorted(runs_folder.glob("*/run.json"), reverse=True):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["status"] == "done":
                return float(sum(seconds for name, seconds in found["phases"].items() if name not in TRAINING))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _search(part: workers.Part[Any, Any], study: optuna.Study, prepared: Any) -> None:
    settings: Tune = part.config.tune
    asked = None if part.trials is None else max(0, part.trials - len(search.finished(study)))
    budget = part.budget()

    def words(found: Sequence[FrozenTrial], longest: float) -> str:
        return text(
            found,
            score=part.task.score,
            larger_is_better=part.task.larger_is_better,
            asked=part.trials,
            seconds_left=budget.to_search(longest),
        )

    if settings.workers > 1:
        several = Line(lambda found: words(found, 0.0))
        try:
            workers.run(part, study, settings.workers, permits=asked, tell=lambda: several.tell(search.finished(study)))
        finally:
            several.close(search.finished(study))
        return
    left = [asked]

    def claim() -> bool:
        if left[0] is None:
            return True
        left[0] -= 1
        return left[0] >= 0

    line = Line(lambda one: words(one.finished, one.longest()))
    one = search.Search(
        part.task,
        part.config,
        study,
        part.parameters,
        prepared,
        budget,
        trials=part.trials,
        claim=claim,
        seed=part.seed,
        tell=line.tell,
    )
    try:
        one.run()
    finally:
        line.close(one)


def _verify_limits(task: Task[Any, Any], settings: Tune) -> None:
    for name in settings.limits:
        if name not in task.limits:
            raise PacelineError(
                f"tune.limits names '{name}', which is not measured.", f"It knows {', '.join(task.limits) or 'none'}."
            )


def _directions(task: Task[Any, Any], settings: Tune) -> list[storage.Direction]:
    quality: storage.Direction = "maximize" if task.larger_is_better else "minimize"
    return [quality] if settings.objectives == "quality" else [quality, "minimize"]


def _made_for(config: BaseModel, parameters: space.Space) -> dict[str, Any]:
    """Return what all trials of a study share: their ranges, and every setting that is not varied."""
    fixed: dict[str, Any] = {}
    for section, values in config.model_dump(mode="json").items():
        if section != "tune":
            fixed |= {
                f"{section}.{key}": value for key, value in values.items() if f"{section}.{key}" not in parameters
            }
        else:
            fixed |= {f"{section}.{key}": values[key] for key in ("folds", "objectives", "limits")}
    return {"space": space.described(parameters), "settings": fixed}


def _queue(study: optuna.Study, config: BaseModel, parameters: space.Space, settings: Tune) -> None:
    """Queue the present settings as trial 0, and a grid after them; of a study gone on with, what is missing."""
    first = space.present(parameters, config)
    points = [first] + (space.grid(parameters) if settings.sampler == "grid" else [])
    trials = study.get_trials(deepcopy=False)
    known = [trial.params or trial.system_attrs.get("fixed_params") for trial in trials]
    for point in points:
        if point not in known:
            study.enqueue_trial(point)
            known.append(point)


def _compare(
    task: Task[Any, Any],
    before: Any,
    best: Any,
    prepared: Any,
    settings: Tune,
    budget: search.Budget,
    trial_seconds: float,
) -> dict[str, Any]:
    if best == before:
        return {}

    def time_for(seconds: float) -> bool:
        left = budget.before_final_run(trial_seconds)
        return left is None or left > (seconds or 2 * trial_seconds)

    return comparison.repeat(
        task, {"best": best, "before": before}, prepared, repeats=settings.repeats, time_for=time_for
    )


def _nothing(
    found: Sequence[FrozenTrial], budget_seconds: float | None, part: workers.Part[Any, Any], config: BaseModel
) -> PacelineError:
    """Return why no trial is complete."""
    if budget_seconds is None:
        return PacelineError("No trial came to its end.", "See their errors, or ask for more: --trials 20.")
    longest = max((float(plan.facts(trial).get("seconds", 0.0)) for trial in found), default=0.0)
    steps = max((int(plan.facts(trial).get("steps", 0)) for trial in found), default=0)
    most = part.task.part_steps(config) * config.tune.folds  # type: ignore[attr-defined] # as above
    whole = longest / steps * most if steps else longest
    needed = part.setup_seconds + whole + part.budget().reserve(whole)
    return PacelineError(
        f"The budget of {fmt.duration(budget_seconds)} ended before one trial did, "
        f"the final run's time kept for it ({steps} of at most {most} steps).",
        f"Give more (about {fmt.duration(needed)} for one trial and the run), or shorten training.",
    )


def _value_before(found: Sequence[FrozenTrial]) -> float | None:
    first = next((trial for trial in plan.complete(found) if "fixed_params" in trial.system_attrs), None)
    return None if first is None else float(first.values[0])


def _facts(
    task: Task[Any, Any],
    study: optuna.Study,
    found: Sequence[FrozenTrial],
    parameters: space.Space,
    best: FrozenTrial,
    compared: dict[str, Any],
    settings: Tune,
) -> dict[str, Any]:
    complete = plan.complete(found)
    exceeded = {name: value for name, value in best.constraints.items() if value > 0}
    edge = charts.front(complete, larger_is_better=task.larger_is_better)
    return {
        "verdict": comparison.verdict(fmt.label(task.score), compared, larger_is_better=task.larger_is_better),
        "best_value": best.values[0],
        "best_trial": best.number,
        "value_before": _value_before(found),
        "score": fmt.label(task.score),
        "trials": len(found),
        "requeued_trials": len(storage.requeued(study.get_trials(deepcopy=False))),
        "saved_by_pruning_seconds": plan.saved_seconds(found),
        "sampler": settings.sampler,
        "pruner": study.user_attrs.get(search.PRUNER, "none"),
        "limits_exceeded": exceeded or "none",
        "time_by_trial_state": outcome.by_state(found),
        "search_space": [{"key": key, "range": text} for key, text in space.described(parameters).items()],
        "importance": [{"key": key, "share": share} for key, share in charts.importance(study, complete).items()],
        "comparison": [{"settings": name, **row} for name, row in compared.items() if isinstance(row, dict)],
        "pareto_front": outcome.rows(edge, larger_is_better=task.larger_is_better),
        "best_trials": outcome.rows(found, larger_is_better=task.larger_is_better),
        "failures": [
            {"trial": trial.number, "error": trial.user_attrs["error"]}
            for trial in found
            if plan.facts(trial).get("ended") == "failed"
        ],
    }
