"""Losses of segmentation."""

from __future__ import annotations

import numpy as np
import pytest

from driving_perception import losses
from driving_perception.losses import SegmentationLoss

KINDS = ("cross_entropy", "dice", "ohem", "focal")


def frame(sure: float) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of three classes in stripes, and logits at 1/4 that are right, as sure as said."""
    masks = np.repeat(np.array([0, 1, 2, 0], np.uint8), 4)[None, None].repeat(16, axis=1).repeat(2, axis=0)
    return masks, sure * np.eye(3, dtype=np.float32)[masks[:, ::4, ::4]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_surer_right_answer_costs_less(kind: str) -> None:
    """Each loss falls as the logits of the right class rise, towards nothing inside the stripes."""
    values = []
    for sure in (0.0, 3.0, 9.0):
        masks, logits = frame(sure)
        values.append(np.asarray(SegmentationLoss(kind, np.ones(3, np.float32))(masks, logits)))
    assert values[0] > values[1] > values[2] >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_ignored_pixels_do_not_count(kind: str) -> None:
    """Whatever is answered where the mask is 255, the loss stays; a frame that is all ignored costs nothing."""
    masks, logits = frame(2.0)
    masks[:, :8] = 255
    wrong = logits.copy()
    wrong[:, 0] = -wrong[:, 0]  # half a frame away from what counts
    loss = SegmentationLoss(kind, np.ones(3, np.float32))
    assert float(loss(masks, logits)) == pytest.approx(float(loss(masks, wrong)), rel=1e-5)
    masks[:] = 255
    assert float(loss(masks, logits)) == pytest.approx(1.0 if kind == "dice" else 0.0, abs=1e-5)


def test_a_class_of_more_weight_counts_more() -> None:
    """A mistake in the heavy class costs more than the same in a light one."""
    masks, logits = frame(2.0)
    costs = []
    for wrong in (1, 2):
        changed = logits.copy()
        changed[masks[:, ::4, ::4] == wrong] = [2.0, 0.0, 0.0]
        costs.append(float(SegmentationLoss("cross_entropy", np.array([1, 1, 5], np.float32))(masks, changed)))
    assert costs[0] < costs[1]


def test_class_weights_are_roots_of_median_frequency() -> None:
    """Of frequencies .75, .2 and .05 the median is .2; a class that is not there has weight 1."""
    mask = np.repeat(np.array([0, 1, 2, 255], np.uint8), [75, 20, 5, 50])[None, None]
    found = losses.class_weights(mask, 4, "sqrt_median_frequency")
    assert [np.sqrt(0.2 / 0.75), 1.0, 2.0, 1.0] == pytest.approx(found.tolist())
    assert [0.2 / 0.75, 1.0, 4.0, 1.0] == pytest.approx(losses.class_weights(mask, 4, "median_frequency").tolist())
    assert [1.0] * 4 == losses.class_weights(mask, 4, "none").tolist()


def test_the_watched_mean_iou_is_that_of_all_batches_together() -> None:
    """Counts add up over batches, rows of weight 0 (a filled batch) are left out."""
    metric = losses.MeanIoU(2)
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[0, :, 4:] = 1
    logits = np.zeros((2, 8, 8, 2), np.float32)
    logits[..., 0] = 1.0  # everything is class 0
    metric.update_state(masks, logits)
    assert float(metric.result()) == pytest.approx((0.75 + 0.0) / 2, abs=1e-5)
    metric.update_state(masks, logits, sample_weight=np.array([0.0, 1.0]))
    assert float(metric.result()) == pytest.approx((5 / 6) / 2, abs=1e-5)
