"""Textures of trees' crowns."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from driving_perception.renderer.canvas import Sprite
from driving_perception.renderer.textures import noise, padded, tint

LOOKS = 8


@cache
def crowns(bare: bool) -> tuple[tuple[Sprite, ...], ...]:
    """Return `LOOKS` crowns of trees, in leaf or branches alone, each at several sizes, finest first."""
    rng = np.random.default_rng([3, bare])
    return tuple(_levels((_branches if bare else _foliage)(rng)) for _ in range(LOOKS))


def _levels(finest: Sprite) -> tuple[Sprite, ...]:
    levels = [finest]
    while levels[-1].inside.shape[0] > 8:
        finer = levels[-1]
        picture = cv2.resize(finer.picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        cover = cv2.resize(finer.inside * 255, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        levels.append(Sprite(picture, (cover > 96).astype(np.uint8)))
    return tuple(levels)


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
    picture = tint(light.astype(np.float32), dark, bright)
    return Sprite(padded(np.clip(picture, 0, 255).astype(np.uint8)), inside.astype(np.uint8))


def _branches(rng: np.random.Generator) -> Sprite:
    size = 160
    inside = np.zeros((size, size), np.uint8)
    tips = [(size / 2, size - 1.0, -np.pi / 2, size * 0.24, 4.0)]
    while tips:
        x, y, angle, length, width = tips.pop()
        end = (x + length * np.cos(angle), y + length * np.sin(angle))
        cv2.line(inside, (round(x), round(y)), (round(end[0]), round(end[1])), 1, max(1, round(width)))
        if length > 6:
            for _ in range(3):
                turn = angle + rng.normal(0, 0.48)
                tips.append((*end, turn, length * rng.uniform(0.62, 0.84), width * 0.6))
    grain = noise(rng, (size, size), 8, 4)
    return Sprite(padded(np.clip(tint(grain, (34, 28, 24), (98, 84, 72)), 0, 255).astype(np.uint8)), inside)
