"""The data sheet shows labels over images before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from driving_perception import sheet
from driving_perception.config import Config, Data
from driving_perception.data import Scenes
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine


def test_sheet_is_a_page_with_pictures_and_facts(tmp_path: Path, camvid: Path, settings: Callable[..., Data]) -> None:
    """Facts as JSON beside the page, a picture of every frame where there are few."""
    path = tmp_path / "sheet.html"
    answer = sheet.write(path, Config(data=settings("camvid", camvid)), Quarantine())
    assert str(path) == answer["sheet"]
    assert 12 == path.read_text(encoding="utf-8").count("data:image/jpeg;base64")
    assert 12 == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["frames"]


def test_a_drive_in_two_folders_of_splits_is_refused_before_any_training(
    tmp_path: Path, picture: Callable[..., Path], mask: Callable[..., Path], settings: Callable[..., Data]
) -> None:
    """The sequence is the folder below the split: `train/a` and `val/a` are one drive."""
    for name in ("train/a/1", "train/a/2", "train/b/4", "train/b/5", "val/a/7"):
        picture(tmp_path / "images" / f"{name}.png")
        mask(tmp_path / "masks" / f"{name}.png", 0)
    config = Config(data=settings("folders", tmp_path, labels={"road": 0}))
    with pytest.raises(PacelineError, match="share 0 frames and 1 sequences: a"):
        sheet.write(tmp_path / "sheet.html", config, Quarantine())


def test_contact_sheet_has_every_sequence(scenes: Callable[..., Scenes]) -> None:
    """Twelve pictures at most, of the short sequence too."""
    found = sheet.contact_sheet(scenes("a" * 50 + "b" + "c" * 20))
    names = [picture["name"] for picture in found["pictures"]]
    assert {"a", "b", "c"} == {name[0] for name in names}
    assert len(names) <= 12
