"""What alerts cost and what they save: per transaction, over all thresholds, over all alert budgets.

An alert costs a review, a missed fraud its amount. Savings are measured between two ends, as in Bahnsen et al.,
"Example-dependent cost-sensitive decision trees" (2015): doing nothing costs the amounts of all frauds; perfect
knowledge reviews those frauds alone that are worth more than a review.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud_detection.examples import Examples

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """The cost of each transaction, in the currency of the amounts, by what is done.

    Attributes:
        of_alerts: with the alerts as they are.
        of_nothing: without any alert.
        of_perfect: with an alert for every fraud above the cost of a review, and no other.
    """

    of_alerts: Floats
    of_nothing: Floats
    of_perfect: Floats

    @classmethod
    def of(cls, examples: Examples, alerts: NDArray[np.bool_], review_cost: float) -> Costs:
        """Return the costs of `examples` where `alerts` says which of them are reviewed."""
        lost = examples.amounts * (examples.y == 1)
        return cls(np.where(alerts, review_cost, lost), lost, np.minimum(lost, review_cost))

    def savings(self, weights: Floats) -> float:
        """Return the share of the fraud amount that is saved, reviews paid; below 0 where alerts cost more than fraud.

        NaN without fraud.
        """
        return _share(self.of_nothing - self.of_alerts, self.of_nothing, weights)

    def savings_of_possible(self, weights: Floats) -> float:
        """Return what is saved as a share of what perfect knowledge would save; NaN where that is nothing."""
        return _share(self.of_nothing - self.of_alerts, self.of_nothing - self.of_perfect, weights)


def cost_curve(
    examples: Examples, probabilities: Floats, review_cost: float, points: int
) -> tuple[Floats, Floats, Floats]:
    """Return thresholds, falling, with the cost of 1,000 transactions and the alerts a day at each.

    The thresholds are about `points` of the probabilities, spread evenly over the logarithm of the number of alerts.
    """
    order, ends = _descending(probabilities)
    lost = (examples.amounts * (examples.y == 1))[order]
    places = _spread(ends, points)
    cost = lost.sum() - np.cumsum(lost)[places] + review_cost * (places + 1.0)
    return (
        probabilities[order][places],
        1000 * cost / len(order),
        (places + 1.0) / examples.days.n_unique(),
    )


def alert_budget_curve(examples: Examples, probabilities: Floats, points: int) -> tuple[Floats, Floats, Floats]:
    """Return alerts a day, rising, with the share of the fraud amount and of the frauds among them.

    Transactions with one score are alerted together, so a budget that ends inside such a group is left out.
    """
    order, ends = _descending(probabilities)
    lost = (examples.amounts * (examples.y == 1))[order]
    places = _spread(ends, points)
    caught, frauds = np.cumsum(lost)[places], np.cumsum(examples.y[order], dtype=np.float64)[places]
    return (places + 1.0) / examples.days.n_unique(), caught / lost.sum(), frauds / float(examples.y.sum())


def _descending(probabilities: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the order from the most suspicious on, and the last place of each group of equal scores."""
    order = np.argsort(-probabilities, kind="stable")
    return order, np.flatnonzero(np.append(np.diff(probabilities[order]) != 0, True))


def _spread(places: NDArray[np.intp], points: int) -> NDArray[np.intp]:
    wanted = np.geomspace(1, places[-1] + 1, points) - 1
    return places[np.unique(np.searchsorted(places, wanted.clip(max=places[-1])))]


def _share(part: Floats, whole: Floats, weights: Floats) -> float:
    total = float(weights @ whole)
    return float(weights @ part) / total if total > 0 else float("nan")
