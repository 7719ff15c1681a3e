"""Time-savers: which there are for this project, and how a training is made to measure them; `paceline.levers` does it.

They are measured on the sequences of the training and validation parts; those of the test are left behind before
anything is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from driving_perception import data, frames, splits, train
from driving_perception.config import Config
from driving_perception.data import Scenes
from driving_perception.splits import Split
from paceline import device
from paceline.levers.task import Lever, Task
from paceline.progress import Progress
from paceline.quarantine import Quarantine
from paceline.record import Run

SMALLEST_PX = 64  # of the height; below it no pedestrian is left


@dataclass(frozen=True)
class Prepared:
    """What trainings share: the frames before the test, and how they are divided."""

    scenes: Scenes
    split: Split


def levers(config: Config) -> list[Lever]:
    """Return the time-savers that suit the configured network and this machine."""
    settings = config.train
    found = [
        Lever(
            "batch size",
            "throughput",
            {"train.batch_size": 2 * settings.batch_size},
            "fewer updates, so more epochs or a higher rate",
        ),
        Lever(
            "mixed precision",
            "throughput",
            {"train.precision": "mixed_bfloat16"},
            "fewer digits",
            without={"train.precision": "float32"},
        ),
        Lever("input threads", "throughput", {"train.input_threads": "auto"}, without={"train.input_threads": 0}),
        Lever(
            "early stopping",
            "convergence",
            {"train.early_stopping_epochs": settings.early_stopping_epochs or 3},
            without={"train.early_stopping_epochs": 0},
        ),
        Lever(
            "learning-rate schedule",
            "convergence",
            {"train.schedule": "polynomial"},
            without={"train.schedule": "constant"},
        ),
        Lever(
            "learning rate", "convergence", {"train.learning_rate": round(3 * settings.learning_rate, 6)}, "it may jump"
        ),
        Lever("gradient clipping", "convergence", {"train.clip_norm": 1.0}, without={"train.clip_norm": 0.0}),
        Lever("dropout", "convergence", {"model.dropout": config.model.dropout or 0.1}, without={"model.dropout": 0.0}),
        Lever(
            "augmentation",
            "convergence",
            {"train.augment": settings.augment or 0.5, "train.flip": True},
            without={"train.augment": 0.0, "train.flip": False},
        ),
        Lever("L2 penalty", "convergence", {"train.l2": settings.l2 or 1e-4}, without={"train.l2": 0.0}),
        Lever(
            "batch normalisation",
            "convergence",
            {"model.batch_normalisation": True},
            without={"model.batch_normalisation": False},
        ),
    ]
    if config.data.image_height_px >= 2 * SMALLEST_PX:
        sides = {
            "data.image_height_px": frames.half_px(config.data.image_height_px),
            "data.image_width_px": frames.half_px(config.data.image_width_px),
        }
        found.append(Lever("image size", "throughput", sides, "far pedestrians and thin poles vanish"))
        if config.model.name != "frozen" and settings.epochs != "auto":
            found.append(
                Lever(
                    "progressive resizing",
                    "convergence",
                    {"train.progressive_resizing": settings.progressive_resizing or 0.5},
                    "far pedestrians and thin poles are learned late",
                    without={"train.progressive_resizing": 0.0},
                )
            )
    found += _transfer(config)
    if len(device.gpus()) > 1 and settings.device != "cpu":
        found.append(Lever("devices", "throughput", {"train.devices": "auto"}, without={"train.devices": 1}))
    if device.gpus() and settings.device != "gpu":
        found.append(Lever("GPU", "throughput", {"train.device": "gpu"}, without={"train.device": "cpu"}))
    return found


def _transfer(config: Config) -> list[Lever]:
    """Return what others' weights bring: those of an earlier run where one is named, else the backbone's.

    A decoder on a frozen backbone is compared with the network from scratch that is configured, or the smallest.
    """
    if config.transfer.from_run:
        earlier = {"transfer.from_run": config.transfer.from_run}
        risk = "what was learned on other data may stay"
        return [Lever("transfer learning", "convergence", earlier, risk, without={"transfer.from_run": ""})]
    if config.model.backbone == "none":
        return []
    scratch = "small" if config.model.name == "frozen" else config.model.name
    risk = "features of other images, and only flips before them"
    return [Lever("transfer learning", "convergence", {"model.name": "frozen"}, risk, without={"model.name": scratch})]


def prepare(config: Config) -> Prepared:
    """Return the frames of the training and validation sequences.

    Raises:
        PacelineError: the data cannot be read.
    """
    scenes = data.load(config.data, config.model.task, Quarantine())
    split = splits.divide(scenes, config.data, config.train.seed)
    known = np.sort(np.concatenate([split.train, split.validation]))
    learn_on, watch_on = (np.searchsorted(known, rows) for rows in (split.train, split.validation))
    return Prepared(frames.rows_of(scenes, known), Split(learn_on, watch_on, known[:0]))


def train_once(prepared: Prepared, config: Config, run: Run, progress: Progress) -> None:
    """Train the network, watched by the validation sequences; frames of another size are prepared again."""
    if prepared.scenes.images.shape[1] != config.data.image_height_px:
        prepared = prepare(config)
    train.fit(config, prepared.scenes, prepared.split, run=run, progress=progress)


def fewer(prepared: Prepared, share: float, seed: int) -> tuple[Prepared, int]:
    """Return it with a `share` of the training sequences, drawn by `seed`, at least one."""
    split, sequences = prepared.split, prepared.scenes.sequences.astype(str)
    names = np.unique(sequences[split.train])
    drawn = np.random.default_rng(seed).permutation(names)[: max(1, round(share * len(names)))]
    kept = split.train[np.isin(sequences[split.train], drawn)]
    return Prepared(prepared.scenes, replace(split, train=kept)), len(kept)


def lasting(config: Config) -> dict[str, Any]:
    """Return the settings under which a training does not end by itself, on whole frames."""
    return {
        "train.epochs": 1_000_000,
        "train.progressive_resizing": 0.0,
        "train.early_stopping_epochs": 0,
        "train.checkpoint_seconds": 1e6,
    }


def refuse_early(config: Config) -> None:
    """Refuse a device that is not there, before any data are read."""
    device.refuse_unusable(config.train.device)


def task(config: Config) -> Task[Config, Prepared]:
    """Return the project's side; the watched figure is that of the configured task."""
    watched = train.task_of(config.model.task, ("",), (config.data.image_height_px, config.data.image_width_px))
    return Task(
        monitor=f"validation_{watched.monitor}",
        larger_is_better=watched.larger_is_better,
        levers=levers,
        prepare=prepare,
        train=train_once,
        lasting=lasting,
        fewer=fewer,
        of_network=lambda config: True,
        refuse_early=refuse_early,
    )
