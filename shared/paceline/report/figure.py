"""Figures as plain data: what a domain wants drawn in its report, checked when it is made, drawn by `svg`.

A figure is a dict of JSON types, so a record holds it and the report can be made again from the record alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from paceline import atomic
from paceline.report import format as fmt

if TYPE_CHECKING:  # only pictures need NumPy and OpenCV, and a report is made without them
    import numpy as np
    from numpy.typing import NDArray

MOST_PICTURES = 24  # of a figure
MOST_PICTURE_PIXELS = 640 * 480
PICTURE_TYPES = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n"}  # with how their bytes begin
MOST_ROWS = 40  # of a bar or interval chart over names: more cannot be read


def series(
    name: str,
    x: Sequence[Any],
    y: Sequence[float | None],
    low: Sequence[float | None] | None = None,
    high: Sequence[float | None] | None = None,
) -> dict[str, Any]:
    """Return one series of a figure.

    Args:
        name: shown beside the series.
        x: positions, or names for `bar` and `interval`.
        y: values; None and NaN are left out, and a curve goes on past them.
        low: lower ends of the intervals, for `interval`.
        high: upper ends.
    """
    result = {"name": name, "x": x, "y": y}
    if low is not None and high is not None:
        result |= {"low": low, "high": high}
    plain: dict[str, Any] = atomic.plain(result)
    return plain


def line(
    title: str,
    series: Sequence[Mapping[str, Any]],
    *,
    x_label: str,
    y_label: str,
    caption: str = "",
    x_scale: Literal["linear", "log"] = "linear",
    y_scale: Literal["linear", "log"] = "linear",
    lines: Sequence[Mapping[str, Any]] = (),
    points: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a chart of curves.

    Args:
        title: what the figure shows, in a few words.
        series: the curves, see `series`.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit.
        caption: one or two sentences that say what to see in it.
        x_scale: a log scale leaves out what is not positive.
        y_scale: the same for y.
        lines: references: `{"name", "x"}` upright, `{"name", "y"}` level, `{"name", "from": [x, y], "to": [x, y]}`.
        points: marked places: `{"name", "x", "y"}`.

    Raises:
        ValueError: a part has another form than described, or a series' x and y differ in length.

    >>> curve = line("Squares", [series("y", [1, 2, 3], [1, 4, 9])], x_label="x", y_label="x squared")
    >>> curve["kind"], curve["series"][0]["y"]
    ('line', [1, 4, 9])
    """
    spec = {"kind": "line", "x_scale": x_scale, "y_scale": y_scale, "lines": lines, "points": points}
    return check(_spec(spec, title, series, x_label, y_label, caption))


def bar(
    title: str, series: Sequence[Mapping[str, Any]], *, x_label: str, y_label: str, caption: str = ""
) -> dict[str, Any]:
    """Return a chart of bars, one row a name in `x`, with the value at its end; see `line` for the rest."""
    return check(_spec({"kind": "bar"}, title, series, x_label, y_label, caption))


def interval(
    title: str,
    series: Sequence[Mapping[str, Any]],
    *,
    x_label: str,
    y_label: str,
    caption: str = "",
    x_scale: Literal["linear", "log"] = "linear",
    y_scale: Literal["linear", "log"] = "linear",
    lines: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a chart of values with intervals; names in `x` give a row each, numbers a place on it. See `line`.

    Between numbers a log scale of y draws an interval that reaches zero down to the axis, and a value of zero as a
    hollow mark on it.
    """
    spec = {"kind": "interval", "x_scale": x_scale, "y_scale": y_scale, "lines": lines}
    return check(_spec(spec, title, series, x_label, y_label, caption))


def pictures(
    title: str,
    images: Sequence[NDArray[np.uint8]],
    *,
    names: Sequence[str],
    descriptions: Sequence[str],
    caption: str = "",
    lossless: bool = False,
) -> dict[str, Any]:
    """Return a grid of small pictures, which the figure holds itself.

    Args:
        title: what the pictures show, in a few words.
        images: grey (height, width) or RGB (height, width, 3), at most 640 by 480 pixels and 24 of them. Make them
            small: a page has 1 MB for everything. Metadata are not carried over; what the pixels show is.
        names: a line under each.
        descriptions: what each shows, for those who do not see it.
        caption: one or two sentences that say what to see in them.
        lossless: PNG, for label maps and plain colours; else JPEG.

    Raises:
        ValueError: an image has another shape or type, or the lengths differ.
    """
    import cv2
    import numpy

    shown = []
    for image, name, description in zip(images, names, descriptions, strict=True):
        if image.dtype != numpy.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
            raise ValueError(f"figure {title!r}: an image is {image.dtype} of shape {image.shape}")
        ordered = image if image.ndim == 2 else image[..., ::-1]  # OpenCV writes BGR
        options = [] if lossless else [cv2.IMWRITE_JPEG_QUALITY, 80]
        _, data = cv2.imencode(".png" if lossless else ".jpg", numpy.ascontiguousarray(ordered), options)
        shown.append(
            {
                "name": name,
                "description": description,
                "width_px": image.shape[1],
                "height_px": image.shape[0],
                "type": "image/png" if lossless else "image/jpeg",
                "data": base64.b64encode(data.tobytes()).decode("ascii"),
            }
        )
    return check({"kind": "pictures", "title": title, "caption": caption, "pictures": shown})


def check(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return `spec` as JSON types if the report can show it.

    Raises:
        ValueError: says what is wrong, naming the figure.
    """
    figure: dict[str, Any] = atomic.plain(dict(spec))
    name = figure.get("title")
    if not isinstance(name, str) or not name:
        raise ValueError("a figure needs a title")
    kind = figure.get("kind")
    if kind not in ("line", "bar", "interval", "pictures"):
        raise ValueError(f"figure {name!r}: kind {kind!r} is none of line, bar, interval, pictures")
    if kind == "pictures":
        _check_pictures(name, figure.get("pictures"))
        return figure
    for key in ("x_scale", "y_scale"):
        if figure.get(key, "linear") not in ("linear", "log"):
            raise ValueError(f"figure {name!r}: {key} {figure[key]!r} is neither linear nor log")
    curves = figure.get("series")
    if not isinstance(curves, list) or not curves:
        raise ValueError(f"figure {name!r} has no series")
    for curve in curves:
        _check_series(name, kind, curve)
    named = {str(x) for curve in curves for x in curve["x"] if isinstance(x, str) or kind == "bar"}
    if len(named) > MOST_ROWS:
        raise ValueError(f"figure {name!r} has {len(named)} rows; at most {MOST_ROWS} can be read")
    for reference in figure.get("lines") or []:
        ends = [reference.get("from"), reference.get("to")]
        slanted = all(isinstance(end, list) and len(end) == 2 and all(map(fmt.is_number, end)) for end in ends)
        if not (slanted or fmt.is_number(reference.get("x")) or fmt.is_number(reference.get("y"))):
            raise ValueError(f"figure {name!r}: a line needs x, y, or from and to")
    for point in figure.get("points") or []:
        if not (fmt.is_number(point.get("x")) and fmt.is_number(point.get("y"))):
            raise ValueError(f"figure {name!r}: a point needs x and y")
    return figure


def _check_pictures(name: str, shown: Any) -> None:
    if not isinstance(shown, list) or not 1 <= len(shown) <= MOST_PICTURES:
        raise ValueError(f"figure {name!r} needs 1 to {MOST_PICTURES} pictures")
    for picture in shown:
        sizes = [picture.get("width_px"), picture.get("height_px")]
        if not all(isinstance(size, int) and size > 0 for size in sizes) or sizes[0] * sizes[1] > MOST_PICTURE_PIXELS:
            raise ValueError(f"figure {name!r}: a picture has {sizes} pixels; {MOST_PICTURE_PIXELS:,} are allowed")
        if picture.get("type") not in PICTURE_TYPES:
            raise ValueError(f"figure {name!r}: a picture's type {picture.get('type')!r} is not known")
        if not (isinstance(picture.get("name"), str) and isinstance(picture.get("description"), str)):
            raise ValueError(f"figure {name!r}: a picture needs a name and a description")
        try:
            data = base64.b64decode(str(picture.get("data")), validate=True)
        except binascii.Error:
            raise ValueError(f"figure {name!r}: a picture's data are not base64") from None
        if not data.startswith(PICTURE_TYPES[picture["type"]]):
            raise ValueError(f"figure {name!r}: a picture is no {picture['type']}")


def _check_series(name: str, kind: str, curve: Mapping[str, Any]) -> None:
    if not isinstance(curve, Mapping) or not {"name", "x", "y"} <= curve.keys():
        raise ValueError(f"figure {name!r}: a series needs name, x and y")
    wanted = ("x", "y", "low", "high") if kind == "interval" else ("x", "y")
    lengths = {key: len(curve[key]) for key in wanted if key in curve}
    if len(lengths) < len(wanted):
        raise ValueError(f"figure {name!r}: series {curve['name']!r} of intervals needs low and high")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"figure {name!r}: series {curve['name']!r} has lengths {lengths}")
    numeric = [*wanted[1:], "x"] if kind == "line" else wanted[1:]
    for key in numeric:
        if any(value is not None and not fmt.is_number(value) for value in curve[key]):
            raise ValueError(f"figure {name!r}: series {curve['name']!r} has text in {key}")


def _spec(
    rest: dict[str, Any], title: str, series: Sequence[Mapping[str, Any]], x_label: str, y_label: str, caption: str
) -> dict[str, Any]:
    return {"title": title, "caption": caption, "x_label": x_label, "y_label": y_label, "series": series, **rest}
