"""The domain's own charts in the report: precision and recall, what a calling team finds, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud_detection.config import Report
from fraud_detection.examples import Examples
from fraud_detection.metrics import CardRanking, Ranking
from paceline import calibrate
from paceline.report import figure

POINTS = 200  # of a curve; more cannot be seen
RELIABILITY_BINS = 12


def draw(examples: Examples, probabilities: dict[str, NDArray[np.float64]], config: Report) -> list[dict[str, Any]]:
    """Return the charts of the evaluated transactions.

    Args:
        examples: the evaluated transactions.
        probabilities: of fraud by each model, the run's own first.
        config: `alert_budget_per_day` is marked.
    """
    ks = np.unique(np.round(np.geomspace(5, max(200, 2 * config.alert_budget_per_day), 16)).astype(int))
    curves, cards = [], []
    for name, scores in probabilities.items():
        recall, precision = Ranking(examples.y, scores).precision_recall_curve(POINTS)
        curves.append(figure.series(name, recall.tolist(), precision.tolist()))
        ranking = CardRanking(examples.days, examples.customers, examples.y, scores)
        cards.append(figure.series(name, ks.tolist(), [ranking.precision_at_k(int(k)) for k in ks]))
    own = next(iter(probabilities.values()))
    bins = calibrate.reliability(examples.y, own, bins=RELIABILITY_BINS, binning="log_width")
    least, most = bins[0].mean_predicted, bins[-1].mean_predicted
    return [
        figure.line(
            "Precision against recall",
            curves,
            x_label="share of frauds found",
            y_label="share of alerts that are fraud",
            caption="Each point is a threshold. The level line is what alerting at random would give.",
            lines=[{"name": "prevalence", "y": float(examples.y.mean())}],
        ),
        figure.line(
            "What a team finds that calls k cards a day",
            cards,
            x_label="cards called a day (k)",
            y_label="share of them compromised",
            caption="Mean over the test days. A card that was found is not called again.",
            lines=[{"name": "alert budget", "x": config.alert_budget_per_day}],
            x_scale="log",
        ),
        figure.interval(
            "Are the scores probabilities?",
            [
                figure.series(
                    "test days",
                    [part.mean_predicted for part in bins],
                    [part.observed for part in bins],
                    [part.low for part in bins],
                    [part.high for part in bins],
                )
            ],
            x_label="mean predicted probability",
            y_label="observed share of fraud",
            x_scale="log",
            caption="Bins on a log scale, with 95 % intervals. On the dotted curve a score means what it says.",
            lines=[{"name": "calibrated", "from": [least, least], "to": [most, most]}],
        ),
    ]
