"""Vehicles: bodies at any angle to the road, with windows, wheels and lights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from driving_perception.renderer.bodies import BODIES, Layout, layout, turned
from driving_perception.renderer.camera import NEAR_M, Seen, View
from driving_perception.renderer.canvas import BUS, Canvas, Colour, Floats, Pixels
from driving_perception.renderer.light import Light, dim

_GLASS: Colour = (38.0, 44.0, 52.0)
_TYRE: Colour = (22.0, 22.0, 24.0)
_DETAIL_PX = 9.0  # below this height a vehicle is a silhouette with a window
_WHEEL_PX = 8  # below this height a wheel has no hub


@dataclass(frozen=True)
class Vehicle:
    """A vehicle on the road.

    Attributes:
        body: a key of `BODIES`.
        s_m: where its middle is.
        u_m: lateral position.
        yaw_rad: 0 drives along the road, π comes towards us.
        speed_m: how far it moves along the road from frame to frame, signed.
        colour: of its paint.
        braking: its rear lights are bright.
    """

    body: str
    s_m: float
    u_m: float
    yaw_rad: float
    speed_m: float
    colour: Colour
    braking: bool = False

    @property
    def reach_m(self) -> float:
        """Half of its length: how far it reaches towards the camera."""
        return BODIES[self.body].size_m[0] / 2

    def corners(self) -> Floats:
        """Return its points (n, 3) along, right and up."""
        corners: Floats = turned(self.body, self.yaw_rad) + np.array((self.s_m, self.u_m, 0.0))
        return corners

    def footprint(self, light: Light) -> Floats:
        """Return the corners (n, 2), along and right, of its shadow on the ground."""
        length, height, width = BODIES[self.body].size_m
        c, s = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        at = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]]) * (length, width)
        base: Floats = at @ np.array([[c, s], [-s, c]]) + (self.s_m, self.u_m)
        if light.sun <= 0.1:
            return base
        return np.concatenate([base, base + np.array(light.shadow(0.85 * height))])

    def draw(self, canvas: Canvas, view: View, light: Light, seen: Seen) -> None:
        """Paint it: its roof line from far to near, its visible side, then glass, wheels and lights."""
        body, parts = BODIES[self.body], layout(self.body)
        n = parts.outline
        length, height, _ = body.size_m
        points, depth = seen.points[: 2 * n].tolist(), seen.depth[: 2 * n].tolist()
        z, near = sum(depth) / len(depth), min(depth)
        if max(depth) < NEAR_M + 0.5:
            return
        x = self.u_m - view.u_m
        forward = (math.cos(self.yaw_rad), math.sin(self.yaw_rad))
        normals = {"front": forward, "rear": (-forward[0], -forward[1])}
        canvas.begin(body.label, body.category)
        if view.focal_px * height < _DETAIL_PX * z:
            self._far(canvas, parts, seen.pixels, light.on(normals["rear" if forward[0] > 0 else "front"], z, x), z)
            return
        underside = seen.pixels[[0, n - 1, 2 * n - 1, n]]
        canvas.polygon(underside, dim((16.0, 16.0, 18.0), light.ambient + 0.2), near)
        visible = [panel for panel in parts.panels if _area(points, panel) * view.mirror > 0]
        for panel in sorted(visible, key=lambda panel: -sum(depth[i] for i in panel)):
            first = panel[0]
            (a, b), (c, d) = body.profile[first : first + 2]
            steep = abs(d - b) * height > 0.8 * abs(c - a) * length
            lit = light.on(normals["rear" if d > b else "front"], z, x) if steep else 1.1 * light.on_top(z, x)
            canvas.polygon(seen.pixels[list(panel)], dim(self.colour, lit), near)
            if first in body.glass:
                pane = seen.pixels[parts.places[f"pane {first}"]]
                canvas.detail(pane, dim(_GLASS if steep else (70.0, 78.0, 88.0), lit))
        # The outline runs clockwise in the image where the right-hand side faces the camera; of a vehicle straight
        # ahead neither side does.
        flank = ""
        if _winding(points[n:]) * view.mirror > 0:
            flank, normal, side = "right", (-forward[1], forward[0]), seen.pixels[n : 2 * n]
        elif _winding(points[:n]) * view.mirror < 0:
            flank, normal, side = "left", (forward[1], -forward[0]), seen.pixels[:n]
        if flank:
            shade = light.on(normal, z, x)
            canvas.polygon(side, dim(self.colour, shade), near)
            self._flank(canvas, parts, seen.pixels, flank, shade, z)
        for end, sign in (("rear", -1), ("front", 1)):
            bumper = parts.places[f"{end} bumper"]
            if _area(seen.points[bumper].tolist(), (0, 1, 2, 3)) * view.mirror * sign > 0:
                self._end(canvas, parts, seen.pixels, light, end == "rear", light.on(normals[end], z, x))
        canvas.end()

    def _far(self, canvas: Canvas, parts: Layout, pixels: Pixels, lit: float, depth_m: float) -> None:
        """Paint silhouette and windows."""
        hull = cv2.convexHull(pixels[: 2 * parts.outline])[:, 0]
        canvas.polygon(hull, dim(self.colour, lit), depth_m)
        for pane in BODIES[self.body].glass[:1]:
            canvas.detail(pixels[parts.places[f"pane {pane}"]], dim(_GLASS, lit))
        canvas.end()

    def _flank(self, canvas: Canvas, parts: Layout, pixels: Pixels, flank: str, shade: float, depth_m: float) -> None:
        body = BODIES[self.body]
        canvas.detail(pixels[parts.places[f"{flank} sill"]], dim(self.colour, 0.72 * shade))
        glass, tyre, rim = (
            dim(_GLASS, 0.35 + 0.75 * shade),
            dim(_TYRE, 0.4 + 0.6 * shade),
            dim((124.0, 126.0, 130.0), shade),
        )
        for window in range(len(body.windows)):
            canvas.detail(pixels[parts.places[f"{flank} window {window}"]], glass)
        for axle in range(len(body.wheels)):
            wheel = pixels[parts.places[f"{flank} wheel {axle}"]]
            canvas.polygon(wheel, tyre, depth_m)
            if wheel[3, 1] - wheel[9, 1] < -_WHEEL_PX:
                canvas.detail(pixels[parts.places[f"{flank} hub {axle}"]], rim)

    def _end(self, canvas: Canvas, parts: Layout, pixels: Pixels, light: Light, rear: bool, shade: float) -> None:
        """Paint lights, plate and bumper on the end that faces the camera: the rear of what drives away."""
        end = "rear" if rear else "front"
        plate = dim((196.0, 186.0, 120.0) if rear else (206.0, 206.0, 200.0), shade)
        canvas.detail(pixels[parts.places[f"{end} plate"]], plate)
        canvas.detail(pixels[parts.places[f"{end} bumper"]], dim((34.0, 34.0, 36.0), shade))
        if not rear and BODIES[self.body].label == BUS:
            canvas.detail(pixels[parts.places["front glass"]], dim(_GLASS, 0.3 + shade))
        if rear:
            bright = self.braking or light.night
            lamp = (255.0, 40.0, 26.0) if bright else dim((150.0, 18.0, 16.0), shade)
        else:
            lamp = (255.0, 250.0, 226.0) if light.ambient < 0.5 else dim((214.0, 216.0, 218.0), shade)
        for side in ("left", "right"):
            canvas.detail(pixels[parts.places[f"{end} {side} lamp"]], lamp)


def _area(points: list[list[float]], quad: tuple[int, int, int, int]) -> float:
    """Return twice the signed area of a quadrilateral."""
    i, j, k, m = quad
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points[i], points[j], points[k], points[m]
    return (cx - ax) * (dy - by) - (cy - ay) * (dx - bx)


def _winding(outline: list[list[float]]) -> float:
    """Return twice the signed area of a polygon."""
    total, (x, y) = 0.0, outline[-1]
    for following in outline:
        total += x * following[1] - following[0] * y
        x, y = following
    return total
