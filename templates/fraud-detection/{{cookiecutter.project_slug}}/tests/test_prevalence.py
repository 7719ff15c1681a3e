"""A calibrated score is a probability: on the slice of time that calibrates, its mean is the share of frauds."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from fraud_detection import decisions
from fraud_detection.config import Report
from fraud_detection.examples import Examples

ROWS = 20_000


def examples(seed: int) -> tuple[Examples, np.ndarray]:
    """Rare frauds, and logits that know something of them."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(-6, 2, ROWS)
    y = (rng.random(ROWS) < 1 / (1 + np.exp(-risk))).astype(np.int8)
    amounts = rng.lognormal(3, 1, ROWS)
    return Examples(np.zeros((ROWS, 1), np.float32), y, amounts, pl.Series([0] * ROWS), np.arange(ROWS)), risk


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("shift", [0.0, 4.6])  # 4.6: what weighting frauds a hundredfold does to a logit
def test_mean_score_is_the_prevalence(shift: float, scale: float) -> None:
    """However far the logits are off, too sure or shifted by class weights, the mean comes back within 2 %."""
    given, risk = examples(0)
    logits = scale * risk + shift
    probabilities = decisions.decide(Report(), logits, given).probabilities(logits)
    raw = 1 / (1 + np.exp(-logits))
    assert pytest.approx(given.y.mean(), rel=0.02) == probabilities.mean()
    assert (scale, shift) == (1.0, 0.0) or abs(raw.mean() / given.y.mean() - 1) > 0.1  # there was something to mend


def test_it_holds_on_later_transactions_of_the_same_kind() -> None:
    """Calibrated on one slice, the mean on another is the share of frauds there, but for chance."""
    (first, risk), (second, later) = examples(1), examples(2)
    found = decisions.decide(Report(), 3 * risk, first).probabilities(3 * later).mean()
    deviation = np.sqrt(2 * second.y.mean() / ROWS)
    assert abs(found - second.y.mean()) < 3 * deviation
