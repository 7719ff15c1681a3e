"""Textures of what stands along the road: facades by day and night, hedges, masonry."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import cv2
import numpy as np

from driving_perception.renderer.canvas import Bytes
from driving_perception.renderer.textures import noise, padded, tint

FACADE_STYLES = ("brick", "render", "stone", "concrete", "glass", "house")
LOOKS = 4  # of each style


@cache
def facades(style: str) -> tuple[tuple[tuple[Bytes, ...], tuple[Bytes, ...]], ...]:
    """Return `LOOKS` facades of a style, `padded`: each by day and its lit windows on black, finest level first."""
    rng = np.random.default_rng([2, FACADE_STYLES.index(style)])
    return tuple(tuple(_levels(face) for face in _facade(style, rng)) for _ in range(LOOKS))  # type: ignore[misc]


def _levels(finest: Bytes) -> tuple[Bytes, ...]:
    levels = [padded(finest)]
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
    wall = tint(0.6 * dirt + 0.6 * grain, low, high) + shift.astype(np.float32)
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
def hedge() -> Bytes:
    """Return the texture of hedges and of the wood at the horizon, `padded`."""
    rng = np.random.default_rng(4)
    light = 0.8 * noise(rng, (64, 256), 8, 5, 0.85) + 0.6 * rng.standard_normal((64, 256), dtype=np.float32)
    light -= np.linspace(-0.8, 0.8, 64, dtype=np.float32)[:, None]
    return padded(np.clip(tint(light, (18, 26, 10), (104, 114, 54)), 0, 255).astype(np.uint8))


@cache
def masonry() -> Bytes:
    """Return the texture of free-standing walls, `padded`."""
    rng = np.random.default_rng(5)
    light = 0.7 * noise(rng, (64, 256), 6, 4) + 0.6 * rng.standard_normal((64, 256), dtype=np.float32)
    wall = tint(light, (98, 80, 66), (172, 150, 130))
    wall[::8] *= 0.8
    wall[:, ::16] *= 0.9
    return padded(np.clip(wall, 0, 255).astype(np.uint8))
