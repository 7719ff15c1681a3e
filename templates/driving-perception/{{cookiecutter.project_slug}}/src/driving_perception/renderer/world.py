"""A stretch of world for one sequence: what stands where, and what moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from driving_perception.renderer import light as lights
from driving_perception.renderer import markings, road, roadside, scenario, sensor, traffic, weather
from driving_perception.renderer.camera import Course, Seen, View
from driving_perception.renderer.canvas import BUILDING, VEGETATION, Canvas, Floats
from driving_perception.renderer.light import Light
from driving_perception.renderer.markings import Crossing, Markings
from driving_perception.renderer.people import Cyclist, Person
from driving_perception.renderer.road import Ground, Junction
from driving_perception.renderer.scenario import Scenario
from driving_perception.renderer.sensor import Sensor
from driving_perception.renderer.surroundings import ARM_M, Post


class Thing(Protocol):
    """What can be painted."""

    @property
    def s_m(self) -> float:
        """Its place along the road: the far end of what is long."""
        ...

    @property
    def u_m(self) -> float:
        """Its lateral place."""
        ...

    @property
    def reach_m(self) -> float:
        """How far it reaches from there towards the camera."""
        ...

    def corners(self) -> Floats:
        """Return the points (n, 3) along, right and up that it is painted from."""
        ...

    def footprint(self, light: Light) -> Floats:
        """Return the corners (n, 2), along and right, of its shadow on the ground; there may be none."""
        ...

    def draw(self, canvas: Canvas, view: View, light: Light, seen: Seen) -> None:
        """Paint it; `seen` are its corners."""


@dataclass(frozen=True)
class Placed:
    """A thing and what is computed of it once.

    Attributes:
        thing: itself, as it stands in the sequence's first frame.
        s_m: its place along the road.
        u_m: its lateral place.
        reach_m: how far it reaches towards the camera.
        speed_m: how far it moves along the road from frame to frame.
        slim: from far away it is a small part of a pixel.
        corners: (n, 3) in road coordinates.
        footprint: (n, 2) of its shadow.
    """

    thing: Thing
    s_m: float
    u_m: float
    reach_m: float
    speed_m: float
    slim: bool
    corners: Floats
    footprint: Floats

    def moved(self, by_m: float) -> Placed:
        """Return it further along the road."""
        ahead = np.array((by_m, 0.0, 0.0))
        return replace(self, s_m=self.s_m + by_m, corners=self.corners + ahead, footprint=self.footprint + ahead[:2])


@dataclass(frozen=True)
class World:
    """Everything that the frames of one sequence share.

    Attributes:
        scenario: of the drive.
        course: of the road.
        ground: of the road and beside it.
        markings: on the road.
        light: of the hour.
        sensor: of the camera.
        visibility_m: through the air.
        things: what stands or moves there.
        lamps: (n, 2) where lamps stand, along and right.
        ego_u_m: lateral place of the camera.
        skyline: heights in degrees of what stands at the horizon, and its class.
    """

    scenario: Scenario
    course: Course
    ground: Ground
    markings: Markings
    light: Light
    sensor: Sensor
    visibility_m: float
    things: tuple[Placed, ...]
    lamps: Floats
    ego_u_m: float
    skyline: tuple[tuple[float, ...], int]


def make(rng: np.random.Generator) -> World:
    """Build a world."""
    drive = scenario.draw(rng)
    phases = tuple(rng.uniform(0, 2 * np.pi, 4).tolist())
    crossings, junctions = _junctions(drive, rng)
    light = lights.draw(drive, rng)
    label = BUILDING if drive.place == "urban" and rng.random() < 0.6 else VEGETATION
    outline = np.abs(rng.normal(1.2, 0.8, 40)) if label == BUILDING else 1.0 + 0.6 * np.sin(np.arange(40) * 1.7)
    outline = outline * rng.uniform(0.3, 1.6)
    still = roadside.things(drive, junctions, crossings, rng)
    moving = [*traffic.vehicles(drive, rng), *traffic.walkers(drive, crossings, rng)]
    lamps = [
        (post.s_m, post.u_m - np.copysign(ARM_M, post.u_m)) for post in still if getattr(post, "carries", "") == "lamp"
    ]
    return World(
        scenario=drive,
        course=Course(drive.curvature_per_m, drive.slope, phases),
        ground=road.make(drive, junctions, rng),
        markings=markings.make(drive, crossings, rng),
        light=light,
        sensor=sensor.draw(rng, light.night),
        visibility_m=weather.visibility_m(drive.weather, rng),
        things=(*(_placed(thing, light, 0.0) for thing in still), *(_placed(m, light, m.speed_m) for m in moving)),
        lamps=np.array(lamps).reshape(-1, 2),
        ego_u_m=traffic.lane_centre(drive, int(rng.integers(drive.lanes[0]))) + rng.normal(0.0, 0.2),
        skyline=(tuple(outline.tolist()), label),
    )


def _placed(thing: Thing, light: Light, speed_m: float) -> Placed:
    slim = isinstance(thing, (Post, Person, Cyclist))
    return Placed(thing, thing.s_m, thing.u_m, thing.reach_m, speed_m, slim, thing.corners(), thing.footprint(light))


def _junctions(drive: Scenario, rng: np.random.Generator) -> tuple[tuple[Crossing, ...], tuple[Junction, ...]]:
    if drive.place == "highway":
        return (), ()
    crossings, junctions = [], []
    s = rng.uniform(8, 60)
    while s < roadside.SEEN_M + 60:
        if rng.random() < 0.6:
            right = bool(rng.random() < 0.7)
            junctions.append(Junction(s, s + rng.uniform(6, 11), right, not right or bool(rng.random() < 0.4)))
        if drive.place != "rural" and rng.random() < 0.7:
            crossings.append(Crossing(s - 5.0, bool(rng.random() < 0.6)))
        s += rng.uniform(35, 90)
    return tuple(crossings), tuple(junctions)
