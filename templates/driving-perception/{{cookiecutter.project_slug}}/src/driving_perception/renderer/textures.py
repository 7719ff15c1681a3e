"""Textures made once per process: tiles of noise for the ground, facades, crowns of trees, clouds, grain.

Everything comes from one fixed seed, so that every process has the same. A flat colour has no statistics to learn from;
what a network takes over to real frames is mostly contrast at every scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer.canvas import Bytes

TILE = 256  # texels of one tile of ground, a power of two
TILE_M = 10.24  # that it covers at its finest level
LEVELS = 5
ASPHALT, WORN_ASPHALT, SLABS, GRASS, EARTH, COBBLES, SNOW = range(7)
GROUNDS = 7
FACADE_STYLES = ("brick", "render", "stone", "concrete", "glass", "house")
LOOKS = 4  # of each style

_Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sprite:
    """A picture with holes.

    Attributes:
        picture: (h, w, 3).
        inside: (h, w), 255 where there is something.
    """

    picture: Bytes
    inside: Bytes


def noise(rng: np.random.Generator, size: tuple[int, int], cells: int, octaves: int, fade: float = 0.6) -> _Array:
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
    even: _Array = (total - total.mean()) / total.std()
    return even


def _tint(value: _Array, low: tuple[int, int, int], high: tuple[int, int, int]) -> _Array:
    """Return colours (h, w, 3) between `low` at -2 and `high` at 2."""
    share: _Array = np.clip((value + 2) / 4, 0, 1)[..., None].astype(np.float32)
    colours: _Array = np.array(low, np.float32) + share * (np.array(high, np.float32) - np.array(low, np.float32))
    return colours


@cache
def ground() -> Bytes:
    """Return the atlas of ground: one column of `TILE` per material, one row of `TILE` per level of detail."""
    rng = np.random.default_rng(1)
    size = (TILE, TILE)

    def grain() -> _Array:
        return rng.standard_normal(size, dtype=np.float32)

    fine, coarse = noise(rng, size, 24, 4, 0.9), noise(rng, size, 2, 4)
    rows, columns = np.mgrid[:TILE, :TILE]
    asphalt = _tint(0.45 * coarse + 0.5 * fine + 0.55 * grain(), (66, 67, 70), (132, 131, 129))
    worn = _tint(0.8 * noise(rng, size, 2, 4) + 0.5 * fine + 0.5 * grain(), (76, 75, 74), (154, 150, 144))
    cracks = np.abs(noise(rng, size, 3, 4)) < 0.035
    worn[cracks] *= 0.6
    slabs = _tint(0.5 * coarse + 0.5 * fine + 0.4 * grain(), (98, 94, 90), (164, 158, 148))
    each = rng.normal(0, 7, (TILE // 16, TILE // 16)).repeat(16, 0).repeat(16, 1)
    slabs += each[..., None].astype(np.float32)
    slabs[(rows % 16 == 0) | (columns % 16 == 0)] *= 0.72
    grass = _tint(0.8 * noise(rng, size, 4, 5, 0.8) + 0.8 * grain(), (30, 44, 16), (124, 134, 62))
    earth = _tint(0.7 * noise(rng, size, 3, 5, 0.8) + 0.6 * grain(), (66, 54, 40), (150, 130, 104))
    cobbles = _tint(0.4 * coarse + 0.4 * grain(), (70, 68, 66), (130, 126, 120))
    staggered = (columns + (rows // 6 % 2) * 3) % 6
    cobbles[(rows % 6 == 0) | (staggered == 0)] *= 0.6
    snow = _tint(0.6 * noise(rng, size, 3, 5, 0.7) + 0.3 * grain(), (176, 180, 190), (236, 238, 242))
    columns_of = []
    for tile in (asphalt, worn, slabs, grass, earth, cobbles, snow):
        finest = np.clip(tile, 0, 255).astype(np.uint8)
        levels = [finest]
        for level in range(1, LEVELS):
            small = cv2.resize(finest, None, fx=0.5**level, fy=0.5**level, interpolation=cv2.INTER_AREA)
            levels.append(np.tile(small, (2**level, 2**level, 1)))
        columns_of.append(np.concatenate(levels))
    return np.ascontiguousarray(np.concatenate(columns_of, axis=1))


@cache
def facades(style: str) -> tuple[tuple[tuple[Bytes, ...], tuple[Bytes, ...]], ...]:
    """Return `LOOKS` facades of a style: each by day and its lit windows on black, finest level first."""
    rng = np.random.default_rng([2, FACADE_STYLES.index(style)])
    return tuple(tuple(_levels(face) for face in _facade(style, rng)) for _ in range(LOOKS))  # type: ignore[misc]


def _levels(finest: Bytes) -> tuple[Bytes, ...]:
    levels = [finest]
    while levels[-1].shape[0] > 16:
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return tuple(levels)


_WALLS = {
    "brick": ((92, 52, 40), (168, 112, 88)),
    "render": ((168, 160, 144), (226, 220, 206)),
    "stone": ((118, 108, 90), (192, 180, 154)),
    "concrete": ((108, 108, 106), (168, 166, 162)),
    "glass": ((70, 80, 90), (136, 146, 156)),
    "house": ((150, 130, 112), (220, 206, 188)),
}


def _facade(style: str, rng: np.random.Generator) -> tuple[Bytes, Bytes]:
    """Return one facade by day, and what shines at night."""
    size = 256
    low, high = _WALLS[style]
    shift = rng.normal(0, 18) + rng.normal(0, 4, 3)
    dirt, grain = noise(rng, (size, size), 3, 5, 0.7), rng.standard_normal((size, size), dtype=np.float32)
    wall = _tint(0.6 * dirt + 0.6 * grain, low, high) + shift.astype(np.float32)
    if style in {"brick", "stone"}:
        course = 5 if style == "brick" else 14
        wall[::course] *= 0.84
        wall[:, ::11] *= 0.93
    lit = np.zeros((size, size, 3), np.uint8)
    storeys = 2 if style == "house" else int(rng.integers(3, 6))
    bays = int(rng.integers(2, 4)) if style == "house" else int(rng.integers(3, 8))
    tall, wide = size / storeys, size / bays
    share_wide, share_tall = (0.86, 0.8) if style == "glass" else (rng.uniform(0.35, 0.62), rng.uniform(0.45, 0.68))
    frame = (226, 224, 218) if rng.random() < 0.6 else (60, 56, 52)
    shop = style not in {"house", "concrete"} and rng.random() < 0.75
    for storey in range(storeys):
        for bay in range(bays):
            ground_floor = storey == storeys - 1
            w, h = (0.82, 0.66) if ground_floor and shop else (share_wide, share_tall)
            if ground_floor and not shop and bay == bays // 2:
                w, h = 0.4, 0.86  # the door
            x1, x2 = round((bay + 0.5 - w / 2) * wide), round((bay + 0.5 + w / 2) * wide)
            y2 = round((storey + (0.98 if h > 0.8 or (ground_floor and shop) else 0.5 + h / 2)) * tall)
            y1 = round(y2 - h * tall)
            cv2.rectangle(wall, (x1 - 2, y1 - 2), (x2 + 2, y2 + 3), frame, -1)
            pane = np.array([46, 52, 60]) + rng.normal(0, 14) + (rng.random() < 0.25) * 70
            ramp = np.linspace(1.35, 0.75, max(y2 - y1, 1), dtype=np.float32)[:, None, None]
            wall[y1:y2, x1:x2] = ramp * pane.astype(np.float32) + 10 * grain[y1:y2, x1:x2, None]
            if not (ground_floor and shop):
                cv2.line(wall, ((x1 + x2) // 2, y1), ((x1 + x2) // 2, y2), frame, 1)
                cv2.line(wall, (x1, (y1 + y2) // 2), (x2, (y1 + y2) // 2), frame, 1)
            if rng.random() < (0.7 if ground_floor and shop else 0.28):
                lit[y1:y2, x1:x2] = np.clip(np.array([200, 160, 96]) * rng.uniform(0.4, 1.1), 0, 255)
    if shop:
        top = round(size - tall)
        for x1, x2 in pairwise(np.linspace(0, size, int(rng.integers(2, 4)), dtype=int).tolist()):
            colour = (0.5 * rng.uniform(30, 200) + 0.5 * rng.uniform(20, 200, 3)).tolist()
            cv2.rectangle(wall, (x1 + 2, top + 2), (x2 - 2, round(top + 0.26 * tall)), colour, -1)
            text = [255 - 0.8 * value for value in colour]
            for letter in range(x1 + 14, x2 - 14, 9):
                if rng.random() < 0.8:
                    cv2.rectangle(wall, (letter, top + 6), (letter + 5, round(top + 0.18 * tall)), text, -1)
    wall[:5] *= 0.7  # the eaves
    return np.clip(wall, 0, 255).astype(np.uint8), lit


@cache
def crowns(bare: bool) -> tuple[Sprite, ...]:
    """Return crowns of trees: in leaf, or branches alone."""
    rng = np.random.default_rng([3, bare])
    return tuple((_branches if bare else _foliage)(rng) for _ in range(8))


def _foliage(rng: np.random.Generator) -> Sprite:
    size = 128
    rows, columns = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    shape = noise(rng, (size, size), 4, 5, 0.75)
    inside = (rows**2 + columns**2) * 2.2 + 0.32 * shape < 1.45
    lump = noise(rng, (size, size), 5, 4, 0.8)
    light = 0.8 * lump - 0.8 * rows + 0.5 * rng.standard_normal((size, size))
    dark, bright = [((22, 32, 12), (112, 126, 56)), ((30, 34, 18), (134, 128, 66)), ((16, 28, 18), (84, 106, 62))][
        rng.integers(3)
    ]
    picture = _tint(light.astype(np.float32), dark, bright)
    return Sprite(np.clip(picture, 0, 255).astype(np.uint8), inside.astype(np.uint8) * 255)


def _branches(rng: np.random.Generator) -> Sprite:
    size = 160
    inside = np.zeros((size, size), np.uint8)
    tips = [(size / 2, size - 1.0, -np.pi / 2, size * 0.24, 4.0)]
    while tips:
        x, y, angle, length, width = tips.pop()
        end = (x + length * np.cos(angle), y + length * np.sin(angle))
        cv2.line(inside, (round(x), round(y)), (round(end[0]), round(end[1])), 255, max(1, round(width)))
        if length > 6:
            for _ in range(3):
                turn = angle + rng.normal(0, 0.48)
                tips.append((*end, turn, length * rng.uniform(0.62, 0.84), width * 0.6))
    grain = noise(rng, (size, size), 8, 4)
    return Sprite(np.clip(_tint(grain, (34, 28, 24), (98, 84, 72)), 0, 255).astype(np.uint8), inside)


@cache
def hedge() -> Bytes:
    """Return the texture of hedges and of the wood at the horizon."""
    rng = np.random.default_rng(4)
    light = 0.8 * noise(rng, (64, 256), 8, 5, 0.85) + 0.6 * rng.standard_normal((64, 256), dtype=np.float32)
    light -= np.linspace(-0.8, 0.8, 64, dtype=np.float32)[:, None]
    return np.clip(_tint(light, (18, 26, 10), (104, 114, 54)), 0, 255).astype(np.uint8)


@cache
def masonry() -> Bytes:
    """Return the texture of free-standing walls."""
    rng = np.random.default_rng(5)
    light = 0.7 * noise(rng, (64, 256), 6, 4) + 0.6 * rng.standard_normal((64, 256), dtype=np.float32)
    wall = _tint(light, (98, 80, 66), (172, 150, 130))
    wall[::8] *= 0.8
    wall[:, ::16] *= 0.9
    return np.clip(wall, 0, 255).astype(np.uint8)


@cache
def clouds() -> _Array:
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
