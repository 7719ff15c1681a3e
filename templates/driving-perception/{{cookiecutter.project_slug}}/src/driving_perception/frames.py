"""Scenes of fewer frames, or of smaller ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from driving_perception.data import Scenes
from driving_perception.splits import Rows
from paceline import resizing

MULTIPLE_PX = 4  # that sides are of


def half_px(side_px: int) -> int:
    """Return half of a side, as a multiple of 4.

    >>> half_px(240), half_px(180)
    (120, 88)
    """
    return MULTIPLE_PX * round(side_px / 2 / MULTIPLE_PX)


def rows_of(scenes: Scenes, rows: Rows) -> Scenes:
    """Return the scenes with these frames alone."""

    def some(values: Any) -> Any:
        return None if values is None else tuple(values[row] for row in rows)

    return replace(
        scenes,
        images=np.asarray(scenes.images[rows]),
        masks=None if scenes.masks is None else np.asarray(scenes.masks[rows]),
        boxes=some(scenes.boxes),
        lanes=some(scenes.lanes),
        sequences=scenes.sequences[rows],
        attributes={name: values[rows] for name, values in scenes.attributes.items()},
        names=some(scenes.names),
        official=None if scenes.official is None else scenes.official[rows],
        source_size_px=scenes.source_size_px[rows],
        ignored_boxes=some(scenes.ignored_boxes),
    )


def shrink(scenes: Scenes) -> Scenes:
    """Return the scenes with sides of half the length, annotations included; of masks the nearest pixel stays."""
    height, width = scenes.images.shape[1:3]
    small = (half_px(height), half_px(width))
    x, y = small[1] / width, small[0] / height
    masks, lanes = scenes.masks, scenes.lanes
    if masks is not None:
        shrunk = [cv2.resize(np.asarray(mask), small[::-1], interpolation=cv2.INTER_NEAREST) for mask in masks]
        masks = np.stack(shrunk).astype(np.uint8)
    if lanes is not None:
        lanes = tuple(tuple((line * (x, y)).astype(np.float32) for line in of_frame) for of_frame in lanes)

    def scaled(boxes: Any, factors: tuple[float, ...]) -> Any:
        return None if boxes is None else tuple((each * factors).astype(np.float32) for each in boxes)

    return replace(
        scenes,
        images=resizing.shrink(scenes.images, small),
        masks=masks,
        boxes=scaled(scenes.boxes, (1.0, x, y, x, y)),
        lanes=lanes,
        ignored_boxes=scaled(scenes.ignored_boxes, (x, y, x, y)),
    )
