"""Ranking metrics with weights: rows sorted by score once, then any number of weightings of them.

Weights are how a bootstrap resamples whole customers or patients without sorting again (see `intervals`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Ranking:
    """Rows in the order of their score, the highest first.

    Args:
        labels: 1 for a positive row, 0 for a negative one.
        scores: any increasing function of the probability; ties count as in scikit-learn.

    >>> ranking = Ranking(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> ranking.auc_roc(np.ones(4)), round(ranking.average_precision(np.ones(4)), 4)
    (0.75, 0.8333)
    """

    def __init__(self, labels: NDArray[np.number[Any]], scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._positive = labels[self._order].astype(np.float64)
        self._ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True))  # last place of each group of ties

    def _cumulative(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weight of positive and of negative rows at or above each distinct score."""
        ordered = weights[self._order]
        positives = np.cumsum(ordered * self._positive)[self._ends]
        return positives, np.cumsum(ordered)[self._ends] - positives

    def average_precision(self, weights: Floats) -> float:
        """Return the average precision, NaN without positives; equals scikit-learn's `average_precision_score`."""
        positives, negatives = self._cumulative(weights)
        found = positives + negatives
        precision = np.divide(positives, found, out=np.zeros_like(positives), where=found > 0)
        return _ratio(float(np.diff(positives, prepend=0.0) @ precision), positives[-1])

    def auc_roc(self, weights: Floats) -> float:
        """Return the area under the ROC curve, NaN with one class only; equals scikit-learn's `roc_auc_score`."""
        positives, negatives = self._cumulative(weights)
        area = float(np.diff(negatives, prepend=0.0) @ (positives + np.append(0.0, positives[:-1]))) / 2
        return _ratio(area, positives[-1] * negatives[-1])

    def precision_recall_curve(self, points: int) -> tuple[Floats, Floats]:
        """Return recall and precision at about `points` thresholds, spread evenly over the recall."""
        positives, negatives = self._cumulative(np.ones(len(self._order)))
        recall, precision = positives / positives[-1], positives / (positives + negatives)
        found = recall > 0  # before the first positive the precision is 0 by definition, not by merit
        places = np.unique(np.searchsorted(recall[found], np.linspace(0, 1, points)).clip(max=int(found.sum()) - 1))
        return recall[found][places], precision[found][places]

    def roc_curve(self, points: int) -> tuple[Floats, Floats]:
        """Return the false positive rate and the recall at about `points` thresholds, from (0, 0) to (1, 1)."""
        positives, negatives = self._cumulative(np.ones(len(self._order)))
        rate, recall = np.append(0.0, negatives / negatives[-1]), np.append(0.0, positives / positives[-1])
        places = np.unique(np.linspace(0, len(rate) - 1, points).round().astype(np.int64))
        return rate[places], recall[places]

    def recall_at_fpr(self, weights: Floats, fpr: float) -> float:
        """Return the largest share of positives found while at most `fpr` of the negatives are, NaN as above."""
        positives, negatives = self._cumulative(weights)
        allowed = int(np.searchsorted(negatives, fpr * negatives[-1] * (1 + 1e-12), side="right"))
        return _ratio(float(positives[allowed - 1]) if allowed else 0.0, positives[-1])


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
