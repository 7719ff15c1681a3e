"""Vehicles: side profiles of several bodies, extruded to their width, at any angle to the road."""

from __future__ import annotations

from dataclasses import dataclass

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
        outline = np.array(body.profile)
        n = len(outline)
        frame = _Frame(self, view, body)
        left, depth = frame.at(outline[:, 0], outline[:, 1], -0.5)
        right, other = frame.at(outline[:, 0], outline[:, 1], 0.5)
        near, far = float(min(depth.min(), other.min())), float(depth.mean())
        if near < 1.2:
            return
        z, x = self.s_m - view.s_m, self.u_m - view.u_m
        forward = (float(np.cos(self.yaw_rad)), float(np.sin(self.yaw_rad)))
        normals = {"front": forward, "rear": (-forward[0], -forward[1]), "side": (-forward[1], forward[0])}
        # The camera sees the right-hand side where the line of sight runs against that side's normal.
        sight_right = forward[0] * x - forward[1] * z < 0
        side = right if sight_right else left
        normal = normals["side"] if sight_right else (forward[1], -forward[0])
        canvas.begin(body.label, body.category)
        panels = []
        for i in range(n - 1):
            quad = np.array([left[i], left[i + 1], right[i + 1], right[i]])
            if _signed_area(quad) * view.mirror < 0:
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
        canvas.polygon(side, dim(self.colour, shade), near)
        tall = float(np.ptp(side[:, 1]))
        if tall > _DETAIL_PX:
            self._side(canvas, frame, 0.5 if sight_right else -0.5, shade)
            self._ends(canvas, frame, light, forward[0] * z + forward[1] * x, shade)
        self._wheels(canvas, frame, 0.5 if sight_right else -0.5, shade, far)
        canvas.end()

    def _side(self, canvas: Canvas, frame: _Frame, across: float, shade: float) -> None:
        body = frame.body
        lower = frame.at(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.16, 0.16, 0.32, 0.32]), across)[0]
        canvas.detail(lower, dim(self.colour, 0.72 * shade))
        for a, b, c, d in body.windows:
            slant = 0.05 if body.label == CAR else 0.0
            pane = frame.at(np.array([a, a + slant, c - slant, c]), np.array([b, d, d, b]), across)[0]
            canvas.detail(pane, dim(_GLASS, 0.35 + 0.75 * shade))

    def _ends(self, canvas: Canvas, frame: _Frame, light: Light, away: float, shade: float) -> None:
        """Paint lights, plate and bumper on the end that faces the camera: the rear of what drives away."""
        along = 0.0 if away > 0 else 1.0
        tall = 0.44 if frame.body.label == CAR else 0.24
        plate = frame.face(along, 0.0, tall - 0.16, 0.26, 0.09)
        canvas.detail(plate, dim((196.0, 186.0, 120.0) if away > 0 else (206.0, 206.0, 200.0), shade))
        canvas.detail(frame.face(along, 0.0, 0.2, 0.96, 0.1), dim((34.0, 34.0, 36.0), shade))
        if away <= 0 and frame.body.label == BUS:
            canvas.detail(frame.face(along, 0.0, 0.62, 0.9, 0.42), dim(_GLASS, 0.3 + shade))
        for across in (-0.4, 0.4):
            lamp = frame.face(along, across, tall, 0.16, 0.12)
            if away > 0:
                bright = self.braking or light.night
                canvas.detail(lamp, (255.0, 40.0, 26.0) if bright else dim((150.0, 18.0, 16.0), shade))
            else:
                canvas.detail(lamp, (255.0, 250.0, 226.0) if light.ambient < 0.5 else dim((214.0, 216.0, 218.0), shade))

    def _wheels(self, canvas: Canvas, frame: _Frame, across: float, shade: float, depth_m: float) -> None:
        body = frame.body
        length, height, _ = body.size_m
        radius = body.wheel_m
        for axle in body.wheels:
            x, y = axle + _CIRCLE[:, 0] * radius / length, (radius + _CIRCLE[:, 1] * radius) / height
            rim = frame.at(x, y, across)[0]
            canvas.polygon(rim, dim(_TYRE, 0.4 + 0.6 * shade), depth_m)
            if np.ptp(rim[:, 1]) > 8:
                hub = (rim - rim.mean(0)) * 0.58 + rim.mean(0)
                canvas.detail(hub, dim((124.0, 126.0, 130.0), shade))


_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12, False)), np.sin(np.linspace(0, 2 * np.pi, 12, False))], 1)


class _Frame:
    """Projects points given as shares of a vehicle's length, height and width."""

    def __init__(self, vehicle: Vehicle, view: View, body: Body) -> None:
        self.body = body
        self._view = view
        self._place = (vehicle.s_m, vehicle.u_m)
        self._forward = (np.cos(vehicle.yaw_rad), np.sin(vehicle.yaw_rad))

    def at(self, along: Floats, up: Floats, across: float | Floats) -> tuple[Floats, Floats]:
        length, height, width = self.body.size_m
        x, y = (along - 0.5) * length, across * width
        c, s = self._forward
        return self._view.project(self._place[0] + c * x - s * y, self._place[1] + s * x + c * y, up * height)

    def face(self, along: float, across: float, up: float, wide: float, tall: float) -> Floats:
        """Return a rectangle on the front or rear, all as shares."""
        y = across + wide * np.array([-0.5, 0.5, 0.5, -0.5])
        z = up + tall * np.array([-0.5, -0.5, 0.5, 0.5])
        return self.at(np.full(4, along), z, y)[0]


def _turn(angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def _signed_area(quad: Floats) -> float:
    (ax, ay), (bx, by) = quad[2] - quad[0], quad[3] - quad[1]
    return float(ax * by - ay * bx)


def _inset(quad: Floats, body: Body) -> Floats:
    """Return the window in a panel: of a car nearly all of it, of a bus's rear the upper half."""
    middle = quad.mean(0)
    if body.label == BUS:
        top = (quad[1] + quad[2]) / 2
        middle = middle * 0.5 + top * 0.5
        return (quad - quad.mean(0)) * np.array([0.84, 0.36]) + middle
    return (quad - middle) * 0.86 + middle
