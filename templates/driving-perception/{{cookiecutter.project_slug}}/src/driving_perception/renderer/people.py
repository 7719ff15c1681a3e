"""People on foot, on bicycles and on motorcycles, built of limbs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driving_perception.renderer.camera import View
from driving_perception.renderer.canvas import BICYCLE, MOTORCYCLE, PERSON, RIDER, Canvas, Colour, Floats
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

    def footprint(self, view: View, light: Light) -> Floats:
        """Return the corners of the shadow on the ground."""
        return _stripe(self.s_m, self.u_m, 0.22, light, self.height_m)

    def draw(self, canvas: Canvas, view: View, light: Light) -> None:
        """Paint legs, body, arms and head."""
        h, stride = self.height_m, 0.24 * np.sin(self.phase)
        c, s = np.cos(self.heading_rad), np.sin(self.heading_rad)
        # Feet, hips, shoulders, hands, head: (along the walk, across it, up), as shares of the height.
        joints = np.array([[stride, 0.06, 0.02], [-stride, -0.06, 0.02], [0, 0.05, 0.48], [0, -0.05, 0.48],
                           [0, 0.1, 0.8], [0, -0.1, 0.8], [-0.7 * stride, 0.14, 0.45], [0.7 * stride, -0.14, 0.45],
                           [0.02, 0, 0.92]]) * h  # fmt: skip
        points, depth = view.project(
            self.s_m + c * joints[:, 0] - s * joints[:, 1], self.u_m + s * joints[:, 0] + c * joints[:, 1], joints[:, 2]
        )
        if depth[0] < 1.5:
            return
        pixel, far = view.focal_px / depth[0] * h, float(depth[0])
        lit = light.on((-1.0, 0.0), self.s_m - view.s_m, self.u_m - view.u_m)
        upper, lower, skin = dim(self.clothes[0], lit), dim(self.clothes[1], lit), dim(self.skin, lit)
        canvas.begin(PERSON, "pedestrian")
        canvas.limb(points[7], points[5], 0.07 * pixel, dim(upper, 0.75), far)
        canvas.limb(points[0], points[2], 0.095 * pixel, lower, far)
        canvas.limb(points[1], points[3], 0.095 * pixel, dim(lower, 0.8), far)
        body = np.array([points[4] + (0, -0.02 * pixel), points[5] + (0, -0.02 * pixel), points[3], points[2]])
        body[:, 0] += np.sign(body[:, 0] - body[:, 0].mean()) * 0.06 * pixel
        canvas.polygon(body, upper, far)
        canvas.limb(points[6], points[4], 0.07 * pixel, dim(upper, 0.85), far)
        canvas.disc(points[8], 0.068 * pixel, skin, far)
        if pixel > 24:
            hair = points[8] - (0, 0.03 * pixel)
            canvas.detail(hair + _CIRCLE * (0.062 * pixel, 0.04 * pixel), dim((40.0, 32.0, 26.0), lit))
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

    def footprint(self, view: View, light: Light) -> Floats:
        """Return the corners of the shadow on the ground."""
        return _stripe(self.s_m, self.u_m, 0.35, light, 1.6 if self.ridden else 0.9)

    def draw(self, canvas: Canvas, view: View, light: Light) -> None:
        """Paint the machine, then who rides it."""
        radius = 0.31 if self.motor else 0.34
        # Axles, saddle, handlebar, pedals; hips, shoulders, head, hands, knee and foot of the rider: (along, up).
        x = np.array([-0.62, 0.62, -0.2, 0.42, 0.0, -0.2, 0.1, 0.22, 0.44, 0.12, 0.0])
        y = np.array([radius, radius, 0.86, 1.0, 0.28, 0.98, 1.46, 1.68, 1.05, 0.66, 0.3])
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        ring = np.concatenate([_CIRCLE * radius + (-0.62, radius), _CIRCLE * radius + (0.62, radius)])
        x, y = np.concatenate([x, ring[:, 0]]), np.concatenate([y, ring[:, 1]])
        points, depth = view.project(self.s_m + c * x, self.u_m + s * x, y)
        if depth.min() < 1.5:
            return
        far = float(depth[0])
        pixel = view.focal_px / far
        lit = light.on((-1.0, 0.0), self.s_m - view.s_m, self.u_m - view.u_m)
        dark, paint = dim((30.0, 30.0, 32.0), lit), dim(self.clothes[0], lit)
        canvas.begin(MOTORCYCLE if self.motor else BICYCLE, "motorcycle" if self.motor else "bicycle")
        wide = (0.16 if self.motor else 0.05) * pixel
        for wheel in (points[11:23], points[23:35]):
            if self.motor:
                canvas.polygon(wheel, dark, far)
            for a, b in zip(wheel, np.roll(wheel, -1, 0), strict=True):
                canvas.limb(a, b, wide, dark, far)
        for a, b in ((0, 2), (1, 3), (4, 2), (4, 3), (0, 4), (2, 3)):
            canvas.limb(points[a], points[b], (0.3 if self.motor else 0.05) * pixel, paint, far)
        bar = 0.28 * pixel * max(abs(float(c)), 0.2)
        canvas.limb(points[3] - (bar, 0), points[3] + (bar, 0), 0.05 * pixel, dark, far)
        canvas.end()
        if not self.ridden:
            return
        upper, lower = dim(self.clothes[0], lit), dim(self.clothes[1], lit)
        canvas.begin(RIDER, "rider")
        side = np.array([0.13 * pixel * abs(float(c)), 0.0])
        for sign in (-1, 1):
            canvas.limb(points[5] + sign * side, points[9] + sign * side, 0.15 * pixel, lower, far)
            canvas.limb(points[9] + sign * side, points[10] + sign * side, 0.12 * pixel, lower, far)
            canvas.limb(points[6] + 1.6 * sign * side, points[8] + 1.6 * sign * side, 0.1 * pixel, dim(upper, 0.8), far)
        torso = np.array(
            [points[6] - 1.7 * side, points[6] + 1.7 * side, points[5] + 1.2 * side, points[5] - 1.2 * side]
        )
        torso[:, 0] += np.array([-1, 1, 1, -1]) * 0.1 * pixel
        canvas.polygon(torso, upper, far)
        canvas.disc(points[7], 0.13 * pixel, dim((188.0, 150.0, 126.0), lit), far)
        canvas.detail(points[7] - (0, 0.05 * pixel) + _CIRCLE * (0.15 * pixel, 0.1 * pixel), dim(self.clothes[1], lit))
        canvas.end()


_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12, False)), np.sin(np.linspace(0, 2 * np.pi, 12, False))], 1)


def _stripe(s: float, u: float, half: float, light: Light, height: float) -> Floats:
    """Return the shadow of something thin."""
    base = np.array([[s - half, u - half], [s - half, u + half], [s + half, u + half], [s + half, u - half]])
    if light.sun <= 0.1:
        return base
    return np.concatenate([base, base + np.array(light.shadow(height))])
