"""Losses and the watched AUROC against plain NumPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medical_imaging import losses

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (12, 3)).astype(np.float32)
TRUTH = (RNG.random((12, 3)) < 0.4).astype(np.float32)
ONES = np.ones(3, np.float32)


def test_a_class_weight_multiplies_its_positives() -> None:
    """Binary cross-entropy, the mean over the classes."""
    weights = np.array([1.0, 3.0, 0.5], np.float32)
    found = np.asarray(losses.CrossEntropy("weighted", weights, exclusive=False).call(TRUTH, LOGITS))
    chance = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    expected = -(TRUTH * weights * np.log(chance) + (1 - TRUTH) * np.log(1 - chance)).mean(axis=1)
    np.testing.assert_allclose(expected, found, rtol=1e-4)


def test_an_unknown_target_counts_nothing() -> None:
    """Whatever the logit there."""
    loss = losses.CrossEntropy("plain", ONES, exclusive=False)
    unknown = TRUTH.copy()
    unknown[:, 1] = -1
    other = LOGITS.copy()
    other[:, 1] = 9
    np.testing.assert_allclose(np.asarray(loss.call(unknown, LOGITS)), np.asarray(loss.call(unknown, other)))


@pytest.mark.parametrize("exclusive", [False, True])
def test_the_focal_loss_cares_less_for_what_is_easy(exclusive: bool) -> None:
    """A sure and right answer loses nearly all of its loss, a wrong one little."""
    truth = np.array([[1, 0, 0]], np.float32)
    ratios = []
    for logits in ([[4, -4, -4]], [[-4, 4, -4]]):
        found = [
            float(np.asarray(losses.CrossEntropy(kind, ONES, exclusive=exclusive).call(truth, np.float32(logits)))[0])
            for kind in ("focal", "plain")
        ]
        ratios.append(found[0] / found[1])
    assert ratios[0] < 0.01 < 0.6 < ratios[1] <= 1


def test_exclusive_classes_share_a_softmax() -> None:
    """Cross-entropy of the true class, weighted by it."""
    truth = np.eye(3, dtype=np.float32)[[0, 2]]
    weights = np.array([2.0, 1.0, 0.5], np.float32)
    found = np.asarray(losses.CrossEntropy("weighted", weights, exclusive=True).call(truth, LOGITS[:2]))
    logs = LOGITS[:2] - np.log(np.exp(LOGITS[:2]).sum(axis=1, keepdims=True))
    np.testing.assert_allclose([-2 * logs[0, 0], -0.5 * logs[1, 2]], found, rtol=1e-4)


def test_the_watched_auroc_is_that_of_scikit_learn() -> None:
    """Up to its bins; unknown targets and rows of weight 0 are left out."""
    rng = np.random.default_rng(1)
    truth = (rng.random((400, 2)) < 0.3).astype(np.float32)
    logits = (rng.normal(0, 1, (400, 2)) + truth).astype(np.float32)
    given = truth.copy()
    given[:50, 0] = -1
    weights = np.ones(400, np.float32)
    weights[390:] = 0
    metric = losses.AUROC(2)
    metric.update_state(given[:200], logits[:200], weights[:200])
    metric.update_state(given[200:], logits[200:], weights[200:])
    expected = np.mean(
        [roc_auc_score(truth[50:390, 0], logits[50:390, 0]), roc_auc_score(truth[:390, 1], logits[:390, 1])]
    )
    assert float(metric.result()) == pytest.approx(expected, abs=0.01)


def test_a_perfect_outline_has_no_loss() -> None:
    """And an opposite one nearly the largest Dice loss."""
    truth = np.zeros((1, 8, 8), np.float32)
    truth[0, 2:5, 2:5] = 1
    right = float(np.asarray(losses.Overlap().call(truth, (truth * 2 - 1) * 20))[0])
    wrong = float(np.asarray(losses.Overlap().call(truth, (1 - truth * 2) * 20))[0])
    assert right == pytest.approx(0, abs=1e-3)
    assert wrong > 20
