"""Scores of segmentation from counts."""

from __future__ import annotations

import numpy as np
import pytest

from driving_perception import metrics


def tally(truth: np.ndarray, answer: np.ndarray, classes: tuple[str, ...] = ("road", "person")) -> metrics.Tally:
    """Return the counts of frames (frames, height, width)."""
    found = metrics.Tally(classes)
    for one, other in zip(truth, answer, strict=True):
        found.add(one.astype(np.uint8), other.astype(np.uint8), np.full(one.shape, 0.8, np.float32))
    return found


def test_mean_iou_is_computed_from_all_pixels_together() -> None:
    """Intersection and union are summed over the frames before they are divided; 255 is left out."""
    truth = np.zeros((2, 8, 8), int)
    truth[0, :, :4] = 1
    truth[1, 0] = 255
    answer = np.zeros((2, 8, 8), int)
    answer[0, :, :2] = 1
    found = metrics.score(tally(truth, answer), np.array(["a", "b"]), gate_class="person", resamples=0, seed=0)
    road, person = (32 + 56) / (32 + 56 + 16), 16 / 32
    assert (road + person) / 2 == pytest.approx(found["mean_iou"]["value"])
    assert 0.5 == found["person_recall"]["value"]
    assert (32 + 56 + 16) / 120 == pytest.approx(found["pixel_accuracy"]["value"])
    assert abs(0.8 - 104 / 120) == pytest.approx(found["calibration_error"]["value"])


def test_a_class_that_nobody_sees_is_no_zero() -> None:
    """Neither in the truth nor in the answer: it does not lower the mean."""
    frame = np.zeros((1, 8, 8), int)
    found = metrics.score(tally(frame, frame, ("road", "car")), np.array(["a"]), gate_class="", resamples=0, seed=0)
    assert 1.0 == found["mean_iou"]["value"]
    assert "boundary_f1" not in found  # one class alone has no boundary


def test_boundaries_count_within_the_tolerance() -> None:
    """A boundary one pixel off is found, one that is ten pixels off is not."""
    truth, near, far = (np.zeros((1, 80, 80), int) for _ in range(3))
    truth[0, :, 40:], near[0, :, 41:], far[0, :, 52:] = 1, 1, 1
    sequences = np.array(["a"])
    good, bad = (
        metrics.score(tally(truth, answer), sequences, gate_class="", resamples=0, seed=0)["boundary_f1"]["value"]
        for answer in (near, far)
    )
    assert 1.0 == good
    assert 0.0 == bad


def test_slices_tell_apart_attributes_sequences_and_distance() -> None:
    """A person near the lower edge is found, one far away is missed; too few pixels give no recall."""
    truth = np.zeros((2, 40, 40), int)
    truth[0, 2:12, :10] = 1
    truth[0, 32:, :10] = 1
    answer = np.zeros((2, 40, 40), int)
    answer[0, 32:, :10] = 1
    rows = metrics.slices(
        tally(truth, answer),
        np.array(["a", "b"]),
        {"weather": np.array(["rainy", "undefined"], object)},
        gate_class="person",
    )
    recall = {row["slice"]: row["person_recall"] for row in rows}
    assert {"weather: rainy", "sequence: a", "sequence: b"} <= set(recall)
    assert "weather: undefined" not in recall
    assert 0.0 == recall["distance: far (upper half)"]
    assert 1.0 == recall["distance: near (lowest quarter)"]
    assert recall["sequence: b"] is None


def test_the_location_prior_is_what_is_usual_there() -> None:
    """Most training masks have road below; pixels that are always ignored do no harm."""
    masks = np.zeros((3, 20, 20), np.uint8)
    masks[:, 10:] = 1
    masks[0, :, :5] = 255
    prior = metrics.location_prior(masks, 2)
    assert (prior[:8] == 0).all()
    assert (prior[12:] == 1).all()


def test_intervals_draw_whole_sequences() -> None:
    """With one good and one bad sequence the interval reaches from one to the other."""
    truth = np.zeros((8, 8, 8), int)
    truth[:, :, 4:] = 1
    answer = truth.copy()
    answer[4:] = 0
    found = metrics.score(tally(truth, answer), np.array(["a"] * 4 + ["b"] * 4), gate_class="", resamples=200, seed=0)
    assert 0.25 == pytest.approx(found["mean_iou"]["low"])
    assert 1.0 == found["mean_iou"]["high"]
