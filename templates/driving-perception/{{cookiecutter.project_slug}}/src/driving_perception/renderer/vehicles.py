"""Vehicles: side profiles of several bodies, extruded to their width, at any angle to the road."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from driving_perception.renderer.camera import View
from driving_perception.renderer.canvas import BUS, CAR, TRAIN, TRUCK, Canvas, Colour, Floats
from driving_perception.renderer.light import Light, dim

_GLASS: Colour = (38.0, 44.0, 52.0)
_TYRE: Colour = (22.0, 22.0, 24.0)
_DETAIL_PX = 9.0  # below this height a vehicle is body and glass only


@dataclass(frozen=True)
class Body:
    """The shape of a kind of vehicle.

    Attributes:
        label: train id.
        category: BDD100K's name.
        size_m: length, height, width.
        profile: (n, 2) outline of the side from the rear bumper over the roof to the front one; both coordinates are
            shares of length and height.
        glass: which stretches of the profile, by their first point, are windows.
        windows: (k, 4) rectangles of side windows: left, bottom, right, top, as shares.
        wheels: positions of the axles, as shares of the length.
        wheel_m: radius.
    """

    label: int
    category: str
    size_m: tuple[float, float, float]
    profile: tuple[tuple[float, float], ...]
    glass: tuple[int, ...]
    windows: tuple[tuple[float, float, float, float], ...]
    wheels: tuple[float, ...]
    wheel_m: float = 0.32


def _car(length: float, height: float, width: float, *profile: tuple[float, float], glass: tuple[int, int]) -> Body:
    rear, front = profile[glass[0] + 1][0], profile[glass[1]][0]
    middle = (rear + front) / 2
    windows = ((rear - 0.03, 0.58, middle - 0.015, 0.9), (middle + 0.015, 0.58, front + 0.04, 0.9))
    return Body(CAR, "car", (length, height, width), profile, glass, windows, (0.19, 0.81))


_BOX = ((0.0, 0.12), (0.0, 1.0), (1.0, 1.0), (1.0, 0.12))
BODIES = {
    "hatchback": _car(3.9, 1.5, 1.72, (0, 0.2), (0, 0.56), (0.09, 0.97), (0.3, 1), (0.56, 0.98), (0.73, 0.6),
                      (0.97, 0.5), (1, 0.2), glass=(1, 4)),
    "saloon": _car(4.6, 1.45, 1.8, (0, 0.2), (0, 0.6), (0.14, 0.64), (0.26, 0.97), (0.54, 0.99), (0.7, 0.62),
                   (0.97, 0.52), (1, 0.2), glass=(2, 4)),
    "estate": _car(4.7, 1.5, 1.8, (0, 0.2), (0, 0.6), (0.06, 0.96), (0.3, 1), (0.55, 0.98), (0.71, 0.61),
                   (0.97, 0.51), (1, 0.2), glass=(1, 4)),
    "suv": _car(4.6, 1.75, 1.9, (0, 0.22), (0, 0.6), (0.06, 0.97), (0.3, 1), (0.58, 0.98), (0.72, 0.64),
                (0.98, 0.58), (1, 0.22), glass=(1, 4)),
    "van": Body(CAR, "car", (5.2, 2.2, 1.95), ((0, 0.15), (0, 0.97), (0.1, 1), (0.74, 1), (0.86, 0.58), (0.99, 0.48),
                (1, 0.15)), (3,), ((0.66, 0.56, 0.8, 0.86),), (0.17, 0.82), 0.35),
    "lorry": Body(TRUCK, "truck", (9.0, 3.6, 2.45), ((0, 0.14), (0, 1), (0.73, 1), (0.75, 0.86), (0.97, 0.82),
                  (1, 0.46), (1, 0.12)), (4,), ((0.82, 0.5, 0.95, 0.74),), (0.14, 0.26, 0.86), 0.5),
    "bus": Body(BUS, "bus", (11.5, 3.1, 2.5), _BOX, (0,),
                tuple((a, 0.46, a + 0.115, 0.82) for a in np.arange(0.03, 0.9, 0.135).tolist()), (0.22, 0.78), 0.48),
    "coach": Body(BUS, "bus", (10.5, 4.2, 2.5), _BOX, (0,),
                  tuple((a, b, a + 0.125, b + 0.2) for b in (0.3, 0.66) for a in np.arange(0.03, 0.86, 0.14).tolist()),
                  (0.22, 0.76), 0.48),
    "tram": Body(TRAIN, "train", (22.0, 3.4, 2.5), ((0, 0.08), (0.01, 0.5), (0.04, 1), (0.96, 1), (0.99, 0.5),
                 (1, 0.08)), (1, 3), tuple((a, 0.44, a + 0.06, 0.8) for a in np.arange(0.06, 0.9, 0.075).tolist()), ()),
}  # fmt: skip


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

    def footprint(self, view: View, light: Light) -> Floats:
        """Return the corners (n, 2), along and right, of its shadow on the ground."""
        length, height, width = BODIES[self.body].size_m
        at = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]]) * (length, width)
        base = at @ _turn(self.yaw_rad) + (self.s_m, self.u_m)
        if light.sun <= 0.1:
            return base
        return np.concatenate([base, base + np.array(light.shadow(0.85 * height))])

    def draw(self, canvas: Canvas, view: View, light: Light) -> None:
        """Paint it: its roof line from far to near, its visible side, then glass, wheels and lights."""
        body = BODIES[self.body]
        length, height, width = body.size_m
        outline, layout = np.array(body.profile), _layout(self.body)
        n = len(outline)
        z, x = self.s_m - view.s_m, self.u_m - view.u_m
        detailed = view.focal_px * height > _DETAIL_PX * z
        shares = layout.shares if detailed else layout.shares[: 2 * n]
        points, depths = self._project(view, shares * (length, height, width))
        left, right, depth, other = points[:n], points[n : 2 * n], depths[:n], depths[n : 2 * n]
        near, far = float(min(depth.min(), other.min())), float(depth.mean())
        if near < 2.0:  # what is beside the camera would need clipping
            return
        forward = (float(np.cos(self.yaw_rad)), float(np.sin(self.yaw_rad)))
        normals = {"front": forward, "rear": (-forward[0], -forward[1]), "side": (-forward[1], forward[0])}
        # The outline runs clockwise in the image where the right-hand side faces the camera; of a vehicle straight
        # ahead neither side does.
        flank, side = "", right
        if _winding(right) * view.mirror > 0:
            flank = "right"
        elif _winding(left) * view.mirror < 0:
            flank, side = "left", left
        normal = normals["side"] if flank == "right" else (forward[1], -forward[0])
        canvas.begin(body.label, body.category)
        panels = []
        for i in range(n - 1):
            quad = np.array([left[i], left[i + 1], right[i + 1], right[i]])
            if _signed_area(quad) * view.mirror > 0:
                panels.append((float(depth[i] + depth[i + 1] + other[i] + other[i + 1]), i, quad))
        underside = np.array([left[0], left[n - 1], right[n - 1], right[0]])
        canvas.polygon(underside, dim((16.0, 16.0, 18.0), light.ambient + 0.2), near)
        for _, i, quad in sorted(panels, key=lambda panel: -panel[0]):
            rise, run = outline[i + 1, 1] - outline[i, 1], (outline[i + 1, 0] - outline[i, 0]) * length / height
            steep = abs(rise) > 0.8 * abs(run)
            lit = light.on(normals["rear" if rise > 0 else "front"], z, x) if steep else 1.1 * light.on_top(z, x)
            canvas.polygon(quad, dim(self.colour, lit), near)
            if i in body.glass:
                canvas.detail(_inset(quad, body), dim(_GLASS if steep else (70.0, 78.0, 88.0), lit))
        shade = light.on(normal, z, x)
        if flank:
            canvas.polygon(side, dim(self.colour, shade), near)
        if detailed:
            parts = {name: points[place] for name, place in layout.places.items()}
            if flank:
                self._flank(canvas, parts, flank, shade, far)
            for end, sign in (("rear", -1), ("front", 1)):
                if _signed_area(parts[f"{end} bumper"]) * view.mirror * sign > 0:
                    self._end(canvas, parts, light, end == "rear", light.on(normals[end], z, x))
        canvas.end()

    def _flank(self, canvas: Canvas, parts: dict[str, Floats], flank: str, shade: float, depth_m: float) -> None:
        body = BODIES[self.body]
        canvas.detail(parts[f"{flank} sill"], dim(self.colour, 0.72 * shade))
        for window in range(len(body.windows)):
            canvas.detail(parts[f"{flank} window {window}"], dim(_GLASS, 0.35 + 0.75 * shade))
        for axle in range(len(body.wheels)):
            rim = parts[f"{flank} wheel {axle}"]
            canvas.polygon(rim, dim(_TYRE, 0.4 + 0.6 * shade), depth_m)
            if np.ptp(rim[:, 1]) > 8:
                hub = (rim - rim.mean(0)) * 0.58 + rim.mean(0)
                canvas.detail(hub, dim((124.0, 126.0, 130.0), shade))

    def _project(self, view: View, sized: Floats) -> tuple[Floats, Floats]:
        """Project points (n, 3) given along, up and across the vehicle, in metres."""
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        along, up, across = sized[:, 0], sized[:, 1], sized[:, 2]
        return view.project(self.s_m + c * along - s * across, self.u_m + s * along + c * across, up)

    def _end(self, canvas: Canvas, parts: dict[str, Floats], light: Light, rear: bool, shade: float) -> None:
        """Paint lights, plate and bumper on the end that faces the camera: the rear of what drives away."""
        end = "rear" if rear else "front"
        canvas.detail(parts[f"{end} plate"], dim((196.0, 186.0, 120.0) if rear else (206.0, 206.0, 200.0), shade))
        canvas.detail(parts[f"{end} bumper"], dim((34.0, 34.0, 36.0), shade))
        if not rear and BODIES[self.body].label == BUS:
            canvas.detail(parts["front glass"], dim(_GLASS, 0.3 + shade))
        for side in ("left", "right"):
            if rear:
                bright = self.braking or light.night
                lamp = (255.0, 40.0, 26.0) if bright else dim((150.0, 18.0, 16.0), shade)
            else:
                lamp = (255.0, 250.0, 226.0) if light.ambient < 0.5 else dim((214.0, 216.0, 218.0), shade)
            canvas.detail(parts[f"{end} {side} lamp"], lamp)


_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12, False)), np.sin(np.linspace(0, 2 * np.pi, 12, False))], 1)


@dataclass(frozen=True)
class _Layout:
    """All points of a body (n, 3) along, up and across, as shares of its size, and where its parts are among them."""

    shares: Floats
    places: dict[str, slice]


@cache
def _layout(name: str) -> _Layout:
    """Collect a body's points, so that a vehicle is projected at once: first its outline left, then right."""
    body = BODIES[name]
    length, height, _ = body.size_m
    outline = np.array(body.profile) - (0.5, 0.0)
    blocks = [np.insert(outline, 2, side, axis=1) for side in (-0.5, 0.5)]
    places: dict[str, slice] = {}

    def add(part: str, along: Floats, up: Floats, across: Floats) -> None:
        start = sum(map(len, blocks))
        blocks.append(np.stack([along - 0.5, up, across], 1))
        places[part] = slice(start, start + len(along))

    for flank, side in (("left", -0.5), ("right", 0.5)):
        add(f"{flank} sill", np.array([0, 1.0, 1, 0]), np.array([0.16, 0.16, 0.32, 0.32]), np.full(4, side))
        slant = 0.05 if body.label == CAR else 0.0
        for i, (a, b, c, d) in enumerate(body.windows):
            add(f"{flank} window {i}", np.array([a, a + slant, c - slant, c]), np.array([b, d, d, b]), np.full(4, side))
        for i, axle in enumerate(body.wheels):
            rim = _CIRCLE * body.wheel_m + (0.0, body.wheel_m)
            add(f"{flank} wheel {i}", axle + rim[:, 0] / length, rim[:, 1] / height, np.full(len(rim), side))
    tall = 0.44 if body.label == CAR else 0.24
    corners = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]])
    for end, along in (("rear", 0.0), ("front", 1.0)):
        faces = {"plate": (0.0, tall - 0.16, 0.26, 0.09), "bumper": (0.0, 0.2, 0.96, 0.1),
                 "glass": (0, 0.62, 0.9, 0.42),
                 "left lamp": (-0.4, tall, 0.16, 0.12), "right lamp": (0.4, tall, 0.16, 0.12)}  # fmt: skip
        for part, (across, up, wide, high) in faces.items():
            add(f"{end} {part}", np.full(4, along), up + high * corners[:, 0], across + wide * corners[:, 1])
    return _Layout(np.concatenate(blocks), places)


def _turn(angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def _signed_area(quad: Floats) -> float:
    (ax, ay), (bx, by) = quad[2] - quad[0], quad[3] - quad[1]
    return float(ax * by - ay * bx)


def _winding(outline: Floats) -> float:
    following = np.roll(outline, -1, 0)
    return float((outline[:, 0] * following[:, 1] - following[:, 0] * outline[:, 1]).sum())


def _inset(quad: Floats, body: Body) -> Floats:
    """Return the window in a panel: of a car nearly all of it, of a bus's rear the upper half."""
    middle = quad.mean(0)
    if body.label == BUS:
        top = (quad[1] + quad[2]) / 2
        middle = middle * 0.5 + top * 0.5
        upper: Floats = (quad - quad.mean(0)) * np.array([0.84, 0.36]) + middle
        return upper
    pane: Floats = (quad - middle) * 0.86 + middle
    return pane
