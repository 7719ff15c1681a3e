"""Time to the same score: what counts as reaching it, and what is unknown."""

from __future__ import annotations

import math
from typing import Any

import pytest

from paceline.levers import convergence
from paceline.levers.convergence import Trained


def trained(*scores: float, larger: bool = True, pace: float = 1.0) -> Trained:
    """Return a training with a score every `pace` seconds."""
    return Trained(larger, [(pace * (at + 1), score) for at, score in enumerate(scores)], pace * len(scores))


def test_the_target_is_the_score_that_every_training_without_reaches() -> None:
    """Seeds 0 and 1 reach .8 and .9 without the lever, so .8 is the score that counts."""
    found = convergence.compare(
        [trained(0.5, 0.7, 0.8), trained(0.6, 0.8, 0.9)], [trained(0.8, 0.81), trained(0.5, 0.85)]
    )
    assert (0.8, 2) == (found["target"], found["reached"])
    assert pytest.approx(math.sqrt(3 / 1 * 2 / 2)) == found["time_gain"].value
    assert pytest.approx(math.sqrt(3 / 2 * 3 / 2)) == found["training_gain"].value
    assert pytest.approx(-0.02) == found["score_change"]


def test_a_score_that_is_not_reached_is_no_gain() -> None:
    """Sooner over is not sooner there."""
    found = convergence.compare([trained(0.5, 0.8)], [trained(0.7)])
    assert (None, 0) == (found["time_gain"], found["reached"])


def test_smaller_scores_may_be_better() -> None:
    """Of a loss, the largest of the smallest is the target."""
    found = convergence.compare(
        [trained(3, 2, larger=False), trained(3, 1, larger=False)], [trained(2, larger=False)] * 2
    )
    assert (2, 2.0) == (found["target"], found["time_gain"].value)


def test_training_is_cut_when_time_is_up_and_says_so(task: Any, config: Any) -> None:
    """A training that was cut counts for nothing."""
    readings = iter(range(100))
    cut = convergence.train(task, "prepared", config, seed=0, until=5.0, read=lambda: float(next(readings)))
    assert (True, 6) == (cut.cut, len(cut.rows))
    whole = convergence.train(task, "prepared", config, seed=2, until=1e9, read=lambda: 0.0)
    assert (False, 40) == (whole.cut, len(whole.rows))
    assert pytest.approx(0.102) == whole.rows[0][1]
