"""Pictures in a page: inside it, described, and escaped."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from paceline import report
from paceline.report import figure, pictures

IMAGE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)


def test_each_picture_has_its_name_and_its_description() -> None:
    """What is seen and what is read aloud, whatever the texts hold."""
    bad = '"><script>alert(1)</script>'
    drawn = pictures.draw(figure.pictures("P", [IMAGE, IMAGE], names=["one", bad], descriptions=["first", bad]))
    assert 2 == drawn.count("<li><img ")
    assert 2 == len(re.findall(r'alt="[^"<>]+" src="data:image/jpeg;base64,[A-Za-z0-9+/=]+">', drawn))
    assert "<script" not in drawn


def test_a_report_shows_them_whole(bare_record: Callable[..., dict[str, Any]]) -> None:
    """Hiding secrets leaves the bytes of a picture as they are."""
    shown = figure.pictures("Worst frames", [IMAGE], names=["frame 1"], descriptions=["a frame"], caption="See.")
    page = report.render(bare_record(figures=[shown]))
    found = re.search(r"data:image/jpeg;base64,([^\"]+)", page)
    assert found
    assert base64.b64decode(shown["pictures"][0]["data"]) == base64.b64decode(found[1])
    assert "Worst frames" in page


def test_a_report_with_too_many_stays_under_a_megabyte(bare_record: Callable[..., dict[str, Any]]) -> None:
    """Figures beyond the page's size are left out and counted, pictures like charts."""
    large = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    names = [f"frame {index}" for index in range(3)]
    many = figure.pictures("Frames", [large] * 3, names=names, descriptions=names)
    page = report.render(bare_record(figures=[many] * 4))
    assert len(page.encode()) < 1_000_000
    assert "left out to keep this page under 1 MB" in page


def test_a_sheet_shows_them_too(tmp_path: Path) -> None:
    """The audit's contact sheet: pictures above the facts."""
    sheet = report.write_sheet(
        tmp_path / "sheet.html",
        "Frames",
        {"read": 3},
        [figure.pictures("Labels over images", [IMAGE], names=["frame 1"], descriptions=["a frame"])],
    )
    assert "data:image/jpeg" in Path(sheet["sheet"]).read_text(encoding="utf-8")
