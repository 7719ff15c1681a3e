"""When a training goes back: what counts as diverged, and what as too little memory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paceline import recovery
from paceline.recovery import Recovery


@pytest.mark.parametrize(
    ("expected", "losses", "loss"),
    [
        (True, [], math.nan),
        (True, [1.0, 0.9], math.inf),
        (False, [], 1e9),
        (False, [1.0], 1.9),
        (True, [1.0], 2.1),
        (False, [1.0, 0.5, 0.3, 0.2], 0.5),  # much for a spike, but not half of what was gained
        (True, [1.0, 0.5, 0.3, 0.2], 1.2),
        (False, [1.0, 0.01, 0.001, 0.001, 0.001], 0.05),  # fifty times as high, and still well trained
        (True, [1.0, 0.01, 0.001, 0.001, 0.001], 0.6),
        (False, [-2.0, -2.1, -2.2], -2.3),  # some losses are negative
        (True, [-2.0, -2.1, -2.2], 3.0),
        (False, [0.0, 0.0, 0.0], 0.0),
    ],
)
def test_a_spike_is_far_above_the_recent_losses(expected: bool, losses: list[float], loss: float) -> None:
    """By the three measures at once, so that neither a noisy nor a nearly finished training gives a false alarm."""
    assert expected == recovery.diverged(losses, loss)


def test_noise_is_no_spike() -> None:
    """Two hundred courses that fall with 20 % noise, and none is sent back."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        losses = np.exp(-np.arange(40) / 10) * rng.lognormal(0, 0.2, 40) + 0.05
        alarms += sum(recovery.diverged(list(losses[:at]), losses[at]) for at in range(1, 40))
    assert 0 == alarms


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


@pytest.mark.parametrize(
    ("expected", "error"),
    [
        (True, MemoryError()),
        (True, RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")),
        (True, OutOfMemoryError("CUDA out of memory.")),
        (False, RuntimeError("INVALID_ARGUMENT: shapes do not fit")),
        (False, KeyboardInterrupt()),
    ],
)
def test_memory_that_does_not_suffice_is_told_from_other_errors(expected: bool, error: BaseException) -> None:
    """In the words of NumPy, JAX and torch; also below the error that a clean-up raised after it."""
    assert expected == recovery.out_of_memory(error)
    after = RuntimeError("Array has been deleted.")
    after.__context__ = error
    assert expected == recovery.out_of_memory(after)


def test_what_was_given_up_is_kept_in_a_checkpoint() -> None:
    """And read again."""
    given_up = Recovery(rollbacks=2, micro_batches=4, validation_parts=2)
    assert given_up == Recovery.load(given_up.dump())
