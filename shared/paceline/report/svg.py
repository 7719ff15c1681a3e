"""Charts as inline SVG, from the plain figures of `figure`: pure functions, no script, colours from the page's style.

This module owns charts with axes and rows; `scale` the axes' numbers, `strips` the small marks inside tables.

Series differ by dash or marker as well as by colour and are labelled where they end. Every chart has a title and a
description for those who do not see it. Text has a fixed size, so a page shows one drawing for wide and one for
narrow screens rather than one that shrinks.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from paceline.report import format as fmt
from paceline.report.curves import thin
from paceline.report.scale import WIDE, Scale, linear_or_log, log_tick_texts, log_ticks, tick_texts, ticks
from paceline.report.strips import markup

_MOST_POINTS = 500  # of a curve: more than there are pixels
_CHARACTER = 6.7  # width of a character at the charts' font size, pixels; rather too much than too little
_ROW = 24


def draw(figure: Mapping[str, Any], *, width: int, key: str) -> Markup:
    """Return a checked figure as an SVG element of `width` pixels; `key` makes the identifiers in it unique."""
    named = any(isinstance(x, str) for curve in figure["series"] for x in curve["x"])
    if figure["kind"] == "bar" or (figure["kind"] == "interval" and named):
        body, height = _rows(figure, width)
    else:
        body, height = _plane(figure, width)
    title, description = escape(figure["title"]), escape(describe(figure))
    return markup(
        f'<svg class="chart" role="img" width="{width}" height="{height:.0f}" viewBox="0 0 {width} {height:.0f}" '
        f'aria-labelledby="{key}-t {key}-d"><title id="{key}-t">{title}</title>'
        f'<desc id="{key}-d">{description}</desc>{"".join(body)}</svg>'
    )


def describe(figure: Mapping[str, Any]) -> str:
    """Return the figure in words: its axes, and where each series starts, ends and lies."""
    kind = {"line": "Curves", "bar": "Bars", "interval": "Values with intervals"}[figure["kind"]]
    sentences = [f"{kind} of {figure['y_label']} against {figure['x_label']}."]
    for curve in figure["series"][:8]:
        pairs = [(x, y) for x, y in zip(curve["x"], curve["y"], strict=True) if y is not None and x is not None]
        if not pairs:
            sentences.append(f"{fmt.clip(str(curve['name']), 60)}: no values.")
        elif figure["kind"] == "line":
            (x0, y0), (x1, y1) = pairs[0], pairs[-1]
            places = f"from {fmt.number(y0)} at {fmt.number(x0)} to {fmt.number(y1)} at {fmt.number(x1)}"
            low, high = min(y for _, y in pairs), max(y for _, y in pairs)
            sentences.append(
                f"{fmt.clip(str(curve['name']), 60)}: {places}, between {fmt.number(low)} and {fmt.number(high)}."
            )
        else:
            values = ", ".join(f"{_text(x)} {fmt.number(y)}" for x, y in pairs[:12])
            sentences.append(f"{fmt.clip(str(curve['name']), 60)}: {values}{', and more' if len(pairs) > 12 else ''}.")
    return " ".join(sentences)


@dataclass(frozen=True)
class _Plane:
    """Where numbers lie in the drawing, and the places that curves cover."""

    x_of: Scale
    y_of: Scale
    left: float
    right: float
    top: float
    bottom: float
    log_x: bool
    log_y: bool
    covered: list[tuple[float, float]]

    def place(self, x: float, y: float) -> tuple[float, float] | None:
        """Return where a point lies; None for one that its log scale or the frame does not have."""
        if (self.log_x and x <= 0) or (self.log_y and y <= 0):
            return None
        place = self.x_of(x), self.y_of(y)
        inside = self.left - 1 <= place[0] <= self.right + 1 and self.top - 1 <= place[1] <= self.bottom + 1
        return place if inside else None

    def freest(self, places: Sequence[tuple[float, float, bool]], size: float) -> tuple[float, float, bool]:
        """Return the first of the places (x, y, whether the text ends there) whose text hides least of the curves."""

        def hidden(place: tuple[float, float, bool]) -> float:
            x, y, end = place
            low, high = (x - size, x) if end else (x, x + size)
            outside = max(0.0, self.left - low) + max(0.0, high - self.right) + max(0.0, y - self.bottom)
            return 10 * outside + sum(low - 3 <= a <= high + 3 and y - 13 <= b <= y + 4 for a, b in self.covered)

        return min(places, key=hidden)


def _plane(figure: Mapping[str, Any], width: int) -> tuple[list[str], float]:
    """Curves, or intervals at numbers, between two axes."""
    curves = [_finite(curve, figure) for curve in figure["series"]]
    references = figure.get("lines") or []
    points = [
        point for point in figure.get("points") or [] if fmt.is_number(point.get("x")) and fmt.is_number(point.get("y"))
    ]
    xs = [x for curve in curves for x in curve["x"]] + [point["x"] for point in points]
    ys = [y for curve in curves for key in ("y", "low", "high") for y in curve.get(key, ())]
    ys += [point["y"] for point in points]
    for reference in references:
        ends = [reference[end] for end in ("from", "to") if end in reference]
        xs += [end[0] for end in ends] + ([reference["x"]] if fmt.is_number(reference.get("x")) else [])
        ys += [end[1] for end in ends] + ([reference["y"]] if fmt.is_number(reference.get("y")) else [])
    log_x, log_y = figure.get("x_scale") == "log", figure.get("y_scale") == "log"
    xs, ys = [x for x in xs if not log_x or x > 0], [y for y in ys if not log_y or y > 0]
    if not xs or not ys:
        return [f'<text class="quiet-text" x="0" y="16">{escape("No values to draw.")}</text>'], 24

    if log_y:  # a lower end near zero would take the axis through many empty decades: its interval is cut there
        tops = [y for curve in curves for key in ("y", "high") for y in curve.get(key, ()) if y > 0]
        ys = [y for y in ys if not tops or y >= min(tops) / 10]
    most, whole = 7 if width >= WIDE else 5, figure.get("x_whole") is True
    x_ticks = log_ticks(min(xs), max(xs)) if log_x else ticks(min(xs), max(xs), most, whole=whole)
    y_ticks = log_ticks(min(ys), max(ys)) if log_y else ticks(min(ys), max(ys), 6)
    if not log_x and max(xs) > min(xs):  # the axis ends with the data, not with the next round number
        x_range = (min(xs), max(xs))
        x_ticks = [tick for tick in x_ticks if x_range[0] <= tick <= x_range[1]] or list(x_range)
    else:
        x_range = (x_ticks[0], x_ticks[-1])
    y_texts = (log_tick_texts if log_y else tick_texts)(y_ticks) if len(y_ticks) > 1 else [fmt.number(y_ticks[0])]
    names = [str(curve["name"]) for curve in curves]
    room = 0.24 * width
    at_ends = figure["kind"] == "line" and len(curves) <= 4 and all(len(n) * _CHARACTER + 10 < room for n in names)
    legend = [] if at_ends else [(name, index) for index, name in enumerate(names)]
    segments = [(str(line.get("name", "")), -1) for line in references if "from" in line and line.get("name")]
    entries = legend + segments if len(legend) > 1 or at_ends or segments else []
    left = max(len(text) for text in y_texts) * _CHARACTER + 10
    right = max((len(name) * _CHARACTER + 10 for name in names), default=0) if at_ends else 12.0
    body, top = _legend(entries, width, figure["kind"])
    top += 30
    plot_height = 220 if width >= WIDE else 190
    bottom = top + plot_height
    x_of = linear_or_log(*x_range, left, width - right, log=log_x)
    y_of = linear_or_log(y_ticks[0], y_ticks[-1], bottom, top, log=log_y)
    y_label = fmt.clip(str(figure["y_label"]), int(width / _CHARACTER))
    body.append(f'<text class="axis-name" x="0" y="{top - 14:.0f}">{escape(y_label)}</text>')
    for tick, text in zip(y_ticks, y_texts, strict=True):
        y = y_of(tick)
        body.append(f'<line class="grid" x1="{left:.1f}" x2="{width - right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(f'<text class="tick" text-anchor="end" x="{left - 6:.1f}" y="{y + 4:.1f}">{text}</text>')
    x_texts = (log_tick_texts if log_x else tick_texts)(x_ticks) if len(x_ticks) > 1 else [fmt.number(x_ticks[0])]
    for tick, text in zip(x_ticks, x_texts, strict=True):
        x = x_of(tick)
        half = len(text) * _CHARACTER / 2
        x_text = min(max(x, half), width - half)
        body.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:.0f}" y2="{bottom + 4:.0f}"/>')
        body.append(f'<text class="tick" text-anchor="middle" x="{x_text:.1f}" y="{bottom + 18:.0f}">{text}</text>')
    x_label = fmt.clip(str(figure["x_label"]), int(width / _CHARACTER))
    body.append(
        f'<text class="axis-name" text-anchor="end" x="{width - right:.1f}" y="{bottom + 35:.0f}">'
        f"{escape(x_label)}</text>"
    )
    drawn = [
        [
            (x_of(x), y_of(y))
            for x, y in zip(curve["x"], curve["y"], strict=True)
            if (not log_x or x > 0) and (not log_y or y > 0)
        ]
        for curve in curves
    ]
    covered = [place for pairs in drawn for place in _dense(pairs)]
    plane = _Plane(x_of, y_of, left, width - right, top, bottom, log_x, log_y, covered)
    body += _references(references, plane)
    labels: list[tuple[float, str, int]] = []
    label_x: dict[int, float] = {}
    for index, curve in enumerate(curves):
        pairs = drawn[index]
        if figure["kind"] == "interval":
            body += _whiskers(curve, index, plane)
        elif len(pairs) == 1:
            body.append(f'<circle class="f{index % 6}" cx="{pairs[0][0]:.1f}" cy="{pairs[0][1]:.1f}" r="3.5"/>')
        elif pairs:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)
            body.append(f'<polyline class="c{index % 6}" points="{path}"/>')
        if at_ends and pairs:
            label_x[index], y = max(pairs[0], pairs[-1])  # the right one, whichever way the curve goes
            labels.append((y, names[index], index))
    for y, name, index in _apart(labels, top, bottom):
        x = label_x[index] + 6
        early = " halo" if x < width - right else ""  # another curve may run on behind it
        body.append(f'<text class="t{index % 6}{early}" x="{x:.1f}" y="{y + 4:.1f}">{escape(name)}</text>')
    for point in points:
        body += _point(point, plane)
    return body, bottom + 44


def _rows(figure: Mapping[str, Any], width: int) -> tuple[list[str], float]:
    """Bars, or intervals of named things: a row a name."""
    bars = figure["kind"] == "bar"
    curves = figure["series"]
    names = list(dict.fromkeys(_text(x) for curve in curves for x in curve["x"]))
    keys = ("y",) if bars else ("y", "low", "high")
    values = [value for curve in curves for key in keys for value in curve[key] if value is not None]
    references = [line for line in figure.get("lines") or [] if fmt.is_number(line.get("y"))]
    values += [line["y"] for line in references] + ([0.0] if bars else [])
    if not values or not names:
        return [f'<text class="quiet-text" x="0" y="16">{escape("No values to draw.")}</text>'], 24
    scale_ticks = ticks(min(values), max(values), 6 if width >= WIDE else 4)
    longest = int((0.34 if width >= WIDE else 0.38) * width / _CHARACTER)
    left = min(max(len(name) for name in names), longest) * _CHARACTER + 12
    right = 62.0
    legend = [(str(curve["name"]), index) for index, curve in enumerate(curves)] if len(curves) > 1 else []
    body, top = _legend(legend, width, "bar" if bars else "interval")
    top += 22
    each = 15 if len(curves) > 1 else _ROW
    row_height = each * len(curves) + (8 if len(curves) > 1 else 0)
    bottom = top + row_height * len(names)
    x_of = linear_or_log(scale_ticks[0], scale_ticks[-1], left, width - right, log=False)
    y_label = fmt.clip(str(figure["y_label"]), int(width / _CHARACTER))
    body.append(f'<text class="axis-name" x="0" y="{top - 10:.0f}">{escape(y_label)}</text>')
    for tick, text in zip(scale_ticks, tick_texts(scale_ticks), strict=True):
        x = x_of(tick)
        body.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.0f}" y2="{bottom:.0f}"/>')
        body.append(f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{bottom + 16:.0f}">{text}</text>')
    for row, name in enumerate(names):
        middle = top + row * row_height + row_height / 2
        body.append(
            f'<text class="row-name" x="0" y="{middle + 4:.1f}"><title>{escape(fmt.clip(name, 300))}</title>'
            f"{escape(fmt.clip(name, longest))}</text>"
        )
        for index, curve in enumerate(curves):
            places = [place for place, x in enumerate(curve["x"]) if _text(x) == name]
            if not places or curve["y"][places[0]] is None:
                continue
            place = places[0]
            y = middle + (index - (len(curves) - 1) / 2) * each
            value = x_of(curve["y"][place])
            end = value
            if bars:
                zero = x_of(0.0)
                start, size = min(zero, value), abs(value - zero)
                body.append(
                    f'<rect class="b{index % 6}" x="{start:.1f}" y="{y - 6:.1f}" '
                    f'width="{max(size, 0.8):.1f}" height="12"/>'
                )
                end = max(zero, value)
            else:
                low, high = curve["low"][place], curve["high"][place]
                if low is not None and high is not None:
                    body.append(
                        f'<line class="c{index % 6} thick" x1="{x_of(low):.1f}" x2="{x_of(high):.1f}" '
                        f'y1="{y:.1f}" y2="{y:.1f}"/>'
                    )
                    end = max(end, x_of(high))
                body.append(_marker(index, value, y))
            body.append(f'<text class="tick" x="{end + 7:.1f}" y="{y + 4:.1f}">{fmt.number(curve["y"][place])}</text>')
    for line in references:
        x = x_of(line["y"])
        body.append(f'<line class="reference" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4:.0f}" y2="{bottom:.0f}"/>')
        body.append(
            f'<text class="quiet-text" text-anchor="middle" x="{x:.1f}" y="{bottom + 32:.0f}">'
            f"{escape(fmt.clip(str(line.get('name', '')), 30))}</text>"
        )
    return body, bottom + (40 if references else 24)


def _references(lines: Sequence[Mapping[str, Any]], plane: _Plane) -> list[str]:
    body = []
    for line in lines:
        name = fmt.clip(str(line.get("name", "")), 30)
        size = len(name) * _CHARACTER
        if "from" in line:
            path = [plane.place(x, y) for x, y in _along(line["from"], line["to"], log_x=plane.log_x)]
            known = " ".join(f"{place[0]:.1f},{place[1]:.1f}" for place in path if place)
            body.append(f'<polyline class="reference" fill="none" points="{known}"/>')
        elif fmt.is_number(line.get("x")) and (not plane.log_x or line["x"] > 0):
            x = plane.x_of(line["x"])
            flip = x + size + 8 > plane.right
            body.append(_segment("reference", x, plane.top, x, plane.bottom))
            body.append(_label("quiet-text", x - 5 if flip else x + 5, plane.top - 7, name, end=flip))
        elif fmt.is_number(line.get("y")) and (not plane.log_y or line["y"] > 0):
            y = plane.y_of(line["y"])
            body.append(_segment("reference", plane.left, y, plane.right, y))
            places = [(plane.right, y - 5, True), (plane.left + 4, y - 5, False), (plane.right, y + 14, True)]
            label_x, label_y, end = plane.freest(places, size)
            body.append(_label("quiet-text", label_x, label_y, name, end=end))
    return body


def _along(start: Sequence[float], stop: Sequence[float], *, log_x: bool) -> list[tuple[float, float]]:
    """Points of a straight line, close enough that it bends rightly on a log scale."""
    (x1, y1), (x2, y2) = start, stop
    if not log_x or x1 == x2:
        shares = [step / 60 for step in range(61)]
    else:
        low, high = sorted((x1, x2))
        low = max(low, high * 1e-6)
        xs = [low * (high / low) ** (step / 60) for step in range(61)] if high > 0 else []
        shares = [(x - x1) / (x2 - x1) for x in xs]
    return [(x1 + share * (x2 - x1), y1 + share * (y2 - y1)) for share in shares]


def _whiskers(curve: Mapping[str, Any], index: int, plane: _Plane) -> list[str]:
    body = []
    for x, y, low, high in zip(curve["x"], curve["y"], curve["low"], curve["high"], strict=True):
        bottom = plane.place(x, low) or (plane.x_of(x), plane.bottom) if not plane.log_x or x > 0 else None
        top, middle = plane.place(x, high), plane.place(x, y)
        if bottom and top:  # on a log scale an interval that reaches zero goes down to the axis
            body.append(_segment(f"c{index % 6} thin", *bottom, *top))
        if middle:
            body.append(_marker(index, *middle))
        elif plane.log_y and y == 0 and (not plane.log_x or x > 0):
            body.append(f'<circle class="hollow" cx="{plane.x_of(x):.1f}" cy="{plane.bottom:.1f}" r="4"/>')
    return body


def _dense(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points a few pixels apart along a curve."""
    dense = list(pairs)
    for (x1, y1), (x2, y2) in itertools.pairwise(pairs):
        steps = min(100, int(max(abs(x2 - x1), abs(y2 - y1)) / 4))
        dense += [(x1 + (x2 - x1) * i / steps, y1 + (y2 - y1) * i / steps) for i in range(1, steps)]
    return dense


def _marker(index: int, x: float, y: float) -> str:
    """Circle, square, diamond: series are told apart without colour."""
    css = f"f{index % 6}"
    if index % 3 == 0:
        return f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    turn = f' transform="rotate(45 {x:.1f} {y:.1f})"' if index % 3 == 2 else ""
    return f'<rect class="{css}" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"{turn}/>'


def _point(point: Mapping[str, Any], plane: _Plane) -> list[str]:
    place = plane.place(point["x"], point["y"])
    if place is None:
        return []
    x, y = place
    name = fmt.clip(str(point.get("name", "")), 34)
    size = len(name) * _CHARACTER * 1.08  # bold
    places = [(x + 9, y - 8, False), (x - 9, y - 8, True), (x + 9, y + 18, False), (x - 9, y + 18, True)]
    label_x, label_y, end = plane.freest(places, size)
    return [
        f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="5"/>',
        _label("mark", label_x, label_y, name, end=end),
    ]


def _label(css: str, x: float, y: float, name: str, *, end: bool) -> str:
    anchor = "end" if end else "start"
    return f'<text class="{css} halo" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(name)}</text>'


def _legend(entries: Sequence[tuple[str, int]], width: int, kind: str) -> tuple[list[str], float]:
    """Return the legend's elements, wrapped to `width`, and its height. A negative index is a reference line."""
    body, x, y = [], 0.0, 12.0
    for name, index in entries:
        text = fmt.clip(name, int((width - 40) / _CHARACTER))
        size = 32 + len(text) * _CHARACTER + 16
        if x and x + size > width:
            x, y = 0.0, y + 18
        if index < 0:
            body.append(_segment("reference", x, y - 4, x + 24, y - 4))
        elif kind == "line":
            body.append(_segment(f"c{index % 6}", x, y - 4, x + 24, y - 4))
        elif kind == "bar":
            body.append(f'<rect class="b{index % 6}" x="{x:.1f}" y="{y - 9:.1f}" width="20" height="10"/>')
        else:
            body.append(_marker(index, x + 12, y - 4))
        body.append(f'<text class="row-name" x="{x + 30:.1f}" y="{y:.1f}">{escape(text)}</text>')
        x += size
    return body, (y + 8 if entries else 0.0)


def _apart(labels: Sequence[tuple[float, str, int]], top: float, bottom: float) -> list[tuple[float, str, int]]:
    """Move labels at the ends of curves apart until they do not overlap, in the order of their places."""
    placed: list[tuple[float, str, int]] = []
    for y, name, index in sorted(labels):
        placed.append((max(y, placed[-1][0] + 15) if placed else max(y, top), name, index))
    over = placed[-1][0] - bottom if placed else 0
    return [(y - over, name, index) for y, name, index in placed] if over > 0 else placed


def _finite(curve: Mapping[str, Any], figure: Mapping[str, Any]) -> dict[str, Any]:
    """The series without its gaps, and with no more points than can be seen."""
    keys = ("x", "y", "low", "high") if figure["kind"] == "interval" else ("x", "y")
    rows = [
        row for row in zip(*(curve[key] for key in keys), strict=True) if all(fmt.is_number(value) for value in row)
    ]
    if figure["kind"] == "line":
        rows = [(x, y) for x, y in thin(rows, _MOST_POINTS)]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in keys]
    return {"name": curve["name"], **dict(zip(keys, columns, strict=True))}


def _segment(css: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(value: Any) -> str:
    return value if isinstance(value, str) else fmt.number(value)
