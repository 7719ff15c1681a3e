"""TuSimple's lanes: JSON lines of `lanes`, one x a row of `h_samples`, -2 where there is none, and `raw_file`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driving_perception.annotations import Frame, Listing, numbers, refuse
from paceline.cache import Refused
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine


def find(root: Path, quarantine: Quarantine) -> Listing:
    """Return the frames of `label_data_*.json` and `test_label.json`, at `root` or in a folder right below it.

    The sequence is the day's drive, `clips/<drive>/<clip>/20.jpg`: clips follow one another within seconds.

    Raises:
        PacelineError: there is no such file, or one cannot be read.
    """
    files = [file for pattern in ("*.json", "*/*.json") for file in sorted(root.glob(pattern))]
    files = [file for file in files if file.name.startswith("label_data_") or file.name == "test_label.json"]
    if not files:
        raise PacelineError(f"There is no label_data_*.json in '{root}'.", "Set data.path to TuSimple's folder.")
    frames = []
    for file in files:
        official = "test" if file.name == "test_label.json" else "train"
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise PacelineError(f"'{file}' cannot be read: {error}.", "Fetch it again.") from None
        if not any(line.strip() for line in lines):
            raise PacelineError(f"'{file}' has no line.", "Fetch it again, or remove it.")
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                frames.append(_frame(line, file.parent, official))
            except Refused as error:
                refuse(quarantine, file.name, f"line {number}", error.reason)
    frames.sort(key=lambda frame: frame.name)
    return Listing(tuple(frames))


def _frame(line: str, folder: Path, official: str) -> Frame:
    try:
        entry: Any = json.loads(line)
        raw, rows, lanes = Path(entry["raw_file"]), entry["h_samples"], entry["lanes"]
        columns = [numbers(lane, len(rows)) for lane in lanes]
        heights = numbers(rows, len(rows))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Refused("the line is no JSON object with raw_file, h_samples and lanes") from None
    image = folder / raw
    if raw.is_absolute() or ".." in raw.parts or not image.is_file():
        raise Refused("the annotation has no image")
    parts = raw.parts
    return Frame(
        raw.with_suffix("").as_posix(),
        image,
        sequence=parts[1] if len(parts) > 2 else raw.stem,
        official=official,
        lanes=tuple(lane for lane in (_points(column, heights) for column in columns) if len(lane) > 1),
    )


def _points(column: list[float], heights: list[float]) -> NDArray[np.float32]:
    """Return a lane's points: the rows in which it is seen."""
    return np.array([(x, y) for x, y in zip(column, heights, strict=True) if x >= 0], np.float32).reshape(-1, 2)
