"""Paint on the road, kept in three dimensions: lines, stop bars, crossings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driving_perception.renderer.scenario import Scenario


@dataclass(frozen=True)
class Line:
    """A line along the road.

    Attributes:
        u_m: its offset.
        colour: "white" or "yellow".
        dash_m: length of a dash, 0 for a solid line.
        gap_m: between dashes.
        double: two lines side by side.
    """

    u_m: float
    colour: str
    dash_m: float = 0.0
    gap_m: float = 0.0
    double: bool = False

    @property
    def category(self) -> str:
        """BDD100K's name."""
        return f"{'double' if self.double else 'single'} {self.colour}"

    @property
    def style(self) -> str:
        """BDD100K's name."""
        return "dashed" if self.dash_m else "solid"


@dataclass(frozen=True)
class Crossing:
    """A zebra crossing, or with `bars` False only the stop bar before it."""

    s_m: float
    zebra: bool


@dataclass(frozen=True)
class Markings:
    """All paint of a sequence.

    Attributes:
        lines: along the road.
        crossings: across it.
        wear: 0 as new, 1 hardly any left.
    """

    lines: tuple[Line, ...]
    crossings: tuple[Crossing, ...]
    wear: float


def make(scenario: Scenario, crossings: tuple[Crossing, ...], rng: np.random.Generator) -> Markings:
    """Lay out the lines of a road."""
    centre = "yellow" if not scenario.left_hand and rng.random() < 0.6 else "white"
    ahead, against = scenario.lanes
    width = scenario.lane_width_m
    dash, gap = [(3.0, 9.0), (2.0, 4.0), (6.0, 6.0), (4.0, 2.0)][rng.integers(4)]
    lines = []
    if against:
        kind = rng.random()
        lines.append(Line(0.0, centre, *((0.0, 0.0) if kind < 0.45 else (dash, gap)), double=kind < 0.3))
    for lane in range(-against + 1, ahead):
        if lane:
            lines.append(Line(lane * width, "white", dash, gap))
    if scenario.place == "highway" or scenario.parking_m or rng.random() < 0.5:
        inset = 0.0 if scenario.parking_m else 0.25
        lines.append(Line(ahead * width - inset, "white"))
        if against:
            lines.append(Line(-against * width + inset, "white"))
    if not against:
        lines.append(Line(0.0, "yellow" if centre == "yellow" else "white"))
    wear = rng.uniform(0.0, 0.7)
    if scenario.place == "rural" and rng.random() < 0.25:
        lines = []
    return Markings(tuple(lines), crossings, float(wear))
