"""Operating points and calibration on small, known cases."""

from __future__ import annotations

import numpy as np
import pytest

from medical_imaging import decisions
from medical_imaging.config import Report
from medical_imaging.decisions import Decision

TRUTH = np.array([0, 0, 0, 1, 0, 1, 1, 1, np.nan], dtype=np.float32)
CHANCES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.99])


@pytest.mark.parametrize(
    ("rule", "at_least", "expected"),
    [("sensitivity", 1.0 - 1e-9, 0.4), ("sensitivity", 0.75, 0.6), ("specificity", 0.9, 0.6), ("youden", 0.5, 0.4)],
)
def test_the_threshold_is_the_tightest_that_keeps_its_promise(rule: str, at_least: float, expected: float) -> None:
    """The unknown row counts for nothing."""
    assert expected == decisions.threshold(Report(operating_point=rule, at_least=at_least), CHANCES, TRUTH)


def test_one_class_only_is_left_at_a_half() -> None:
    """Nothing can be chosen from it."""
    assert decisions.UNDECIDED == decisions.threshold(Report(), CHANCES[:3], TRUTH[:3])


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_class_weights_added_is_taken_off(exclusive: bool) -> None:
    """Logits that are true but for an offset and a factor come out as the true probabilities, on average."""
    rng = np.random.default_rng(0)
    true = rng.normal(-1, 1.5, (4000, 2))
    if exclusive:
        chance = 1 / (1 + np.exp(true[:, 0] - true[:, 1]))
        truth = np.eye(2, dtype=np.float32)[(rng.random(4000) < chance).astype(int)]
    else:
        truth = (rng.random((4000, 2)) < 1 / (1 + np.exp(-true))).astype(np.float32)
    offsets = np.array([1.2, 0.4])
    decision = decisions.decide(Report(), true * 3 + offsets, truth, offsets, exclusive=exclusive)
    assert 3 == pytest.approx(np.mean(decision.temperatures), rel=0.1)
    np.testing.assert_allclose(truth.mean(axis=0), decision.probabilities(true * 3 + offsets).mean(axis=0), atol=0.02)


def test_a_decision_is_kept_in_the_record() -> None:
    """And read again as it was."""
    decision = Decision(True, (0.1, 0.2), (1.5,), "a rule", (0.4, 0.6))
    assert decision == Decision.from_state(decision.state())
