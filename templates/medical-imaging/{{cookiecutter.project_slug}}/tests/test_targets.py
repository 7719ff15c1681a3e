"""Labels become targets as the policy says, and rare classes weigh more."""

from __future__ import annotations

import numpy as np
import pytest

from medical_imaging import targets

LABELS = np.array([[1, 0], [-1, np.nan], [0, -1]], dtype=np.float32)


@pytest.mark.parametrize(("policy", "expected"), [("ignore", -1.0), ("zeros", 0.0), ("ones", 1.0)])
def test_an_uncertain_label_becomes_what_the_policy_says(policy: targets.Policy, expected: float) -> None:
    """Certain ones stay; a missing one is unknown whatever the policy."""
    found = targets.to_learn(LABELS, policy, seed=0)
    assert [[1.0, 0.0], [expected, -1.0], [0.0, expected]] == found.tolist()


def test_smoothed_labels_are_drawn_from_a_range() -> None:
    """The same for a seed."""
    labels = np.full((200, 1), -1, dtype=np.float32)
    found = targets.to_learn(labels, "smooth", seed=3)
    assert 0.55 <= found.min() < found.max() <= 0.85
    np.testing.assert_array_equal(found, targets.to_learn(labels, "smooth", seed=3))


def test_uncertain_labels_judge_nothing() -> None:
    """They are as unknown as missing ones."""
    np.testing.assert_array_equal([[1, 0], [np.nan, np.nan], [0, np.nan]], targets.to_judge(LABELS))


def test_class_weights_balance() -> None:
    """Positives of a class weigh as all its negatives; of exclusive classes each weighs as much as another."""
    known = np.array([[1, 1], [0, -1], [0, 0], [0, 0]], dtype=np.float32)
    assert [3.0, 2.0] == targets.class_weights(known, exclusive=False).tolist()
    one_hot = np.eye(2, dtype=np.float32)[[0, 1, 1, 1]]
    weights = targets.class_weights(one_hot, exclusive=True)
    assert (one_hot * weights).sum(axis=0)[0] == pytest.approx((one_hot * weights).sum(axis=0)[1])
