"""The camera: exposure with clipping, white balance, vignette, blur, noise, JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from driving_perception.renderer import textures
from driving_perception.renderer.canvas import Bytes


@dataclass(frozen=True)
class Sensor:
    """One camera, fixed for a sequence.

    Attributes:
        target: mean of the lower image that its auto-exposure aims at, 0 to 255.
        strength: 0 leaves the exposure as it is, 1 reaches the target.
        balance: gain of red, green and blue.
        contrast: slope of the tone curve at its middle.
        vignette: loss in the corners.
        blur_px: deviation of the lens's blur at a width of 480 px.
        read_noise: deviation in the dark, of 255.
        shot_noise: variance per unit of signal, of 255.
        jpeg_quality: 1 to 100.
    """

    target: float
    strength: float
    balance: tuple[float, float, float]
    contrast: float
    vignette: float
    blur_px: float
    read_noise: float
    shot_noise: float
    jpeg_quality: int


def draw(rng: np.random.Generator, night: bool) -> Sensor:
    """Draw a camera."""
    warm = rng.normal(0.0, 0.05)
    return Sensor(
        target=rng.uniform(38.0, 70.0) if night else rng.uniform(60.0, 122.0),
        strength=rng.uniform(0.5, 0.95),
        balance=(1.0 + warm, 1.0 + rng.normal(0.0, 0.015), 1.0 - warm),
        contrast=rng.uniform(1.15, 2.2),
        vignette=rng.uniform(0.0, 0.35),
        blur_px=rng.uniform(0.1, 0.6) if rng.random() < 0.9 else rng.uniform(0.6, 1.4),
        read_noise=rng.uniform(0.5, 2.5) + (3.0 if night else 0.0),
        shot_noise=rng.uniform(0.02, 0.2),
        jpeg_quality=int(rng.integers(70, 97)),
    )


def expose(image: Bytes, sensor: Sensor, rng: np.random.Generator) -> Bytes:
    """Return what the camera records of a scene (h, w, 3); nothing of it is in the labels."""
    height, width = image.shape[:2]
    metered = image[height // 3 :: 6, ::6].mean()
    gain = float(np.clip((sensor.target / max(metered, 1.0)) ** sensor.strength, 0.3, 4.0))
    image = cv2.LUT(image, _curve(gain, sensor))
    image = cv2.multiply(image, _vignette(width, height, round(sensor.vignette, 2)), scale=1 / 255)
    blur = sensor.blur_px * width / 480
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (3, 3) if blur < 0.9 else (5, 5), blur)
    return _compressed(_noisy(image, sensor, rng), sensor.jpeg_quality)


def _curve(gain: float, sensor: Sensor) -> Bytes:
    """Return exposure, white balance and tone curve as one table (1, 256, 3); what is too bright is clipped."""
    value = np.arange(256)[:, None] * gain * np.array(sensor.balance)
    # Below the middle a power keeps black at black; above it a straight line runs into the clipping.
    low = 90 * (value / 90) ** sensor.contrast
    curve: Bytes = np.clip(np.where(value < 90, low, 90 + (value - 90) * sensor.contrast), 0, 255).astype(np.uint8)
    return curve[None]


@lru_cache(8)
def _vignette(width: int, height: int, loss: float) -> Bytes:
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    gain = 255 * (1 - loss * ((rows**2 + columns**2) / 2) ** 1.5)
    return np.repeat(gain.astype(np.uint8)[..., None], 3, 2)


def _noisy(image: Bytes, sensor: Sensor, rng: np.random.Generator) -> Bytes:
    height, width = image.shape[:2]
    grain = textures.grain()
    if height > grain.shape[0] // 2 or width > grain.shape[1] // 2:
        grain = np.tile(grain, (2 * height // grain.shape[0] + 1, 2 * width // grain.shape[1] + 1, 1))
    y, x = int(rng.integers(grain.shape[0] - height)), int(rng.integers(grain.shape[1] - width))
    level = np.arange(256)
    deviation = np.sqrt(sensor.read_noise**2 + sensor.shot_noise * level)
    noise = cv2.LUT(image, np.clip(deviation * 16, 0, 255).astype(np.int16))
    np.multiply(noise, grain[y : y + height, x : x + width], out=noise)
    np.right_shift(noise, 8, out=noise)
    np.add(noise, image, out=noise)
    noisy: Bytes = np.clip(noise, 0, 255).astype(np.uint8)
    return noisy


def _compressed(image: Bytes, quality: int) -> Bytes:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
