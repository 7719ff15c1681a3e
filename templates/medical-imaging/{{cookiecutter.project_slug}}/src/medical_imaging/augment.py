"""Images as they could as well have been taken: shifted, turned, zoomed, exposed otherwise; masks go with them.

No mirroring by default: in a chest the heart lies left, and a mirrored film is a wrong one (or situs inversus). No
crops that could cut a finding away, no colours, no elastic bending that would make a lesion of a normal structure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

TURN_DEGREES, SHIFT_SHARE, ZOOM_SHARE, CONTRAST_SHARE = 10.0, 0.08, 0.12, 0.3  # at strength 1

Augment = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]


def augmenting(strength: float, *, flip: bool, masks: bool = False) -> Augment | None:
    """Return a function that changes a batch for `paceline.batches`, None where nothing is to be changed.

    Args:
        strength: from 0 to 1.
        flip: whether a mirrored image is a possible one.
        masks: the targets are masks (images, height, width), which are moved as their images are.
    """
    if not strength and not flip:
        return None

    def change(images: Any, targets: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        changed = np.empty_like(images)
        moved = np.empty_like(targets) if masks else targets
        for row, image in enumerate(images):
            place = _placing(image.shape[0], strength, rng)
            mirror = flip and rng.random() < 0.5
            changed[row] = exposed(_moved(image, place, mirror, cv2.INTER_LINEAR), strength, rng)
            if masks:
                moved[row] = _moved(targets[row], place, mirror, cv2.INTER_NEAREST)
        return changed, moved

    return change


def views(images: NDArray[np.uint8], count: int, *, flip: bool) -> list[NDArray[np.uint8]]:
    """Return `count` versions of all images: as they are, mirrored where that is valid, then shifted a little.

    For averaging over in the test: always the same ones, without any change of exposure.
    """
    if count == 1:
        return [images]  # a memory map stays one
    shift = max(1, round(images.shape[1] * SHIFT_SHARE / 2))
    moves = [(0, 0), (shift, 0), (-shift, 0), (0, shift), (0, -shift)]
    choices = [(mirror, move) for move in moves for mirror in ((False, True) if flip else (False,))]
    return [np.stack([_shifted(image, move, mirror) for image in images]) for mirror, move in choices[:count]]


def exposed(image: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image with another contrast, brightness and gamma, by a look-up table."""
    gain = 1 + strength * CONTRAST_SHARE * rng.uniform(-1, 1)
    offset = strength * CONTRAST_SHARE * 64 * rng.uniform(-1, 1)
    gamma = np.exp(strength * CONTRAST_SHARE * rng.uniform(-1, 1))
    shades = 255 * (np.arange(256) / 255) ** gamma
    table = np.clip((shades - 128) * gain + 128 + offset, 0, 255).astype(np.uint8)
    seen: NDArray[np.uint8] = table[image]
    return seen


def _placing(size_px: int, strength: float, rng: np.random.Generator) -> NDArray[np.float64]:
    middle = (size_px - 1) / 2
    zoom = 1 + strength * ZOOM_SHARE * rng.uniform(-1, 1)
    matrix = cv2.getRotationMatrix2D((middle, middle), strength * TURN_DEGREES * rng.uniform(-1, 1), zoom)
    matrix[:, 2] += strength * SHIFT_SHARE * size_px * rng.uniform(-1, 1, 2)
    return np.asarray(matrix, dtype=np.float64)


def _moved(image: NDArray[Any], matrix: NDArray[np.float64], mirror: bool, interpolation: int) -> NDArray[Any]:
    size = (image.shape[1], image.shape[0])
    edge = cv2.BORDER_REPLICATE if interpolation == cv2.INTER_LINEAR else cv2.BORDER_CONSTANT
    moved = cv2.warpAffine(image, matrix, size, flags=interpolation, borderMode=edge)
    found: NDArray[Any] = moved.reshape(image.shape)
    return found[:, ::-1] if mirror else found


def _shifted(image: NDArray[np.uint8], move: tuple[int, int], mirror: bool) -> NDArray[np.uint8]:
    matrix = np.array([[1, 0, move[0]], [0, 1, move[1]]], dtype=np.float64)
    found = image if move == (0, 0) else _moved(image, matrix, False, cv2.INTER_LINEAR)
    return found[:, ::-1] if mirror else found
