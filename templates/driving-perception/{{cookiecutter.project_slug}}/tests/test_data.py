"""From files to arrays: what fits is scaled and cached, what does not is listed or refused before decoding."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from driving_perception import data, splits
from driving_perception.config import Data
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

Write = Callable[..., Path]
Make = Callable[..., Data]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins with an empty cache."""
    monkeypatch.setenv("PACELINE_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_frames_and_masks_come_at_the_configured_size(camvid: Path, settings: Make) -> None:
    """Images as RGB bytes, masks as class indices with void ignored, names and sequences beside."""
    scenes = data.load(
        settings("camvid", camvid, image_width_px=32, image_height_px=32), "segmentation", quarantine := Quarantine()
    )
    assert ((12, 32, 32, 3), (12, 32, 32)) == (
        scenes.images.shape,
        scenes.masks.shape if scenes.masks is not None else (),
    )
    assert scenes.masks is not None
    assert [255] * 16 + [3] * 16 == scenes.masks[0, 0].tolist()
    assert ([64, 48], 11, 12) == (scenes.source_size_px[0].tolist(), len(scenes.classes), quarantine.state()["kept"])


def test_bad_frames_are_listed_and_the_others_kept(camvid: Path, settings: Make, mask: Write) -> None:
    """Broken off, of another size, with an unknown id, a copy: four are listed, eight are left, also from the cache."""
    file = camvid / "train/0001TP_000000.png"
    file.write_bytes(file.read_bytes()[:200])
    mask(camvid / "trainannot/0001TP_000001.png", 3, width_px=32)
    mask(camvid / "trainannot/0001TP_000002.png", 77)
    shutil.copy(camvid / "train/0006R0_000000.png", camvid / "train/0006R0_000001.png")
    for _ in range(2):
        quarantine = Quarantine()
        scenes = data.load(settings("camvid", camvid, max_quarantined_share=0.5), "segmentation", quarantine)
        assert 8 == len(scenes.images) == len(scenes.names) == len(scenes.sequences)
        assert {
            "the file breaks off or is damaged": 1,
            "the frame is a copy of another": 1,
            "the mask has an id that the label map does not name": 1,
            "the mask has another size than its image": 1,
        } == quarantine.state()["by_reason"]


def test_many_bad_frames_stop_the_run(camvid: Path, settings: Make, mask: Write) -> None:
    """Above `max_quarantined_share` the message has count and reason."""
    mask(camvid / "trainannot/0001TP_000001.png", 3, width_px=32)
    with pytest.raises(PacelineError, match=r"1 of 12 items are quarantined .* another size than its image"):
        data.load(settings("camvid", camvid), "segmentation", Quarantine())


def test_a_wrong_label_map_stops_early_and_names_the_ids(
    camvid: Path, settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is decoded, and with what has to be added to it."""
    monkeypatch.setattr(data, "_decoded", lambda *_: pytest.fail("frames were decoded"))
    config = settings("folders", camvid, images="train", masks="trainannot", labels={"road": 3})
    with pytest.raises(PacelineError, match=r"does not name: 11 \(6 of 6 looked at"):
        data.load(config, "segmentation", Quarantine())


def test_a_frame_in_two_splits_is_refused(camvid: Path, settings: Make) -> None:
    """A copy under another name counts: what is learned from must not judge."""
    shutil.copy(camvid / "train/0001TP_000000.png", camvid / "test/Seq05VD_000000.png")
    with pytest.raises(PacelineError, match="1 frames are in two splits"):
        data.load(settings("camvid", camvid), "segmentation", Quarantine())


def test_a_second_reading_decodes_nothing(camvid: Path, settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """And another mask under an unchanged image is seen."""
    first = data.load(settings("camvid", camvid), "segmentation", Quarantine())
    with monkeypatch.context() as patch:
        patch.setattr(data.pictures, "frame", lambda *_: pytest.fail("a frame was decoded"))
        again = data.load(settings("camvid", camvid), "segmentation", Quarantine())
    assert (first.images == again.images).all()
    file = camvid / "testannot/Seq05VD_000000.png"
    cv2.imwrite(str(file), np.full((48, 64), 5, np.uint8))
    changed = data.load(settings("camvid", camvid), "segmentation", Quarantine())
    assert changed.masks is not None
    assert {5} == set(np.unique(changed.masks[0]).tolist())


def test_boxes_are_scaled_and_cut_off_at_the_edges(tmp_path: Path, picture: Write, settings: Make) -> None:
    """Half the size halves them; a box outside its frame puts the frame aside."""
    boxes = {"a": [-10, 4, 30, 20], "b": [100, 4, 10, 10], "c": [8, 8, 0, 10]}
    for name in boxes:
        picture(tmp_path / f"images/{name}.png")
    content = {
        "images": [{"id": name, "file_name": f"{name}.png"} for name in boxes],
        "annotations": [{"image_id": name, "category_id": 1, "bbox": box} for name, box in boxes.items()],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_all.json").write_text(json.dumps(content))
    config = settings("coco", tmp_path, image_width_px=32, image_height_px=48, max_quarantined_share=1.0)
    scenes = data.load(config, "detection", quarantine := Quarantine())
    assert scenes.boxes is not None
    assert [[[0, 0, 4, 10, 24]]] == [found.tolist() for found in scenes.boxes]
    assert {"a box has no area": 1, "a box lies outside its frame": 1} == quarantine.state()["by_reason"]


def test_audit_counts_classes_splits_and_look_alikes(camvid: Path, settings: Make) -> None:
    """A frame that was compressed anew and put into the test is found by its looks."""
    copy = cv2.imread(str(camvid / "train/0001TP_000000.png"))
    cv2.imwrite(str(camvid / "test/Seq05VD_000000.png"), cv2.convertScaleAbs(copy, alpha=0.9, beta=3))
    config, quarantine = settings("camvid", camvid), Quarantine()
    scenes = data.load(config, "segmentation", quarantine)
    facts = data.audit(scenes, splits.divide(scenes, config, 0), quarantine)
    assert (12, 4, {"64 × 48": 12}) == (facts["frames"], facts["sequences"], facts["source_sizes_px"])
    assert {"class": "road", "share_of_pixels": 1.0, "frames": 12} == facts["classes"][3]
    assert 0.5 == facts["ignored_pixels"]
    assert [6, 3, 3] == [row["frames"] for row in facts["splits"]]
    assert ["test/Seq05VD_000000 and train/0001TP_000000"] == facts["look_alikes"]["test_examples"]
    assert 12 == facts["quarantine"]["kept"]


def test_source_without_a_path_is_refused(settings: Make) -> None:
    """The message names the key."""
    with pytest.raises(PacelineError, match=r"data\.path is empty"):
        data.load(Data(source="camvid"), "segmentation", Quarantine())
