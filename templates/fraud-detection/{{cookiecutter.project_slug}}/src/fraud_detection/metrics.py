"""What fraud detection is judged by: ranking metrics with weights, card precision at k, recall, cost, slices.

`CardRanking` owns the metrics of cards a day; those of single transactions are `paceline.ranking`'s. Weights are how
the bootstrap resamples whole customers without sorting again (`paceline.intervals`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection.config import Report
from fraud_detection.costs import Costs
from fraud_detection.examples import Examples
from paceline import intervals
from paceline.ranking import Ranking

Floats = NDArray[np.float64]

FPR_LEVELS = (0.001, 0.005, 0.01)  # false positive rates at which recall is reported


class CardRanking:
    """Cards in the order of their highest score of a day: what a team sees that can call k cards a day.

    Following the Fraud Detection Handbook (chapter 4, "Precision top-k metrics"), a compromised card that was among
    the first k of a day is found: it is taken out of the days after it.

    Args:
        days: the day of each transaction.
        customers: codes from 0 on, of the card of each transaction.
        labels: 1 for fraud, 0 for honest.
        scores: of each transaction.
    """

    def __init__(
        self, days: pl.Series, customers: NDArray[np.int64], labels: NDArray[np.integer[Any]], scores: Floats
    ) -> None:
        cards = (
            pl.DataFrame({"day": days, "card": customers, "fraud": labels, "score": scores})
            .group_by("day", "card")
            .agg(pl.col("score").max(), pl.col("fraud").max())
            .sort("day", "score", "card", descending=[False, True, False])
        )
        self._days = [
            (part["card"].to_numpy(), part["fraud"].to_numpy().astype(np.float64))
            for part in cards.partition_by("day", maintain_order=True)
        ]
        self._cards = int(customers.max()) + 1

    def precision_at_k(self, k: int, card_weights: Floats | None = None) -> float:
        """Return the mean over days of the share of compromised cards among the first `k`.

        Args:
            k: cards a day; a day with fewer still divides by `k`.
            card_weights: how often each card counts, by its code; once by default.
        """
        weights = np.ones(self._cards) if card_weights is None else card_weights
        found = np.zeros(self._cards, dtype=bool)
        precisions = []
        for cards, fraud in self._days:
            weight = np.where(found[cards], 0.0, weights[cards])
            places = np.cumsum(weight)
            taken = np.clip(k - (places - weight), 0.0, weight)  # the part of each card's weight within the first k
            precisions.append(float(taken @ fraud) / k)
            found[cards[(taken > 0) & (fraud > 0)]] = True
        return float(np.mean(precisions))


def score(examples: Examples, probabilities: Floats, threshold: float, config: Report, *, seed: int) -> dict[str, Any]:
    """Return the metrics as the run record keeps them: `{name: {"value", "low", "high"}}`.

    `savings` is the share of the fraud amount that the alerts save, reviews paid, `savings_of_possible` the same as a
    share of what perfect knowledge would save.

    The intervals are 95 % percentile intervals of a bootstrap over customers, as a card's transactions are alike.

    Args:
        examples: the evaluated transactions.
        probabilities: of fraud, calibrated, one for each.
        threshold: the probability from which on a transaction is an alert.
        config: `alert_budget_per_day` is k of card precision at k; `review_cost` and `resamples` are used.
        seed: of the bootstrap.
    """
    ranking = Ranking(examples.y, probabilities)
    cards = CardRanking(examples.days, examples.customers, examples.y, probabilities)
    _, first_of_card = np.unique(examples.customers, return_index=True)
    fraud, alert = examples.y.astype(np.float64), (probabilities >= threshold).astype(np.float64)
    costs = Costs.of(examples, probabilities >= threshold, config.review_cost)
    k = config.alert_budget_per_day

    def statistics(weights: Floats) -> dict[str, float]:
        card_weights = np.zeros(int(examples.customers.max()) + 1)
        card_weights[examples.customers[first_of_card]] = weights[first_of_card]
        caught, alerts = float(weights @ (fraud * alert)), float(weights @ alert)
        frauds, rows = float(weights @ fraud), float(weights.sum())
        return {
            "average_precision": ranking.average_precision(weights),
            "auc_roc": ranking.auc_roc(weights),
            f"card_precision_at_{k}": cards.precision_at_k(k, card_weights),
            **{f"recall_at_{level:.1%}_fpr": ranking.recall_at_fpr(weights, level) for level in FPR_LEVELS},
            "mean_score_over_prevalence": _ratio(float(weights @ probabilities), frauds),
            "recall": _ratio(caught, frauds),
            "precision": _ratio(caught, alerts),
            "false_positive_rate": _ratio(alerts - caught, rows - frauds),
            "cost_per_1000_transactions": 1000 * _ratio(float(weights @ costs.of_alerts), rows),
            "savings": costs.savings(weights),
            "savings_of_possible": costs.savings_of_possible(weights),
        }

    found = intervals.bootstrap_many(statistics, examples.customers, resamples=config.resamples, seed=seed)
    return {name: interval.state() for name, interval in found.items()}


def notes(config: Report) -> dict[str, str]:
    """Return what the scores mean that a reader outside the field may not know."""
    k, cost = config.alert_budget_per_day, f"{config.review_cost:g}"
    return {
        f"card_precision_at_{k}": f"Share of compromised cards among the {k} most suspicious of a day, mean over days.",
        "mean_score_over_prevalence": "1: the probabilities add up to the frauds there were; above 1: too high.",
        "cost_per_1000_transactions": f"Missed fraud amounts plus {cost} for each alert, in the currency of the data.",
        "savings": "Share of the fraud amount that the alerts save, reviews paid; 0 is doing nothing.",
        "savings_of_possible": "The same as a share of what perfect knowledge would save.",
    }


def slices(
    labels: NDArray[np.int8], probabilities: Floats, threshold: float, groups: dict[str, pl.Series]
) -> list[dict[str, Any]]:
    """Return, for each value of each column of `groups`, how many there are, and the quality of the alerts there.

    Recall and precision say whom the model protects, the false positive rate whom it stops for nothing. Each comes with
    its Wilson interval, so that a slice of nine frauds is not mistaken for a finding.
    """
    alert = probabilities >= threshold
    rows = []
    for column, values in groups.items():
        for value in values.unique().drop_nulls().sort():
            here = (values == value).fill_null(False).to_numpy()
            fraud, alerts = labels[here] == 1, alert[here]
            caught = int((fraud & alerts).sum())
            rows.append(
                {
                    "slice": f"{column}={value}",
                    "transactions": int(here.sum()),
                    "frauds": int(fraud.sum()),
                    "recall": intervals.wilson(caught, int(fraud.sum())).state(),
                    "precision": intervals.wilson(caught, int(alerts.sum())).state(),
                    "false_positive_rate": intervals.wilson(int(alerts.sum()) - caught, int((~fraud).sum())).state(),
                }
            )
    return rows


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
