"""The embedded data on disk: BDD100K's layout, reproducible, and resumed where it was stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from driving_perception import synthetic
from driving_perception.renderer import Scene, render

ASKED = {"frames": 11, "width_px": 96, "height_px": 72, "seed": 0, "frames_per_sequence": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven frames in six sequences, written in parallel."""
    made = tmp_path_factory.mktemp("synthetic") / "bdd100k"
    made.mkdir()  # one that is there and empty is filled
    synthetic.write(made, **ASKED)
    return made


def hashes(folder: Path) -> dict[str, str]:
    """Return each file's SHA-256 by its path."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_layout_is_bdd100ks(folder: Path) -> None:
    """Images, masks and annotations lie where BDD100K has them, every fifth sequence in val; nothing else is left."""
    train = [f"{s:05d}-{f:04d}" for s in (0, 1, 2, 3, 5) for f in (0, 1) if (s, f) != (5, 1)]
    expected = set()
    for split, names in (("train", train), ("val", ["00004-0000", "00004-0001"])):
        expected |= {f"labels/det_20/det_{split}.json", f"labels/lane/polygons/lane_{split}.json"}
        for name in names:
            expected.add(f"images/100k/{split}/{name}.jpg")
            expected |= {f"labels/{kind}/{split}/{name}.png" for kind in ("sem_seg/masks", "depth")}
    assert expected == set(hashes(folder))
    assert not folder.with_name("bdd100k.part").exists()


def test_files_hold_what_was_rendered(folder: Path) -> None:
    """The mask is exact, the depth to 1/256 m, the image but for compression; boxes and lanes are the scene's."""
    scene = render(3, seed=0, width_px=96, height_px=72, frames_per_sequence=2)
    name = "train/00001-0001"
    mask = cv2.imread(str(folder / f"labels/sem_seg/masks/{name}.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(scene.mask, mask)
    depth = cv2.imread(str(folder / f"labels/depth/{name}.png"), cv2.IMREAD_UNCHANGED)
    near = scene.depth < 250
    assert np.abs(depth[near] / 256 - scene.depth[near]).max() < 0.01
    image = cv2.imread(str(folder / f"images/100k/{name}.jpg"), cv2.IMREAD_COLOR_RGB)
    assert np.abs(image.astype(int) - scene.image).mean() < 10
    frame = json.loads((folder / "labels/det_20/det_train.json").read_text())[3]
    assert ("00001-0001.jpg", "00001") == (frame["name"], frame["videoName"])
    assert scene.attributes == frame["attributes"]
    corners = [[box.x1, box.y1, box.x2, box.y2] for box in scene.boxes]
    assert corners == [list(label["box2d"].values()) for label in frame["labels"]]
    assert [box.occluded for box in scene.boxes] == [label["attributes"]["occluded"] for label in frame["labels"]]
    lanes = json.loads((folder / "labels/lane/polygons/lane_train.json").read_text())[3]["labels"]
    assert [lane.category for lane in scene.lanes] == [label["category"] for label in lanes]
    assert [len(lane.points) * "L" for lane in scene.lanes] == [label["poly2d"][0]["types"] for label in lanes]


def test_same_arguments_give_the_same_bytes_also_after_a_stop(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that was stopped goes on where it was; the files equal those of a call that was not."""
    monkeypatch.setattr(synthetic, "usable_cores", lambda: 1)
    rendered: list[int] = []
    limit = 5

    def counted(index: int, **how: int) -> Scene:
        if len(rendered) == limit:
            raise KeyboardInterrupt
        rendered.append(index)
        return render(index, **how)

    monkeypatch.setattr(synthetic, "render", counted)
    again = tmp_path / "bdd100k"
    with pytest.raises(KeyboardInterrupt):
        synthetic.write(again, **ASKED)
    assert not again.exists()
    rendered.clear()
    limit = 100
    synthetic.write(again, **ASKED)
    assert [4, 5, 6, 7, 8, 9, 10] == rendered
    assert hashes(folder) == hashes(again)


def test_other_arguments_start_afresh_and_a_whole_folder_is_kept(folder: Path, tmp_path: Path) -> None:
    """What another call left half-written is dropped; a folder that is there is not touched."""
    part = tmp_path / "b.part"
    (part / "sequences").mkdir(parents=True)
    (part / "sequences" / "00000.json").write_text("{}")
    synthetic.write(tmp_path / "b", **ASKED | {"frames": 1})
    assert ["images/100k/train/00000-0000.jpg"] == [name for name in hashes(tmp_path / "b") if name.endswith(".jpg")]
    before = hashes(folder)
    synthetic.write(folder, **ASKED | {"seed": 5})
    assert before == hashes(folder)
