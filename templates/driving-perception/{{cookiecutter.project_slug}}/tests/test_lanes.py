"""Lanes as columns by row, and TuSimple's figures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from driving_perception import lanes
from driving_perception.lanes import AWAY, Lanes

TASK = Lanes((48, 64))
LEFT = np.array([[28, 20], [12, 47]], np.float32)
RIGHT = np.array([[36, 20], [58, 47]], np.float32)


def columns(*found: np.ndarray) -> np.ndarray:
    """Return the columns of polylines."""
    return lanes.slots(found, (48, 64))


def test_lanes_are_told_apart_by_their_side() -> None:
    """The order in which they are given does not matter; what is too short is left out."""
    found = columns(RIGHT, LEFT, np.array([[30, 40], [31, 44]], np.float32))
    assert [False, True, True, False] == (found >= 0).any(axis=0).tolist()
    assert found[:, 1][found[:, 1] >= 0].max() < 32
    assert np.array_equal(found, columns(LEFT, RIGHT))


def test_rows_that_a_lane_does_not_cross_are_away() -> None:
    """Above the horizon nothing is."""
    found = columns(LEFT)
    assert (found[lanes.row_centres(48) < 20] == AWAY).all()
    assert (found[lanes.row_centres(48) > 22, 1] > 0).all()


def answer_of(places: np.ndarray) -> dict[str, np.ndarray]:
    """Return logits that say what the targets (rows, slots) want."""
    cells = np.arange(16)[:, None]
    return {
        "places": -8.0 * np.abs(cells[None] - places[:, None]).astype(np.float32),
        "there": np.where(places != AWAY, 5.0, -5.0).astype(np.float32),
    }


def test_what_is_wanted_reads_as_the_lanes() -> None:
    """Columns come back within a fraction of a cell, mirrored ones from the mirrored targets."""
    targets = TASK.targets(SimpleNamespace(lanes=((LEFT, RIGHT),)))
    truth = columns(LEFT, RIGHT)
    found = TASK.decide(answer_of(targets["places"][0]))
    assert np.array_equal(truth >= 0, found >= 0)
    assert np.abs(found - truth).max() < 2.0
    flipped = TASK.flip({name: value[0] for name, value in targets.items()})
    mirrored = columns(*(np.array([[64, 0]]) + lane * [-1, 1] for lane in (LEFT, RIGHT)))
    again = TASK.decide(answer_of(flipped["places"]))
    assert np.abs(again - mirrored).max() < 2.0


def test_tusimple_accuracy() -> None:
    """All right is 1; a lane that is missed, and one that is none, are counted."""
    truth = columns(LEFT, RIGHT)
    assert (1.0, 2.0, 0.0, 2.0, 0.0) == lanes.compare(truth, truth, 64)
    accuracy, there, missed, answers, wrong = lanes.compare(columns(RIGHT), truth, 64)
    assert (2.0, 1.0, 1.0, 0.0) == (there, missed, answers, wrong)
    assert 0.5 <= accuracy < 1.0
    shifted = np.where(truth >= 0, truth + 10, AWAY)
    assert (2.0, 2.0) == lanes.compare(shifted, truth, 64)[3:]


def test_a_part_of_the_image_is_compared_alone() -> None:
    """Right near the vehicle, wrong further away; the halves of the height make the whole."""
    truth = columns(LEFT, RIGHT)
    found = np.where((np.arange(12) < 9)[:, None] & (truth >= 0), truth + 10, truth)
    near = [lanes.within(each, 0.75, 1.0) for each in (found, truth)]
    assert (1.0, 2.0, 0.0) == lanes.compare(*near, 64)[:3]
    middle = [lanes.within(each, 0.5, 0.75) for each in (found, truth)]
    assert (2.0, 2.0) == lanes.compare(*middle, 64)[1:3]
    assert np.array_equal(truth, np.maximum(lanes.within(truth, 0, 0.5), lanes.within(truth, 0.5, 1)))


def test_the_floor_is_the_usual_place() -> None:
    """The median of the training lanes, where at least half of the frames have one."""
    truth = columns(LEFT, RIGHT)
    mean = lanes.mean_lanes(np.stack([truth, truth, np.full_like(truth, AWAY)]))
    assert truth.tolist() == pytest.approx(mean)
