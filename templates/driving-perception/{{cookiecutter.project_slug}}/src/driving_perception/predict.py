"""A trained run in use: overlays, class maps and boxes or lanes of images, folders of them, and videos."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception import model, pictures, train
from driving_perception.config import Config
from driving_perception.data import Scenes
from driving_perception.tasks import Task
from paceline import atomic, fit_keras, record
from paceline import config as configuration
from paceline.cache import Refused
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

# What acts on a trained model. The rest shaped it, and would be ignored.
USED = ("data.", "report.")
SUFFIXES = (".png", ".jpg", ".jpeg")
VIDEO_CODE = "mp4v"


@dataclass(frozen=True)
class TrainedRun:
    """A run's configuration, its model from images to the answer, what the answer means, and the device's name."""

    folder: Path
    config: Config
    model: Any
    task: Task
    device: str

    def check_classes(self, scenes: Scenes) -> None:
        """Refuse data with other classes than the model's, or of another size.

        Raises:
            PacelineError: they are others.
        """
        known = train.task_of(self.config.model.task, scenes.classes, scenes.images.shape[1:3])
        if known.classes != self.task.classes or scenes.images.shape[1:3] != self.model.input_shape[1:3]:
            raise PacelineError(
                f"The model knows {len(self.task.classes)} classes of images of {self.model.input_shape[1:3]}; the "
                f"data have {len(known.classes)}, of {scenes.images.shape[1:3]}, or others.",
                "Leave the labels and the size in [data] as they were in training.",
            )


def load(folder: Path, overrides: Sequence[str] = ()) -> TrainedRun:
    """Return the trained run in `folder`, the configuration overridden by `section.key=value` texts.

    Raises:
        PacelineError: it is no run, did not finish, or its model is damaged.
    """
    for override in overrides:
        if not override.startswith(USED):
            raise PacelineError(
                f"--set got '{override}', which is settled in a trained run.", f"Set one of {', '.join(USED)} only."
            )
    found = record.read(folder)
    if found["status"] != "done":
        raise PacelineError(
            f"The run '{folder.name}' is {found['status']}, not done.", "Finish it: train --resume RUN."
        )
    config = configuration.load(Config, folder / "config.toml", overrides)
    saved = found["model"]
    chosen = fit_keras.prepare("auto", seed=config.train.seed, precision=config.train.precision)
    trained = fit_keras.load_model(folder / saved["file"], saved["sha256"])
    height, width = trained.input_shape[1:3]
    task = train.task_of(config.model.task, tuple(saved["classes"]), (height, width))
    return TrainedRun(folder, config, trained, task, chosen.name)


def predict(folder: Path, inputs: Sequence[Path], output: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Look at images, folders of images and videos with the run in `folder`, and write what it says below `output`.

    An image gives `NAME.overlay.jpg`, for segmentation `NAME.png` with class numbers, at the size of the image; a video
    gives `NAME.overlay.mp4`. The name is the input's; where several have the same, the later ones are numbered
    (`NAME-2`). `predictions.jsonl` has a line for each image and each frame, with the overlay's name; what could not be
    read stands in `quarantine.jsonl`.

    Returns:
        `output`, `images`, `videos`, `frames` (of the videos), `quarantined`.

    Raises:
        PacelineError: an input is not there, or nothing of all could be read.
    """
    run = load(folder, overrides)
    images, videos = _sort(inputs)
    names = _named(images), _named(videos)
    output.mkdir(parents=True, exist_ok=True)
    quarantine = Quarantine(output / "quarantine.jsonl")
    counts = {"images": 0, "videos": 0, "frames": 0}
    with (output / "predictions.jsonl").open("w", encoding="utf-8") as lines:

        def note(values: dict[str, Any]) -> None:
            lines.write(json.dumps(atomic.plain(values), ensure_ascii=False, allow_nan=False) + "\n")

        for place, image, answer in _answers(run, _read(images, quarantine)):
            overlay = f"{names[0][place]}.overlay.jpg"
            _write(output / overlay, run.task.draw(image, answer))
            said = run.task.describe(answer, image.shape[:2])
            classes = said.pop("map", None)
            if classes is not None:
                _write(output / f"{names[0][place]}.png", classes)
            note({"image": str(images[place]), "overlay": overlay, **said})
            counts["images"] += 1
        for file, name in zip(videos, names[1], strict=True):
            quarantine.count(read=1)
            try:
                counts["frames"] += _overlay_video(run, file, output / f"{name}.overlay.mp4", note)
            except Refused as refused:
                quarantine.add(str(file), "", refused.reason)
                continue
            quarantine.count(kept=1)
            counts["videos"] += 1
    if not counts["images"] + counts["videos"]:
        reason = next(iter(quarantine.state()["by_reason"]), "there is none")
        raise PacelineError(
            f"None of {len(images)} images and {len(videos)} videos could be read: {reason}.",
            "Give PNG or JPEG files, or videos that a player shows.",
        )
    return {"run": str(folder), "output": str(output), **counts, "quarantined": quarantine.quarantined}


def _sort(inputs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the images and the videos that the inputs name."""
    images, videos = [], []
    for path in inputs:
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not found:
                raise PacelineError(f"'{path}' holds no PNG or JPEG file.", "Name a folder of images.")
            images += found
        elif not path.is_file():
            raise PacelineError(f"There is no file '{path}'.", "Name images, folders of images, or videos.")
        elif pictures.is_video(path):
            videos.append(path)
        else:
            images.append(path)
    return images, videos


def _named(files: Sequence[Path]) -> list[str]:
    """Return the name that each file's answers get: its own, numbered where an earlier file has it.

    >>> _named([Path("a/1.png"), Path("b/1.PNG"), Path("b/1-2.png")])
    ['1', '1-2', '1-2-2']
    """
    taken: set[str] = set()
    names = []
    for file in files:
        numbered = (f"{file.stem}-{number}" for number in itertools.count(2))
        name = next(each for each in itertools.chain([file.stem], numbered) if each.casefold() not in taken)
        taken.add(name.casefold())  # some file systems do not tell capitals apart
        names.append(name)
    return names


def _read(files: Sequence[Path], quarantine: Quarantine) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the place of each file that can be read, and its image."""
    for place, file in enumerate(files):
        try:
            image = pictures.image(file)
        except Refused as refused:
            quarantine.count(read=1)
            quarantine.add(str(file), "", refused.reason)
            continue
        quarantine.count(read=1, kept=1)
        yield place, image


def _answers(
    run: TrainedRun, images: Iterator[tuple[Any, NDArray[np.uint8]]]
) -> Iterator[tuple[Any, NDArray[np.uint8], Any]]:
    """Yield each image with its answer; a few are looked at together."""
    height, width = run.model.input_shape[1:3]
    waiting: list[tuple[Any, NDArray[np.uint8]]] = []

    def looked_at() -> Iterator[tuple[Any, NDArray[np.uint8], Any]]:
        seen = np.stack([pictures.resized(image, (width, height)) for _, image in waiting])
        for (name, image), answer in zip(waiting, model.predict(run.model, seen, np.arange(len(seen))), strict=True):
            yield name, image, answer

    for pair in images:
        waiting.append(pair)
        if len(waiting) == model.PREDICT_BATCH:
            yield from looked_at()
            waiting = []
    if waiting:
        yield from looked_at()


def _overlay_video(run: TrainedRun, source: Path, target: Path, note: Any) -> int:
    """Write `source` with the answers drawn over it to `target`, and return the number of frames.

    Raises:
        Refused: see `pictures.video`.
        PacelineError: `target` cannot be written.
    """
    frames, writer = 0, None
    with pictures.video(source) as (rate, found):
        try:
            for number, image, answer in _answers(run, iter(enumerate(found))):
                drawn = run.task.draw(image, answer)
                if writer is None:
                    code = cv2.VideoWriter.fourcc(*VIDEO_CODE)
                    writer = cv2.VideoWriter(str(target), code, rate, (drawn.shape[1], drawn.shape[0]))
                    if not writer.isOpened():
                        raise PacelineError(f"'{target}' cannot be written.", "Choose another --output.")
                writer.write(np.ascontiguousarray(drawn[..., ::-1]))
                said = run.task.describe(answer, image.shape[:2])
                said.pop("map", None)
                note({"video": str(source), "overlay": target.name, "frame": number, **said})
                frames += 1
        finally:
            if writer is not None:
                writer.release()
    return frames


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    pixels = image[..., ::-1] if image.ndim == 3 else image
    _, content = cv2.imencode(path.suffix, np.ascontiguousarray(pixels))
    atomic.write_bytes(path, content.tobytes())
