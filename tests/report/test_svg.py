"""Charts: well-formed, inside their frame, labelled, told apart without colour."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.report import figure, scale, strips, svg

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False)


def elements(markup: str, tag: str) -> list[ElementTree.Element]:
    """The elements of one kind in a drawing, which has to be well-formed."""
    return list(ElementTree.fromstring(str(markup)).iter(tag))  # noqa: S314 -- our own drawing


def line(x: Sequence[float], y: Sequence[float], **more: Any) -> dict[str, Any]:
    """A figure of one curve."""
    return figure.line("T", [figure.series("s", x, y)], x_label="x", y_label="y", **more)


@given(NUMBERS, NUMBERS)
def test_ticks_enclose_the_range_evenly(a: float, b: float) -> None:
    """Ticks are few, rising, evenly apart, and begin and end outside of the data."""
    low, high = sorted((a, b))
    if high - low < 1e-6 * max(abs(low), abs(high), 1e-3):
        high = low
    found = scale.ticks(low, high)
    steps = [after - before for before, after in itertools.pairwise(found)]
    assert 2 <= len(found) <= 8
    assert found[0] <= low + 1e-6 * steps[0]
    assert found[-1] >= high - 1e-6 * steps[0]
    assert pytest.approx(steps[0], rel=1e-6) == max(steps)
    assert len(set(scale.tick_texts(found))) == len(found)


@given(st.floats(1e-9, 1e9), st.floats(1, 1e6))
def test_log_ticks_enclose_the_range(low: float, factor: float) -> None:
    """Ticks of a log axis rise and begin and end outside of the data."""
    found = scale.log_ticks(low, low * factor)
    assert found == sorted(set(found))
    assert found[0] <= low * (1 + 1e-6)
    assert found[-1] >= low * factor * (1 - 1e-6)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=0, max_size=30), st.sampled_from([scale.WIDE, scale.NARROW]))
def test_a_curve_stays_inside_its_drawing(pairs: list[tuple[float, float]], width: int) -> None:
    """Whatever the numbers, the drawing is well-formed and every place of the curve lies in the frame."""
    rows = sorted(pairs)
    drawing = svg.draw(line([x for x, _ in rows], [y for _, y in rows]), width=width, key="k")
    root = ElementTree.fromstring(str(drawing))  # noqa: S314 -- our own drawing
    height = float(root.get("height", ""))
    for curve in root.iter("polyline"):
        for place in str(curve.get("points")).split():
            x, y = map(float, place.split(","))
            assert -0.1 <= x <= width + 0.1
            assert -0.1 <= y <= height + 0.1


def test_a_long_curve_is_thinned_and_keeps_its_extremes() -> None:
    """Of 50,000 points a few hundred are drawn, the single spike among them."""
    y = np.zeros(50_000)
    y[31_234] = 1.0
    (curve,) = elements(svg.draw(line(np.arange(50_000), y), width=scale.WIDE, key="k"), "polyline")
    heights = [float(place.split(",")[1]) for place in str(curve.get("points")).split()]
    assert 100 < len(heights) <= 500
    assert min(heights) < max(heights) - 100


def test_one_point_is_a_dot_and_none_is_said() -> None:
    """A single value is visible; no values give a sentence."""
    assert len(elements(svg.draw(line([3], [4]), width=scale.WIDE, key="k"), "circle")) == 1
    assert "No values to draw." in svg.draw(line([1], [float("nan")]), width=scale.WIDE, key="k")


def test_series_differ_without_colour() -> None:
    """Curves have classes of their own, each with a dash of its own in the style, and are labelled at their ends."""
    curves = [figure.series(name, [0, 1], [0, place]) for place, name in enumerate(["one", "two", "three"])]
    drawing = svg.draw(figure.line("T", curves, x_label="x", y_label="y"), width=scale.WIDE, key="k")
    assert [each.get("class") for each in elements(drawing, "polyline")] == ["c0", "c1", "c2"]
    labels = [each.text for each in elements(drawing, "text") if str(each.get("class")).startswith("t")]
    assert {"one", "two", "three"} <= set(labels)
    style = svg.__file__.replace("svg.py", "style.css")
    with open(style, encoding="utf-8") as file:  # noqa: PTH123 -- beside the module
        dashes = re.findall(r"\.c[1-5]\{[^}]*stroke-dasharray:([^;}]+)", file.read())
    assert len(set(dashes)) == 5


def test_labels_at_ends_do_not_overlap() -> None:
    """Curves that end together have labels at least a line apart."""
    curves = [figure.series(name, [0, 1], [0, 1]) for name in "abcd"]
    drawing = svg.draw(figure.line("T", curves, x_label="x", y_label="y"), width=scale.WIDE, key="k")
    places = [float(e.get("y", "")) for e in elements(drawing, "text") if re.fullmatch(r"t\d", str(e.get("class")))]
    assert len(places) == 4
    assert all(after - before >= 14.9 for before, after in itertools.pairwise(sorted(places)))


def test_every_chart_has_a_title_and_a_description() -> None:
    """The drawing is an image with a name and words for what it shows, tied to it by identifiers."""
    root = ElementTree.fromstring(str(svg.draw(line([1, 2], [3, 5]), width=scale.WIDE, key="k")))  # noqa: S314
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "k-t k-d")
    words = {child.get("id"): child.text for child in root if child.tag in ("title", "desc")}
    assert words["k-t"] == "T"
    assert "from 3 at 1 to 5 at 2" in str(words["k-d"])


def test_hostile_names_are_escaped() -> None:
    """Names with markup appear as text in every kind of figure."""
    bad = '"><script>alert(1)</script>'
    curve = figure.series(bad, [1, 2], [1, 2])
    rows = figure.series(bad, [bad], [1], [0], [2])
    reference = [{"name": bad, "y": 1}]
    specs = [
        figure.line(bad, [curve], x_label=bad, y_label=bad, lines=reference, points=[{"name": bad, "x": 1, "y": 1}]),
        figure.interval(bad, [rows, rows], x_label=bad, y_label=bad, lines=reference),
        figure.bar(bad, [rows, rows], x_label=bad, y_label=bad),
    ]
    for spec in specs:
        assert "<script" not in svg.draw(spec, width=scale.NARROW, key="k")


def test_log_scales_leave_out_what_is_not_positive() -> None:
    """Zeros on log axes, in curves and in reference lines alike, are left out and nothing crashes."""
    spec = figure.line(
        "T",
        [figure.series("s", [0, 0.01, 1], [0, 0.02, 1])],
        x_label="x",
        y_label="y",
        x_scale="log",
        y_scale="log",
        lines=[{"name": "even", "from": [0, 0], "to": [1, 1]}, {"name": "never", "x": 0}],
    )
    drawing = svg.draw(spec, width=scale.WIDE, key="k")
    curve = next(each for each in elements(drawing, "polyline") if each.get("class") == "c0")
    assert len(str(curve.get("points")).split()) == 2


def test_bars_have_lengths_in_proportion() -> None:
    """A bar twice as large is twice as long, and a negative one lies left of zero."""
    spec = figure.bar("T", [figure.series("s", ["a", "b", "c"], [1, 2, -1])], x_label="x", y_label="y")
    one, two, minus = (each for each in elements(svg.draw(spec, width=scale.WIDE, key="k"), "rect"))
    assert pytest.approx(2 * float(one.get("width", "")), abs=0.2) == float(two.get("width", ""))
    assert float(minus.get("x", "")) + float(minus.get("width", "")) == pytest.approx(float(one.get("x", "")), abs=0.2)


def test_the_shares_fill_the_bar() -> None:
    """The parts of the ledger's bar lie end to end and the largest is drawn strong."""
    drawing = strips.share_bar([("data", 0.25), ("train", 0.75)], "k")
    parts = [each for each in elements(drawing, "rect") if each.get("class") != "gap"]
    assert [each.get("x") for each in parts] == ["0.000%", "25.000%"]
    assert [each.get("width") for each in parts] == ["25.000%", "75.000%"]
    assert parts[1].get("class") == "strong"


@pytest.mark.parametrize("width", [scale.WIDE, scale.NARROW])
def test_what_is_counted_has_whole_ticks(width: int) -> None:
    """Three epochs have no tick at one and a half."""
    spec = line([1, 2, 3], [0.1, 0.2, 0.3]) | {"x_whole": True}
    texts = [each.text for each in elements(svg.draw(spec, width=width, key="k"), "text")]
    assert {"1", "2", "3"} <= set(texts)
    assert not {"1.5", "2.5"} & set(texts)


def test_a_curve_that_stops_early_is_labelled_where_it_stops() -> None:
    """Its label begins at its end, not at the end of the axis, where the longer curve has its own."""
    curves = [figure.series("short", [0, 1], [0, 1]), figure.series("long", [0, 4], [0, 2])]
    drawing = svg.draw(figure.line("T", curves, x_label="x", y_label="y"), width=scale.WIDE, key="k")
    ends = [float(str(each.get("points")).split()[-1].split(",")[0]) for each in elements(drawing, "polyline")]
    places = {each.text: float(each.get("x", "")) for each in elements(drawing, "text")}
    assert pytest.approx([end + 6 for end in ends], abs=0.11) == [places["short"], places["long"]]
    assert places["long"] > places["short"] + 200


def test_a_curve_that_runs_leftwards_is_labelled_at_its_right_end() -> None:
    """Given from the largest x to the smallest, a curve has its label beside its first point."""
    drawing = svg.draw(line([4, 2, 0], [1, 2, 3]), width=scale.WIDE, key="k")
    (curve,) = elements(drawing, "polyline")
    x = float(str(curve.get("points")).split()[0].split(",")[0])
    places = {each.text: float(each.get("x", "")) for each in elements(drawing, "text")}
    assert pytest.approx(x + 6, abs=0.11) == places["s"]


def test_zeros_between_log_axes_lie_hollow_on_the_axis() -> None:
    """A share of nothing is a hollow mark at the bottom, with its interval up from there; no empty decades below."""
    points = figure.series("s", [1e-3, 1e-2], [0, 0.02], [1e-19, 0.01], [0.004, 0.03])
    spec = figure.interval("T", [points], x_label="x", y_label="y", x_scale="log", y_scale="log")
    drawing = svg.draw(spec, width=scale.WIDE, key="k")
    (hollow,) = (each for each in elements(drawing, "circle") if each.get("class") == "hollow")
    (full,) = (each for each in elements(drawing, "circle") if each.get("class") == "f0")
    whisker = next(each for each in elements(drawing, "line") if each.get("class") == "c0 thin")
    assert hollow.get("cy") == whisker.get("y1")
    assert float(str(full.get("cy"))) < float(str(hollow.get("cy")))
    assert "0.001" in [each.text for each in elements(drawing, "text")]
    assert not [each for each in elements(drawing, "text") if "e-" in str(each.text)]
