"""A run scored again: test sequences with intervals and slices, under bad sight, and held to its safety gate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driving_perception import data, model, predict, robustness, splits, tasks
from driving_perception.config import Report
from driving_perception.data import Scenes
from paceline import report
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine
from paceline.report import figure


def evaluate(folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Score the run in `folder` on its test sequences and write `evaluation.html` and `.json` into it.

    Returns:
        `scores` and `slices` as in the run record, `robustness` (see `under_bad_sight`), `gate`, `warnings`, `sheet`.

    Raises:
        PacelineError: it is no finished run, the safety gate asks for a class that the model does not know, or it is
            not passed; then both files are there.
    """
    run = predict.load(folder, overrides)
    doubts = tasks.ungated(run.config.model.task, run.task.classes, run.config.report)
    quarantine = Quarantine(folder / "evaluation.quarantine.jsonl")
    scenes = data.load(run.config.data, run.config.model.task, quarantine)
    run.check_classes(scenes)
    split = splits.divide(scenes, run.config.data, run.config.train.seed)
    answers = model.predict(run.model, scenes.images, split.test)
    found = run.task.evaluate(scenes, split.test, split.train, answers, run.config)
    rows = under_bad_sight(run, scenes, split.test, split.train)
    gate = judge(found.slices, found.scores, run.config.report)
    facts = {
        "run": str(folder),
        "scores": found.scores,
        "slices": found.slices,
        "robustness": rows,
        "gate": gate,
        "warnings": [*split.warnings, *doubts, *found.warnings],
        "quarantined": quarantine.quarantined,
    }
    charts = list(found.figures)
    if rows:
        score = next(iter(found.scores))
        charts.insert(0, _chart(rows, score))
    answer = report.write_sheet(folder / "evaluation.html", f"Evaluation of {folder.name}", facts, charts)
    if not gate["passed"]:
        failed = ", ".join(f"{row['slice']} {row['recall']:.3f}" for row in gate["failed"][:5])
        raise PacelineError(
            f"The recall of '{gate['class']}' is below {gate['least_recall']:g} in {len(gate['failed'])} of "
            f"{gate['slices']} slices: {failed}.",
            f"Do not release this model; see {answer['sheet']}.",
        )
    return answer


def judge(slices: Sequence[dict[str, Any]], scores: dict[str, Any], config: Report) -> dict[str, Any]:
    """Hold the recall of the gate's class in every slice, and over all, to the least that is allowed.

    A slice in which the class has too few pixels says nothing and is not judged; a class that nothing judges fails.

    Returns:
        `class`, `least_recall`, `slices` (how many were judged), `failed` (rows of `slice`, `recall`), `passed`.
    """
    columns = {column for row in (scores, *slices) for column in row}
    known = (f"{name}_recall" for name in tasks.gate_names(config))
    name = next((each for each in known if each in columns), "")
    rows = [{"slice": row["slice"], "recall": row[name]} for row in slices if row.get(name) is not None]
    if name in scores:
        rows.insert(0, {"slice": "all frames", "recall": scores[name]["value"]})
    gate = {"class": config.gate_class, "least_recall": config.gate_recall, "slices": len(rows)}
    if not config.gate_class or not config.gate_recall:
        return {**gate, "failed": [], "passed": True}
    if not rows:
        raise PacelineError(
            f"The safety gate asks for the recall of '{config.gate_class}', which the test does not have.",
            "Name a class of the data: --set report.gate_class=..., or more test sequences.",
        )
    failed = [row for row in rows if row["recall"] < config.gate_recall]
    return {**gate, "failed": failed, "passed": not failed}


def under_bad_sight(
    run: predict.TrainedRun, scenes: Scenes, test: NDArray[np.int64], train: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Return the leading score on up to `report.robustness_frames` test frames, as they are and under each condition.

    Returns:
        Rows of `condition`, `frames`, the score by its name, and `change` against the frames as they are.
    """
    count = run.config.report.robustness_frames
    if not count:
        return []
    rows = test[np.unique(np.linspace(0, len(test) - 1, min(count, len(test))).round().astype(int))]
    config = run.config.model_copy(
        update={"report": run.config.report.model_copy(update={"resamples": 0, "worst_frames": 0})}
    )
    images = model.take(scenes.images, rows)
    found: list[dict[str, Any]] = []
    for condition in ("none", *robustness.CONDITIONS):
        seen = images if condition == "none" else robustness.under(condition, images, seed=run.config.train.seed)
        answers = model.predict(run.model, seen, np.arange(len(seen)))
        scores = run.task.evaluate(scenes, rows, train, answers, config).scores
        if not scores:
            return []
        name = next(iter(scores))
        value = scores[name]["value"]
        change = value - found[0][name] if found else 0.0
        found.append({"condition": condition, "frames": len(rows), name: value, "change": change})
    return found


def _chart(rows: list[dict[str, Any]], score: str) -> dict[str, Any]:
    return figure.bar(
        "Under bad sight",
        [figure.series("test frames", [row["condition"] for row in rows], [row[score] for row in rows])],
        x_label="condition",
        y_label=score.replace("_", " "),
        caption=f"{rows[0]['frames']} test frames, each under one condition of fixed strength.",
    )
