"""Frames that look alike: a perceptual hash of each, and the pairs of two groups that lie near each other."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 16  # of the hash, in bits
# Of SIDE² that may differ. On CamVid frames a fifth of a second apart differ in 36 to 76 bits, half of them in 46 at
# most, and frames of two drives in 79 at least.
NEAR_BITS = 48
CHUNK = 256


def hashes(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the difference hash (Krawetz, 2013) of each image: of 16 × 16 fields, whether the next is brighter.

    Args:
        images: (images, height, width, 3).

    Returns:
        (images, 4) of 64 bits each.
    """
    found = np.zeros((len(images), SIDE * SIDE // 64), np.uint64)
    for row, image in enumerate(images):
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
        bits = np.packbits(small[:, 1:] > small[:, :-1])
        found[row] = bits.view(np.uint64)
    return found


def near(some: NDArray[np.uint64], others: NDArray[np.uint64], bits: int = NEAR_BITS) -> NDArray[np.int64]:
    """Return (pairs, 2) of a row of `some` and the nearest row of `others`, where at most `bits` differ.

    >>> near(np.array([[0], [255]], np.uint64), np.array([[7], [254]], np.uint64), bits=2).tolist()
    [[1, 1]]
    """
    if not len(some) or not len(others):
        return np.zeros((0, 2), np.int64)
    pairs = []
    for start in range(0, len(some), CHUNK):
        part = some[start : start + CHUNK]
        distance = np.zeros((len(part), len(others)), np.uint16)
        for word in range(some.shape[1]):
            distance += np.bitwise_count(part[:, None, word] ^ others[None, :, word])
        nearest = distance.argmin(axis=1)
        pairs += [(start + row, at) for row, at in enumerate(nearest) if distance[row, at] <= bits]
    return np.array(pairs, np.int64).reshape(-1, 2)
