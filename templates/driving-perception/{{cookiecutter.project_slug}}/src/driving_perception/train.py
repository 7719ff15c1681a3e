"""Training from top to bottom: frames, network, fit, scores, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from driving_perception import augment, data, duration, frames, model, splits
from driving_perception.cards import data_card, model_card
from driving_perception.config import Config
from driving_perception.data import Scenes
from driving_perception.detection import Detection
from driving_perception.lanes import Lanes
from driving_perception.model import Network
from driving_perception.segmentation import Segmentation
from driving_perception.splits import Split
from driving_perception.tasks import Task, ungated
from paceline import device, estimate, fit_keras, optimizers, record, resizing
from paceline.batches import Batches
from paceline.budget import Ceiling
from paceline.progress import Progress
from paceline.quarantine import Quarantine
from paceline.record import Run


def train(
    config: Config,
    *,
    runs_folder: Path,
    command: str = "",
    started: float | None = None,
    resume: Path | None = None,
    ceiling: Ceiling | None = None,
    target: float | None = None,
    history: Path | None = None,
    made: Callable[[dict[str, Any]], None] = estimate.say,
) -> dict[str, Any]:
    """Train the configured network, score it on the test sequences, and leave a run folder with everything about it.

    Args:
        config: the resolved configuration.
        runs_folder: where the run's folder is made.
        command: the command line, for the record.
        started: the performance counter's reading that counts as zero; see `record.start`.
        resume: the folder of a run to go on with.
        ceiling: the most wall time; see `paceline.budget`.
        target: a validation score, of those that early stopping watches, whose time is to be predicted.
        history: the folder of earlier runs that predictions learn from; `runs_folder` by default.
        made: is given each prediction of the run's time, once it is in the record.

    Returns:
        `run` (the folder), `status`, `wall_seconds`, `scores`, `report`.
    """
    seed = config.train.seed
    device.refuse_unusable(config.train.device)  # mistakes that need no data to be seen
    if config.transfer.from_run:
        record.read(Path(config.transfer.from_run))
    name = f"{config.model.task}-{config.model.name}"
    with record.start(config, runs_folder, name=name, command=command, started=started, resume=resume) as run:
        with run.phase("data"):
            quarantine = Quarantine(run.folder / "quarantine.jsonl")
            scenes = data.load(config.data, config.model.task, quarantine, run=run)
            split = splits.divide(scenes, config.data, seed)
            run.dataset = data.audit(scenes, split, quarantine)
            classes = task_of(config.model.task, scenes.classes, scenes.images.shape[1:3]).classes
            for sentence in (*split.warnings, *ungated(config.model.task, classes, config.report)):
                run.warn(sentence)

        run.pace = duration.follow(
            config, run, split, data_bytes=scenes.images.nbytes, ceiling=ceiling, target=target, history=history,
            made=made,
        )  # fmt: skip
        after_seconds = run.pace.finalise.seconds
        with Progress(duration.stages(config), unit="epoch", after_seconds=after_seconds) as progress:
            network, inputs, taken, fitted = fit(config, scenes, split, run=run, progress=progress)
        task = network.task

        with run.phase("score"):
            answers = model.predict(network.trained, inputs, split.test)
            found = task.evaluate(scenes, split.test, split.train, answers, config)
            run.scores, run.slices, run.score_notes, run.figures = (
                found.scores,
                found.slices,
                found.notes,
                found.figures,
            )
            for sentence in found.warnings:
                run.warn(sentence)

        with run.phase("finalise"):
            saved = fit_keras.save_model(network.whole(), run.folder / "model.keras")
            run.model = {"name": config.model.name, "task": config.model.task, **network.state(), **taken, **saved}
            run.model |= {"classes": task.classes, "epochs": fitted.epochs}
            run.pages["MODEL_CARD.md"] = model_card
            run.pages["DATA_CARD.md"] = data_card
    return {
        "run": str(run.folder),
        "status": run.status,
        "wall_seconds": run.wall_seconds,
        "scores": run.scores,
        "report": str(run.folder / "report.html"),
    }


def fit(
    config: Config, scenes: Scenes, split: Split, *, run: Run, progress: Progress, stage: str = "train"
) -> tuple[Network, Any, dict[str, Any], fit_keras.Fitted]:
    """Build the configured network and train it on the split's training frames, watched by its validation frames.

    Args:
        config: what to train, and how.
        scenes: the frames.
        split: rows of them.
        run: the run record; `run.device` is set.
        progress: the progress line.
        stage: the training's name; one of smaller frames before it has the same ending.

    Returns:
        The network, what it takes for each frame, what it took over from an earlier run, and how training went.
    """
    settings = config.train
    with run.phase("build"):
        run.device = fit_keras.prepare(settings.device, seed=settings.seed, precision=settings.precision).state()
        size_px = scenes.images.shape[1:3]
        network = model.build(config, task_of(config.model.task, scenes.classes, size_px), size_px)
        taken = model.take_over(network, config)
    epochs = 0
    if (first := duration.stages(config).get(resizing.SMALL)) is not None:
        with run.phase("build"):
            smaller = frames.shrink(frames.rows_of(scenes, split.train))
            size_px = smaller.images.shape[1:3]
            small = model.build(config, task_of(config.model.task, scenes.classes, size_px), size_px)
            resizing.hand_over(network.trained, small.trained)
        everything = Split(np.arange(len(split.train)), split.train[:0], split.train[:0])
        name = resizing.SMALL + stage.removeprefix("train")
        epochs = _fit(config, small, smaller.images, smaller, everything, first, name, run, progress).epochs
        progress.finish()
        resizing.hand_over(small.trained, network.trained)
    inputs = network.inputs(scenes.images, max_bytes=config.data.max_cache_bytes, run=run)
    fitted = _fit(config, network, inputs, scenes, split, duration.stages(config)["train"], stage, run, progress)
    return network, inputs, taken, replace(fitted, epochs=epochs + fitted.epochs)


def _fit(
    config: Config,
    network: Network,
    inputs: Any,
    scenes: Scenes,
    split: Split,
    epochs: int,
    stage: str,
    run: Run,
    progress: Progress,
) -> fit_keras.Fitted:
    """Train the network on `inputs`, what it takes for each scene; without validation frames nothing watches."""
    settings, task = config.train, network.task
    with run.phase("build"):
        targets = task.targets(scenes)
        learned = model.take(targets, split.train)
        batches = Batches(
            model.take(inputs, split.train),
            learned,
            batch_size=settings.batch_size,
            seed=settings.seed,
            run=run,
            augment=augment.of(config, task, of_features=network.backbone is not None),
            workers=settings.workers,
        )
        watched = None
        if len(split.validation):
            watched = Batches(
                model.take(inputs, split.validation),
                model.take(targets, split.validation),
                batch_size=settings.batch_size,
                seed=None,
                run=run,
                workers=settings.workers,
            )
        optimizers.penalise(network.trained, l2=settings.l2)
        network.trained.compile(
            optimizer=fit_keras.optimizer(settings),
            loss=task.loss(settings, learned),
            weighted_metrics=task.metrics(),
        )
    return fit_keras.fit(
        network.trained,
        batches,
        watched,
        epochs=epochs,
        early_stopping_epochs=settings.early_stopping_epochs,
        monitor=task.monitor,
        larger_is_better=task.larger_is_better,
        checkpoint_seconds=settings.checkpoint_seconds,
        stage=stage,
        run=run,
        progress=progress,
        tensorboard=settings.tensorboard,
        devices=settings.most_devices,
    )


def task_of(name: str, classes: tuple[str, ...], image_size_px: tuple[int, int]) -> Task:
    """Return the task called `name` for images of (height, width); lanes have classes of their own."""
    if name == "detection":
        return Detection(classes, image_size_px)
    return Lanes(image_size_px) if name == "lanes" else Segmentation(classes, image_size_px)
