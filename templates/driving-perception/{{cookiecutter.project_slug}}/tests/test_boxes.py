"""Which answer is which object, and average precision."""

from __future__ import annotations

import numpy as np
import pytest

from driving_perception import boxes

NONE = np.zeros((0, 4), np.float32)


def frame(*rows: tuple[float, ...]) -> np.ndarray:
    """Return boxes as an array."""
    return np.array(rows, np.float32)


def test_an_object_belongs_to_the_surest_answer() -> None:
    """A second answer for the same object is wrong, as is one of another class."""
    truth = [(frame((0, 0, 0, 10, 10)), NONE)]
    found = [frame((0, 0, 0, 10, 10, 0.6), (0, 0, 0, 10, 9, 0.9), (1, 0, 0, 10, 10, 0.9))]
    matched = boxes.match(truth, found, ("car", "person"), height_px=100)
    assert {(0, 0.9, True), (0, 0.6, False), (1, 0.9, False)} == {
        (int(number), round(float(sure), 3), bool(right))
        for number, sure, right in zip(matched.number, matched.sure, matched.right, strict=True)
    }


def test_answers_in_ignored_regions_count_neither_way() -> None:
    """A crowd that nobody has labelled one by one."""
    truth = [(frame((0, 0, 0, 10, 10)), frame((50, 50, 90, 90)))]
    found = [frame((0, 0, 0, 10, 10, 0.9), (0, 55, 55, 65, 65, 0.95))]
    matched = boxes.match(truth, found, ("car",), height_px=100)
    scores = boxes.score(matched, np.array(["a"]), gate_class="car", resamples=0, seed=0)
    assert 1.0 == scores["ap50"]["value"]
    assert 1.0 == scores["car_recall"]["value"]


def test_average_precision_goes_down_with_surer_mistakes() -> None:
    """A mistake below all right answers costs nothing, one above them does."""
    right = np.array([True, True, False])
    assert 1.0 == boxes.average_precision(np.array([0.9, 0.8, 0.1]), right, np.ones(3), 2)
    assert boxes.average_precision(np.array([0.8, 0.7, 0.9]), right, np.ones(3), 2) == pytest.approx(2 / 3)
    assert np.isnan(boxes.average_precision(np.array([]), np.array([], bool), np.array([]), 0))


def test_repeated_answers_are_suppressed_by_class() -> None:
    """Of two that nearly agree the surer stays; another class may lie there as well."""
    found = frame((0, 0, 0, 10, 10, 0.9), (0, 0, 0, 10, 9, 0.8), (1, 0, 0, 10, 10, 0.7))
    assert [[0, 0.9], [1, 0.7]] == [[row[0], pytest.approx(row[5])] for row in boxes.suppress(found).tolist()]


def test_slices_weigh_their_own_frames() -> None:
    """By day the car is found, by night it is not."""
    truth = [(frame((0, 0, 0, 10, 10)), NONE)] * 2
    found = [frame((0, 0, 0, 10, 10, 0.9)), np.zeros((0, 6), np.float32)]
    matched = boxes.match(truth, found, ("car",), height_px=10)
    rows = boxes.slices(matched, {"timeofday": np.array(["daytime", "night"], object)}, gate_class="car")
    assert [("timeofday: daytime", 1.0, 1.0), ("timeofday: night", 0.0, 0.0)] == [
        (row["slice"], row["ap50"], row["car_recall"]) for row in rows[:2]
    ]
    assert [0, 1] == boxes.missed(matched).tolist()


def test_slices_tell_what_is_near_from_what_is_far() -> None:
    """By the lower edge: the near car is found, the far one is not, and a wrong answer counts where it stands."""
    truth = [(frame((0, 0, 40, 10, 50), (0, 60, 60, 90, 90)), NONE)]
    found = [frame((0, 58, 60, 88, 90, 0.9), (0, 30, 65, 40, 70, 0.95))]
    rows = boxes.slices(boxes.match(truth, found, ("car",), height_px=100), {}, gate_class="car")
    assert [("distance: far (upper half)", 0.0, 0.0), ("distance: near (lowest quarter)", 1.0, 1.0)] == [
        (row["slice"], row["ap50"], row["car_recall"]) for row in rows
    ]
