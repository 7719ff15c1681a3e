"""Scenes of fewer frames and of smaller ones: annotations stay where they are in the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from driving_perception import frames
from driving_perception.data import Scenes
from driving_perception.detection import Detection
from driving_perception.lanes import Lanes


def test_some_frames_keep_what_is_known_of_them(scenes: Callable[..., Scenes]) -> None:
    """In the order asked for."""
    some = frames.rows_of(scenes("aabbc", ["train"] * 4 + ["test"]), np.array([4, 1]))
    assert some.official is not None
    assert (["c", "a"], ["test", "train"]) == (some.sequences.tolist(), some.official.tolist())
    assert ("c/004", "a/001") == some.names
    assert (2, 32, 32, 3) == some.images.shape


def test_smaller_frames_have_smaller_annotations(scenes: Callable[..., Scenes]) -> None:
    """Pixels and masks by half, a mask's classes unmixed; boxes and lanes too, so that targets of a task fit."""
    known = scenes("a")
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[:, :, 16:] = 200
    mask = (image[..., 0] > 0).astype(np.uint8) * 7
    box = np.array([[0, 4, 8, 16, 32]], np.float32)
    lane = np.array([[8, 0], [16, 31]], np.float32)
    known = replace(known, images=image, masks=mask, boxes=(box,), lanes=((lane,),), ignored_boxes=(box[:, 1:],))
    small = frames.shrink(known)
    assert (1, 16, 16, 3) == small.images.shape
    assert small.masks is not None
    assert small.boxes is not None
    assert small.lanes is not None
    assert small.ignored_boxes is not None
    np.testing.assert_array_equal(image[:, ::2, ::2], small.images)
    np.testing.assert_array_equal(mask[:, ::2, ::2], small.masks)
    np.testing.assert_array_equal([[0, 2, 4, 8, 16]], small.boxes[0])
    np.testing.assert_array_equal([[2, 4, 8, 16]], small.ignored_boxes[0])
    np.testing.assert_array_equal(lane / 2, small.lanes[0][0])
    assert (1, 4, 4, 1) == Detection(("road",), (16, 16)).targets(small)["centres"].shape
    assert (1, 4, 4) == Lanes((16, 16)).targets(small)["places"].shape
