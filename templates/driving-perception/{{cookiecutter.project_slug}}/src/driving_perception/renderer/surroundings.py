"""What stands beside the road: buildings, barriers, trees, poles, signs and traffic lights."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from driving_perception.renderer import textures
from driving_perception.renderer.camera import View
from driving_perception.renderer.canvas import (
    BUILDING,
    FENCE,
    POLE,
    TRAFFIC_LIGHT,
    TRAFFIC_SIGN,
    VEGETATION,
    WALL,
    Bytes,
    Canvas,
    Colour,
    Floats,
)
from driving_perception.renderer.light import Light, dim

_NEAR_M = 2.0  # long things are cut off this near to the camera


@dataclass(frozen=True)
class Building:
    """A house front along the road with the gable that faces the camera.

    Attributes:
        s_m: its far end.
        length_m: along the road.
        u_m: of the front.
        height_m: to the eaves.
        deep_m: away from the road.
        style: one of `textures.FACADE_STYLES`.
        look: which facade of that style.
        roof_m: height of the roof over the eaves.
        roof: its colour.
    """

    s_m: float
    length_m: float
    u_m: float
    height_m: float
    deep_m: float
    style: str
    look: int
    roof_m: float
    roof: Colour

    @property
    def reach_m(self) -> float:
        """How far it reaches towards the camera."""
        return self.length_m

    def footprint(self, view: View, light: Light) -> Floats:
        """Return the corners of its shadow on the ground."""
        outer = self.u_m + np.sign(self.u_m) * self.deep_m
        near = self.s_m - self.length_m
        base = np.array([[near, self.u_m], [self.s_m, self.u_m], [self.s_m, outer], [near, outer]])
        return np.concatenate([base, base + np.array(light.shadow(self.height_m))]) if light.sun > 0.1 else base

    def draw(self, canvas: Canvas, view: View, light: Light) -> None:
        """Paint gable, roof and front."""
        side = float(np.sign(self.u_m))
        outer, ridge = self.u_m + side * self.deep_m, self.u_m + side * self.deep_m / 2
        full_near, far, top = self.s_m - self.length_m, self.s_m, self.height_m
        near = max(full_near, view.s_m + _NEAR_M)
        if near >= far - 0.3:
            return
        day, lit = textures.facades(self.style)[self.look]
        canvas.begin(BUILDING)
        if near == full_near:
            corners = [(near, self.u_m, top), (near, outer, top), (near, outer, 0.0), (near, self.u_m, 0.0)]
            _face(canvas, view, corners, day, light.on((-1.0, 0.0), near - view.s_m, self.u_m - view.u_m))
        if self.roof_m:
            roof = [(near, self.u_m, top), (near, ridge, top + self.roof_m), (far, ridge, top + self.roof_m)]
            points, depth = _project(view, [*roof, (far, self.u_m, top)])
            canvas.polygon(points, dim(self.roof, light.on_top()), float(depth.mean()))
            if near == full_near:
                points, depth = _project(view, [*roof[:2], (near, outer, top)])
                canvas.polygon(points, dim(self.roof, 0.8 * light.on((-1.0, 0.0))), float(depth.mean()))
        corners = [(near, self.u_m, top), (far, self.u_m, top), (far, self.u_m, 0.0), (near, self.u_m, 0.0)]
        shown = 1.0 - (near - full_near) / self.length_m  # the texture starts where the front is cut off
        gain = light.on((0.0, -side), near - view.s_m + 6, self.u_m - view.u_m)
        _face(canvas, view, corners, day, gain, shown, lit if light.night else None)


def _face(
    canvas: Canvas,
    view: View,
    corners: list[tuple[float, float, float]],
    levels: tuple[Bytes, ...],
    gain: float,
    shown: float = 1.0,
    lit: tuple[Bytes, ...] | None = None,
) -> None:
    points, depth = _project(view, corners)
    tall = float(np.ptp(points[:, 1]))
    level = int(np.clip(np.log2(levels[0].shape[0] / max(tall, 1.0)), 0, len(levels) - 1))
    texels = levels[level]
    if lit is not None:
        texels, gain = cv2.add(cv2.convertScaleAbs(texels, None, gain), lit[level]), 1.0
    canvas.texture(points, texels[:, round((1 - shown) * (texels.shape[1] - 2)) :], gain, depth)


def _project(view: View, corners: list[tuple[float, float, float]]) -> tuple[Floats, Floats]:
    s, u, y = np.array(corners, np.float64).T
    return view.project(s, u, y)


@dataclass(frozen=True)
class Barrier:
    """A stretch of hedge, wall, fence or guard rail along the road.

    Attributes:
        s_m: its far end.
        length_m: along the road.
        u_m: lateral place.
        height_m: of its top.
        kind: "hedge", "wall", "fence" or "rail".
        colour: of fences and rails.
    """

    s_m: float
    length_m: float
    u_m: float
    height_m: float
    kind: str
    colour: Colour

    @property
    def reach_m(self) -> float:
        """How far it reaches towards the camera."""
        return self.length_m

    def draw(self, canvas: Canvas, view: View, light: Light) -> None:
        """Paint it; one sees through fences, so what they enclose is theirs in the mask as in Cityscapes."""
        near, far = max(self.s_m - self.length_m, view.s_m + _NEAR_M), self.s_m
        if near >= far - 0.2:
            return
        gain = light.on((0.0, -float(np.sign(self.u_m))), near - view.s_m, self.u_m - view.u_m)
        top, u = self.height_m, self.u_m
        corners = [(near, u, top), (far, u, top), (far, u, 0.0), (near, u, 0.0)]
        canvas.begin({"hedge": VEGETATION, "wall": WALL}.get(self.kind, FENCE))
        if self.kind in {"hedge", "wall"}:
            picture = textures.hedge() if self.kind == "hedge" else textures.masonry()
            points, depth = _project(view, corners)
            canvas.texture(points, picture, gain, depth)
            return
        colour = dim(self.colour, gain)
        low = 0.45 if self.kind == "rail" else 0.08
        points, depth = _project(view, [corners[0], corners[1], (far, u, low), (near, u, low)])
        if self.kind == "rail":
            canvas.polygon(points, colour, float(depth.mean()))
            middle = (points[[0, 1]] + points[[3, 2]]) / 2
            band = np.array([middle[0] - (0, 1), middle[1] - (0, 1), middle[1] + (0, 1), middle[0] + (0, 1)])
            canvas.detail(band, dim(self.colour, 0.6 * gain))
            return
        canvas.veil(points, float(depth.mean()))
        posts = np.arange(near, far, max(0.25, (near - view.s_m) / 60))
        feet, _ = view.project(posts, np.full(len(posts), u), np.zeros(len(posts)))
        heads, _ = view.project(posts, np.full(len(posts), u), np.full(len(posts), top))
        strokes = np.rint(np.stack([feet, heads], 1)).astype(np.int32)
        cv2.polylines(canvas.image, list(strokes), False, colour, 1)
        cv2.polylines(canvas.image, [np.rint(points).astype(np.int32)], True, colour, 2 if near - view.s_m < 8 else 1)


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

    def footprint(self, view: View, light: Light) -> Floats:
        """Return the corners of its shadow on the ground."""
        half = 0.38 * (self.height_m - self.trunk_m)
        angle = np.linspace(0, 2 * np.pi, 9)[:-1]
        crown = np.stack([self.s_m + half * np.cos(angle), self.u_m + half * np.sin(angle)], 1)
        if light.sun <= 0.1 or self.bare:
            return crown[:0]
        cast: Floats = crown + np.array(light.shadow((self.height_m + self.trunk_m) / 2))
        return cast

    def draw(self, canvas: Canvas, view: View, light: Light) -> None:
        """Paint trunk and crown."""
        low = 0.4 * self.trunk_m if self.bare else max(self.trunk_m - 0.8, 0.0)
        points, depth = _project(view, [(self.s_m, self.u_m, y) for y in (0.0, self.trunk_m, low, self.height_m)])
        far = float(depth[0])
        if far < 3.0:
            return
        gain = light.on((-0.7, -0.7 * float(np.sign(self.u_m))), self.s_m - view.s_m, self.u_m - view.u_m)
        canvas.begin(VEGETATION)
        if self.trunk_m:
            width = 0.045 * self.height_m * view.focal_px / far
            canvas.limb(points[0], points[1], width, dim((70.0, 58.0, 48.0), gain), far)
        tall = round(float(points[2, 1] - points[3, 1]))
        if not 2 <= tall <= 3 * canvas.height_px:
            return
        sprite = textures.crowns(self.bare)[self.look]
        wide = round(tall * (0.95 if self.trunk_m else 1.4))
        inside = cv2.resize(sprite.inside, (wide, tall), interpolation=cv2.INTER_NEAREST)
        shrink = cv2.INTER_AREA if tall < 64 else cv2.INTER_LINEAR
        picture = cv2.resize(sprite.picture, (wide, tall), interpolation=shrink)
        cv2.convertScaleAbs(picture, picture, gain)
        canvas.sprite(round(float(points[3, 0]) - wide / 2), round(float(points[3, 1])), picture, inside, far)


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

    def draw(self, canvas: Canvas, view: View, light: Light) -> None:
        """Paint the pole and what hangs on it."""
        inward = -float(np.sign(self.u_m))
        over = self.u_m + inward * (6.5 if self.carries == "gantry" else 1.6)
        at = [(self.u_m, 0.0), (self.u_m, self.height_m), (over, self.height_m)]
        points, depth = _project(view, [(self.s_m, u, y) for u, y in at])
        far = float(depth[0])
        if far < 1.5:
            return
        pixel = view.focal_px / far
        gain = light.on((-1.0, 0.0), self.s_m - view.s_m, self.u_m - view.u_m)
        canvas.begin(POLE)
        canvas.limb(
            points[0], points[1], (0.12 if self.height_m > 4 else 0.08) * pixel, dim((92.0, 94.0, 96.0), gain), far
        )
        if self.carries in {"lamp", "gantry"}:
            canvas.limb(points[1], points[2], 0.1 * pixel, dim((92.0, 94.0, 96.0), gain), far)
        if self.carries == "lamp":
            lamp = (255.0, 226.0, 168.0) if light.night else dim((150.0, 150.0, 148.0), gain)
            canvas.limb(points[2], points[2] + (0.3 * pixel, 0), 0.16 * pixel, lamp, far)
        elif self.carries == "light":
            self._signal(canvas, points[1], pixel, gain, far)
        elif self.carries:
            self._sign(canvas, points[2] if self.carries == "gantry" else points[1], pixel, gain * 1.15, far)

    def _signal(self, canvas: Canvas, top: Floats, pixel: float, gain: float, far: float) -> None:
        canvas.begin(TRAFFIC_LIGHT, "traffic light", self.signal)
        box = np.array([(-0.17, -0.5), (0.17, -0.5), (0.17, 0.5), (-0.17, 0.5)]) * max(pixel, 6.0) + top
        canvas.polygon(box, dim((26.0, 28.0, 28.0), 0.4 + gain), far)
        for place, name in ((-0.3, "red"), (0.0, "yellow"), (0.3, "green")):
            centre = np.rint(top + np.array([0.0, place * max(pixel, 6.0)])).astype(int).tolist()
            shown = SIGNALS[name] if name == self.signal else dim(SIGNALS[name], 0.16)
            cv2.circle(canvas.image, centre, max(1, round(0.11 * pixel)), shown, -1)
        canvas.end()

    def _sign(self, canvas: Canvas, at: Floats, pixel: float, gain: float, far: float) -> None:
        canvas.begin(TRAFFIC_SIGN, "traffic sign")
        size = 0.38 * pixel
        shape = {"round": _ROUND, "triangle": _TRIANGLE, "gantry": _PANEL * (4.4, 2.4)}.get(self.carries, _PANEL)
        edge = self.colour if self.carries in {"panel", "gantry"} else (188.0, 28.0, 34.0)
        canvas.polygon(at + shape * size, dim(edge, gain), far)
        if self.carries in {"round", "triangle"}:
            canvas.detail(at + shape * size * 0.7, dim((222.0, 222.0, 220.0), gain))
            canvas.detail(at + _PANEL * size * (0.2, 0.35), dim((40.0, 40.0, 44.0), gain))
        elif size > 4:
            for line in (-0.35, 0.25):
                wide = (0.7, 0.14) if self.carries == "panel" else (3.4, 0.2)
                canvas.detail(at + (0, line * size) + _PANEL * size * wide, dim((220.0, 222.0, 224.0), gain))
        canvas.end()


SIGNALS: dict[str, Colour] = {"red": (255.0, 50.0, 36.0), "yellow": (255.0, 190.0, 40.0), "green": (60.0, 255.0, 170.0)}
_ROUND = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12, False)), np.sin(np.linspace(0, 2 * np.pi, 12, False))], 1)
_TRIANGLE = np.array([[0.0, -1.0], [1.0, 0.75], [-1.0, 0.75]])
_PANEL = np.array([[-1.0, -0.8], [1.0, -0.8], [1.0, 0.8], [-1.0, 0.8]])
