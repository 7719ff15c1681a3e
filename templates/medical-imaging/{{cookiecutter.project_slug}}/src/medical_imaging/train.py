"""Training from top to bottom: images, split, features, model, decision, scores, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medical_imaging import (
    data,
    decisions,
    doubts,
    duration,
    explain,
    figures,
    fitting,
    floor,
    judging,
    letters,
    metrics,
    model,
    splits,
    targets,
)
from medical_imaging.cards import data_card, model_card
from medical_imaging.config import Config
from paceline import device, estimate, fit_keras, record
from paceline.budget import Ceiling, TooLittleTimeError
from paceline.progress import Progress
from paceline.quarantine import Quarantine


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
    """Train the configured model, score it on the test patients, and leave a run folder with everything about it.

    Validation stops training early, calibrates, and sets the operating points; with several folds each member is
    watched by its own, and all of them together take that part. The test is looked at once, at the end, and so is the
    external site.

    Args:
        config: the resolved configuration.
        runs_folder: where the run's folder is made.
        command: the command line, for the record.
        started: the performance counter's reading that counts as zero; see `record.start`.
        resume: the folder of a run to go on with.
        ceiling: the most wall time; see `paceline.budget`.
        target: a cross-entropy of validation whose time is to be predicted.
        history: the folder of earlier runs that predictions learn from; `runs_folder` by default.
        made: is given each prediction of the run's time, once it is in the record.

    Returns:
        `run` (the folder), `status`, `wall_seconds`, `scores`, `report`.
    """
    device.refuse_unusable(config.train.device)  # a mistake that needs no data to be seen
    name, seed, exclusive = config.model.name, config.train.seed, config.model.task == "multiclass"
    with record.start(config, runs_folder, name=name, command=command, started=started, resume=resume) as run:
        with run.phase("data"):
            quarantine = Quarantine(run.folder / "quarantine.jsonl")
            cohort = data.load(config.data, config.model.task, quarantine, run=run)
            split = splits.divide(cohort, config.data, seed)
            run.dataset = data.audit(cohort, split, quarantine)
            learned = targets.to_learn(cohort.labels, config.train.uncertain, seed=seed)
            truth = targets.to_judge(cohort.labels)
            weights = targets.class_weights(learned[split.train], exclusive=exclusive)

        with run.phase("build"):
            run.device = fit_keras.prepare(config.train.device, seed=seed, precision=config.train.precision).state()
            backbone = model.build_backbone(config, cohort.images.shape[-1])
        folds = fitting.folds(config, cohort, split)
        watched = np.concatenate([watch_on for _, watch_on in folds])
        offsets = np.log(weights) if config.train.loss == "weighted" else np.zeros(len(weights))
        with run.phase("score/floor"):
            low = floor.logits(cohort.images, truth, split.train)
            level = decisions.decide(config.report, low[watched], truth[watched], 0 * offsets, exclusive=exclusive)
            since = run.clock.elapsed()
            of_floor = judging.scores(cohort, split, level, low, config.report, seed=seed)
            after = duration.after_classifier(config, cohort, split, run.clock.elapsed() - since)
        stages = fitting.stages(config)
        run.pace = duration.follow(
            config, run, stages, after, data_bytes=cohort.images.nbytes, ceiling=ceiling, target=target,
            history=history, made=made,
        )  # fmt: skip
        members: list[model.Member] = []
        with Progress(stages, unit="epoch", after_seconds=run.pace.finalise.seconds) as progress:
            for number, (learn_on, watch_on) in enumerate(folds):
                suffix = f"_{number + 1}" if len(folds) > 1 else ""
                if number and name != "frozen":
                    backbone = model.build_backbone(config, cohort.images.shape[-1])
                try:
                    member = fitting.fit(
                        config, backbone, cohort.images, learned, weights, learn_on, watch_on,
                        suffix=suffix, run=run, progress=progress,
                    )  # fmt: skip
                except TooLittleTimeError:
                    if not members:
                        raise
                    run.warn(f"The time was enough for {len(members)} of {len(folds)} members; these are the model.")
                    break
                members.append(member)
        folds = folds[: len(members)]
        watched = np.concatenate([watch_on for _, watch_on in folds])
        fitted = model.Trained(tuple(members), frozen=name == "frozen")

        with run.phase("score"):
            logits = fitted.logits(config, cohort.images, run)
            unseen = fitting.out_of_fold(config, fitted, cohort.images, folds, logits, run)
            decision = decisions.decide(config.report, unseen[watched], truth[watched], offsets, exclusive=exclusive)
            run.scores = judging.scores(cohort, split, decision, logits, config.report, seed=seed)
            run.score_notes = metrics.notes(exclusive=exclusive)
            run.slices = judging.slices(cohort, split, decision, logits, config.report, seed=seed)
            for metric, value in of_floor.items():
                run.scores[metric]["floor"] = {"name": floor.NAME, **value}
            with run.phase("score/explain"):
                usual = np.asarray(cohort.images[split.train[: explain.USUAL_IMAGES]])
                everything = np.concatenate([split.test, split.external])
                pointing, by_group = explain.pointing_score(cohort, everything, fitted, usual)
                if pointing:
                    run.scores["pointing_game"] = pointing
                read, read_by_class = letters.effect(
                    cohort, everything, lambda images: fitted.logits(config, images, run), decision,
                    resamples=config.report.resamples, seed=seed,
                )  # fmt: skip
                if read:
                    run.scores["letters_effect"] = read
                    run.scores["heat_on_letters"] = explain.on_letters(
                        cohort, everything, fitted, usual, letters.most_moved(read_by_class),
                        resamples=config.report.resamples, seed=seed,
                    )  # fmt: skip
            judged = judging.judge(cohort, split.test, decision, logits)
            for sentence in doubts.about(
                judging.judge(cohort, watched, decision, unseen), judged, run.scores, read_by_class
            ):
                run.warn(sentence)
            by_class = metrics.by_class(judged, resamples=config.report.resamples, seed=seed)
            raw = replace(judged, chances=decision.uncalibrated(logits[split.test]))
            run.figures = figures.draw(judged, raw, by_class)
            run.figures += figures.letters(read_by_class)
            run.figures += figures.heatmaps(cohort, split.test, judged, fitted, usual, config.report.heatmaps)

        with run.phase("finalise"):
            run.model = {"name": name, "backbone": config.model.backbone, "classes": list(cohort.classes)}
            run.model |= {**fitted.save(run.folder), **decision.state(), "by_class": by_class}
            run.model |= {"pointing_game": by_group} if by_group else {}
            run.model |= {"letters_effect": read_by_class} if read_by_class else {}
            run.pages["MODEL_CARD.md"] = model_card
            run.pages["DATA_CARD.md"] = data_card
    return {
        "run": str(run.folder),
        "status": run.status,
        "wall_seconds": run.wall_seconds,
        "scores": run.scores,
        "report": str(run.folder / "report.html"),
    }
