"""Each published layout, in small files: frames, sequences, splits, and what of it is listed as bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from driving_perception import formats
from driving_perception.annotations import Listing
from driving_perception.config import Config, Data
from paceline import config
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

Write = Callable[..., Path]


def find(source: str, root: Path, task: str, quarantine: Quarantine | None = None, **given: Any) -> Listing:
    """Return the listing of a data set."""
    config = Data.model_validate({"source": source, "path": str(root), **given})
    return formats.find(source, root, config, task, quarantine or Quarantine())


def brief(listing: Listing) -> list[tuple[str, str, str]]:
    """Return the name, sequence and published split of each frame."""
    return [(frame.name, frame.sequence, frame.official) for frame in listing.frames]


def write_json(path: Path, content: Any) -> None:
    """Write `content`, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(("ids", "road"), [("labelIds", 7), ("labelTrainIds", 0)])
def test_cityscapes(tmp_path: Path, picture: Write, mask: Write, ids: str, road: int) -> None:
    """City and sequence tell frames apart, the colour masks beside are left, and the unlabelled test too."""
    for split, city in (("train", "aachen"), ("val", "lindau"), ("test", "berlin")):
        name = f"{city}_000001_000019"
        picture(tmp_path / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png")
        mask(tmp_path / f"gtFine/{split}/{city}/{name}_gtFine_{ids}.png", road)
        mask(tmp_path / f"gtFine/{split}/{city}/{name}_gtFine_color.png", (128, 64, 128))
    listing = find("cityscapes", tmp_path, "segmentation")
    assert [
        ("train/aachen/aachen_000001_000019", "aachen_000001", "train"),
        ("val/lindau/lindau_000001_000019", "lindau_000001", "val"),
    ] == brief(listing)
    assert listing.labels is not None
    assert 0 == listing.labels.indices[road]


def test_camvid_of_segnet(camvid: Path) -> None:
    """The sequence is what the name begins with, the split is the folder."""
    listing = find("camvid", camvid, "segmentation")
    assert ("test/Seq05VD_000000", "Seq05VD", "test") == brief(listing)[0]
    assert {"0001TP", "0006R0", "0016E5", "Seq05VD"} == {frame.sequence for frame in listing.frames}


@pytest.mark.parametrize(
    ("images", "masks", "official"),
    [("701_StillsRaw_full", "LabeledApproved_full", ""), ("train", "train_labels", "train")],
)
def test_camvid_in_colour(tmp_path: Path, picture: Write, mask: Write, images: str, masks: str, official: str) -> None:
    """The original masks hold colours, under names that end in _L."""
    picture(tmp_path / images / "0016E5_00390.png")
    mask(tmp_path / masks / "0016E5_00390_L.png", (128, 64, 128))
    listing = find("camvid", tmp_path, "segmentation")
    assert [(f"{images}/0016E5_00390", "0016E5", official)] == brief(listing)
    assert listing.labels is not None
    assert "colour" == listing.labels.by


def test_comma10k(tmp_path: Path, picture: Write, mask: Write) -> None:
    """Device and time are the drive; a name that ends in 9 is for validation."""
    for number in ("0009", "0010"):
        for frame in ("864", "869"):
            name = f"{number}_0085e9e41513078a_2018-08-19--13-26-08_11_{frame}.png"
            picture(tmp_path / "imgs" / name)
            mask(tmp_path / "masks" / name, (0x40, 0x20, 0x20))
    listing = find("comma10k", tmp_path, "segmentation")
    assert {"0085e9e41513078a_2018-08-19--13-26-08"} == {frame.sequence for frame in listing.frames}
    assert ["train", "val", "train", "val"] == [frame.official for frame in listing.frames]


def test_folders(tmp_path: Path, picture: Write, mask: Write) -> None:
    """Any pair of folders: splits and sequences by sub-folders, or sequences by a pattern."""
    for name in ("train/drive1/a_1", "val/drive2/b_1"):
        picture(tmp_path / f"rgb/{name}.jpg")
        mask(tmp_path / f"gt/{name}.png", 4)
    given = {"images": "rgb", "masks": "gt", "labels": {"road": 4}}
    listing = find("folders", tmp_path, "segmentation", **given)
    assert [("train/drive1/a_1", "drive1", "train"), ("val/drive2/b_1", "drive2", "val")] == brief(listing)
    listing = find("folders", tmp_path, "segmentation", sequence_pattern="([a-z])_[0-9]+$", **given)
    assert ["a", "b"] == [frame.sequence for frame in listing.frames]


def test_a_pattern_that_is_none_is_refused(tmp_path: Path, picture: Write, mask: Write) -> None:
    """The message holds it."""
    picture(tmp_path / "images/a.png")
    with pytest.raises(PacelineError, match="no regular expression"):
        find("folders", tmp_path, "segmentation", labels={"road": 0}, sequence_pattern="(")


def test_missing_halves_are_listed(camvid: Path) -> None:
    """An image without its mask, and a mask without its image, are two items of the quarantine."""
    (camvid / "train/0001TP_000000.png").unlink()
    (camvid / "valannot/0016E5_000000.png").unlink()
    quarantine = Quarantine()
    listing = find("camvid", camvid, "segmentation", quarantine)
    quarantine.count(read=10, kept=10)
    assert 10 == len(listing.frames)
    assert {"the image has no mask": 1, "the mask has no image": 1} == quarantine.state()["by_reason"]


def test_an_empty_split_is_refused(camvid: Path) -> None:
    """A folder of a split without an image is a broken download, not a split less."""
    for file in (camvid / "val").iterdir():
        file.unlink()
    with pytest.raises(PacelineError, match="val' has no image"):
        find("camvid", camvid, "segmentation")


def bdd(tmp_path: Path, picture: Write, mask: Write) -> Path:
    """Write two frames in BDD100K's layout, the second without objects."""
    for split, name in (("train", "0000f77c-6257be58"), ("val", "b1c66a42-6f7d68ca")):
        picture(tmp_path / f"images/100k/{split}/{name}.jpg")
        mask(tmp_path / f"labels/sem_seg/masks/{split}/{name}.png", 0, left=255)
    attributes = {"weather": "rainy", "timeofday": "night", "scene": "city street"}
    box = {
        "id": "1",
        "category": "car",
        "attributes": {"occluded": False},
        "box2d": {"x1": 1, "y1": 2, "x2": 31, "y2": 22},
    }
    other = {**box, "category": "trailer"}
    entry = {"name": "0000f77c-6257be58.jpg", "videoName": "v1", "attributes": attributes, "labels": [box, other]}
    write_json(tmp_path / "labels/det_20/det_train.json", [entry])
    write_json(tmp_path / "labels/det_20/det_val.json", [{"name": "b1c66a42-6f7d68ca.jpg", "labels": None}])
    line = {"vertices": [[0, 40], [10, 30], [20, 20]], "types": "LLL", "closed": False}
    lane = {"category": "single white", "attributes": {"laneDirection": "parallel"}, "poly2d": [line]}
    stop = {**lane, "attributes": {"laneDirection": "vertical"}}
    kerb = {**lane, "category": "road curb"}
    write_json(tmp_path / "labels/lane/polygons/lane_train.json", [{**entry, "labels": [lane, stop, kerb]}])
    return tmp_path


def test_bdd100k(tmp_path: Path, picture: Write, mask: Write) -> None:
    """Masks, boxes and lanes of one layout; attributes and video from the boxes' file."""
    root = bdd(tmp_path, picture, mask)
    listing = find("bdd100k", root, "segmentation")
    assert [
        ("train/0000f77c-6257be58", "v1", "train"),
        ("val/b1c66a42-6f7d68ca", "val/b1c66a42-6f7d68ca", "val"),
    ] == brief(listing)
    assert {"weather": "rainy", "timeofday": "night", "scene": "city street"} == listing.frames[0].attributes
    first, second = find("bdd100k", root, "detection").frames
    assert [("car", 1.0, 22.0, False), ("trailer", 1.0, 22.0, True)] == [
        (box.category, box.x1, box.y2, box.ignored) for box in first.boxes
    ]
    assert () == second.boxes
    (frame,) = find("bdd100k", root, "lanes").frames
    assert [[[0, 40], [10, 30], [20, 20]]] == [lane.tolist() for lane in frame.lanes]


def test_bdd100k_lists_annotations_without_image(tmp_path: Path, picture: Write, mask: Write) -> None:
    """A box file that goes on where the images end is counted, not followed."""
    root = bdd(tmp_path, picture, mask)
    picture(root / "images/100k/val/c.jpg")
    (root / "images/100k/val/b1c66a42-6f7d68ca.jpg").unlink()
    quarantine = Quarantine()
    assert 1 == len(find("bdd100k", root, "detection", quarantine).frames)
    quarantine.count(read=1, kept=1)
    assert {"the annotation has no image": 1} == quarantine.state()["by_reason"]


def test_kitti(tmp_path: Path, picture: Write) -> None:
    """DontCare and Misc are regions to ignore; the development kit's mapping tells the drive."""
    for number in (0, 1, 2):
        picture(tmp_path / f"training/image_2/{number:06}.png")
    texts = tmp_path / "training/label_2"
    texts.mkdir()
    rest = "1.5 1.6 3.7 1.0 1.5 8.4 0.01"
    car, region = f"Car 0.00 0 -1.57 10.5 5.0 30.0 25.0 {rest}", f"DontCare -1 -1 -10 40 5 50 15 {rest}"
    (texts / "000000.txt").write_text(f"{car}\n{region}\n")
    (texts / "000001.txt").write_text("")
    (texts / "000002.txt").write_text("Car 0.00\n")
    (tmp_path / "mapping").mkdir()
    (tmp_path / "mapping/train_rand.txt").write_text("2,1,3")
    (tmp_path / "mapping/train_mapping.txt").write_text(
        "".join(f"2011_09_26 2011_09_26_drive_000{drive}_sync 0000000005\n" for drive in (1, 2, 3))
    )
    quarantine = Quarantine()
    listing = find("kitti", tmp_path, "detection", quarantine)
    quarantine.count(read=2, kept=2)
    assert ["2011_09_26_drive_0002_sync", "2011_09_26_drive_0001_sync"] == [frame.sequence for frame in listing.frames]
    assert [("Car", 10.5, False), ("DontCare", 40.0, True)] == [
        (box.category, box.x1, box.ignored) for box in listing.frames[0].boxes
    ]
    assert {"a line is no KITTI object of 15 fields": 1} == quarantine.state()["by_reason"]


def test_coco(tmp_path: Path, picture: Write) -> None:
    """Boxes are x, y, width, height; crowds are regions to ignore; gaps in the ids close up."""
    picture(tmp_path / "train2017/000000000009.jpg")
    annotations = [
        {"id": 1, "image_id": 9, "category_id": 3, "bbox": [1, 2, 10, 20], "iscrowd": 0},
        {"id": 2, "image_id": 9, "category_id": 1, "bbox": [5, 5, 10, 10], "iscrowd": 1},
    ]
    images = [{"id": 9, "file_name": "000000000009.jpg"}, {"id": 10, "file_name": "../../etc/000000000010.jpg"}]
    categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_json(tmp_path / "annotations/instances_train2017.json", content)
    quarantine = Quarantine()
    listing = find("coco", tmp_path, "detection", quarantine)
    quarantine.count(read=1, kept=1)
    assert ("person", "car") == listing.categories
    assert ["train"] == [frame.official for frame in listing.frames]
    assert [("car", 11.0, 22.0, False), ("person", 15.0, 15.0, True)] == [
        (box.category, box.x2, box.y2, box.ignored) for box in listing.frames[0].boxes
    ]
    assert {"the annotation has no image": 1} == quarantine.state()["by_reason"]


def test_tusimple(tmp_path: Path, picture: Write) -> None:
    """-2 is no point; lanes without two points are none; a line that is no JSON is listed with its number."""
    picture(tmp_path / "clips/0313-1/6040/20.jpg")
    lanes = [[-2, 20, 25, 30], [-2, -2, -2, 50]]
    entry = {"lanes": lanes, "h_samples": [10, 20, 30, 40], "raw_file": "clips/0313-1/6040/20.jpg"}
    (tmp_path / "label_data_0313.json").write_text(json.dumps(entry) + '\n{"lanes": [[\n')
    quarantine = Quarantine()
    listing = find("tusimple", tmp_path, "lanes", quarantine)
    quarantine.count(read=1, kept=1)
    assert [("clips/0313-1/6040/20", "0313-1", "train")] == brief(listing)
    assert [[[20, 20], [25, 30], [30, 40]]] == [lane.tolist() for lane in listing.frames[0].lanes]
    assert ["line 2"] == [item["location"] for item in quarantine.state()["examples"]]


@pytest.mark.parametrize("source", sorted(formats.TASKS))
def test_an_empty_folder_is_refused(tmp_path: Path, source: str) -> None:
    """Every format says what it misses instead of finding nothing."""
    with pytest.raises(PacelineError, match=str(tmp_path)):
        find(source, tmp_path, formats.TASKS[source][0], labels={"road": 0})


def test_a_task_that_the_data_have_nothing_for_is_refused(tmp_path: Path) -> None:
    """The message names sources that have it."""
    with pytest.raises(PacelineError, match=r"'camvid'.*Choose another task, or one of bdd100k, kitti, coco"):
        find("camvid", tmp_path, "detection")


def test_the_configuration_that_comes_along_loads() -> None:
    """`configs/camvid.toml` is complete, but for the path, and leaves a sequence out."""
    found = config.load(Config, Path(__file__).parent.parent / "configs" / "camvid.toml")
    assert ("camvid", "0006R0") == (found.data.source, found.data.test_sequence)
