"""People on foot, on bicycles and on motorcycles, built of limbs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from driving_perception.renderer.camera import NEAR_M, Seen, View
from driving_perception.renderer.canvas import BICYCLE, MOTORCYCLE, PERSON, RIDER, Canvas, Colour, Floats, whole
from driving_perception.renderer.light import Light, dim


@dataclass(frozen=True)
class Person:
    """Someone on foot.

    Attributes:
        s_m: place along the road.
        u_m: lateral place.
        height_m: of the person.
        heading_rad: 0 walks along the road.
        speed_m: per frame.
        phase: of the step, in radians.
        clothes: colours of the upper and lower body.
        skin: colour of face and hands.
    """

    s_m: float
    u_m: float
    height_m: float
    heading_rad: float
    speed_m: float
    phase: float
    clothes: tuple[Colour, Colour]
    skin: Colour
    reach_m: float = 0.3

    def corners(self) -> Floats:
        """Return feet, hips, shoulders, hands and head (9, 3) along, right and up."""
        stride = 0.24 * math.sin(self.phase)
        c, s = math.cos(self.heading_rad), math.sin(self.heading_rad)
        # Along the walk, across it, up, as shares of the height.
        joints = np.array([[stride, 0.06, 0.02], [-stride, -0.06, 0.02], [0, 0.05, 0.48], [0, -0.05, 0.48],
                           [0, 0.1, 0.8], [0, -0.1, 0.8], [-0.7 * stride, 0.14, 0.45], [0.7 * stride, -0.14, 0.45],
                           [0.02, 0, 0.92]]) * self.height_m  # fmt: skip
        placed: Floats = joints @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + (self.s_m, self.u_m, 0.0)
        return placed

    def footprint(self, light: Light) -> Floats:
        """Return the corners of the shadow on the ground."""
        return _stripe(self.s_m, self.u_m, 0.22, light, self.height_m)

    def draw(self, canvas: Canvas, view: View, light: Light, seen: Seen) -> None:
        """Paint legs, body, arms and head."""
        far = float(seen.depth[0])
        if far < NEAR_M + 0.1:
            return
        points = seen.points.tolist()
        pixel = view.focal_px / far * self.height_m
        lit = light.on((-1.0, 0.0), far, self.u_m - view.u_m)
        upper, lower, skin = dim(self.clothes[0], lit), dim(self.clothes[1], lit), dim(self.skin, lit)
        canvas.begin(PERSON, "pedestrian")
        if pixel < _FAR_PX:
            hip, shoulder = _between(points[2], points[3]), _between(points[4], points[5])
            canvas.limb(_between(points[0], points[1]), hip, 0.15 * pixel, lower, far)
            canvas.limb(hip, shoulder, 0.22 * pixel, upper, far)
            canvas.disc(points[8], 0.068 * pixel, skin, far)
            canvas.end()
            return
        canvas.limb(points[7], points[5], 0.07 * pixel, dim(upper, 0.75), far)
        canvas.limb(points[0], points[2], 0.095 * pixel, lower, far)
        canvas.limb(points[1], points[3], 0.095 * pixel, dim(lower, 0.8), far)
        body = [points[4], points[5], points[3], points[2]]
        middle, margin = sum(x for x, _ in body) / 4, 0.06 * pixel
        body = [(x + math.copysign(margin, x - middle), y) for x, y in body]
        canvas.polygon(whole(body), upper, far)
        canvas.limb(points[6], points[4], 0.07 * pixel, dim(upper, 0.85), far)
        canvas.disc(points[8], 0.068 * pixel, skin, far)
        if pixel > 24:
            hair = _CIRCLE * (0.062 * pixel, 0.04 * pixel) + (points[8][0], points[8][1] - 0.03 * pixel)
            canvas.detail(whole(hair), dim((40.0, 32.0, 26.0), lit))
        canvas.end()


@dataclass(frozen=True)
class Cyclist:
    """A bicycle or motorcycle, with its rider or parked.

    Attributes:
        s_m: place along the road.
        u_m: lateral place.
        yaw_rad: 0 drives along the road.
        speed_m: per frame.
        motor: a motorcycle.
        ridden: someone sits on it.
        clothes: of the rider: upper and lower body; the first is the motorcycle's paint as well.
    """

    s_m: float
    u_m: float
    yaw_rad: float
    speed_m: float
    motor: bool
    ridden: bool
    clothes: tuple[Colour, Colour]
    reach_m: float = 0.9

    def corners(self) -> Floats:
        """Return the points of machine and rider (35, 3) along, right and up, the wheels' rims last."""
        radius = _MOTOR_WHEEL_M if self.motor else _WHEEL_M
        along, up = np.concatenate([_FRAME, _CIRCLE * radius + (-0.62, radius), _CIRCLE * radius + (0.62, radius)]).T
        c, s = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        return np.stack([self.s_m + c * along, self.u_m + s * along, up], 1)

    def footprint(self, light: Light) -> Floats:
        """Return the corners of the shadow on the ground."""
        return _stripe(self.s_m, self.u_m, 0.35, light, 1.6 if self.ridden else 0.9)

    def draw(self, canvas: Canvas, view: View, light: Light, seen: Seen) -> None:
        """Paint the machine, then who rides it."""
        if seen.depth.min() < NEAR_M + 0.1:
            return
        points, far = seen.points.tolist(), float(seen.depth[0])
        pixel, across = view.focal_px / far, abs(math.cos(self.yaw_rad))
        lit = light.on((-1.0, 0.0), far, self.u_m - view.u_m)
        dark, paint = dim((30.0, 30.0, 32.0), lit), dim(self.clothes[0], lit)
        canvas.begin(MOTORCYCLE if self.motor else BICYCLE, "motorcycle" if self.motor else "bicycle")
        wheels = [seen.pixels[11:23], seen.pixels[23:35]]
        if self.motor:
            for wheel in wheels:
                canvas.polygon(wheel, dark, far)
        canvas.rings(wheels, (0.16 if self.motor else 0.05) * pixel, dark, far)
        for a, b in _TUBES if pixel > _FAR_PX / 2 else _TUBES[:2]:
            canvas.limb(points[a], points[b], (0.3 if self.motor else 0.05) * pixel, paint, far)
        bar, (x, y) = 0.28 * pixel * max(across, 0.2), points[3]
        canvas.limb((x - bar, y), (x + bar, y), 0.05 * pixel, dark, far)
        canvas.end()
        if self.ridden:
            self._rider(canvas, points, pixel, 0.13 * pixel * across, lit, far)

    def _rider(
        self, canvas: Canvas, points: list[list[float]], pixel: float, side: float, lit: float, far: float
    ) -> None:
        upper, lower = dim(self.clothes[0], lit), dim(self.clothes[1], lit)
        canvas.begin(RIDER, "rider")
        (hip, low), (shoulder, high), (x, y) = points[5], points[6], points[7]
        (hand, rest), (knee, bent), (foot, pedal) = points[8:11]
        for aside in (-side, side) if pixel > _FAR_PX / 2 else (0.0,):
            canvas.limb((hip + aside, low), (knee + aside, bent), 0.15 * pixel, lower, far)
            canvas.limb((knee + aside, bent), (foot + aside, pedal), 0.12 * pixel, lower, far)
            canvas.limb((shoulder + 1.6 * aside, high), (hand + 1.6 * aside, rest), 0.1 * pixel, dim(upper, 0.8), far)
        top, base = 1.7 * side + 0.1 * pixel, 1.2 * side + 0.1 * pixel
        torso = [(shoulder - top, high), (shoulder + top, high), (hip + base, low), (hip - base, low)]
        canvas.polygon(whole(torso), upper, far)
        canvas.disc(points[7], 0.13 * pixel, dim((188.0, 150.0, 126.0), lit), far)
        helmet = _CIRCLE * (0.15 * pixel, 0.1 * pixel) + (x, y - 0.05 * pixel)
        canvas.detail(whole(helmet), lower)
        canvas.end()


_FAR_PX = 18.0  # below this height someone is legs, body and head
_TUBES = ((2, 3), (4, 2), (4, 3), (0, 2), (1, 3), (0, 4))
_WHEEL_M, _MOTOR_WHEEL_M = 0.34, 0.31
# Axles, saddle, handlebar, pedals; hips, shoulders, head, hands, knee and foot of the rider: (along, up) in metres.
_FRAME = np.array([[-0.62, 0.33], [0.62, 0.33], [-0.2, 0.86], [0.42, 1.0], [0.0, 0.28], [-0.2, 0.98], [0.1, 1.46],
                   [0.22, 1.68], [0.44, 1.05], [0.12, 0.66], [0.0, 0.3]])  # fmt: skip
_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12, False)), np.sin(np.linspace(0, 2 * np.pi, 12, False))], 1)


def _stripe(s: float, u: float, half: float, light: Light, height: float) -> Floats:
    """Return the shadow of something thin."""
    base = np.array([[s - half, u - half], [s - half, u + half], [s + half, u + half], [s + half, u - half]])
    if light.sun <= 0.1:
        return base
    return np.concatenate([base, base + np.array(light.shadow(height))])


def _between(a: list[float], b: list[float]) -> tuple[float, float]:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
