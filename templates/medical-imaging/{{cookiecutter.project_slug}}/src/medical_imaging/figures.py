"""The domain's own charts in the report: ROC curves, scores by class, calibration before and after."""

from __future__ import annotations

from typing import Any

import numpy as np

from medical_imaging.metrics import Judged, reliability
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
