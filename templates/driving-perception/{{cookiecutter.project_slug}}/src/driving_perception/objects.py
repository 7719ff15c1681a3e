"""Data sets of boxes: KITTI's text files and COCO's JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from driving_perception.annotations import SPLITS, Box, Frame, Listing, edges, pictures_in, read_json, refuse
from paceline.cache import Refused
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

KITTI = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram")
KITTI_IGNORED = ("Misc", "DontCare")
KITTI_FIELDS = (15, 16)  # the 16th is a score


def kitti(root: Path, sequence: Callable[[str], str], quarantine: Quarantine) -> Listing:
    """KITTI objects: `training/image_2/<number>.png` and `training/label_2/<number>.txt`.

    The frames are numbered at random. Which drive each is of stands in the development kit's `mapping` folder
    (`train_mapping.txt`, `train_rand.txt`); without it beside `training`, `sequence` has to say.

    Raises:
        PacelineError: there is no image, or the mapping is damaged.
    """
    images = {file.stem: file for file in pictures_in(root / "training/image_2", deep=False)}
    texts = {file.stem: file for file in sorted((root / "training/label_2").glob("*.txt"))}
    if not images or not texts:
        raise PacelineError(
            f"'{root}' lacks images in training/image_2 or texts in training/label_2.",
            "Set data.path to KITTI's folder.",
        )
    drives = _drives(root / "mapping")
    frames = []
    for name in sorted(images.keys() | texts.keys()):
        if name not in texts or name not in images:
            reason = "the annotation has no image" if name in texts else "the image has no annotation"
            refuse(quarantine, str(texts.get(name) or images[name]), "", reason)
            continue
        try:
            boxes = tuple(_kitti_box(line) for line in texts[name].read_text(encoding="utf-8").splitlines() if line)
        except (Refused, ValueError) as error:
            reason = error.reason if isinstance(error, Refused) else "the annotation is no text"
            refuse(quarantine, str(texts[name]), "", reason)
            continue
        drive = drives.get(name) or sequence(name)
        frames.append(Frame(name, images[name], drive, boxes=boxes))
    return Listing(tuple(frames), categories=KITTI)


def coco(root: Path, sequence: Callable[[str], str], quarantine: Quarantine) -> Listing:
    """COCO: `annotations/instances_<split>.json`, images in `<split>/`, `images/<split>/` or `images/`.

    Splits are told by how the file's name goes on: train, val, test. Boxes of crowds become regions to ignore. A
    `video_id` of an image is its sequence, else `sequence` has to say.

    Raises:
        PacelineError: there is no such file, or one is no COCO annotation.
    """
    files = sorted((root / "annotations").glob("instances_*.json"))
    if not files:
        raise PacelineError(f"There is no annotations/instances_*.json in '{root}'.", "Set data.path to COCO's folder.")
    frames: list[Frame] = []
    categories: dict[int, str] = {}
    for file in files:
        name = file.stem.removeprefix("instances_")
        official = next((split for word, split in SPLITS.items() if name.startswith(word)), "")
        places = [folder for folder in (root / name, root / "images" / name, root / "images", root) if folder.is_dir()]
        content = read_json(file)
        try:
            categories |= {int(item["id"]): str(item["name"]) for item in content["categories"]}
            by_image: dict[Any, list[Mapping[str, Any]]] = {item["id"]: [] for item in content["images"]}
            orphans = 0
            for item in content["annotations"]:
                by_image.get(item["image_id"], [item]).append(item)
                orphans += item["image_id"] not in by_image
            entries = [(item, str(item["file_name"]), by_image[item["id"]]) for item in content["images"]]
        except (TypeError, KeyError, ValueError):
            raise PacelineError(
                f"'{file}' lacks images, annotations or categories in COCO's form.",
                "Export it again as COCO instances.",
            ) from None
        if not entries:
            raise PacelineError(f"'{file}' names no image.", "Remove it, or export it again.")
        if orphans:
            quarantine.count(read=orphans)
            quarantine.add_many("the annotation has no image", ((file.name, "", "") for _ in range(orphans)))
        for item, file_name, drawn in entries:
            image = next((place / file_name for place in places if (place / file_name).is_file()), None)
            if image is None or ".." in Path(file_name).parts or Path(file_name).is_absolute():
                refuse(quarantine, file.name, file_name, "the annotation has no image")
                continue
            try:
                boxes = tuple(_coco_box(annotation, categories) for annotation in drawn)
            except Refused as error:
                refuse(quarantine, file.name, file_name, error.reason)
                continue
            key = f"{name}/{Path(file_name).with_suffix('').as_posix()}"
            drive = f"video {item['video_id']}" if item.get("video_id") is not None else sequence(key)
            frames.append(Frame(key, image, drive, official, boxes=boxes))
    frames.sort(key=lambda frame: frame.name)
    return Listing(tuple(frames), categories=tuple(categories[number] for number in sorted(categories)))


def _kitti_box(line: str) -> Box:
    fields = line.split()
    if len(fields) not in KITTI_FIELDS:
        raise Refused("a line is no KITTI object of 15 fields")
    if fields[0] not in KITTI + KITTI_IGNORED:
        raise Refused("a box has an unknown category")
    return Box(fields[0], *edges(fields[4:8]), ignored=fields[0] in KITTI_IGNORED)


def _coco_box(annotation: Mapping[str, Any], categories: Mapping[int, str]) -> Box:
    x, y, width, height = edges(annotation.get("bbox"))
    category = categories.get(annotation.get("category_id", -1))
    if category is None:
        raise Refused("a box has an unknown category")
    return Box(category, x, y, x + width, y + height, ignored=bool(annotation.get("iscrowd")))


def _drives(folder: Path) -> dict[str, str]:
    """Return the drive by a frame's number, as the development kit's mapping says; nothing without one."""
    try:
        order = (folder / "train_rand.txt").read_text(encoding="utf-8").replace(",", " ").split()
        lines = (folder / "train_mapping.txt").read_text(encoding="utf-8").splitlines()
        return {f"{frame:06}": lines[int(place) - 1].split()[1] for frame, place in enumerate(order)}
    except FileNotFoundError:
        return {}
    except (ValueError, IndexError):
        raise PacelineError(
            f"'{folder}' holds no mapping of KITTI.", "Take it from the development kit again."
        ) from None
