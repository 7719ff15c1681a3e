"""The embedded default data: rendered drives, written as BDD100K is on disk.

    images/100k/{train,val}/<name>.jpg
    labels/sem_seg/masks/{train,val}/<name>.png       train ids, 255 ignored
    labels/depth/{train,val}/<name>.png               16 bits, 1/256 m as in KITTI, 65535 from 255.99 m on
    labels/det_20/det_{train,val}.json                boxes, in Scalabel's format
    labels/lane/polygons/lane_{train,val}.json        polylines, in Scalabel's format

A name is `<sequence>-<frame>`; whole sequences are in one split. Depth is an addition to BDD100K's layout.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from driving_perception.renderer import Box, Lane, Scene, render
from driving_perception.renderer.scene import FRAMES_PER_SEQUENCE
from paceline import atomic
from paceline.device import usable_cores

VALIDATION_EVERY = 5  # each fifth sequence is in "val"
JPEG_QUALITY = 90
DEPTH_PER_M = 256.0


def write(
    folder: Path,
    *,
    frames: int,
    width_px: int,
    height_px: int,
    seed: int,
    frames_per_sequence: int = FRAMES_PER_SEQUENCE,
) -> None:
    """Render `frames` frames into `folder`; the same arguments give the same bytes.

    Frames are rendered in parallel, one sequence after another per process. What a call leaves is whole: it works in
    `<folder>.part`, where one that was stopped goes on, and renames that at the end. A `folder` that holds anything
    already is kept as it is.

    Args:
        folder: to be made; it may be there if it is empty.
        frames: how many.
        width_px: of the images.
        height_px: of the images.
        seed: of the renderer.
        frames_per_sequence: consecutive frames that share a world.
    """
    if folder.exists() and any(folder.iterdir()):
        return
    asked = {"frames": frames, "width_px": width_px, "height_px": height_px, "seed": seed,
             "frames_per_sequence": frames_per_sequence}  # fmt: skip
    part = folder.with_name(f"{folder.name}.part")
    note = part / "asked.json"
    if part.exists() and not (note.exists() and json.loads(note.read_text(encoding="utf-8")) == asked):
        shutil.rmtree(part)  # of other arguments
    part.mkdir(parents=True, exist_ok=True)
    atomic.write_json(note, asked)
    sequences = range(-(-frames // frames_per_sequence))
    work = partial(
        _sequence,
        part,
        frames=frames,
        width_px=width_px,
        height_px=height_px,
        seed=seed,
        frames_per_sequence=frames_per_sequence,
    )
    workers = min(usable_cores(), len(sequences))
    if workers > 1:
        context = multiprocessing.get_context("spawn")  # forking a process that has threads may hang
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            notes = list(pool.map(work, sequences))
    else:
        notes = [work(sequence) for sequence in sequences]
    for split in ("train", "val"):
        kept = [note for sequence, note in enumerate(notes) if _split(sequence) == split]
        for name, kind in (("det_20/det", "boxes"), ("lane/polygons/lane", "lanes")):
            path = part / "labels" / f"{name}_{split}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_json(path, [frame for note in kept for frame in note[kind]])
    shutil.rmtree(part / "sequences")
    note.unlink()
    if folder.exists():
        folder.rmdir()  # empty; Windows would not rename onto it
    part.replace(folder)


def _split(sequence: int) -> str:
    return "val" if sequence % VALIDATION_EVERY == VALIDATION_EVERY - 1 else "train"


def _sequence(
    part: Path, sequence: int, *, frames: int, width_px: int, height_px: int, seed: int, frames_per_sequence: int
) -> dict[str, Any]:
    """Write the files of one sequence and return its annotations; one that is written already is read."""
    done = part / "sequences" / f"{sequence:05d}.json"
    if done.exists():
        annotations: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return annotations
    cv2.setNumThreads(1)  # the processes share the cores
    first = sequence * frames_per_sequence
    boxes, lanes = [], []
    for index in range(first, min(first + frames_per_sequence, frames)):
        scene = render(
            index, seed=seed, width_px=width_px, height_px=height_px, frames_per_sequence=frames_per_sequence
        )
        video, frame = f"{sequence:05d}", index - first
        name = f"{video}-{frame:04d}"
        _save(part, _split(sequence), name, scene)
        head = {"name": f"{name}.jpg", "videoName": video, "frameIndex": frame, "attributes": scene.attributes}
        boxes.append({**head, "labels": [_box(f"{name}-{i}", box) for i, box in enumerate(scene.boxes)]})
        lanes.append({**head, "labels": [_lane(f"{name}-{i}", lane) for i, lane in enumerate(scene.lanes)]})
    annotations = {"boxes": boxes, "lanes": lanes}
    done.parent.mkdir(exist_ok=True)
    atomic.write_json(done, annotations)
    return annotations


def _save(part: Path, split: str, name: str, scene: Scene) -> None:
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    depth = np.minimum(scene.depth * DEPTH_PER_M, 65_535).astype(np.uint16)
    for place, suffix, picture, options in (
        ("images/100k", ".jpg", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR), quality),
        ("labels/sem_seg/masks", ".png", scene.mask, []),
        ("labels/depth", ".png", depth, []),
    ):
        path = part / place / split / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        _, data = cv2.imencode(suffix, picture, options)
        path.write_bytes(data.tobytes())


def _box(name: str, box: Box) -> dict[str, Any]:
    attributes = {"occluded": box.occluded, "truncated": box.truncated}
    if box.category == "traffic light":
        attributes["trafficLightColor"] = box.colour  # type: ignore[assignment] # flags beside it
    corners = {"x1": box.x1, "y1": box.y1, "x2": box.x2, "y2": box.y2}
    return {"id": name, "category": box.category, "attributes": attributes, "box2d": corners}


def _lane(name: str, lane: Lane) -> dict[str, Any]:
    vertices = [[round(float(x), 2), round(float(y), 2)] for x, y in lane.points]
    line = {"vertices": vertices, "types": "L" * len(vertices), "closed": False}
    attributes = {"laneDirection": lane.direction, "laneStyle": lane.style}
    return {"id": name, "category": lane.category, "attributes": attributes, "poly2d": [line]}
