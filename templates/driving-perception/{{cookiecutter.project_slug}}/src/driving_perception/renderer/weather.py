"""What is in the air and on the road: fog by depth, rain with a wet road, snow."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer import textures
from driving_perception.renderer.canvas import ROAD, Canvas, Colour, Floats, whole
from driving_perception.renderer.light import Light

_VISIBILITY_M = {"foggy": (35.0, 160.0), "rainy": (180.0, 500.0), "snowy": (120.0, 400.0)}


def visibility_m(weather: str, rng: np.random.Generator) -> float:
    """Draw the meteorological visibility: where contrast has fallen to 5 % (Koschmieder)."""
    return float(rng.uniform(*_VISIBILITY_M.get(weather, (600.0, 3000.0))))


def haze(canvas: Canvas, depth: NDArray[np.float32], light: Light, visibility: float) -> None:
    """Blend each pixel with the colour of the horizon, by its depth."""
    if visibility > 500:
        return
    veil = 1.0 - cv2.exp(depth * (-3.0 / visibility))
    share = cv2.convertScaleAbs(veil, None, 255.0)
    three = cv2.merge([share] * 3)
    kept = cv2.multiply(canvas.image, cv2.bitwise_not(three), scale=1 / 255)
    canvas.image[:] = cv2.add(kept, cv2.multiply(three, (*light.horizon, 0.0), scale=1 / 255))


def wet_road(canvas: Canvas, horizon: int) -> None:
    """Darken the road and mirror what stands on it, blurred."""
    top = max(horizon, 0)
    depth = min(canvas.height_px - top, top)
    if depth < 8:
        return
    here = canvas.image[top:]
    mirrored = cv2.blur(canvas.image[top - depth : top][::-1], (5, 23))
    below = len(here) - depth
    mirrored = cv2.copyMakeBorder(mirrored, 0, below, 0, 0, cv2.BORDER_REPLICATE)
    wet = cv2.addWeighted(here, 0.62, mirrored, 0.3, 0)
    cv2.copyTo(wet, cv2.compare(canvas.ids[top:], ROAD, cv2.CMP_EQ), here)


def falling(canvas: Canvas, weather: str, light: Light, rng: np.random.Generator) -> None:
    """Add rain or snow in the air."""
    tile = {"rainy": textures.streaks, "snowy": textures.flakes}.get(weather)
    if tile is None:
        return
    y, x = rng.integers(0, 512, 2)
    repeat = (canvas.height_px // 512 + 2, canvas.width_px // 512 + 2)
    layer = np.tile(tile(), repeat)[y : y + canvas.height_px, x : x + canvas.width_px]
    bright = cv2.convertScaleAbs(layer, None, min(1.0, light.ambient + 0.25))
    cv2.add(canvas.image, cv2.merge([bright] * 3), canvas.image)


def skyline(canvas: Canvas, horizon: int, heights: Floats, colour: Colour, label: int) -> None:
    """Paint the silhouette at the horizon: woods or roofs."""
    columns = np.linspace(0, canvas.width_px, len(heights))
    ridge = np.stack([columns, horizon - heights], 1)
    canvas.begin(label)
    corners = np.concatenate([ridge, [(canvas.width_px, horizon + 3), (0, horizon + 3)]])
    canvas.polygon(whole(corners), colour, 400.0)
