"""Progressive resizing: the first epochs on images of half the side, the others on whole ones.

Each size is a training of its own, with its own program, schedule and checkpoints; `hand_over` gives the weights of one
to the other. What a training on small images costs tells what that on whole ones will (Howard 2018, fast.ai; Karras et
al. 2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL = "small_images"  # the stage of the first epochs
WORK_ERROR = 0.2  # relative, of a step's time taken from one on images of another size, by their pixels


def divide(epochs: int, share: float) -> tuple[int, int]:
    """Return how many of `epochs` are on small images and how many on whole ones: one of the latter at least.

    >>> divide(10, 0.5), divide(3, 0.1), divide(1, 0.5), divide(10, 0.0)
    ((5, 5), (1, 2), (0, 1), (0, 10))
    """
    first = min(max(1, round(share * epochs)), epochs - 1) if share else 0
    return first, epochs - first


def shrink(images: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Return `images` (rows, height, width, channels) in a smaller size, each pixel the mean of what it covers.

    Args:
        images: a memory map is read image by image.
        size_px: height and width.
    """
    import cv2

    height, width = size_px
    smaller = np.empty((len(images), height, width, images.shape[-1]), np.uint8)
    for row, image in enumerate(images):
        small = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_AREA)
        smaller[row] = small.reshape(smaller.shape[1:])
    return smaller


def hand_over(giving: Any, taking: Any) -> None:
    """Give the weights of a Keras model to the same network for images of another size."""
    taking.set_weights(giving.get_weights())
