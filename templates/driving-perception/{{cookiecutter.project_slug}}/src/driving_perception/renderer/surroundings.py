"""What stands beside the road: trees, poles, signs and traffic lights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from driving_perception.renderer import trees
from driving_perception.renderer.camera import NEAR_M, Seen, View
from driving_perception.renderer.canvas import (
    POLE,
    TRAFFIC_LIGHT,
    TRAFFIC_SIGN,
    VEGETATION,
    Canvas,
    Colour,
    Floats,
    whole,
)
from driving_perception.renderer.light import Light, dim

ARM_M = 1.6  # of a lamp


@dataclass(frozen=True)
class Tree:
    """A tree or bush.

    Attributes:
        s_m: place along the road.
        u_m: lateral place.
        height_m: of its top.
        trunk_m: height of the crown's lower edge, 0 for a bush.
        look: which crown.
        bare: without leaves.
    """

    s_m: float
    u_m: float
    height_m: float
    trunk_m: float
    look: int
    bare: bool
    reach_m: float = 1.0

    def corners(self) -> Floats:
        """Return foot, top of the trunk, lower edge and top of the crown (4, 3)."""
        low = 0.4 * self.trunk_m if self.bare else max(self.trunk_m - 0.8, 0.0)
        return np.array([[self.s_m, self.u_m, up] for up in (0.0, self.trunk_m, low, self.height_m)])

    def footprint(self, light: Light) -> Floats:
        """Return the corners of its shadow on the ground."""
        if light.sun <= 0.1 or self.bare:
            return np.empty((0, 2))
        half, (along, right) = 0.38 * (self.height_m - self.trunk_m), light.shadow((self.height_m + self.trunk_m) / 2)
        cast: Floats = half * _ROUND + np.array((self.s_m + along, self.u_m + right))
        return cast

    def draw(self, canvas: Canvas, view: View, light: Light, seen: Seen) -> None:
        """Paint trunk and crown."""
        foot, fork, low, (x, top) = seen.points.tolist()
        far = float(seen.depth[0])
        gain = light.on((-0.7, -math.copysign(0.7, self.u_m)), far, self.u_m - view.u_m)
        canvas.begin(VEGETATION)
        if self.trunk_m:
            width = 0.045 * self.height_m * view.focal_px / far
            canvas.limb(foot, fork, width, dim((70.0, 58.0, 48.0), gain), far)
        tall = low[1] - top
        if tall < 2:
            return
        wide = tall * (0.95 if self.trunk_m else 1.4)
        levels = trees.crowns(self.bare)[self.look]
        size = levels[0].inside.shape[0]
        sprite = levels[min(max(int(math.log2(size / tall)), 0), len(levels) - 1)]
        scale = (wide / sprite.inside.shape[1], tall / sprite.inside.shape[0])
        canvas.sprite(x - wide / 2, top, scale, sprite, gain, far)


@dataclass(frozen=True)
class Post:
    """A pole with what it carries: a lamp, signs or a traffic light.

    Attributes:
        s_m: place along the road.
        u_m: lateral place.
        height_m: of the pole.
        carries: "lamp", "round", "triangle", "panel", "light", "gantry" or "" for a bare pole.
        colour: of a panel, or what a traffic light shows: see `SIGNALS`.
        signal: "red", "yellow" or "green".
    """

    s_m: float
    u_m: float
    height_m: float
    carries: str
    colour: Colour
    signal: str = "none"
    reach_m: float = 0.3

    def corners(self) -> Floats:
        """Return foot, top, and the end of the arm (3, 3)."""
        over = self.u_m - math.copysign(6.5 if self.carries == "gantry" else ARM_M, self.u_m)
        at = ((self.u_m, 0.0), (self.u_m, self.height_m), (over, self.height_m))
        return np.array([[self.s_m, u, up] for u, up in at])

    def footprint(self, light: Light) -> Floats:
        """Return nothing: its shadow is left out."""
        return np.empty((0, 2))

    def draw(self, canvas: Canvas, view: View, light: Light, seen: Seen) -> None:
        """Paint the pole and what hangs on it."""
        foot, top, over = seen.points.tolist()
        far = float(seen.depth[0])
        if far < NEAR_M + 0.1:
            return
        pixel = view.focal_px / far
        gain = light.on((-1.0, 0.0), far, self.u_m - view.u_m)
        grey = dim((92.0, 94.0, 96.0), gain)
        canvas.begin(POLE)
        canvas.limb(foot, top, (0.12 if self.height_m > 4 else 0.08) * pixel, grey, far)
        if self.carries in {"lamp", "gantry"}:
            canvas.limb(top, over, 0.1 * pixel, grey, far)
        if self.carries == "lamp":
            lamp = (255.0, 226.0, 168.0) if light.night else dim((150.0, 150.0, 148.0), gain)
            canvas.limb(over, (over[0] + 0.3 * pixel, over[1]), 0.16 * pixel, lamp, far)
        elif self.carries == "light":
            self._signal(canvas, top, pixel, gain, far)
        elif self.carries:
            self._sign(canvas, over if self.carries == "gantry" else top, pixel, gain * 1.15, far)

    def _signal(self, canvas: Canvas, top: list[float], pixel: float, gain: float, far: float) -> None:
        canvas.begin(TRAFFIC_LIGHT, "traffic light", self.signal)
        size = max(pixel, 6.0)
        canvas.polygon(whole(_HEAD * size + top), dim((26.0, 28.0, 28.0), 0.4 + gain), far)
        for place, name in ((-0.3, "red"), (0.0, "yellow"), (0.3, "green")):
            shown = SIGNALS[name] if name == self.signal else dim(SIGNALS[name], 0.16)
            cv2.circle(
                canvas.image, (round(top[0]), round(top[1] + place * size)), max(1, round(0.11 * pixel)), shown, -1
            )
        canvas.end()

    def _sign(self, canvas: Canvas, at: list[float], pixel: float, gain: float, far: float) -> None:
        canvas.begin(TRAFFIC_SIGN, "traffic sign")
        size = 0.38 * pixel
        shape = _SHAPES.get(self.carries, _PANEL)
        edge = self.colour if self.carries in {"panel", "gantry"} else (188.0, 28.0, 34.0)
        canvas.polygon(whole(shape * size + at), dim(edge, gain), far)
        if size > 2 and self.carries in {"round", "triangle"}:
            canvas.detail(whole(shape * (0.7 * size) + at), dim((222.0, 222.0, 220.0), gain))
            canvas.detail(whole(_PANEL * (0.2 * size, 0.35 * size) + at), dim((40.0, 40.0, 44.0), gain))
        elif size > 4:
            wide = (0.7, 0.14) if self.carries == "panel" else (3.4, 0.2)
            for line in (-0.35, 0.25):
                stripe = _PANEL * size * wide + (at[0], at[1] + line * size)
                canvas.detail(whole(stripe), dim((220.0, 222.0, 224.0), gain))
        canvas.end()


SIGNALS: dict[str, Colour] = {"red": (255.0, 50.0, 36.0), "yellow": (255.0, 190.0, 40.0), "green": (60.0, 255.0, 170.0)}
_ROUND = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12, False)), np.sin(np.linspace(0, 2 * np.pi, 12, False))], 1)
_TRIANGLE = np.array([[0.0, -1.0], [1.0, 0.75], [-1.0, 0.75]])
_PANEL = np.array([[-1.0, -0.8], [1.0, -0.8], [1.0, 0.8], [-1.0, 0.8]])
_HEAD = np.array([(-0.17, -0.5), (0.17, -0.5), (0.17, 0.5), (-0.17, 0.5)])
_SHAPES = {"round": _ROUND, "triangle": _TRIANGLE, "gantry": _PANEL * (4.4, 2.4)}
