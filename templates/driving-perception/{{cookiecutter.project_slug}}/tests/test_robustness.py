"""Bad sight."""

from __future__ import annotations

import numpy as np
import pytest

from driving_perception import robustness


@pytest.mark.parametrize("condition", sorted(robustness.CONDITIONS))
def test_a_condition_is_repeatable_and_changes_the_frame(condition: str) -> None:
    """The same seed gives the same frame, of the same size and type."""
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 50, 3), dtype=np.uint8)
    once, again = (robustness.under(condition, images, seed=3) for _ in range(2))
    assert np.array_equal(once, again)
    assert (images.shape, np.uint8) == (once.shape, once.dtype)
    assert not np.array_equal(images, once)


def test_fog_hides_what_is_far() -> None:
    """Contrast falls more above than below."""
    images = np.random.default_rng(0).integers(0, 256, (1, 40, 40, 3), dtype=np.uint8)
    seen = robustness.under("fog", images, seed=0)[0]
    assert seen[:10].std() < 0.5 * seen[-5:].std()


def test_the_dark_is_darker() -> None:
    """About a fifth of the light."""
    images = np.full((1, 20, 20, 3), 200, np.uint8)
    assert 80 < robustness.under("dark", images, seed=0).mean() < 110
