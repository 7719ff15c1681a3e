"""A stretch of world for one sequence: what stands where, and what moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from driving_perception.renderer import light as lights
from driving_perception.renderer import markings, road, scenario, sensor, textures, weather
from driving_perception.renderer.camera import Course, View
from driving_perception.renderer.canvas import BUILDING, VEGETATION, Canvas, Colour
from driving_perception.renderer.light import Light
from driving_perception.renderer.markings import Crossing, Markings
from driving_perception.renderer.people import Cyclist, Person
from driving_perception.renderer.road import Ground, Junction
from driving_perception.renderer.scenario import Scenario
from driving_perception.renderer.sensor import Sensor
from driving_perception.renderer.surroundings import Barrier, Building, Post, Tree
from driving_perception.renderer.vehicles import Vehicle

SEEN_M = 120.0
_PAINTS = ((196, 198, 200), (222, 222, 220), (26, 26, 30), (70, 74, 80), (120, 126, 132), (136, 22, 26), (26, 50, 116),
           (36, 74, 54), (176, 150, 96), (208, 186, 38))  # fmt: skip


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

    def draw(self, canvas: Canvas, view: View, light: Light) -> None:
        """Paint it."""


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
        still: what does not move.
        moving: what does.
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
    still: tuple[Thing, ...]
    moving: tuple[Vehicle | Person | Cyclist, ...]
    ego_u_m: float
    skyline: tuple[tuple[float, ...], int]

    def at(self, frame: int) -> list[Thing]:
        """Return what there is in frame `frame` of the sequence."""
        return [*self.still, *(replace(thing, s_m=thing.s_m + frame * thing.speed_m) for thing in self.moving)]


def make(rng: np.random.Generator) -> World:
    """Build a world."""
    drive = scenario.draw(rng)
    phases = tuple(rng.uniform(0, 2 * np.pi, 4).tolist())
    crossings, junctions = _junctions(drive, rng)
    light = lights.draw(drive, rng)
    label = BUILDING if drive.place == "urban" and rng.random() < 0.6 else VEGETATION
    outline = np.abs(rng.normal(1.2, 0.8, 40)) if label == BUILDING else 1.0 + 0.6 * np.sin(np.arange(40) * 1.7)
    outline = outline * rng.uniform(0.3, 1.6)
    return World(
        scenario=drive,
        course=Course(drive.curvature_per_m, drive.slope, phases),
        ground=road.make(drive, junctions, rng),
        markings=markings.make(drive, crossings, rng),
        light=light,
        sensor=sensor.draw(rng, light.night),
        visibility_m=weather.visibility_m(drive.weather, rng),
        still=tuple(_roadside(drive, junctions, crossings, rng)),
        moving=(*_traffic(drive, rng), *_walkers(drive, crossings, rng)),
        ego_u_m=_lane_centre(drive, int(rng.integers(drive.lanes[0]))) + rng.normal(0.0, 0.2),
        skyline=(tuple(outline.tolist()), label),
    )


def _junctions(drive: Scenario, rng: np.random.Generator) -> tuple[tuple[Crossing, ...], tuple[Junction, ...]]:
    if drive.place == "highway":
        return (), ()
    crossings, junctions = [], []
    s = rng.uniform(8, 60)
    while s < SEEN_M + 60:
        if rng.random() < 0.6:
            right = bool(rng.random() < 0.7)
            junctions.append(Junction(s, s + rng.uniform(6, 11), right, not right or bool(rng.random() < 0.4)))
        if drive.place != "rural" and rng.random() < 0.7:
            crossings.append(Crossing(s - 5.0, bool(rng.random() < 0.6)))
        s += rng.uniform(35, 90)
    return tuple(crossings), tuple(junctions)


def _lane_centre(drive: Scenario, lane: int) -> float:
    """Return the middle of a lane: 0 and up in the ego's direction, -1 and down against it."""
    return (lane + 0.5) * drive.lane_width_m


def _paint(rng: np.random.Generator) -> Colour:
    base = np.array(_PAINTS[rng.integers(len(_PAINTS))]) + rng.normal(0, 8, 3)
    red, green, blue = np.clip(base, 12, 235).tolist()
    return (red, green, blue)


def _clothes(rng: np.random.Generator) -> tuple[Colour, Colour]:
    upper, lower = rng.uniform(15, 190, 3) * rng.uniform(0.3, 1.0), rng.uniform(15, 80, 3)
    return tuple(upper.tolist()), tuple(lower.tolist())


def _traffic(drive: Scenario, rng: np.random.Generator) -> list[Vehicle | Person | Cyclist]:
    """Return moving, waiting and parked vehicles."""
    bodies = ["hatchback", "saloon", "estate", "suv", "van", "lorry", "bus", "coach", "tram"]
    share = np.array([0.25, 0.2, 0.12, 0.16, 0.09, 0.08, 0.05, 0.03, 0.02])
    if drive.place == "highway":
        share = np.array([0.16, 0.2, 0.12, 0.18, 0.1, 0.2, 0.0, 0.04, 0.0])
    elif drive.place == "urban":
        share = np.array([0.23, 0.18, 0.11, 0.14, 0.09, 0.07, 0.07, 0.05, 0.06])
    share = share / share.sum()
    traffic: list[Vehicle | Person | Cyclist] = []
    dense = {"urban": 20.0, "suburban": 42.0, "highway": 26.0, "rural": 70.0}[drive.place] * rng.uniform(0.6, 1.6)
    for lane in range(-drive.lanes[1], drive.lanes[0]):
        s = rng.uniform(7, 7 + dense)
        flow = drive.speed_m_per_frame * (rng.uniform(0.7, 1.3) if lane >= 0 else -rng.uniform(0.6, 1.4))
        while s < SEEN_M:
            body = str(rng.choice(bodies, p=share))
            yaw = (0.0 if lane >= 0 else np.pi) + rng.normal(0, 0.03)
            u = _lane_centre(drive, lane) + rng.normal(0, 0.2)
            if body in {"lorry", "bus", "coach", "tram"}:
                s += 6.0
            traffic.append(Vehicle(body, s, u, yaw, flow, _paint(rng), bool(rng.random() < 0.3)))
            s += (12.0 if body == "tram" else 6.0) + rng.exponential(dense)
    if drive.parking_m and drive.place != "highway":
        for side, yaw in ((drive.right_edge_m - 1.0, 0.0), (drive.left_edge_m + 1.0, np.pi)):
            s, busy = rng.uniform(-2, 8), rng.uniform(0.2, 0.95)
            while s < 100:
                if rng.random() < busy:
                    body = str(rng.choice(bodies[:5]))
                    traffic.append(Vehicle(body, s, side, yaw + rng.normal(0, 0.03), 0.0, _paint(rng)))
                s += rng.uniform(5.4, 7.5)
    if drive.place in {"urban", "suburban"} and rng.random() < 0.35:  # crossing or turning
        yaw = rng.choice([-1, 1]) * rng.uniform(0.6, 1.6)
        traffic.append(
            Vehicle(str(rng.choice(bodies[:6])), rng.uniform(16, 40), rng.normal(0, 4), yaw, 0.0, _paint(rng))
        )
    return traffic


def _walkers(
    drive: Scenario, crossings: tuple[Crossing, ...], rng: np.random.Generator
) -> list[Vehicle | Person | Cyclist]:
    """Return people on pavements and crossings, cyclists and motorcyclists on the road."""
    people: list[Vehicle | Person | Cyclist] = []
    number = rng.poisson({"urban": 9.0, "suburban": 3.0, "highway": 0.0, "rural": 0.3}[drive.place])
    for _ in range(number):
        right = rng.random() < 0.5
        edge = drive.right_edge_m if right else -drive.left_edge_m
        u = (edge + rng.uniform(0.4, max(drive.pavement_m, 1.0) - 0.2)) * (1 if right else -1)
        s, heading = rng.uniform(4, 70), 0.0 if rng.random() < 0.5 else np.pi
        if crossings and rng.random() < 0.3:
            s, u = crossings[0].s_m + rng.uniform(0.3, 2.7), rng.uniform(drive.left_edge_m, drive.right_edge_m)
            heading = rng.choice([-0.5, 0.5]) * np.pi
        speed = 0.3 * float(np.cos(heading)) if abs(np.cos(heading)) > 0.5 else 0.0
        skin = tuple((np.array([206, 164, 138]) * rng.uniform(0.4, 1.05)).tolist())
        people.append(
            Person(s, u, rng.uniform(1.5, 1.9) if rng.random() < 0.9 else 1.2, heading, speed, rng.uniform(0, 6.28),
                   _clothes(rng), skin)
        )  # fmt: skip
    for _ in range(rng.poisson({"urban": 2.6, "suburban": 1.2, "highway": 0.5, "rural": 0.5}[drive.place])):
        motor = bool(rng.random() < (1.0 if drive.place == "highway" else 0.35))
        ridden = bool(rng.random() < 0.8) or not drive.pavement_m
        towards = bool(drive.lanes[1] and rng.random() < 0.4)
        kerb = drive.left_edge_m + 0.8 if towards else drive.right_edge_m - drive.parking_m - 0.7
        u = kerb if ridden else drive.right_edge_m + rng.uniform(0.5, 1.5)
        yaw = (np.pi if towards else 0.0) + rng.normal(0, 0.12 if ridden else 0.9)
        speed = (-0.6 if towards else 0.8) * drive.speed_m_per_frame if ridden else 0.0
        people.append(Cyclist(rng.uniform(5, 50), u, yaw, speed, motor, ridden, _clothes(rng)))
    return people


def _roadside(
    drive: Scenario, junctions: tuple[Junction, ...], crossings: tuple[Crossing, ...], rng: np.random.Generator
) -> list[Thing]:
    """Return what lines the road on both sides, from the kerb outwards."""
    things: list[Thing] = []
    bare = bool(rng.random() < 0.35) or drive.weather == "snowy"
    for side in (1, -1):
        edge = drive.right_edge_m if side > 0 else -drive.left_edge_m
        outer = edge + drive.pavement_m + drive.verge_m
        gaps = [(j.start_m - 1, j.end_m + 1) for j in junctions if (j.right if side > 0 else j.left)]
        things.extend(_fronts(drive, side, outer, gaps, rng))
        things.extend(_barriers(drive, side, edge, outer, gaps, rng))
        things.extend(_trees(drive, side, edge, outer, bare, rng))
        things.extend(_posts(drive, side, edge, crossings, rng))
    return things


def _in_gap(start: float, end: float, gaps: list[tuple[float, float]]) -> bool:
    return any(start < last and end > first for first, last in gaps)


def _fronts(
    drive: Scenario, side: int, outer: float, gaps: list[tuple[float, float]], rng: np.random.Generator
) -> list[Thing]:
    fronts: list[Thing] = []
    if drive.place in {"highway", "rural"} and rng.random() < 0.75:
        return fronts
    terraced = drive.place == "urban"
    styles = textures.FACADE_STYLES[:5] if terraced else ("house", "brick", "render")
    storeys = rng.uniform(2.2, 5.5) if terraced else rng.uniform(1.7, 2.3)
    s = rng.uniform(-12, 0)
    while s < SEEN_M:
        length = rng.uniform(8, 17) if terraced else rng.uniform(8, 13)
        back = 0.0 if terraced else rng.uniform(3, 9)
        if not _in_gap(s, s + length, gaps) and rng.random() < (0.93 if terraced else 0.75):
            style = str(rng.choice(styles))
            height = 3.1 * (storeys * rng.uniform(0.75, 1.3))
            roof = 0.0 if style in {"glass", "concrete"} else rng.uniform(1.5, 3.5)
            tiles: Colour = (104.0, 66.0, 54.0) if rng.random() < 0.5 else (70.0, 70.0, 76.0)
            fronts.append(
                Building(s + length, length, side * (outer + back), height, rng.uniform(7, 12), style,
                         int(rng.integers(textures.LOOKS)), roof, tiles)
            )  # fmt: skip
        s += length + (0.0 if terraced and rng.random() < 0.85 else rng.uniform(2, 8))
        if drive.place in {"rural", "highway"}:
            s += rng.uniform(20, 70)
    return fronts


def _barriers(
    drive: Scenario, side: int, edge: float, outer: float, gaps: list[tuple[float, float]], rng: np.random.Generator
) -> list[Thing]:
    kinds = {
        "urban": ["fence", "", "", "wall", ""],
        "suburban": ["hedge", "wall", "fence", ""],
        "highway": ["rail", "rail", "wall"],
        "rural": ["hedge", "fence", "rail", "wall", ""],
    }[drive.place]
    barriers: list[Thing] = []
    kind = str(rng.choice(kinds))
    at = {"urban": edge + 0.4 if kind == "fence" else outer - 0.2, "highway": edge + 0.8}.get(drive.place, outer)
    if side < 0 and drive.place == "highway" and not drive.lanes[1]:
        kind, at = "wall" if rng.random() < 0.5 else "rail", edge + 0.3
    height = {"rail": 0.75, "fence": 1.1, "hedge": rng.uniform(1.0, 2.4), "wall": rng.uniform(0.8, 2.0)}.get(kind, 0.0)
    grey = rng.uniform(70, 180)
    s = rng.uniform(-10, 5)
    while kind and s < SEEN_M:
        if not _in_gap(s, s + 8, gaps):
            barriers.append(Barrier(s + 8, 8.0, side * at, height, kind, (grey, grey, grey)))
        s += 8.0
        if drive.place != "highway" and rng.random() < 0.12:
            kind = str(rng.choice([option for option in kinds if option])) if drive.place == "suburban" else kind
            height = {"fence": 1.1, "hedge": 1.6, "wall": 1.1}.get(kind, height)
            s += rng.uniform(2, 20)
    return barriers


def _trees(drive: Scenario, side: int, edge: float, outer: float, bare: bool, rng: np.random.Generator) -> list[Thing]:
    trees: list[Thing] = []
    apart = {"urban": 26.0, "suburban": 11.0, "highway": 9.0, "rural": 7.0}[drive.place] * rng.uniform(0.6, 2.5)
    s = rng.uniform(2, 12)
    while s < SEEN_M + 20:
        u = edge + 0.8 if drive.place == "urban" else outer + rng.uniform(0.5, 10.0) - 0.5 * drive.verge_m
        height = rng.uniform(4, 12)
        bush = drive.place != "urban" and rng.random() < 0.35
        tall, trunk = (rng.uniform(1, 2.6), 0.0) if bush else (height, rng.uniform(0.22, 0.35) * height)
        trees.append(Tree(s, side * (u + (2.0 if bush else 0.0)), tall, trunk, int(rng.integers(8)), bare and not bush))
        s += rng.exponential(apart) + 1.5
    return trees


def _posts(
    drive: Scenario, side: int, edge: float, crossings: tuple[Crossing, ...], rng: np.random.Generator
) -> list[Thing]:
    posts: list[Thing] = []
    at = side * (edge + 0.5)
    s, apart = rng.uniform(5, 25), rng.uniform(22, 40)
    while drive.place != "rural" and s < SEEN_M:
        posts.append(Post(s, at, rng.uniform(7, 9), "lamp", (0.0, 0.0, 0.0)))
        s += apart
    s = rng.uniform(6, 30)
    while s < 110:
        kind = str(rng.choice(["round", "triangle", "panel", "panel", ""]))
        colour: Colour = ((24.0, 66.0, 150.0), (20.0, 96.0, 62.0), (214.0, 210.0, 200.0))[rng.integers(3)]
        height = rng.uniform(2.2, 3.0)
        if drive.place == "highway" and side > 0 and rng.random() < 0.4:
            kind, height = "gantry", 6.2
        posts.append(Post(s, at * 1.03, height, kind, colour))
        s += rng.uniform(12, 45)
    signal = str(rng.choice(["red", "yellow", "green"], p=[0.42, 0.1, 0.48]))
    for crossing in crossings:
        if not crossing.zebra or rng.random() < 0.4:
            posts.append(Post(crossing.s_m - 1.0, at, rng.uniform(2.8, 3.4), "light", (0.0, 0.0, 0.0), signal))
    return posts
