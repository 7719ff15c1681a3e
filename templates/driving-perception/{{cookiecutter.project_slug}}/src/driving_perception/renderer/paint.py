"""Markings and kerbs as the camera sees them, and the polylines that annotate them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer.camera import NEAR_M, View
from driving_perception.renderer.canvas import SIDEWALK, Canvas, Colour, Floats, Pixels, whole
from driving_perception.renderer.light import Light, dim
from driving_perception.renderer.markings import Crossing, Line, Markings
from driving_perception.renderer.road import KERB_M, Junction

WHITE: Colour = (208.0, 208.0, 202.0)
YELLOW: Colour = (204.0, 164.0, 62.0)
SEEN_M = 90.0  # how far lines are annotated
_PAINT_SEEN_M = 130.0
_CROSSINGS_SEEN_M = 70.0
_LINE_M = 0.14
_SHORTEST_M = 1.0  # of a stretch of line
_MAX_DASHES = 40
_RIBBON_STEPS = 14
_LANE_STEPS = 24
_SHARES = {steps: np.linspace(0.0, 1.0, steps) for steps in (_RIBBON_STEPS, _LANE_STEPS)}


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


def draw(
    canvas: Canvas, view: View, markings: Markings, junctions: tuple[Junction, ...], light: Light, horizon: int
) -> list[Lane]:
    """Paint the markings and kerbs; return the annotated lines."""
    near = view.s_m + NEAR_M
    gaps = [(junction.start_m, junction.end_m) for junction in junctions]
    shapes: dict[str, list[Floats]] = {"white": [], "yellow": [], "face": [], "kerb": []}
    lines: list[tuple[str, str, Floats]] = []
    for line in markings.lines:
        for aside in (-0.13, 0.13) if line.double else (0.0,):
            shapes[line.colour].extend(_strokes(line, line.u_m + aside, near, gaps))
        lines.extend((line.category, line.style, along) for along in _along(line.u_m, near, gaps))
    if view.scenario.pavement_m:
        for u, outward in ((view.scenario.right_edge_m, KERB_M), (view.scenario.left_edge_m, -KERB_M)):
            for start, end in _spans(near, near + SEEN_M, gaps):
                shapes["face"].append(_ribbon(start, end, near, u + 0.3 * outward, 0.6 * KERB_M))
                shapes["kerb"].append(_ribbon(start, end, near, u + 1.1 * outward, KERB_M))
            lines.extend(("road curb", "solid", along) for along in _along(u, near, gaps))
    for crossing in markings.crossings:
        if near < crossing.s_m < near + _CROSSINGS_SEEN_M:
            bars, edges = _crossing(view, crossing)
            shapes["white"].extend(bars)
            lines.extend(("crosswalk", "solid", edge) for edge in edges)
    level = light.on_top()
    pixels = _project(view, shapes)
    _blend(canvas, pixels["white"], dim(WHITE, level), markings.wear, light, horizon)
    _blend(canvas, pixels["yellow"], dim(YELLOW, level), markings.wear, light, horizon)
    canvas.begin(SIDEWALK)
    for kind, colour in (("face", (96.0, 95.0, 92.0)), ("kerb", (142.0, 140.0, 134.0))):
        for shape in pixels[kind]:
            canvas.polygon(shape, dim(colour, level), 20.0)
    return _annotate(view, lines)


def _project(view: View, shapes: dict[str, list[Floats]]) -> dict[str, list[Pixels]]:
    """Project polygons on the ground, all at once."""
    every = [shape for group in shapes.values() for shape in group]
    if not every:
        return {kind: [] for kind in shapes}
    corners = np.concatenate(every)
    pixels = whole(view.on_ground(corners[:, 0], corners[:, 1]))
    projected: dict[str, list[Pixels]] = {}
    start = 0
    for kind, group in shapes.items():
        projected[kind] = []
        for shape in group:
            projected[kind].append(pixels[start : start + len(shape)])
            start += len(shape)
    return projected


def _spans(near: float, far: float, gaps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return what is left of a stretch of road without its junctions, but for the shortest."""
    spans, start = [], near
    for first, last in gaps:
        if last > start and first < far:
            if first - start > _SHORTEST_M:
                spans.append((start, first))
            start = last
    return [*spans, (start, far)] if far - start > _SHORTEST_M else spans


def _ahead(start: float, end: float, near: float, steps: int) -> Floats:
    """Return places along the road, dense near the camera."""
    camera = near - NEAR_M
    places: Floats = camera + (start - camera) * ((end - camera) / (start - camera)) ** _SHARES[steps]
    return places


def _ribbon(start: float, end: float, near: float, u: float, width: float) -> Floats:
    """Return a strip of the ground as a closed polygon (n, 2) along and right."""
    s = _ahead(start, end, near, _RIBBON_STEPS)
    strip = np.empty((2 * _RIBBON_STEPS, 2))
    strip[:_RIBBON_STEPS, 0], strip[_RIBBON_STEPS:, 0] = s, s[::-1]
    strip[:_RIBBON_STEPS, 1], strip[_RIBBON_STEPS:, 1] = u - width / 2, u + width / 2
    return strip


def _strokes(line: Line, u: float, near: float, gaps: list[tuple[float, float]]) -> list[Floats]:
    strokes: list[Floats] = []
    for start, end in _spans(near, near + _PAINT_SEEN_M, gaps):
        if not line.dash_m:
            strokes.append(_ribbon(start, end, near, u, _LINE_M))
            continue
        period = line.dash_m + line.gap_m
        first = np.floor(start / period) * period
        starts = first + period * np.arange(min(_MAX_DASHES, int((end - first) / period) + 1))
        a, b = np.maximum(starts, start), np.minimum(starts + line.dash_m, end)
        long = b - a > 0.2
        dashes = np.empty((np.count_nonzero(long), 4, 2))
        dashes[:, (0, 3), 0], dashes[:, (1, 2), 0] = a[long, None], b[long, None]
        dashes[:, :2, 1], dashes[:, 2:, 1] = u - _LINE_M / 2, u + _LINE_M / 2
        strokes.extend(dashes)
    return strokes


def _along(u: float, near: float, gaps: list[tuple[float, float]]) -> list[Floats]:
    """Return the polylines (n, 2) of a line between side roads."""
    return [
        np.stack([_ahead(start, end, near, _LANE_STEPS), np.full(_LANE_STEPS, u)], 1)
        for start, end in _spans(near, near + SEEN_M, gaps)
    ]


def _annotate(view: View, lines: list[tuple[str, str, Floats]]) -> list[Lane]:
    """Project polylines; keep what is inside the image and what no crest hides."""
    if not lines:
        return []
    s, u = np.stack([points for _, _, points in lines]).transpose(2, 0, 1)
    points = view.on_ground(s.ravel(), u.ravel()).reshape(*s.shape, 2)
    z = (s - view.s_m).ravel()
    row = view.upright(z, np.zeros(len(z)), view.height(z))[1].reshape(s.shape)
    shown = (points >= 0).all(-1) & (points[..., 0] < view.width_px) & (points[..., 1] < view.height_px)
    rising = np.ones(s.shape, np.bool_)
    rising[:, 1:] = row[:, 1:] < np.minimum.accumulate(row, 1)[:, :-1]
    lanes = []
    for i, (category, style, _) in enumerate(lines):
        across = category == "crosswalk"
        kept = points[i, shown[i] if across else shown[i] & rising[i]]
        if len(kept) >= 3:
            lanes.append(Lane(category, kept.astype(np.float32), style, "vertical" if across else "parallel"))
    return lanes


def _crossing(view: View, crossing: Crossing) -> tuple[list[Floats], list[Floats]]:
    """Return the bars of a crossing and its two long edges, along and right."""
    left, right = view.scenario.left_edge_m, view.scenario.right_edge_m
    s = crossing.s_m
    bars = [_rectangle(s - 2.0, s - 1.6, 0.1, right)]
    if not crossing.zebra:
        return bars, []
    bars.extend(_rectangle(s, s + 3.0, u, u + 0.5) for u in np.arange(left + 0.4, right - 0.5, 1.0).tolist())
    u = np.linspace(left + 0.3, right - 0.3, _LANE_STEPS)
    return bars, [np.stack([np.full(_LANE_STEPS, at), u], 1) for at in (s, s + 3.0)]


def _rectangle(start: float, end: float, left: float, right: float) -> Floats:
    return np.array([(start, left), (end, left), (end, right), (start, right)])


def _blend(canvas: Canvas, strokes: list[Pixels], colour: Colour, wear: float, light: Light, horizon: int) -> None:
    """Blend paint into the road; where the stone is bright, worn paint is gone first."""
    if not strokes:
        return
    top = max(horizon - 4, 0)
    layer = np.zeros((canvas.height_px - top, canvas.width_px), np.uint8)
    cv2.fillPoly(layer, strokes, 255, offset=(0, -top))
    here = canvas.image[top:]
    if wear > 0.1:
        keep = cv2.threshold(here[..., 0], (128 - 66 * wear) * light.on_top(), 255, cv2.THRESH_BINARY_INV)[1]
        cv2.bitwise_and(layer, keep, layer)
    opacity = 0.92 - 0.3 * wear
    flat = [value * opacity for value in colour]
    painted = cv2.add(cv2.convertScaleAbs(here, None, 1 - opacity), (*flat, 0))
    cv2.copyTo(painted, layer, here)
