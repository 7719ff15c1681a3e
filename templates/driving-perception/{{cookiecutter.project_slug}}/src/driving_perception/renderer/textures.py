"""Textures made once per process: tiles of noise for the ground, facades, crowns of trees, clouds, grain.

Everything comes from one fixed seed, so that every process has the same. A flat colour has no statistics to learn from;
what a network takes over to real frames is mostly contrast at every scale.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer.canvas import Bytes

TILE = 256  # texels of one tile of ground, a power of two
TILE_M = 10.24  # that it covers at its finest level
LEVELS = 5
ASPHALT, WORN_ASPHALT, SLABS, GRASS, EARTH, COBBLES, SNOW, SLUSH = range(8)
GROUNDS = 8

Array = NDArray[np.float32]


def noise(rng: np.random.Generator, size: tuple[int, int], cells: int, octaves: int, fade: float = 0.6) -> Array:
    """Return tileable noise (h, w) with mean 0 and deviation 1; `cells` across at the coarsest octave."""
    height, width = size
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        across = cells * 2**octave
        down = max(1, across * height // width)
        if across >= width:
            total += fade**octave * rng.standard_normal(size, dtype=np.float32)
            continue
        grid = np.pad(rng.standard_normal((down, across), dtype=np.float32), 3, mode="wrap")
        scale = width / across
        wide = cv2.resize(grid, (width + round(6 * scale), height + round(6 * scale)), interpolation=cv2.INTER_CUBIC)
        y, x = round(3 * scale), round(3 * scale)
        total += fade**octave * wide[y : y + height, x : x + width]
    even: Array = (total - total.mean()) / total.std()
    return even


def tint(value: Array, low: tuple[int, int, int], high: tuple[int, int, int]) -> Array:
    """Return colours (h, w, 3) between `low` at -2 and `high` at 2."""
    share: Array = np.clip((value + 2) / 4, 0, 1)[..., None].astype(np.float32)
    colours: Array = np.array(low, np.float32) + share * (np.array(high, np.float32) - np.array(low, np.float32))
    return colours


def padded(picture: Bytes) -> Bytes:
    """Return RGB with a fourth channel that says nothing: OpenCV warps four in half the time of three."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA), np.uint8)


@cache
def ground() -> Bytes:
    """Return the atlas of ground, `padded`: a column of `TILE` per material, a row of `TILE` per level of detail."""
    rng = np.random.default_rng(1)
    size = (TILE, TILE)

    def grain() -> Array:
        return rng.standard_normal(size, dtype=np.float32)

    fine, coarse = noise(rng, size, 24, 4, 0.9), noise(rng, size, 2, 4)
    rows, columns = np.mgrid[:TILE, :TILE]
    asphalt = tint(0.45 * coarse + 0.5 * fine + 0.55 * grain(), (76, 77, 80), (124, 123, 121))
    worn = tint(0.8 * noise(rng, size, 2, 4) + 0.5 * fine + 0.5 * grain(), (84, 83, 82), (142, 138, 133))
    cracks = np.abs(noise(rng, size, 3, 4)) < 0.035
    worn[cracks] *= 0.6
    slabs = tint(0.5 * coarse + 0.5 * fine + 0.4 * grain(), (98, 94, 90), (164, 158, 148))
    each = rng.normal(0, 7, (TILE // 16, TILE // 16)).repeat(16, 0).repeat(16, 1)
    slabs += each[..., None].astype(np.float32)
    slabs[(rows % 16 == 0) | (columns % 16 == 0)] *= 0.72
    grass = tint(0.8 * noise(rng, size, 4, 5, 0.8) + 0.8 * grain(), (30, 44, 16), (124, 134, 62))
    earth = tint(0.7 * noise(rng, size, 3, 5, 0.8) + 0.6 * grain(), (66, 54, 40), (150, 130, 104))
    cobbles = tint(0.4 * coarse + 0.4 * grain(), (70, 68, 66), (130, 126, 120))
    staggered = (columns + (rows // 6 % 2) * 3) % 6
    cobbles[(rows % 6 == 0) | (staggered == 0)] *= 0.6
    snow = tint(0.6 * noise(rng, size, 3, 5, 0.7) + 0.3 * grain(), (176, 180, 190), (236, 238, 242))
    # What wheels leave of snow: patches, drawn out along the road.
    patches = 0.9 * cv2.resize(noise(rng, size, 6, 5, 0.75), (TILE, 4 * TILE))[:TILE] + 0.5 * noise(rng, size, 12, 4)
    slush = np.where((patches > 0.25)[..., None], 0.85 * snow, 0.75 * asphalt)
    columns_of = []
    for tile in (asphalt, worn, slabs, grass, earth, cobbles, snow, slush):
        finest = np.clip(tile, 0, 255).astype(np.uint8)
        levels = [finest]
        for level in range(1, LEVELS):
            small = cv2.resize(finest, None, fx=0.5**level, fy=0.5**level, interpolation=cv2.INTER_AREA)
            levels.append(np.tile(small, (2**level, 2**level, 1)))
        columns_of.append(np.concatenate(levels))
    return padded(np.concatenate(columns_of, axis=1))


@cache
def clouds() -> Array:
    """Return how much cloud there is, as noise (256, 1024) with mean 0 and deviation 1, tileable across."""
    return noise(np.random.default_rng(6), (256, 1024), 6, 6, 0.55)


@cache
def grain() -> NDArray[np.int16]:
    """Return standard normal noise times 16 (768, 1024, 3) of a demosaiced sensor: neighbours are correlated."""
    rng = np.random.default_rng(7)
    raw = rng.standard_normal((768, 1024, 3), dtype=np.float32)
    smooth = cv2.GaussianBlur(raw, (3, 3), 0.55)
    grain: NDArray[np.int16] = np.rint(smooth / smooth.std() * 16).astype(np.int16)
    return grain


@cache
def streaks() -> Bytes:
    """Return rain on its way down (512, 512)."""
    rng = np.random.default_rng(8)
    picture = np.zeros((512, 512), np.uint8)
    for x, y in rng.integers(0, 512, (420, 2)).tolist():
        length = int(rng.integers(8, 30))
        cv2.line(picture, (x, y), (x + length // 8, y + length), int(rng.integers(12, 46)), 1)
    return picture


@cache
def flakes() -> Bytes:
    """Return falling snow (512, 512)."""
    rng = np.random.default_rng(9)
    picture = np.zeros((512, 512), np.uint8)
    for x, y in rng.integers(0, 512, (420, 2)).tolist():
        cv2.circle(picture, (x, y), int(rng.choice([0, 1, 1, 2])), int(rng.integers(80, 200)), -1)
    soft: Bytes = cv2.GaussianBlur(picture, (3, 3), 0.7)
    return soft
