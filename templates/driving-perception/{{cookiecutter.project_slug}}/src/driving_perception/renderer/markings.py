"""Paint on the road, kept in three dimensions: lines, stop bars, crossings, and the polylines that annotate them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer.camera import View
from driving_perception.renderer.canvas import SIDEWALK, Canvas, Colour, Floats
from driving_perception.renderer.light import Light, dim
from driving_perception.renderer.road import KERB_M, Junction
from driving_perception.renderer.scenario import Scenario

WHITE: Colour = (208.0, 208.0, 202.0)
YELLOW: Colour = (204.0, 164.0, 62.0)
SEEN_M = 90.0  # how far lines are annotated
_LINE_M = 0.14
_MAX_LINES = 40


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


@dataclass(frozen=True)
class Lane:
    """An annotated line.

    Attributes:
        category: BDD100K's name: "single white", "double yellow", "road curb", "crosswalk" and so on.
        points: (k, 2) pixels, near to far.
        style: "solid" or "dashed".
        direction: "parallel" to the road or "vertical" to it.
    """

    category: str
    points: NDArray[np.float32]
    style: str
    direction: str = "parallel"


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


def draw(
    canvas: Canvas, view: View, markings: Markings, junctions: tuple[Junction, ...], light: Light, horizon: int
) -> list[Lane]:
    """Paint the markings and kerbs; return the annotated lines."""
    white: list[Floats] = []
    yellow: list[Floats] = []
    lanes = []
    near = view.s_m + 1.5
    gaps = [(junction.start_m, junction.end_m) for junction in junctions]
    for line in markings.lines:
        strokes = white if line.colour == "white" else yellow
        sides = (-0.13, 0.13) if line.double else (0.0,)
        for u in sides:
            strokes.extend(_strokes(view, line, line.u_m + u, near, gaps))
        lanes.extend(_lanes(view, line.category, line.style, line.u_m, gaps))
    for crossing in markings.crossings:
        if near < crossing.s_m < view.s_m + 70:
            across, edges = _crossing(view, crossing)
            white.extend(across)
            lanes.extend(edges)
    _paint(canvas, white, dim(WHITE, light.on_top()), markings.wear, light, horizon)
    _paint(canvas, yellow, dim(YELLOW, light.on_top()), markings.wear, light, horizon)
    if view.scenario.pavement_m:
        lanes.extend(_kerbs(canvas, view, gaps, light))
    return lanes


def _spans(near: float, far: float, gaps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return what is left of a stretch of road without its junctions."""
    spans, start = [], near
    for first, last in gaps:
        if last > start and first < far:
            if first > start:
                spans.append((start, first))
            start = last
    return [*spans, (start, far)] if start < far else spans


def _ribbon(view: View, start: float, end: float, u: float, width: float, steps: int) -> Floats:
    """Return a strip of the ground as a closed polygon in pixels."""
    z = np.geomspace(start - view.s_m, end - view.s_m, steps)
    s = np.concatenate([z, z[::-1]]) + view.s_m
    return view.on_ground(s, np.repeat([u - width / 2, u + width / 2], steps))


def _strokes(view: View, line: Line, u: float, near: float, gaps: list[tuple[float, float]]) -> list[Floats]:
    strokes = []
    for start, end in _spans(near, view.s_m + 130, gaps):
        if not line.dash_m:
            if end - start > 0.5:
                strokes.append(_ribbon(view, start, end, u, _LINE_M, 14))
            continue
        period = line.dash_m + line.gap_m
        first = np.floor(start / period) * period
        starts = first + period * np.arange(min(_MAX_LINES, int((end - first) / period) + 1))
        a, b = np.maximum(starts, start), np.minimum(starts + line.dash_m, end)
        a, b = a[b - a > 0.2], b[b - a > 0.2]
        corners = np.stack([a, b, b, a], 1).ravel()
        half = _LINE_M / 2
        points = view.on_ground(corners, np.tile([u - half, u - half, u + half, u + half], len(a)))
        strokes.extend(points.reshape(-1, 4, 2))
    return strokes


def _lanes(view: View, category: str, style: str, u: float, gaps: list[tuple[float, float]]) -> list[Lane]:
    """Return a line as polylines inside the image, as far as no crest hides it."""
    lanes = []
    for start, end in _spans(view.s_m + 1.5, view.s_m + SEEN_M, gaps):
        if end - start < 1.0:
            continue
        z = np.geomspace(start - view.s_m, end - view.s_m, 24)
        points = view.on_ground(z + view.s_m, np.full(24, u))
        upright = view.upright(z, np.zeros(24), view.height(z))[1]
        rising = np.append(True, upright[1:] < np.minimum.accumulate(upright)[:-1])
        inside = (points >= 0).all(1) & (points[:, 0] < view.width_px) & (points[:, 1] < view.height_px) & rising
        if np.count_nonzero(inside) >= 3:
            lanes.append(Lane(category, points[inside].astype(np.float32), style))
    return lanes


def _crossing(view: View, crossing: Crossing) -> tuple[list[Floats], list[Lane]]:
    """Return the bars of a crossing and its two long edges."""
    left, right = view.scenario.left_edge_m, view.scenario.right_edge_m
    s = crossing.s_m
    bars = [view.on_ground(np.array([s - 2.0, s - 1.6, s - 1.6, s - 2.0]), np.array([0.1, 0.1, right, right]))]
    if not crossing.zebra:
        return bars, []
    for u in np.arange(left + 0.4, right - 0.5, 1.0):
        bars.append(view.on_ground(np.array([s, s + 3.0, s + 3.0, s]), np.array([u, u, u + 0.5, u + 0.5])))
    edges = []
    for at in (s, s + 3.0):
        u = np.linspace(left + 0.3, right - 0.3, 12)
        points = view.on_ground(np.full(12, at), u)
        inside = (points >= 0).all(1) & (points[:, 0] < view.width_px) & (points[:, 1] < view.height_px)
        if np.count_nonzero(inside) >= 3:
            edges.append(Lane("crosswalk", points[inside].astype(np.float32), "solid", "vertical"))
    return bars, edges


def _paint(canvas: Canvas, strokes: list[Floats], colour: Colour, wear: float, light: Light, horizon: int) -> None:
    """Blend paint into the road; where the stone is bright, worn paint is gone first."""
    if not strokes:
        return
    top = max(horizon - 4, 0)
    layer = np.zeros((canvas.height_px - top, canvas.width_px), np.uint8)
    cv2.fillPoly(layer, [np.rint(stroke - (0, top)).astype(np.int32) for stroke in strokes], 255)
    here = canvas.image[top:]
    if wear > 0.1:
        keep = cv2.threshold(here[..., 0], (128 - 66 * wear) * light.on_top(), 255, cv2.THRESH_BINARY_INV)[1]
        cv2.bitwise_and(layer, keep, layer)
    opacity = 0.92 - 0.3 * wear
    flat = [value * opacity for value in colour]
    painted = cv2.add(cv2.convertScaleAbs(here, None, 1 - opacity), (*flat, 0))
    cv2.copyTo(painted, layer, here)


def _kerbs(canvas: Canvas, view: View, gaps: list[tuple[float, float]], light: Light) -> list[Lane]:
    lanes = []
    colour = dim((142.0, 140.0, 134.0), light.on_top())
    face = dim((96.0, 95.0, 92.0), light.on_top())
    canvas.begin(SIDEWALK)
    for u, outward in ((view.scenario.right_edge_m, 1), (view.scenario.left_edge_m, -1)):
        for start, end in _spans(view.s_m + 1.5, view.s_m + 90, gaps):
            if end - start < 1.0:
                continue
            canvas.polygon(_ribbon(view, start, end, u + outward * KERB_M * 0.3, KERB_M * 0.6, 12), face, 20.0)
            canvas.polygon(_ribbon(view, start, end, u + outward * KERB_M * 1.1, KERB_M, 12), colour, 20.0)
        lanes.extend(_lanes(view, "road curb", "solid", u, gaps))
    return lanes
