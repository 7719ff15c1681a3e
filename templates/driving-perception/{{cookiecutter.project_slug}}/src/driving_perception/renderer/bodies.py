"""Bodies of vehicles: side profiles, their parts as points in three dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from driving_perception.renderer.canvas import BUS, CAR, TRAIN, TRUCK, Floats


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
class Layout:
    """All points of a body (n, 3) along, right and up in metres, and where its parts are among them.

    The outline comes first, of the left side and then of the right one.

    Attributes:
        points: around the middle of the vehicle, on the ground.
        outline: how many points an outline has.
        places: of each part.
        panels: the points of each stretch between the outlines: left, left, right, right.
    """

    points: Floats
    outline: int
    places: dict[str, slice]
    panels: tuple[tuple[int, int, int, int], ...]


_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12, False)), np.sin(np.linspace(0, 2 * np.pi, 12, False))], 1)
_CORNERS = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]])


@cache
def layout(name: str) -> Layout:
    """Collect a body's points, so that a vehicle is projected at once."""
    body = BODIES[name]
    length, height, width = body.size_m
    outline = np.array(body.profile) - (0.5, 0.0)
    n = len(outline)
    blocks = [np.insert(outline, 1, side, axis=1) for side in (-0.5, 0.5)]
    places: dict[str, slice] = {}

    def add(part: str, points: Floats) -> None:
        start = sum(map(len, blocks))
        blocks.append(points)
        places[part] = slice(start, start + len(points))

    panels = tuple((i, i + 1, n + i + 1, n + i) for i in range(n - 1))
    both = np.concatenate(blocks)
    for i in body.glass:
        add(f"pane {i}", _pane(both[list(panels[i])], body))
    for flank, side in (("left", -0.5), ("right", 0.5)):
        add(f"{flank} sill", _upright((-0.5, 0.16, 0.5, 0.32), side))
        slant = 0.05 if body.label == CAR else 0.0
        for i, (a, b, c, d) in enumerate(body.windows):
            window = _upright((a - 0.5, b, c - 0.5, d), side)
            window[1, 0] += slant
            window[2, 0] -= slant
            add(f"{flank} window {i}", window)
        for i, axle in enumerate(body.wheels):
            for part, radius in (("wheel", 1.0), ("hub", 0.58)):
                rim = (_CIRCLE * radius + (0.0, 1.0)) * body.wheel_m / (length, height) + (axle - 0.5, 0.0)
                add(f"{flank} {part} {i}", np.insert(rim, 1, side, axis=1))
    tall = 0.44 if body.label == CAR else 0.24
    for end, along in (("rear", -0.5), ("front", 0.5)):
        faces = {"plate": (0.0, tall - 0.16, 0.26, 0.09), "bumper": (0.0, 0.2, 0.96, 0.1),
                 "glass": (0, 0.62, 0.9, 0.42),
                 "left lamp": (-0.4, tall, 0.16, 0.12), "right lamp": (0.4, tall, 0.16, 0.12)}  # fmt: skip
        for part, (across, up, wide, high) in faces.items():
            face = _CORNERS[:, ::-1] * (wide, high) + (across, up)
            add(f"{end} {part}", np.insert(face, 0, along, axis=1))
    return Layout(np.concatenate(blocks) * (length, width, height), n, places, panels)


@lru_cache(256)
def turned(name: str, yaw_rad: float) -> Floats:
    """Return a body's points turned by an angle."""
    points = layout(name).points.copy()
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    points[:, :2] = points[:, :2] @ np.array([[c, s], [-s, c]])
    return points


def _upright(rectangle: tuple[float, float, float, float], side: float) -> Floats:
    """Return a rectangle (along, up, along, up) on one side."""
    a, b, c, d = rectangle
    return np.array([[a, side, b], [a, side, d], [c, side, d], [c, side, b]])


def _pane(panel: Floats, body: Body) -> Floats:
    """Return the window in a panel: of a car nearly all of it, of a bus's rear the upper half."""
    middle = panel.mean(0)
    if body.label == BUS:
        top = (panel[1] + panel[2]) / 2
        upper: Floats = (panel - middle) * (0.84, 0.84, 0.36) + (middle + top) / 2
        return upper
    pane: Floats = (panel - middle) * 0.86 + middle
    return pane
