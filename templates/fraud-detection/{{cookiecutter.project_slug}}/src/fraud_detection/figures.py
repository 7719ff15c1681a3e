"""The domain's own charts in the report: precision and recall, what a team finds and saves, calibration, drift."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud_detection.config import Report
from fraud_detection.costs import Costs, alert_budget_curve, cost_curve
from fraud_detection.examples import Examples
from fraud_detection.metrics import CardRanking
from paceline import calibrate
from paceline.ranking import Ranking
from paceline.report import figure

POINTS = 200  # of a curve; more cannot be seen
RELIABILITY_BINS = 12


def draw(
    examples: Examples, probabilities: dict[str, NDArray[np.float64]], threshold: float, config: Report
) -> list[dict[str, Any]]:
    """Return the charts of the evaluated transactions.

    Args:
        examples: the evaluated transactions.
        probabilities: of fraud by each model, the run's own first.
        threshold: of the run's own model, is marked.
        config: `alert_budget_per_day` is marked, `review_cost` used.
    """
    ks = np.unique(np.round(np.geomspace(5, max(200, 2 * config.alert_budget_per_day), 16)).astype(int))
    curves, cards, costs, caught = [], [], [], []
    for name, scores in probabilities.items():
        recall, precision = Ranking(examples.y, scores).precision_recall_curve(POINTS)
        curves.append(figure.series(name, recall.tolist(), precision.tolist()))
        ranking = CardRanking(examples.days, examples.customers, examples.y, scores)
        cards.append(figure.series(name, ks.tolist(), [ranking.precision_at_k(int(k)) for k in ks]))
        thresholds, cost, _ = cost_curve(examples, scores, config.review_cost, POINTS)
        costs.append(figure.series(name, thresholds.tolist(), cost.tolist()))
        alerts, share, _ = alert_budget_curve(examples, scores, POINTS)
        caught.append(figure.series(name, alerts.tolist(), share.tolist()))
    own = next(iter(probabilities.values()))
    chosen = Costs.of(examples, own >= threshold, config.review_cost)
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
        figure.line(
            "What a threshold costs",
            costs,
            x_label="threshold (probability of fraud)",
            y_label="cost of 1000 transactions",
            caption=(
                f"Missed amounts and reviews at {config.review_cost:g} each. The threshold was chosen before these "
                "days; the lowest point can be known only after them."
            ),
            x_scale="log",
            lines=[
                {"name": "doing nothing", "y": 1000 * float(chosen.of_nothing.mean())},
                {"name": "perfect", "y": 1000 * float(chosen.of_perfect.mean())},
            ],
            points=[{"name": "chosen", "x": threshold, "y": 1000 * float(chosen.of_alerts.mean())}],
        ),
        figure.line(
            "What a number of alerts catches",
            caught,
            x_label="alerts a day",
            y_label="share of the fraud amount",
            caption="Transactions alerted in the order of their score; the point is the chosen threshold.",
            x_scale="log",
            points=[
                {
                    "name": "chosen",
                    "x": float((own >= threshold).sum()) / examples.days.n_unique(),
                    "y": float(examples.amounts @ (examples.y * (own >= threshold)))
                    / float(examples.amounts @ examples.y),
                }
            ]
            if (own >= threshold).any()
            else [],
        ),
        figure.interval(
            "Are the scores probabilities?",
            [
                figure.series(
                    "test days",
                    [part.mean_predicted for part in bins],
                    [part.observed for part in bins],
                    [part.low if part.observed > 0 else 0.0 for part in bins],  # not what rounding leaves of it
                    [part.high for part in bins],
                )
            ],
            x_label="mean predicted probability",
            y_label="observed share of fraud",
            x_scale="log",
            y_scale="log",
            caption=(
                "Bins on log scales, with 95 % intervals. On the dotted line a score means what it says. A hollow mark "
                "on the axis is a bin without a fraud; its interval reaches up to what may still be."
            ),
            lines=[
                {"name": "calibrated", "from": [least, least], "to": [most, most]},
                {"name": "threshold", "x": threshold},
            ],
        ),
    ]
