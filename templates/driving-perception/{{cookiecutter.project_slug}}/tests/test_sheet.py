"""The data sheet shows labels over images before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from driving_perception import sheet
from driving_perception.config import Config, Data
from driving_perception.data import Scenes
from paceline.quarantine import Quarantine


def test_sheet_is_a_page_with_pictures_and_facts(tmp_path: Path, camvid: Path, settings: Callable[..., Data]) -> None:
    """Facts as JSON beside the page, a picture of every frame where there are few."""
    path = tmp_path / "sheet.html"
    answer = sheet.write(path, Config(data=settings("camvid", camvid)), Quarantine())
    assert str(path) == answer["sheet"]
    assert 12 == path.read_text(encoding="utf-8").count("data:image/jpeg;base64")
    assert 12 == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["frames"]


def test_contact_sheet_has_every_sequence(scenes: Callable[..., Scenes]) -> None:
    """Twelve pictures at most, of the short sequence too."""
    found = sheet.contact_sheet(scenes("a" * 50 + "b" + "c" * 20))
    names = [picture["name"] for picture in found["pictures"]]
    assert {"a", "b", "c"} == {name[0] for name in names}
    assert len(names) <= 12
