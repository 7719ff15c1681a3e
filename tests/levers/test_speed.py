"""Gains with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from paceline.levers import speed
from paceline.levers.turns import Turn


def test_a_gain_is_the_ratio_of_seconds_for_the_same_epochs() -> None:
    """Three times the epochs in the same time are three times as fast."""
    gain = speed.of_turns([[Turn(1.0, 2.0), Turn(3.0, 2.0)]] * 5)
    assert gain is not None
    assert pytest.approx(3.0) == gain.value
    assert gain.sure


def test_few_pairs_have_no_interval_and_are_never_sure() -> None:
    """Three pairs say nothing about their spread, whatever they are."""
    gain = speed.of_ratios([2.0, 2.0, 2.0])
    assert gain is not None
    assert (None, None, False) == (gain.low, gain.high, gain.sure)
    assert speed.of_ratios([]) is None


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 300 sets of 12 noisy pairs, the 90 % interval holds the true gain in 80 to 95 %: with few it is short."""
    rng = np.random.default_rng(1)
    gains = [speed.of_ratios(1.5 * np.exp(rng.normal(0, 0.1, 12))) for _ in range(300)]  # type: ignore[arg-type]
    covered = [gain.low <= 1.5 <= gain.high for gain in gains if gain and gain.low and gain.high]
    assert 300 == len(covered)
    assert 0.8 <= np.mean(covered) <= 0.95


def test_no_change_is_not_sure() -> None:
    """Pairs on both sides of 1 do not make a gain."""
    gain = speed.of_ratios([0.9, 1.1, 1.05, 0.95, 1.0, 1.02])
    assert gain is not None
    assert not gain.sure
