"""What bad sight does to a frame: fog, noise, blur, dark, each at one fixed strength."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
FOG_GREY, FOG_DENSEST, FOG_NEAR = 205.0, 0.75, 0.15
NOISE_SHOT, NOISE_READ = 0.25, 12.0  # variance a grey level, and its floor's standard deviation, in grey levels
BLUR_SHARE = 1 / 50  # of the image's width
DARK_EXPOSURE = 0.18  # of the light


def fog(image: Image, rng: np.random.Generator) -> Image:
    """Return `image` with grey over it, densest from the horizon upwards: what is far is seen less."""
    rows = np.linspace(0.0, 1.0, image.shape[0])
    dense = FOG_NEAR + (FOG_DENSEST - FOG_NEAR) * np.clip((1.0 - rows) / 0.6, 0.0, 1.0)
    return _image(image + dense[:, None, None] * (FOG_GREY - image.astype(np.float32)))


def noise(image: Image, rng: np.random.Generator) -> Image:
    """Return `image` with shot and read noise, as of a short exposure at high gain."""
    deviation = np.sqrt(NOISE_SHOT * image + NOISE_READ**2)
    return _image(image + deviation * rng.standard_normal(image.shape, dtype=np.float32))


def blur(image: Image, rng: np.random.Generator) -> Image:
    """Return `image` smeared along its rows, as by a turn within the exposure."""
    length = max(3, round(image.shape[1] * BLUR_SHARE)) | 1
    return np.asarray(cv2.blur(image, (length, 1)), np.uint8)


def dark(image: Image, rng: np.random.Generator) -> Image:
    """Return `image` with a fifth of the light, and the noise that then shows."""
    linear = (image / 255.0) ** 2.2 * DARK_EXPOSURE
    return _image(255.0 * linear ** (1 / 2.2) + 3.0 * rng.standard_normal(image.shape, dtype=np.float32))


CONDITIONS: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    "fog": fog,
    "noise": noise,
    "blur": blur,
    "dark": dark,
}


def under(condition: str, images: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
    """Return copies of `images` (frames, height, width, 3) under a condition; the same seed gives the same noise."""
    change = CONDITIONS[condition]
    return np.stack([change(image, np.random.default_rng((seed, place))) for place, image in enumerate(images)])


def _image(values: NDArray[Any]) -> Image:
    return np.asarray(np.clip(values, 0, 255).round(), np.uint8)
