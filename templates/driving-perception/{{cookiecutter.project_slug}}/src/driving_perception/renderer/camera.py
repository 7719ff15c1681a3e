"""From the road to the image: curved and sloped road coordinates, seen through a pinhole camera.

Things stand in road coordinates: `s` metres along the road, `u` metres to the right of its centre line, `y` metres
above its surface. A `View` is the camera at one place on the road. Locally the road is described by how far its centre
line has moved sideways and up at a distance `z` ahead; that is exact enough for the curvatures that roads have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer.scenario import Scenario

Floats = NDArray[np.float64]

NEAR_M = 1.5  # what reaches nearer is cut off there
FAR_M = 600.0
STEP_M = 2.0  # of the tabulated course of the road


@dataclass(frozen=True)
class Course:
    """The course of the road's centre line: two long waves in curvature and in gradient.

    Args:
        curvature_per_m: amplitude.
        slope: amplitude of the gradient.
        phases: four phases in radians.
    """

    curvature_per_m: float
    slope: float
    phases: tuple[float, float, float, float]

    def ahead(self, s: float) -> tuple[Floats, Floats]:
        """Return sideways shift and height of the centre line every `STEP_M` ahead of `s`, as seen from there."""
        at = s + np.arange(0.0, FAR_M + STEP_M, STEP_M)
        a, b, c, d = self.phases
        bend = self.curvature_per_m * (np.sin(at / 70 + a) + 0.5 * np.sin(at / 31 + b))
        grade = self.slope * (np.sin(at / 90 + c) + 0.4 * np.sin(at / 37 + d))
        heading = np.cumsum(bend) * STEP_M
        sideways = np.cumsum(heading - heading[0]) * STEP_M
        height = np.cumsum(grade - grade[0]) * STEP_M
        return sideways, height


class Seen(NamedTuple):
    """Points as the camera sees them.

    Attributes:
        points: (n, 2) column and row.
        pixels: the same in whole pixels.
        depth: (n,) metres.
    """

    points: Floats
    pixels: NDArray[np.int32]
    depth: Floats

    def part(self, start: int, end: int) -> Seen:
        """Return some of them."""
        return Seen(self.points[start:end], self.pixels[start:end], self.depth[start:end])

    def some(self, which: list[int]) -> Seen:
        """Return some of them, by their places."""
        return Seen(self.points[which], self.pixels[which], self.depth[which])


class View:
    """The camera at one place.

    Args:
        scenario: how the camera is mounted.
        course: of the road.
        s_m: where the camera is along the road.
        u_m: how far right of the centre line.
        width_px: of the image.
        height_px: of the image.
    """

    def __init__(
        self, scenario: Scenario, course: Course, s_m: float, u_m: float, width_px: int, height_px: int
    ) -> None:
        self.scenario = scenario
        self.s_m = s_m
        self.u_m = u_m
        self.width_px = width_px
        self.height_px = height_px
        self.mirror = -1.0 if scenario.left_hand else 1.0
        self.focal_px = width_px / 2 / np.tan(scenario.field_of_view_rad / 2)
        self.centre = (width_px / 2, height_px / 2)
        self.cos_pitch, self.sin_pitch = np.cos(scenario.pitch_rad), np.sin(scenario.pitch_rad)
        self.cos_roll, self.sin_roll = np.cos(scenario.roll_rad), np.sin(scenario.roll_rad)
        self._course = np.stack(course.ahead(s_m), 1)
        self._steps = np.diff(self._course, axis=0)
        self._eye = np.array([u_m, scenario.camera_height_m, 0.0])
        # From right, up and ahead to column, row and depth: pitch, roll and focal length in one product.
        f, (cp, sp), (cr, sr) = self.focal_px, (self.cos_pitch, self.sin_pitch), (self.cos_roll, self.sin_roll)
        self._matrix = np.array(
            [
                [self.mirror * f * cr, self.mirror * f * sr, 0.0],
                [sr * cp * f, -cr * cp * f, -sp],
                [sr * sp * f, -cr * sp * f, cp],
            ]
        )

    def shift(self, z_m: Floats) -> Floats:
        """Return the lateral position of the road's centre line relative to the camera at distances `z_m`."""
        return self._at(z_m)[:, 0] - self.u_m

    def height(self, z_m: Floats) -> Floats:
        """Return the height of the road relative to that below the camera at distances `z_m`."""
        return self._at(z_m)[:, 1]

    def _at(self, z_m: Floats) -> Floats:
        """Return shift and height (n, 2) of the centre line."""
        place = np.minimum(np.maximum(z_m * (1 / STEP_M), 0.0), len(self._steps) - 0.001)
        low = place.astype(np.intp)
        course: Floats = self._course[low] + (place - low)[:, None] * self._steps[low]
        return course

    def upright(self, z_m: Floats, x_m: Floats, y_m: Floats) -> tuple[Floats, Floats, Floats]:
        """Return column, row and depth of points ahead, right of and above the camera's footprint, without its roll."""
        up = y_m - self.scenario.camera_height_m
        depth = np.maximum(z_m * self.cos_pitch - up * self.sin_pitch, 1e-3)
        scale = self.focal_px / depth
        column = self.centre[0] + self.mirror * x_m * scale
        row = self.centre[1] - (up * self.cos_pitch + z_m * self.sin_pitch) * scale
        return column, row, depth

    def project(self, s: Floats, u: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return pixel coordinates (n, 2) and depths (n,) in metres of points in road coordinates."""
        z = s - self.s_m
        course = self._at(z)
        seen = np.empty((len(z), 3))
        seen[:, 0] = u + course[:, 0]
        seen[:, 1] = y + course[:, 1]
        seen[:, 2] = z
        seen = (seen - self._eye) @ self._matrix
        depth = np.maximum(seen[:, 2], 1e-3)
        points = seen[:, :2] / depth[:, None] + self.centre
        return np.minimum(np.maximum(points, -8000.0), 8000.0), depth

    def see(self, corners: Floats) -> Seen:
        """Project points (n, 3) along, right and up in road coordinates.

        What is nearer than `NEAR_M` is moved along the road to there: that cuts off what runs along the road.
        """
        points, depth = self.project(np.maximum(corners[:, 0], self.s_m + NEAR_M), corners[:, 1], corners[:, 2])
        return Seen(points, np.rint(points).astype(np.int32), depth)

    def on_ground(self, s: Floats, u: Floats) -> Floats:
        """Return pixels (n, 2) of points on the road's surface; those behind the camera come from just before it."""
        points, _ = self.project(np.maximum(s, self.s_m + 1.0), u, np.zeros(len(s)))
        return points

    @cached_property
    def roll_matrix(self) -> Floats:
        """The 2 × 3 matrix that rolls an upright image."""
        (cx, cy), c, s = self.centre, self.cos_roll, self.sin_roll
        return np.array([[c, -s, cx - c * cx + s * cy], [s, c, cy - s * cx - c * cy]])

    def rows(self, first: int, last: int) -> tuple[int, Floats]:
        """Return the first row that shows ground, and the distance ahead of the ground in each row from it to `last`.

        A crest hides what lies behind it: of several grounds in one row the nearest is seen.
        """
        z = np.geomspace(1.0, FAR_M - STEP_M, 220)
        _, row, _ = self.upright(z, np.zeros(220), self.height(z))
        lowest = np.minimum.accumulate(row)
        seen = np.append(True, row[1:] < lowest[:-1])
        horizon = int(np.clip(np.ceil(lowest[-1]), first, last))
        rows = np.arange(horizon, last, dtype=np.float64)
        # The inverse distance is nearly linear in the row, so it interpolates well.
        return horizon, 1.0 / np.interp(rows, row[seen][::-1], 1.0 / z[seen][::-1])
