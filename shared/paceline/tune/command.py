"""The command `tune` from top to bottom: search, compare with the beginning, train the best for good, report."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from paceline import atomic, budget, cli, clock, contention, report
from paceline import config as configuration
from paceline.budget import Ceiling
from paceline.errors import PacelineError, Stopped
from paceline.redact import redact
from paceline.tune import (
    charts,
    comparison,
    final,
    kept,
    opening,
    outcome,
    plan,
    ranking,
    session,
    space,
    storage,
    workers,
)
from paceline.tune.deadline import Budget, finish_seconds
from paceline.tune.settings import Tune
from paceline.tune.task import Task

Config = TypeVar("Config", bound=BaseModel)
Prepared = TypeVar("Prepared")

FOLDER = Path("tune")
COMPARISON_SHARE = 0.15  # of a budget, at most


def from_arguments(task: Task[Config, Prepared], config: Config, arguments: Namespace, command: str) -> dict[str, Any]:
    """Run the command `tune` as its arguments say; see `tune`.

    Raises:
        PacelineError: an argument is no time, or no number of trials.
    """
    if arguments.trials is not None and arguments.trials < 1:
        raise PacelineError(f"--trials is {arguments.trials}.", "Ask for one at least.")
    started = clock.process_start()
    return tune(
        task,
        config,
        runs_folder=arguments.runs,
        storage_url=arguments.storage or os.environ.get("PACELINE_STORAGE", ""),
        ceiling=cli.ceiling(arguments, started),
        trials=arguments.trials,
        command=command,
        started=started,
        begin_with=arguments.begin_with,
    )


def tune(
    task: Task[Config, Prepared],
    config: Config,
    *,
    runs_folder: Path,
    folder: Path = FOLDER,
    storage_url: str = "",
    ceiling: Ceiling | None = None,
    trials: int | None = None,
    command: str = "",
    started: float | None = None,
    begin_with: Path | None = None,
    read: Callable[[], float] = clock.now,
) -> dict[str, Any]:
    """Search for better settings, train the best for good, and leave a report beside the study.

    With a ceiling everything ends below it, the final run included: a trial that would not end in time is not begun,
    one that does not is ended, and the time that the final run takes is kept for it. Where that was too little, the
    final run is shortened like any that has a ceiling, or the best trial's own model is the result; see `final`.

    Args:
        task: the project's side.
        config: the settings to begin from; trial 0.
        runs_folder: where the final run is made.
        folder: where studies are kept.
        storage_url: of a database that several machines share; empty: a file in the study's folder.
        ceiling: the most wall time, from `started` on.
        trials: in all; None: `tune.trials`, or as many as fit where there is a budget.
        command: the command line, for the final run's record.
        started: the performance counter's reading that counts as zero.
        begin_with: the folder of an earlier study, whose best settings come after trial 0.
        read: the source of time, replaced in tests.

    Returns:
        `best_run` (its folder), `best_value`, `trials`, `wall_seconds`, and more.

    Raises:
        PacelineError: the search is not possible as asked for, or nothing came of it.
        Stopped: a signal asked for the end; the same command goes on.
    """
    times = clock.Clock(started=started, read=read)
    times.mark("import")
    settings: Tune = config.tune  # type: ignore[attr-defined] # every project's configuration has it
    opening.verify(task, config)
    parameters = space.chosen(task.space(config), config, settings.vary)
    place, before = folder / settings.study, None
    if begin_with is not None:
        before = opening.earlier(
            opening.earlier_trials(begin_with), config, parameters, larger_is_better=task.larger_is_better
        )
    place.mkdir(parents=True, exist_ok=True)
    url = storage.url_of(storage_url, place)
    with storage.connected(url) as backend:
        with times.span("storage"):
            study = storage.open_study(
                backend, settings.study, opening.directions(task, settings), opening.made_for(config, parameters)
            )
            opening.queue(study, config, parameters, settings, before.points if before else ())
        with times.span("data"):
            since = contention.now()
            prepared = task.prepare(config)
            setup_waited = contention.now().share_since(since)
        asked = trials if trials is not None else (None if ceiling is not None else settings.trials)
        train = config.train  # type: ignore[attr-defined] # every project's configuration has it
        setup_seconds = times.spans()["data"]
        part = workers.Part(
            task,
            config,
            url,
            settings.study,
            parameters,
            None if ceiling is None else times.started + ceiling.seconds,
            setup_seconds=setup_seconds,
            finish_seconds=finish_seconds(runs_folder, setup_seconds) + final.REPORT_SECONDS + budget.exit_seconds(),
            trainings=task.trainings(config) / settings.folds,
            repeats=2 * settings.repeats,
            comparison_seconds=0.0 if ceiling is None else COMPARISON_SHARE * ceiling.seconds,
            trials=asked,
            seed=train.seed,
            setup_waited=setup_waited,
            kept=None if ceiling is None else place / "kept",
            events=place if settings.tensorboard else None,
        )
        time_left = part.budget(read)
        try:
            with times.span("search"):
                session.run(part, study, prepared, read=read)
        except Stopped as stop:
            raise Stopped(
                f"{stop.reason.split(' ended ')[0]} ended the search after {len(ranking.finished(study))} trials. "
                f"All are kept: the same command goes on.",
                resumable=False,
            ) from None
        found = ranking.finished(study)
        best = ranking.best(found, larger_is_better=task.larger_is_better)
        if best is None:
            answer = final.cut_short(
                task, config, study, kept_models=part.kept, runs_folder=runs_folder, command=command
            )
            if not answer:
                raise outcome.nothing(found, None if ceiling is None else ceiling.seconds, part, config)
            return {**answer, "trials": len(found), "wall_seconds": times.elapsed()}
        chosen = space.applied(config, best.params)
        path = place / "config.toml"
        atomic.write_text(path, configuration.dump(chosen))
        with times.span("comparison"):
            longest = float(plan.facts(best)["seconds"])
            compared = _compare(task, config, chosen, prepared, settings, time_left, longest)
        del prepared  # the final run reads the data again, as `train` does
        with times.span("report"):  # before the final run, so that little is left to do after it
            facts = outcome.facts(task, study, found, parameters, best, compared, settings)
            drawn = charts.draw(
                study, found, parameters, compared, score=task.score, larger_is_better=task.larger_is_better
            )
        if before is not None:
            begun = {"study": str(begin_with), "settings": len(before.points), "values_outside": before.outside}
            facts["began_from"] = begun
        with times.span("final_run"):
            answer = final.train(
                task,
                chosen,
                best,
                path=path,
                kept_models=part.kept,
                time_left=time_left,
                ceiling=ceiling,
                times=times,
                runs_folder=runs_folder,
                command=command,
            )
        record = json.loads((Path(answer["run"]) / "run.json").read_text(encoding="utf-8"))
        shortened = bool(record["budget"].get("changed", False))
        reproducible = final.keep_shortened(task, chosen, record, path) if shortened else not answer["is_a_trial"]
        facts |= {"best_run": answer["run"], "scores_of_best_run": answer["scores"], "config": str(path)}
        facts |= {
            "best_run_shortened": shortened,
            "config_reproduces_best_run": reproducible,
            "best_run_is_a_trial": answer["is_a_trial"],
            "wall_seconds": times.elapsed(),
            "budget_seconds": None if ceiling is None else ceiling.seconds,
            "time": {f"{name}_seconds": seconds for name, seconds in times.phases().items()},
        }
        if part.kept is not None:
            kept.drop(part.kept)
        _tell_run(Path(answer["run"]), record, facts, settings.study, place / "report.html")
        sheet = report.write_sheet(
            place / "report.html",
            settings.study,
            redact(facts),
            drawn,
            kind="Search for better settings",
            lead=outcome.lead(facts),
        )["sheet"]
        return {
            "status": "done",
            "best_value": best.values[0],
            "value_before": outcome.value_before(found),
            "trials": len(found),
            "pruned": sum(plan.facts(trial).get("ended") == plan.PRUNED for trial in found),
            "saved_seconds": plan.saved_seconds(found),
            "verdict": facts["verdict"],
            "settings": best.params,
            "config": str(path),
            "wall_seconds": times.elapsed(),
            "best_run": answer["run"],
            "best_run_is_a_trial": answer["is_a_trial"],
            "config_reproduces_best_run": reproducible,
            **({"began_from": facts["began_from"]} if before is not None else {}),
            "report": sheet,
        }


def _tell_run(folder: Path, record: dict[str, Any], facts: dict[str, Any], study: str, sheet: Path) -> None:
    """Put the search into the record and the report of the run that came of it."""
    of_search = ("trials", "time_by_trial_state", "saved_by_pruning_seconds", "sampler")
    record["study"] = {
        "name": study,
        "report": Path(os.path.relpath(sheet, folder)).as_posix(),
        **{name: facts[name] for name in of_search},
    }
    atomic.write_text(folder / "report.html", report.render(record))
    atomic.write_json(folder / "run.json", record)


def _compare(
    task: Task[Any, Any],
    before: Any,
    best: Any,
    prepared: Any,
    settings: Tune,
    time_left: Budget,
    trial_seconds: float,
) -> dict[str, Any]:
    if best == before:
        return {}

    def time_for(seconds: float) -> bool:
        left = time_left.before_final_run(trial_seconds)
        return left is None or left > (seconds or 2 * trial_seconds)

    def overdue(seconds: float) -> str:
        left = time_left.before_final_run(max(trial_seconds, seconds))
        return plan.DEADLINE if left is not None and left <= 0 else ""

    return comparison.repeat(
        task,
        {"best": best, "before": before},
        prepared,
        repeats=settings.repeats,
        time_for=time_for,
        overdue=overdue,
        read=time_left.read,
    )
