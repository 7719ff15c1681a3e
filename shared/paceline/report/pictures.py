"""Grids of small pictures that a figure holds: plain HTML, the bytes inside the page, a description for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from paceline.report import format as fmt
from paceline.report.strips import markup


def draw(figure: Mapping[str, Any]) -> Markup:
    """Return a checked figure of pictures as a list in HTML, one item a picture."""
    items = [
        f'<li><img width="{picture["width_px"]}" height="{picture["height_px"]}" '
        f'alt="{escape(fmt.clip(picture["description"], 300))}" src="data:{picture["type"]};base64,{picture["data"]}">'
        f"<span>{escape(fmt.clip(picture['name'], 120))}</span></li>"
        for picture in figure["pictures"]
    ]
    return markup(f'<ul class="pictures">{"".join(items)}</ul>')
