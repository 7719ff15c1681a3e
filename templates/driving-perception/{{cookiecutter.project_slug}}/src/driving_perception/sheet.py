"""The data sheet: what the configured frames hold, with their labels drawn over them, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception import data, pictures, splits
from driving_perception.config import Config
from driving_perception.data import Scenes
from driving_perception.labels import IGNORE
from paceline import report
from paceline.quarantine import Quarantine
from paceline.report import figure

SHOWN = 12
WIDTH_PX = 320
COVER = 0.5  # of the image's pixels by the label's colour


def write(path: Path, config: Config, quarantine: Quarantine) -> dict[str, Any]:
    """Audit the configured frames and write the sheet to `path` and as JSON beside it; return the facts.

    Raises:
        PacelineError: see `data.load` and `splits.divide`.
    """
    scenes = data.load(config.data, config.model.task, quarantine)
    split = splits.divide(scenes, config.data, config.train.seed)
    return report.write_sheet(path, "Road scenes", data.audit(scenes, split, quarantine), [contact_sheet(scenes)])


def contact_sheet(scenes: Scenes) -> dict[str, Any]:
    """Return a figure of frames from all sequences with their labels over them."""
    rows = _spread(scenes.sequences)
    kind = "classes" if scenes.masks is not None else "boxes" if scenes.boxes is not None else "lanes"
    return figure.pictures(
        "Labels over images",
        [drawn(scenes, row) for row in rows],
        names=[scenes.names[row] for row in rows],
        descriptions=[f"Frame {scenes.names[row]} with its {kind} in colour" for row in rows],
        caption="Colours must lie on what they name, and edges on edges. What is ignored keeps the image's own.",
    )


def drawn(scenes: Scenes, row: int) -> NDArray[np.uint8]:
    """Return a frame with its labels over it, at most `WIDTH_PX` wide."""
    image = np.ascontiguousarray(scenes.images[row])
    palette = [tuple(int(part) for part in colour) for colour in scenes.colours]
    if scenes.masks is not None:
        mask = np.asarray(scenes.masks[row])
        colours = np.array([*palette, *[(0, 0, 0)] * (256 - len(palette))], np.uint8)[mask]
        mixed = cv2.addWeighted(image, 1 - COVER, colours, COVER, 0)
        image = np.where((mask == IGNORE)[..., None], image, mixed)
    if scenes.boxes is not None:
        for kind, x1, y1, x2, y2 in scenes.boxes[row].tolist():
            cv2.rectangle(image, (round(x1), round(y1)), (round(x2), round(y2)), palette[int(kind)], 1)
    if scenes.lanes is not None:
        for lane in scenes.lanes[row]:
            cv2.polylines(image, [np.rint(lane).astype(np.int32)], False, palette[0], 2)
    height, width = image.shape[:2]
    if width <= WIDTH_PX:
        return image
    return pictures.resized(image, (WIDTH_PX, max(1, round(height * WIDTH_PX / width))))


def _spread(sequences: NDArray[np.object_]) -> list[int]:
    """Return up to `SHOWN` rows: of each sequence in turn one, then another, evenly over each."""
    by_sequence = [np.flatnonzero(sequences == name) for name in dict.fromkeys(sequences.tolist())]
    if len(by_sequence) > SHOWN:
        by_sequence = [by_sequence[place] for place in np.linspace(0, len(by_sequence) - 1, SHOWN).astype(int)]
    each = -(-SHOWN // len(by_sequence))
    rows = [rows[np.unique(np.linspace(0, len(rows) - 1, each).astype(int))] for rows in by_sequence]
    turns = [int(part[turn]) for turn in range(each) for part in rows if turn < len(part)]
    return sorted(turns[:SHOWN])
