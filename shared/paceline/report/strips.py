"""Small marks inside tables: how a whole divides, a score on its interval, a length. They stretch with the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from paceline.report import format as fmt
from paceline.report.scale import NARROW, WIDE


def share_bar(parts: Sequence[tuple[str, float]], key: str) -> Markup:
    """Return one bar divided by `parts` (name, share of the whole); it stretches with the page, the labels do not.

    The largest part is drawn strong. A part too small for its name has none: the table beside it has the same order.
    """
    largest = max((part for _, part in parts), default=0.0)
    body, left = [], 0.0
    for index, (name, part) in enumerate(parts):
        strong = part == largest
        tone = "strong" if strong else ("tone-a" if index % 2 else "tone-b")
        body.append(
            f'<rect class="{tone}" x="{100 * left:.3f}%" y="0" width="{100 * part:.3f}%" height="34"/>'
            f'<rect class="gap" x="{100 * (left + part):.3f}%" y="0" width="1.5" height="34"/>'
        )
        width = len(name) * 7.2 + 14
        if part * NARROW > width or part * WIDE > width:
            seen = "" if part * NARROW > width else " only-wide"
            body.append(
                f'<text class="{"on-strong" if strong else "on-tone"}{seen}" x="{100 * left:.3f}%" dx="7" y="22">'
                f"{escape(name)}</text>"
            )
        left += part
    words = "; ".join(f"{name} {fmt.share(part)}" for name, part in parts)
    return markup(
        f'<svg class="shares" role="img" width="100%" height="34" aria-labelledby="{key}-t {key}-d">'
        f'<title id="{key}-t">How the wall time divides</title><desc id="{key}-d">{escape(words)}</desc>'
        f"{''.join(body)}</svg>"
    )


def strip(value: float, low: float | None, high: float | None, floor: Mapping[str, Any] | None) -> Markup:
    """Return a score between 0 and 1 as a point on its interval, the floor as an open mark below; it stretches."""
    height = 26 if floor else 18
    body = [f'<line class="grid" x1="{at}%" x2="{at}%" y1="0" y2="{height}"/>' for at in (0, 25, 50, 75, 100)]
    if low is not None and high is not None:
        body.append(f'<line class="c0 thick" x1="{100 * low:.2f}%" x2="{100 * high:.2f}%" y1="9" y2="9"/>')
    body.append(f'<circle class="f0" cx="{100 * value:.2f}%" cy="9" r="4.5"/>')
    if floor and floor.get("value") is not None:
        if floor.get("low") is not None and floor.get("high") is not None:
            body.append(
                f'<line class="quiet" x1="{100 * floor["low"]:.2f}%" x2="{100 * floor["high"]:.2f}%" y1="20" y2="20"/>'
            )
        body.append(f'<circle class="hollow" cx="{100 * floor["value"]:.2f}%" cy="20" r="3.5"/>')
    return markup(f'<svg class="strip" aria-hidden="true" width="100%" height="{height}">{"".join(body)}</svg>')


def length_bar(fraction: float) -> Markup:
    """Return a thin bar as long as `fraction` of its place."""
    width = 100 * max(0.0, min(1.0, fraction))
    return markup(
        '<svg aria-hidden="true" width="100%" height="8">'
        f'<rect class="f0" y="2" width="{width:.2f}%" height="5"/></svg>'
    )


def markup(text: str) -> Markup:
    """Return `text`, every part of which was escaped on its way in, as markup."""
    return Markup(text)  # noqa: S704 -- every text that came from a record went through escape on its way in
