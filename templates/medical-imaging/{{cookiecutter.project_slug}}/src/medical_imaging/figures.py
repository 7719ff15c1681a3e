"""The domain's own charts in the report: ROC curves, scores by class, calibration before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging import explain
from medical_imaging.cohort import Cohort
from medical_imaging.metrics import Judged, reliability
from medical_imaging.model import Trained
from paceline.ranking import Ranking
from paceline.report import figure

POINTS = 120  # of a curve; more cannot be seen
MOST_CLASSES = 8  # in one chart; more curves cannot be told apart


def draw(judged: Judged, raw: Judged, by_class: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the charts of the test images.

    Args:
        judged: with calibrated probabilities.
        raw: the same with what the network itself says.
        by_class: as `metrics.by_class` gives it.
    """
    curves, points = [], []
    for place, row in enumerate(by_class[:MOST_CLASSES]):
        known = ~np.isnan(judged.truth[:, place])
        truth, chances = judged.truth[known, place].astype(np.int8), judged.chances[known, place]
        if 0 < truth.sum() < len(truth):
            rate, recall = Ranking(truth, chances).roc_curve(POINTS)
            curves.append(figure.series(row["class"], rate.tolist(), recall.tolist()))
            points.append({"name": "", "x": 1 - row["specificity"]["value"], "y": row["sensitivity"]["value"]})
    charts = []
    if curves:
        charts.append(
            figure.line(
                "Sensitivity against false alarms",
                curves,
                x_label="1 - specificity",
                y_label="sensitivity",
                caption="Test patients, a curve a class. The points are the operating points, chosen on validation.",
                lines=[{"name": "chance", "from": [0.0, 0.0], "to": [1.0, 1.0]}],
                points=points,
            )
        )
    shown = [row for row in by_class[:20] if not np.isnan(row["auroc"]["value"])]
    if shown:
        parts = [[row["auroc"][key] for row in shown] for key in ("value", "low", "high")]
        charts.append(
            figure.interval(
                "AUROC by class",
                [figure.series("test", [row["class"] for row in shown], *parts)],
                x_label="class",
                y_label="AUROC",
                caption="95 % intervals of a bootstrap over patients.",
            )
        )
    series = []
    for name, part in (("calibrated", judged), ("as trained", raw)):
        bins = reliability(part)
        values = [[getattr(each, key) for each in bins] for key in ("mean_predicted", "observed", "low", "high")]
        series.append(figure.series(name, *values))
    charts.append(
        figure.interval(
            "Are the probabilities right?",
            series,
            x_label="mean predicted probability",
            y_label="observed share",
            caption="All classes of the test together, in bins of equal size, with Wilson's 95 % intervals. On the "
            "dotted line a probability means what it says.",
            lines=[{"name": "calibrated", "from": [0.0, 0.0], "to": [1.0, 1.0]}],
        )
    )
    return charts


def letters(by_class: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the chart of what burned-in letters do to the answer; none where there are none.

    Args:
        by_class: as `letters.effect` gives it.
    """
    if not by_class:
        return []
    series = []
    for name, key in (("as it is", "with_letters"), ("letters erased", "letters_erased")):
        parts = [[row[key][part] for row in by_class[:MOST_CLASSES]] for part in ("value", "low", "high")]
        series.append(figure.series(name, [row["class"] for row in by_class[:MOST_CLASSES]], *parts))
    return [
        figure.interval(
            "Does it read burned-in letters?",
            series,
            x_label="class",
            y_label="mean probability",
            caption=f"The {by_class[0]['images']} images of the test and the external site with letters near the "
            "border, and the same with the letters erased. What was learned from the body is equal in both. "
            "95 % intervals of a bootstrap over patients.",
        )
    ]


def heatmaps(
    cohort: Cohort, rows: NDArray[np.int64], judged: Judged, fitted: Trained, usual: NDArray[Any], count: int
) -> list[dict[str, Any]]:
    """Return pictures of where the model saw what it is surest of, a class in turn; none if `count` is 0.

    Args:
        cohort: the images.
        rows: those of `judged`.
        judged: the test images.
        fitted: the model.
        usual: see `explain.heatmaps`.
        count: of pictures.
    """
    sure = judged.chances - judged.thresholds
    ranked = [np.argsort(-sure[:, column], kind="stable") for column in range(sure.shape[1])]
    picked = [(int(order[place]), column) for place in range(count) for column, order in enumerate(ranked)]
    picked = [(place, column) for place, column in picked if sure[place, column] >= 0][:count]
    if not picked:
        return []
    places, columns = [list(part) for part in zip(*picked, strict=True)]
    images = np.asarray(cohort.images[rows[places]])
    heats = explain.heatmaps(fitted, images, columns, usual)
    shown, names, descriptions = [], [], []
    for image, heat, place, column in zip(images, heats, places, columns, strict=True):
        row, name = rows[place], judged.classes[column]
        lesion = None if cohort.lesions is None else cohort.lesions[row] == column + 1
        shown.append(explain.overlay(image, heat, lesion))
        truth = {1.0: "present", 0.0: "absent"}.get(float(judged.truth[place, column]), "unknown")
        names.append(f"{name} {judged.chances[place, column]:.0%}, {truth}")
        descriptions.append(f"Image {cohort.items[row]} with the places that speak for {name}.")
    return [
        figure.pictures(
            "Where it looks",
            shown,
            names=names,
            descriptions=descriptions,
            caption="Test images it is surest of, class by class: its probability, and whether the finding is there. "
            "Orange speaks for the finding; the blue outline is the lesion, where a mask tells.",
        )
    ]
