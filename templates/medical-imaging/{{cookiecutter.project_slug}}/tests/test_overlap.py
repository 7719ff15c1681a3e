"""Overlap of outlines on masks small enough to count."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medical_imaging import overlap


def square(left: int, width: int = 4) -> NDArray[np.bool_]:
    """Return a mask of 16 by 16 pixels with a square of so many, its left edge at `left`."""
    mask = np.zeros((16, 16), dtype=bool)
    mask[4 : 4 + width, left : left + width] = True
    return mask


def test_dice_and_iou_count_pixels() -> None:
    """A square moved by half its width: 8 of 16 pixels common, 24 in either."""
    found, true = np.stack([square(2)]), np.stack([square(4)])
    assert [0.5] == overlap.dice(found, true).tolist()
    assert [pytest.approx(8 / 24)] == overlap.iou(found, true).tolist()


def test_hausdorff_is_the_shift() -> None:
    """A square moved by three pixels is three pixels off; without a lesion there is no distance."""
    empty = np.zeros((16, 16), dtype=bool)
    found = overlap.hausdorff(np.stack([square(2), empty]), np.stack([square(5), square(2)]))
    assert 3.0 == found[0]
    assert np.isnan(found[1])


def test_images_without_a_lesion_count_as_alarms_only() -> None:
    """Of two healthy images one is drawn into; of two lesions one is missed."""
    empty = np.zeros((16, 16), dtype=bool)
    found = np.stack([square(2), empty, square(2), empty])
    true = np.stack([square(2), square(2), empty, empty])
    scores = overlap.score(found, true, np.arange(4), resamples=0, seed=0)
    assert (0.5, 0.5, 0.5) == tuple(scores[name]["value"] for name in ("dice", "missed", "false_alarms"))


def test_the_threshold_is_that_of_the_best_dice() -> None:
    """What is drawn at 0.6 and more is the lesion here."""
    chances = np.where(square(4), 0.7, 0.45)[None].astype(float)
    assert 0.45 < overlap.best_threshold(chances, square(4)[None]) <= 0.7
