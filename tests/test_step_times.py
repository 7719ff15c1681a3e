"""The differential method: from three or four times of a step to what it is bound by."""

from __future__ import annotations

import pytest

from paceline import step_times
from paceline.step_times import StepTimes


@pytest.mark.parametrize(
    ("times", "bound"),
    [
        (StepTimes(32, 0.030, 0.010, 0.032, 8, 0.004), "input"),
        (StepTimes(32, 0.001, 0.010, 0.010, 8, 0.009), "launch"),
        (StepTimes(32, 0.001, 0.010, 0.011, 8, 0.003), "compute"),
        (StepTimes(32, 0.001, 0.010, 0.009, 8, 0.011), "launch"),  # noise: the small step took longer
        (StepTimes(2, 0.001, 0.010, 0.011), "not input"),
        (StepTimes(2, 0.030, 0.010, 0.031), "input"),
    ],
)
def test_the_largest_share_of_a_step_names_what_binds_it(times: StepTimes, bound: str) -> None:
    """With only one size, arithmetic and launching are not told apart."""
    assert bound == step_times.bound_by(times)
    assert pytest.approx(1.0, abs=1e-5) == sum(step_times.shares(times).values())
    assert all(0 <= share <= 1 for share in step_times.shares(times).values())


def test_the_verdict_gives_the_figures() -> None:
    """Loader, step, both, and the smaller step, in milliseconds."""
    text = " ".join(step_times.verdict(StepTimes(32, 0.030, 0.010, 0.032, 8, 0.004)))
    assert "It is input-bound: waiting for batches is 69 % of a step." in text
    assert "makes a batch in 30.0 ms, a step alone, on one repeated batch, takes 10.0 ms, both together 32.0 ms" in text
    assert "a step on 8 rows instead of 32 takes 4.00 ms, so 2.00 ms of it are" in text
    steep = " ".join(step_times.verdict(StepTimes(32, 0.001, 0.010, 0.010, 8, 0.002)))
    assert "so next to nothing of it is launching" in steep
    assert "was not told apart" in " ".join(step_times.verdict(StepTimes(2, 0.001, 0.010, 0.011)))
