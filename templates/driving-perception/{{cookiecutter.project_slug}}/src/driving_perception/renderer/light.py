"""Where light comes from: sun and sky by day, lamps and headlights by night."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer import textures
from driving_perception.renderer.camera import View
from driving_perception.renderer.canvas import Bytes, Canvas, Colour, Floats
from driving_perception.renderer.scenario import Scenario

_POOL = 0.34  # light right below a lamp
_POOL_M = 5.5  # where it has fallen to 1/e
_POOLS_SEEN_M = 90.0
_SKY_STEP_PX = 32  # as many rows of sky are computed at a time; most of a sequence needs the same


@dataclass(frozen=True)
class Light:
    """The light of a sequence. Brightness is relative to a surface in full daylight.

    Attributes:
        ambient: from the whole sky.
        sun: from the sun, on a surface that faces it; 0 when it is hidden or down.
        towards_sun: horizontal direction to the sun in road coordinates (along, right), a unit vector.
        shadow_per_m: length of a shadow per metre of height.
        zenith: colour of the sky overhead.
        horizon: colour of the sky at the horizon, which is the colour of haze as well.
        cloud: colour of clouds.
        cover: level of `textures.clouds` above which there is cloud.
        night: lamps are on.
        offset_px: which part of the sky is seen.
    """

    ambient: float
    sun: float
    towards_sun: tuple[float, float]
    shadow_per_m: float
    zenith: Colour
    horizon: Colour
    cloud: Colour
    cover: float
    night: bool
    offset_px: int

    def on(self, normal: tuple[float, float], z_m: float = 50.0, x_m: float = 0.0) -> float:
        """Return the light on an upright surface that faces `normal` (along, right), `z_m` ahead and `x_m` right."""
        facing = normal[0] * self.towards_sun[0] + normal[1] * self.towards_sun[1]
        light = self.ambient + self.sun * (0.25 + 0.75 * max(facing, 0.0))
        return light + (headlights(z_m, x_m) if self.night else 0.0)

    def on_top(self, z_m: float = 50.0, x_m: float = 0.0) -> float:
        """Return the light on a level surface."""
        return self.ambient + 0.8 * self.sun + (0.6 * headlights(z_m, x_m) if self.night else 0.0)

    def shadow(self, height_m: float) -> tuple[float, float]:
        """Return how far (along, right) the shadow of something `height_m` high reaches."""
        length = height_m * self.shadow_per_m
        return -self.towards_sun[0] * length, -self.towards_sun[1] * length


def headlights(z_m: float, x_m: float) -> float:
    """Return the light of the ego's low beam at a place ahead."""
    beam = 1.0 / (1.0 + (z_m / 18.0) ** 2) * min(1.0, z_m / 5.0)
    return 0.75 * beam * math.exp(-((x_m / (2.5 + 0.22 * z_m)) ** 2))


def dim(colour: Colour, light: float) -> Colour:
    """Return a surface's colour under a light; OpenCV clips what is above 255."""
    return (colour[0] * light, colour[1] * light, colour[2] * light)


def draw(scenario: Scenario, rng: np.random.Generator) -> Light:
    """Draw the light of a scenario's hour and weather."""
    angle, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(18, 60))
    offset = int(rng.integers(0, 1024))
    cover = {"clear": rng.uniform(1.2, 3.0), "partly cloudy": rng.uniform(-0.4, 0.7)}.get(scenario.weather, -9.0)
    sunny = cover > -9.0
    ambient, sun = (rng.uniform(0.42, 0.6), rng.uniform(0.45, 0.75)) if sunny else (rng.uniform(0.62, 0.95), 0.0)
    bright = rng.uniform(1.0, 1.5)  # the sky is brighter than the ground, more than a camera can hold
    zenith, horizon = dim((124.0, 160.0, 222.0), bright), dim((226.0, 236.0, 246.0), bright)
    cloud: Colour = (248.0, 249.0, 252.0)
    if not sunny:
        grey = rng.uniform(200, 290)
        cloud = (grey, grey, grey + rng.uniform(0, 10))
        zenith, horizon = dim(cloud, 0.8), dim(cloud, 1.0)
    if scenario.timeofday == "dawn/dusk":
        elevation = np.deg2rad(rng.uniform(5, 12))
        ambient, sun = ambient * rng.uniform(0.35, 0.7), sun * rng.uniform(0.2, 0.6)
        warm = rng.uniform(0.0, 1.0)
        zenith, horizon = dim(zenith, 0.5), (200.0 + 40 * warm, 170.0 - 10 * warm, 150.0 - 50 * warm)
        cloud = (150.0 + 50 * warm, 130.0, 130.0 - 20 * warm)
        if not sunny:
            zenith, horizon, cloud = (88.0, 98.0, 112.0), (140.0, 148.0, 160.0), (110.0, 116.0, 126.0)
    elif scenario.timeofday == "night":
        ambient, sun = rng.uniform(0.1, 0.2) if scenario.place in {"urban", "suburban"} else rng.uniform(0.05, 0.1), 0.0
        glow = rng.uniform(0.6, 1.4) if scenario.place == "urban" else 0.5
        zenith, horizon, cloud = dim((9, 10, 16), glow), dim((34, 29, 26), glow), dim((26, 23, 24), glow)
    towards = (float(np.cos(angle)), float(np.sin(angle)))
    return Light(
        ambient=float(ambient),
        sun=float(sun),
        towards_sun=towards,
        shadow_per_m=float(min(1 / np.tan(elevation), 5.0)),
        zenith=zenith,
        horizon=horizon,
        cloud=cloud,
        cover=float(cover),
        night=scenario.timeofday == "night",
        offset_px=offset,
    )


def sky(canvas: Canvas, view: View, light: Light, bottom: int) -> None:
    """Paint the sky down to row `bottom`, where the horizon is."""
    if bottom > 0:
        rows = min(-(-(bottom + _SKY_STEP_PX // 4) // _SKY_STEP_PX) * _SKY_STEP_PX, max(canvas.height_px, bottom))
        painted = _sky(light, round(float(view.focal_px), 3), view.mirror, canvas.width_px, rows)
        canvas.image[:bottom] = painted[rows - bottom :]


@lru_cache(8)
def _sky(light: Light, focal_px: float, mirror: float, width: int, height: int) -> Bytes:
    """Return a gradient, clouds, the glare around a sun that is ahead; the last row is the horizon."""
    above = np.arange(height, 0, -1, dtype=np.float32)
    # Angles above the horizon decide colour and clouds, so that the sky turns with the camera's pitch.
    up = np.minimum(above / focal_px, 1.2)
    share = np.clip(up * 1.8, 0.0, 1.0)[:, None] ** 0.7
    column = np.array(light.horizon) + share * (np.array(light.zenith) - np.array(light.horizon))
    rows = (255 - np.minimum(up * 420, 255)).astype(np.intp)
    scale = 1024 / (2 * np.pi) / focal_px * 3
    columns = ((np.arange(width) * scale).astype(np.intp) + light.offset_px) & 1023
    cover = textures.clouds()[rows][:, columns]
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = column[:, None]
    if light.cover > -9.0:
        thick = np.clip((cover - light.cover) * 0.9, 0.0, 1.0)[..., None]
        shade = (1.0 - 0.14 * np.clip(cover - light.cover - 0.6, 0.0, 1.0))[..., None]
        picture += thick * (np.array(light.cloud, np.float32) * shade - picture)
    else:
        picture *= (1.0 + 0.07 * cover)[..., None]
    if light.sun > 0.1 and light.towards_sun[0] > 0.6:
        across = width / 2 + mirror * focal_px * light.towards_sun[1] / light.towards_sun[0]
        reach = 0.35 * focal_px
        beside = np.exp(-(((np.arange(width) - across) / reach) ** 2))
        over = np.exp(-(((above - focal_px / light.shadow_per_m) / reach) ** 2))
        picture += (170.0 * over[:, None] * beside).astype(np.float32)[..., None]
    return np.minimum(picture, 255.0).astype(np.uint8)


def ground_gain(view: View, light: Light, z_m: Floats, columns: Floats, lamps: Floats) -> NDArray[np.float32]:
    """Return the light on the ground at a distance per row and at columns, (rows, columns).

    Args:
        view: of the camera.
        light: of the sequence.
        z_m: distance of each row.
        columns: in pixels.
        lamps: (n, 2) along and right, in road coordinates.
    """
    gain = np.full((len(z_m), len(columns)), light.ambient + 0.8 * light.sun, np.float32)
    if not light.night:
        return gain
    x = (columns - view.centre[0])[None] * (z_m / view.focal_px)[:, None]
    beam = 1.0 / (1.0 + (z_m / 18.0) ** 2) * np.minimum(1.0, z_m / 5.0)
    gain += (0.9 * beam[:, None] * np.exp(-((x / (2.5 + 0.22 * z_m)[:, None]) ** 2))).astype(np.float32)
    right = view.mirror * x - view.shift(z_m)[:, None]
    for s, u in lamps.tolist():
        ahead = s - view.s_m
        if -_POOL_M < ahead < _POOLS_SEEN_M:
            along = np.exp(-(((z_m - ahead) / _POOL_M) ** 2))
            gain += (_POOL * along[:, None] * np.exp(-(((right - u) / _POOL_M) ** 2))).astype(np.float32)
    return gain


def bloom(image: Bytes) -> None:
    """Let lamps shine into their surroundings, in place."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    bright = cv2.subtract(small, (140, 140, 140, 0))
    halo = cv2.blur(cv2.blur(bright, (7, 7)), (7, 7))
    cv2.add(image, cv2.resize(cv2.convertScaleAbs(halo, None, 1.6), (width, height)), image)
