"""Real formats to one set of arrays: frames decoded once, at one size, with their masks, boxes or lanes beside them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from driving_perception import duplicates, formats, pictures
from driving_perception.annotations import ATTRIBUTES, UNDEFINED, Frame, Listing, fitted_boxes, fitted_lanes, refuse
from driving_perception.config import Data
from driving_perception.labels import Colour, Labels, spread
from paceline import cache
from paceline.cache import Refused
from paceline.device import usable_cores
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine
from paceline.record import Run

if TYPE_CHECKING:
    from driving_perception.splits import Split

FORMAT = 1  # of what `pictures.frame` returns; part of the cache's key
SAMPLE = 16  # masks that are looked into before all are decoded
SHARE_SETTING = "data.max_quarantined_share"


@dataclass(frozen=True)
class Scenes:
    """The usable frames, a row each.

    Attributes:
        images: (frames, height, width, 3) RGB, mapped from the cache.
        masks: (frames, height, width) class indices, 255 where ignored; None but for segmentation.
        boxes: for detection, per frame (objects, 5): class index, x1, y1, x2, y2 in pixels of `images`.
        lanes: for lanes, per frame its polylines (points, 2): x, y in pixels of `images`.
        classes: their names.
        sequences: the sequence of each frame.
        attributes: weather, timeofday and scene of each frame, "undefined" where not known; only those known at all.
        names: of the frames.
        official: "train", "val" or "test" of each frame, "" where the data set does not say; None where it never does.
        source_size_px: (frames, 2) width and height of the files' pictures.
        ignored_boxes: for detection, per frame (regions, 4) that are neither object nor background.
        colours: what each class is drawn in.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None
    boxes: tuple[NDArray[np.float32], ...] | None
    lanes: tuple[tuple[NDArray[np.float32], ...], ...] | None
    classes: tuple[str, ...]
    sequences: NDArray[np.object_]
    attributes: dict[str, NDArray[np.object_]]
    names: tuple[str, ...]
    official: NDArray[np.object_] | None
    source_size_px: NDArray[np.int64]
    ignored_boxes: tuple[NDArray[np.float32], ...] | None = None
    colours: tuple[Colour, ...] = ()


def load(config: Data, task: str, quarantine: Quarantine, *, run: Run | None = None) -> Scenes:
    """Return the configured frames at the configured size; a second call decodes nothing.

    Headers are read before pictures, and a sample of masks before all of them, so that a wrong folder, size or label
    map stops at once.

    Args:
        config: `source, path` and what its format needs; the size; the shares and limits.
        task: segmentation, detection or lanes: which annotation is wanted.
        quarantine: counts what is read and kept, and receives what is not.
        run: gets the time of decoding as `data/cache`.

    Raises:
        PacelineError: there is nothing to read, masks hold ids that the label map lacks, a frame is in two official
            splits, or more than `max_quarantined_share` of the frames cannot be used.
    """
    listing = formats.find(*_source(config), config, task, quarantine)
    frames, headers = _headed(listing, quarantine)
    frames, headers = _distinct(frames, headers, quarantine)
    fitted = _fitted(frames, headers, listing, config, task, quarantine)
    rows = [row for row, item in enumerate(fitted) if item is not None]
    frames, headers = [frames[row] for row in rows], [headers[row] for row in rows]
    fitted = [fitted[row] for row in rows]
    _refuse_early(frames, quarantine, config)
    if listing.labels is not None:
        _refuse_unknown_ids(frames[:: max(1, len(frames) // SAMPLE)], listing.labels, config, at_least=4)
    decoded = _decoded(frames, listing.labels, config, quarantine, run)
    if listing.labels is not None:
        bad = [frames[place] for place, reason in decoded.refused.items() if reason == pictures.UNKNOWN_ID]
        if len(bad) > config.max_quarantined_share * quarantine.read:
            _refuse_unknown_ids(bad[:SAMPLE], listing.labels, config, at_least=1)
    quarantine.refuse_above(config.max_quarantined_share, setting=SHARE_SETTING)
    if not len(decoded.kept):
        raise PacelineError(f"No frame of '{config.path}' can be used.", "See what the command `data` lists.")
    return _scenes(
        [frames[row] for row in decoded.kept],
        [headers[row] for row in decoded.kept],
        [fitted[row] for row in decoded.kept],
        decoded.array,
        listing,
        task,
    )


def audit(scenes: Scenes, split: Split | None, quarantine: Quarantine) -> dict[str, Any]:
    """Return what the frames hold: counts, sizes, classes, attributes, look-alikes across splits, the quarantine.

    Args:
        scenes: as `load` returns them.
        split: as `splits.divide` does; None leaves out what is said of splits.
        quarantine: the one that `load` filled.
    """
    sizes = Counter(f"{width} × {height}" for width, height in scenes.source_size_px.tolist())
    facts: dict[str, Any] = {
        "frames": len(scenes.names),
        "sequences": len(set(scenes.sequences.tolist())),
        "image_size_px": f"{scenes.images.shape[2]} × {scenes.images.shape[1]}",
        "source_sizes_px": dict(sizes.most_common(5)),
    }
    if scenes.masks is not None:
        facts["classes"], facts["ignored_pixels"] = _pixels(scenes.masks, scenes.classes)
    if scenes.boxes is not None:
        facts["classes"] = _sizes_of(scenes.boxes, scenes.classes)
        facts["ignored_regions"] = sum(len(regions) for regions in scenes.ignored_boxes or ())
    if scenes.lanes is not None:
        facts["lanes"] = sum(len(lanes) for lanes in scenes.lanes)
        facts["frames_without_lanes"] = sum(not lanes for lanes in scenes.lanes)
    facts |= {name: dict(Counter(values.tolist()).most_common()) for name, values in scenes.attributes.items()}
    if split is not None:
        facts |= {
            "split": split.rule,
            "splits": [
                {"split": name, "frames": len(rows), "sequences": len(set(scenes.sequences[rows].tolist()))}
                for name, rows in split.parts().items()
            ],
            "shared_sequences": _shared(scenes, split),
            "look_alikes": _look_alikes(scenes, split),
            "split_warnings": list(split.warnings),
        }
    return facts | {"quarantine": quarantine.state()}


def _pixels(masks: NDArray[np.uint8], classes: Sequence[str]) -> tuple[list[dict[str, Any]], float]:
    """Return the share of the pixels and the frames of each class, and the share that is ignored."""
    counts = np.stack([np.bincount(np.asarray(mask).ravel(), minlength=256) for mask in masks])
    pixels, frames, known = counts.sum(axis=0), (counts > 0).sum(axis=0), counts[:, : len(classes)].sum()
    rows = [
        {"class": name, "share_of_pixels": float(pixels[at] / max(1, known)), "frames": int(frames[at])}
        for at, name in enumerate(classes)
    ]
    return rows, float(1 - known / counts.sum())


def _sizes_of(boxes: Sequence[NDArray[np.float32]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the boxes of each class by size, in COCO's bounds of 32² and 96² pixels."""
    every = np.concatenate(boxes)
    area = (every[:, 3] - every[:, 1]) * (every[:, 4] - every[:, 2])
    size = np.digitize(area, [32**2, 96**2])
    return [
        {"class": name, "boxes": int((every[:, 0] == at).sum())}
        | {
            word: int(((every[:, 0] == at) & (size == step)).sum())
            for step, word in enumerate(("small", "medium", "large"))
        }
        for at, name in enumerate(classes)
    ]


def _shared(scenes: Scenes, split: Split) -> dict[str, int]:
    """Return the number of sequences that two splits have in common, for each pair that has some."""
    names = {name: set(scenes.sequences[rows].tolist()) for name, rows in split.parts().items()}
    counts = {f"{one} and {other}": len(names[one] & names[other]) for one, other in combinations(names, 2)}
    return {pair: count for pair, count in counts.items() if count}


def _look_alikes(scenes: Scenes, split: Split) -> dict[str, Any]:
    """Return the test and validation frames that look like a training frame: their number, and three pairs of each."""
    codes = duplicates.hashes(scenes.images)
    found: dict[str, Any] = {}
    for name, rows in (("validation", split.validation), ("test", split.test)):
        pairs = duplicates.near(codes[rows], codes[split.train])
        found[f"{name}_frames_near_training"] = len(pairs)
        found[f"{name}_examples"] = [
            f"{scenes.names[rows[one]]} and {scenes.names[split.train[other]]}" for one, other in pairs[:3]
        ]
    return found


def _source(config: Data) -> tuple[str, Path]:
    if config.source == "synthetic":
        return "bdd100k", _rendered(config)
    if not config.path:
        raise PacelineError("data.path is empty.", "Name the data set's folder, or set data.source = 'synthetic'.")
    return config.source, Path(config.path).expanduser()


def _rendered(config: Data) -> Path:
    """Return the folder of the synthetic scenes, rendered now where the cache has none of this kind."""
    from driving_perception import synthetic  # imported only where needed

    wanted = f"{config.frames} {config.image_width_px} {config.image_height_px} {config.seed}"
    digest = hashlib.sha256(wanted.encode())
    here = Path(__file__).parent
    for file in [here / "synthetic.py", *sorted((here / "renderer").rglob("*.py"))]:
        digest.update(file.read_bytes())
    folder = cache.folder() / f"driving-scenes-{digest.hexdigest()[:16]}"
    synthetic.write(
        folder,
        frames=config.frames,
        width_px=config.image_width_px,
        height_px=config.image_height_px,
        seed=config.seed,
    )
    return folder


def _headed(listing: Listing, quarantine: Quarantine) -> tuple[list[Frame], list[pictures.Header]]:
    """Return the frames whose headers are good, and whose mask has the image's size."""

    def look(frame: Frame) -> pictures.Header | str:
        try:
            found = pictures.header(frame.image)
            if frame.mask is not None and pictures.header(frame.mask).size_px != found.size_px:
                return "the mask has another size than its image"
        except Refused as error:
            return error.reason
        return found

    with ThreadPoolExecutor(usable_cores()) as pool:
        looked = list(pool.map(look, listing.frames))
    frames, headers = [], []
    for frame, found in zip(listing.frames, looked, strict=True):
        if isinstance(found, str):
            refuse(quarantine, str(frame.image), "", found)
        else:
            frames.append(frame)
            headers.append(found)
    return frames, headers


def _distinct(
    frames: list[Frame], headers: list[pictures.Header], quarantine: Quarantine
) -> tuple[list[Frame], list[pictures.Header]]:
    """Return the frames less copies, byte for byte, of earlier ones.

    Raises:
        PacelineError: a frame and its copy are in two official splits.
    """
    sizes = [frame.image.stat().st_size for frame in frames]
    shared = {size for size, count in Counter(sizes).items() if count > 1}
    first: dict[str, Frame] = {}
    overlap: list[str] = []
    keep: list[int] = []
    for row, (frame, size) in enumerate(zip(frames, sizes, strict=True)):
        other = first.setdefault(_digest(frame.image), frame) if size in shared else frame
        if other is frame:
            keep.append(row)
        elif other.official == frame.official:
            refuse(quarantine, str(frame.image), "", "the frame is a copy of another", other.name)
        else:
            overlap.append(f"{other.name} and {frame.name}")
    if overlap:
        raise PacelineError(
            f"{len(overlap)} frames are in two splits: {'; '.join(overlap[:3])}.",
            "Remove one of each: a model is not to be judged on frames that it has learned from.",
        )
    return [frames[row] for row in keep], [headers[row] for row in keep]


def _fitted(
    frames: Sequence[Frame],
    headers: Sequence[pictures.Header],
    listing: Listing,
    config: Data,
    task: str,
    quarantine: Quarantine,
) -> list[Any]:
    """Return each frame's boxes and regions, or lanes, at the configured size; None where they cannot be."""
    image_px = (config.image_width_px, config.image_height_px)
    found: list[Any] = []
    for frame, header in zip(frames, headers, strict=True):
        try:
            if task == "detection":
                found.append(fitted_boxes(frame.boxes, header.size_px, image_px, listing.categories))
            else:
                found.append(fitted_lanes(frame.lanes, header.size_px, image_px))
        except Refused as error:
            found.append(None)
            refuse(quarantine, str(frame.image), "", error.reason)
    return found


def _refuse_early(frames: Sequence[Frame], quarantine: Quarantine, config: Data) -> None:
    """Stop before anything is decoded when too much is quarantined already, or nothing is left."""
    so_far = Quarantine()
    state = quarantine.state()
    so_far.count(read=state["read"] + len(frames), kept=state["kept"] + len(frames))
    for item in quarantine.examples():
        count = state["by_reason"].pop(item["reason"], 0)
        so_far.add_many(item["reason"], [(item["source"], item["location"], item["example"])] * count)
    so_far.refuse_above(config.max_quarantined_share, setting=SHARE_SETTING)
    if not frames:
        raise PacelineError(
            f"'{config.path}' has no usable frame.", "Set data.path to the folder of the data set, as it is unpacked."
        )


def _refuse_unknown_ids(frames: Sequence[Frame], labels: Labels, config: Data, *, at_least: int) -> None:
    """Stop when `at_least` of these frames, or all, and more than are allowed, have ids that the label map lacks."""
    unknown: Counter[str] = Counter()
    bad: list[Frame] = []
    for frame in frames:
        try:
            found = labels.unknown(pictures.mask(frame.mask, labels.by)) if frame.mask is not None else []
        except Refused:
            continue  # it is told by decoding
        if found:
            bad.append(frame)
            unknown.update(found)
    if len(bad) >= min(at_least, len(frames)) and len(bad) > config.max_quarantined_share * len(frames):
        ids = ", ".join(name for name, _ in unknown.most_common(8))
        raise PacelineError(
            f"Masks hold ids that the label map of '{config.source}' does not name: {ids} "
            f"({len(bad)} of {len(frames)} looked at, for example {bad[0].mask}).",
            "Name them in [data.labels], under a class or under ignore, with data.source = 'folders'.",
        )


def _decoded(
    frames: Sequence[Frame], labels: Labels | None, config: Data, quarantine: Quarantine, run: Run | None
) -> cache.Cached:
    masks = {frame.image: frame.mask for frame in frames}
    size_px = (config.image_width_px, config.image_height_px)

    def read(file: Path) -> NDArray[np.uint8]:
        return pictures.frame(file, masks[file], labels, size_px)

    with ThreadPoolExecutor(usable_cores()) as pool:
        contents = list(pool.map(_digest, (frame.mask for frame in frames if frame.mask is not None)))
    return cache.images(
        [frame.image for frame in frames],
        read,
        shape=(config.image_height_px, config.image_width_px, 3 if labels is None else 4),
        dtype=np.uint8,
        parameters={"format": FORMAT, "masks": contents, "labels": None if labels is None else labels.state()},
        quarantine=quarantine,
        max_bytes=config.max_cache_bytes,
        setting="data.max_cache_bytes",
        run=run,
    )


def _scenes(
    frames: Sequence[Frame],
    headers: Sequence[pictures.Header],
    annotations: Sequence[Any],
    rows: NDArray[np.uint8],
    listing: Listing,
    task: str,
) -> Scenes:
    known = [name for name in ATTRIBUTES if any(name in frame.attributes for frame in frames)]
    scenes = Scenes(
        images=rows[..., :3],
        masks=None,
        boxes=None,
        lanes=None,
        classes=("lane",),
        sequences=_objects(frame.sequence for frame in frames),
        attributes={name: _objects(frame.attributes.get(name, UNDEFINED) for frame in frames) for name in known},
        names=tuple(frame.name for frame in frames),
        official=_objects(f.official for f in frames) if any(f.official for f in frames) else None,
        source_size_px=np.array([header.size_px for header in headers], np.int64),
        colours=spread(1),
    )
    if task == "segmentation" and listing.labels is not None:
        return replace(scenes, masks=rows[..., 3], classes=listing.labels.classes, colours=listing.labels.colours)
    if task == "detection":
        boxes, regions = zip(*annotations, strict=True)
        categories = listing.categories
        return replace(scenes, boxes=boxes, ignored_boxes=regions, classes=categories, colours=spread(len(categories)))
    return replace(scenes, lanes=tuple(annotations))


def _objects(values: Iterable[str]) -> NDArray[np.object_]:
    return np.array(list(values), dtype=object)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
