"""What moves or might: vehicles, people on foot, cyclists and motorcyclists."""

from __future__ import annotations

import numpy as np

from driving_perception.renderer.canvas import Colour
from driving_perception.renderer.markings import Crossing
from driving_perception.renderer.people import Cyclist, Person
from driving_perception.renderer.scenario import Scenario
from driving_perception.renderer.vehicles import Vehicle

Mover = Vehicle | Person | Cyclist
SEEN_M = 120.0
_PAINTS = ((196, 198, 200), (222, 222, 220), (26, 26, 30), (70, 74, 80), (120, 126, 132), (136, 22, 26), (26, 50, 116),
           (36, 74, 54), (176, 150, 96), (208, 186, 38))  # fmt: skip


def lane_centre(drive: Scenario, lane: int) -> float:
    """Return the middle of a lane: 0 and up in the ego's direction, -1 and down against it."""
    return (lane + 0.5) * drive.lane_width_m


def _paint(rng: np.random.Generator) -> Colour:
    base = np.array(_PAINTS[rng.integers(len(_PAINTS))]) + rng.normal(0, 8, 3)
    red, green, blue = np.clip(base, 12, 235).tolist()
    return (red, green, blue)


def _clothes(rng: np.random.Generator) -> tuple[Colour, Colour]:
    upper, lower = rng.uniform(15, 190, 3) * rng.uniform(0.3, 1.0), rng.uniform(15, 80, 3)
    return tuple(upper.tolist()), tuple(lower.tolist())


def vehicles(drive: Scenario, rng: np.random.Generator) -> list[Mover]:
    """Return moving, waiting and parked vehicles."""
    bodies = ["hatchback", "saloon", "estate", "suv", "van", "lorry", "bus", "coach", "tram"]
    share = np.array([0.25, 0.2, 0.12, 0.16, 0.09, 0.08, 0.05, 0.03, 0.02])
    if drive.place == "highway":
        share = np.array([0.16, 0.2, 0.12, 0.18, 0.1, 0.2, 0.0, 0.04, 0.0])
    elif drive.place == "urban":
        share = np.array([0.23, 0.18, 0.11, 0.14, 0.09, 0.07, 0.07, 0.05, 0.06])
    share = np.cumsum(share / share.sum())[:-1]
    traffic: list[Mover] = []
    dense = {"urban": 20.0, "suburban": 42.0, "highway": 26.0, "rural": 70.0}[drive.place] * rng.uniform(0.6, 1.6)
    for lane in range(-drive.lanes[1], drive.lanes[0]):
        s = rng.uniform(7, 7 + dense)
        flow = drive.speed_m_per_frame * (rng.uniform(0.7, 1.3) if lane >= 0 else -rng.uniform(0.6, 1.4))
        while s < SEEN_M:
            body = bodies[int(np.searchsorted(share, rng.random()))]
            yaw = (0.0 if lane >= 0 else np.pi) + rng.normal(0, 0.03)
            u = lane_centre(drive, lane) + rng.normal(0, 0.2)
            if body in {"lorry", "bus", "coach", "tram"}:
                s += 6.0
            traffic.append(Vehicle(body, s, u, yaw, flow, _paint(rng), bool(rng.random() < 0.3)))
            s += (12.0 if body == "tram" else 6.0) + rng.exponential(dense)
    if drive.parking_m and drive.place != "highway":
        for side, yaw in ((drive.right_edge_m - 1.0, 0.0), (drive.left_edge_m + 1.0, np.pi)):
            s, busy = rng.uniform(-2, 8), rng.uniform(0.2, 0.95)
            while s < 100:
                if rng.random() < busy:
                    body = bodies[rng.integers(5)]
                    traffic.append(Vehicle(body, s, side, yaw + rng.normal(0, 0.03), 0.0, _paint(rng)))
                s += rng.uniform(5.4, 7.5)
    if drive.place in {"urban", "suburban"} and rng.random() < 0.35:  # crossing or turning
        yaw = rng.choice([-1, 1]) * rng.uniform(0.6, 1.6)
        traffic.append(
            Vehicle(str(rng.choice(bodies[:6])), rng.uniform(16, 40), rng.normal(0, 4), yaw, 0.0, _paint(rng))
        )
    return traffic


def walkers(drive: Scenario, crossings: tuple[Crossing, ...], rng: np.random.Generator) -> list[Mover]:
    """Return people on pavements and crossings, cyclists and motorcyclists on the road."""
    people: list[Mover] = []
    number = rng.poisson({"urban": 13.0, "suburban": 4.0, "highway": 0.0, "rural": 0.4}[drive.place])
    for _ in range(number):
        right = rng.random() < 0.5
        edge = drive.right_edge_m if right else -drive.left_edge_m
        u = (edge + rng.uniform(0.4, max(drive.pavement_m, 1.0) - 0.2)) * (1 if right else -1)
        s, heading = 5.0 + 60.0 * rng.beta(1.0, 2.2), 0.0 if rng.random() < 0.5 else np.pi
        if crossings and rng.random() < 0.35:
            s, u = crossings[0].s_m + rng.uniform(0.3, 2.7), rng.uniform(drive.left_edge_m, drive.right_edge_m)
            heading = (rng.integers(2) - 0.5) * np.pi
        speed = 0.3 * float(np.cos(heading)) if abs(np.cos(heading)) > 0.5 else 0.0
        skin = tuple((np.array([206, 164, 138]) * rng.uniform(0.4, 1.05)).tolist())
        people.append(
            Person(s, u, rng.uniform(1.5, 1.9) if rng.random() < 0.9 else 1.2, heading, speed, rng.uniform(0, 6.28),
                   _clothes(rng), skin)
        )  # fmt: skip
    for _ in range(rng.poisson({"urban": 5.0, "suburban": 2.0, "highway": 0.7, "rural": 0.7}[drive.place])):
        motor = bool(rng.random() < (1.0 if drive.place == "highway" else 0.35))
        ridden = bool(rng.random() < 0.65) or not drive.pavement_m
        towards = bool(drive.lanes[1] and rng.random() < 0.4)
        kerb = drive.left_edge_m + 0.8 if towards else drive.right_edge_m - drive.parking_m - 0.7
        u = kerb if ridden else drive.right_edge_m + rng.uniform(0.5, 1.5)
        yaw = (np.pi if towards else 0.0) + rng.normal(0, 0.12 if ridden else 0.9)
        speed = (-0.6 if towards else 0.8) * drive.speed_m_per_frame if ridden else 0.0
        people.append(Cyclist(5.0 + 45.0 * rng.beta(1.0, 2.2), u, yaw, speed, motor, ridden, _clothes(rng)))
    return people
