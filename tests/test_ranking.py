"""Ranking metrics against slow, plain implementations, with ties and weights."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from paceline.ranking import Ranking

Floats = NDArray[np.float64]
SEEDS = range(30)


def draw(seed: int) -> tuple[NDArray[np.int8], Floats, Floats]:
    """Return labels of both classes, scores with many ties or none, and weights of which some are zero."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(4, 80))
    labels = (rng.random(rows) < rng.uniform(0.05, 0.6)).astype(np.int8)
    labels[:2] = 0, 1
    scores = rng.integers(0, rng.integers(1, 8), rows) / 7 if seed % 3 else rng.normal(size=rows)
    weights = rng.integers(0, 4, rows).astype(np.float64)
    weights[:2] = 1, 2
    return labels, rng.permutation(scores), weights


@pytest.mark.parametrize("seed", SEEDS)
def test_ranking_equals_scikit_learn(seed: int) -> None:
    """Average precision and AUC, weighted and not, with ties."""
    labels, scores, weights = draw(seed)
    ranking = Ranking(labels, scores)
    for given in (np.ones(len(labels)), weights):
        expected = average_precision_score(labels, scores, sample_weight=given)
        assert ranking.average_precision(given) == pytest.approx(expected, abs=1e-12)
        expected = roc_auc_score(labels, scores, sample_weight=given)
        assert ranking.auc_roc(given) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fpr", [0.001, 0.1, 0.5])
def test_recall_at_fpr_is_the_best_threshold_that_is_allowed(seed: int, fpr: float) -> None:
    """Of all thresholds that stop at most so many negatives, the largest recall."""
    labels, scores, weights = draw(seed)
    false, true, _ = roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    expected = true[false <= fpr + 1e-12].max()
    assert Ranking(labels, scores).recall_at_fpr(weights, fpr) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_weight_counts_as_so_many_rows(seed: int) -> None:
    """The bootstrap draws a row twice by giving it the weight two."""
    labels, scores, weights = draw(seed)
    repeated = np.repeat(np.arange(len(labels)), weights.astype(int))
    once, ones = Ranking(labels[repeated], scores[repeated]), np.ones(len(repeated))
    ranking = Ranking(labels, scores)
    assert ranking.average_precision(weights) == pytest.approx(once.average_precision(ones), abs=1e-12)
    assert ranking.auc_roc(weights) == pytest.approx(once.auc_roc(ones), abs=1e-12)
    assert ranking.recall_at_fpr(weights, 0.2) == pytest.approx(once.recall_at_fpr(ones, 0.2), abs=1e-12)


@pytest.mark.parametrize("label", [0, 1])
def test_with_one_class_there_is_no_score(label: int) -> None:
    """NaN says so; a number would be read as one."""
    ranking = Ranking(np.full(5, label, np.int8), np.arange(5.0))
    assert np.isnan(ranking.auc_roc(np.ones(5)))
    if label == 0:
        assert np.isnan(ranking.average_precision(np.ones(5)))
        assert np.isnan(ranking.recall_at_fpr(np.ones(5), 0.1))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_curve_consists_of_thresholds(seed: int) -> None:
    """Each of its points is what taking all from some score on would give; it reaches all positives."""
    labels, scores, _ = draw(seed)
    recall, precision = Ranking(labels, scores).precision_recall_curve(50)
    alerts = [scores >= threshold for threshold in np.unique(scores)]
    possible = {(round(labels[a].sum() / labels.sum(), 9), round(float(labels[a].mean()), 9)) for a in alerts}
    assert {(round(a, 9), round(b, 9)) for a, b in zip(recall.tolist(), precision.tolist(), strict=True)} <= possible
    assert 1.0 == recall[-1]
    assert (np.diff(recall) >= 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_roc_curve_goes_from_corner_to_corner(seed: int) -> None:
    """Its points are those of scikit-learn, and it never falls."""
    labels, scores, _ = draw(seed)
    rate, recall = Ranking(labels, scores).roc_curve(1000)
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(false, rate, atol=1e-12)
    np.testing.assert_allclose(true, recall, atol=1e-12)
