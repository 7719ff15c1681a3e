"""Training from top to bottom: transactions, features, model, decision, scores, report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fraud_detection import (
    data,
    decisions,
    doubts,
    duration,
    examples,
    features,
    figures,
    groups,
    metrics,
    model,
    monitor,
    retrain,
    shards,
)
from fraud_detection.cards import data_card, model_card
from fraud_detection.config import Config
from fraud_detection.linear import Linear
from fraud_detection.splits import PrequentialSplit
from paceline import estimate, record
from paceline.budget import Ceiling, TooLittleTimeError
from paceline.progress import Progress
from paceline.quarantine import Quarantine

NOT_REFITTED = "No time was left to train again on the latest days"


def train(
    config: Config,
    *,
    runs_folder: Path,
    command: str = "",
    started: float | None = None,
    resume: Path | None = None,
    ceiling: Ceiling | None = None,
    target: float | None = None,
    history: Path | None = None,
    made: Callable[[dict[str, Any]], None] = estimate.say,
) -> dict[str, Any]:
    """Train the configured model, score it on the test days, and leave a run folder with everything about it.

    It is trained twice. On the earlier fold it shows how many rounds are enough, how its scores calibrate and where the
    threshold lies. Then, with those settled, it learns from the latest days whose labels are known, as it would be
    deployed. The test days are looked at once, at the end.

    Args:
        config: the resolved configuration.
        runs_folder: where the run's folder is made.
        command: the command line, for the record.
        started: the performance counter's reading that counts as zero; see `record.start`.
        resume: the folder of a run to go on with.
        ceiling: the most wall time; see `paceline.budget`.
        target: a score whose time is to be predicted.
        history: the folder of earlier runs that predictions learn from; `runs_folder` by default.
        made: is given each prediction of the run's time, once it is in the record.

    Returns:
        `run` (the folder), `status`, `wall_seconds`, `scores`, `advice` (on retraining, see `retrain`), `report`.
    """
    model.refuse_early(config)  # a mistake that needs no data to be seen
    duration.refuse_early(config, ceiling)
    name, seed = config.model.name, config.train.seed
    with (
        record.start(config, runs_folder, name=name, command=command, started=started, resume=resume) as run,
        shards.space(run),
    ):
        with run.phase("data"):
            quarantine = Quarantine(run.folder / "quarantine.jsonl")
            with run.phase("data/read"):
                if config.train.external_memory:
                    table, days = shards.load(config.data, run, quarantine)
                else:
                    table, days = data.load(config.data, quarantine), None
            run.dataset = data.audit(table, quarantine)
            with run.phase("data/features"):
                split = PrequentialSplit(table, config.data)
                earlier, latest = split.validation(), split.final()
                encoding = retrain.encoding(config, table, earlier.train)  # of both folds: either knows these rows
                X = (
                    encoding.extend(features.compute(table, config.data), table)
                    if days is None
                    else shards.compute(days, config.data, run, scheduler=config.train.scheduler)
                )
            select_on, decide_on = examples.divide(table, X, earlier)
            train_on, test_on = examples.divide(table, X, latest)
            with run.phase("data/earlier_run"):
                before = retrain.load(config, table, X.columns)
            select_on = retrain.without_seen(before, earlier, select_on)
            train_on = retrain.without_seen(before, latest, train_on)
            run.dataset["folds"] = {"validation": earlier.state(), "test": latest.state()}
            for sentence in (*earlier.doubts(), *latest.doubts()):
                run.warn(sentence)

        run.device = model.choose_device(config, rows=train_on.rows, run=run).state()
        with run.phase("score/floor"):  # logistic regression, through the same two folds
            trial = Linear.fit(select_on, l2=config.train.l2)
            choice = decisions.decide(config.report, trial.logits(decide_on.X), decide_on)
        run.pace = duration.follow(
            config,
            run,
            select_on=select_on,
            decide_on=decide_on,
            train_on=train_on,
            test_on=test_on,
            floor=trial,
            ceiling=ceiling,
            target=target,
            history=history,
            made=made,
        )
        after_seconds = run.pace.finalise.seconds
        with Progress(retrain.stages(config), unit=model.unit(config), after_seconds=after_seconds) as progress:
            way, fitted, compared = retrain.select(config, before, select_on, decide_on, run=run, progress=progress)
            with run.phase("score/decide"):
                decision = decisions.decide(config.report, fitted.logits(decide_on.X), decide_on)
            if config.train.refit:
                progress.finish(next_steps={"refit": fitted.steps})
                chosen, steps = fitted, fitted.steps
                try:
                    fitted = retrain.fit(config, before, way, train_on, steps=steps, run=run, progress=progress)
                except TooLittleTimeError:  # the model is there, of days that are older
                    run.warn(f"{NOT_REFITTED}: the model is that of the days before.")
                else:
                    with run.phase("score/decide"):
                        unlabelled = examples.waiting(table, X, latest)
                        decision = decisions.carry_over(decision, chosen.logits(unlabelled), fitted.logits(unlabelled))

        with run.phase("score"):
            probabilities = decision.probabilities(fitted.logits(test_on.X))
            run.scores = metrics.score(test_on, probabilities, decision.threshold, config.report, seed=seed)
            run.score_notes = metrics.notes(config.report)
            by_group = groups.of(table, latest.test)
            run.slices = metrics.slices(test_on.y, probabilities, decision.threshold, by_group)
            with run.phase("score/floor"):
                linear = Linear.fit(train_on, l2=config.train.l2)
                unlabelled = examples.waiting(table, X, latest)
                choice = decisions.carry_over(choice, trial.logits(unlabelled), linear.logits(unlabelled))
                floor = choice.probabilities(linear.logits(test_on.X))
                floor_scores = metrics.score(test_on, floor, choice.threshold, config.report, seed=seed)
            for metric, scores in run.scores.items():
                scores["floor"] = {"name": "logistic regression", **floor_scores[metric]}
            for sentence in doubts.about(decision, fitted, decide_on, test_on, probabilities, run.scores):
                run.warn(sentence)
            both = {name: probabilities, "logistic regression": floor}
            run.figures = figures.draw(test_on, both, decision.threshold, config.report)
            known = (decision.probabilities(fitted.logits(train_on.X)), probabilities)
            run.dataset["stability"] = monitor.stability(X.columns, train_on.X, test_on.X, known)
            weeks = monitor.of_test(table, latest, probabilities, decision.threshold, config.data)
            run.dataset["performance_by_period"] = weeks
            run.figures += monitor.draw(run.dataset["stability"], weeks) + retrain.draw(compared)

        with run.phase("finalise"):
            saved = fitted.save(run.folder)
            run.model = {"name": name, **fitted.state(), **saved, "features": X.columns, "extras": encoding.state()}
            run.model |= {**decision.state(), **compared}
            run.pages["MODEL_CARD.md"] = model_card
            run.pages["DATA_CARD.md"] = data_card
    return {
        "run": str(run.folder),
        "status": run.status,
        "wall_seconds": run.wall_seconds,
        "scores": run.scores,
        "advice": compared.get("advice", ""),
        "report": str(run.folder / "report.html"),
    }
