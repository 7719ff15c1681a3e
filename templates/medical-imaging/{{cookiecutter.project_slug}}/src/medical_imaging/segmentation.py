"""Training a model that outlines lesions, from top to bottom: images and masks, maps, decoder, threshold, scores."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging import data, decoder, doubts, duration, losses, outlines, overlap, splits
from medical_imaging.augment import augmenting
from medical_imaging.cards import data_card, model_card
from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Config
from medical_imaging.fitting import most_epochs, tuning_epochs
from paceline import device, estimate, fit_keras, optimizers, record, transfer
from paceline.budget import Ceiling
from paceline.errors import PacelineError
from paceline.held import held
from paceline.progress import Progress
from paceline.quarantine import Quarantine
from paceline.recipe import Recipe
from paceline.record import Run

import keras  # isort: skip  # the backend is settled by the imports before

WATCHED = "overlap_loss"  # cross-entropy of pixels and Dice; see `losses.Overlap`


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
    """Train the configured outlining model, score it on the test patients, and leave a run folder; see `train.train`.

    Images without a mask take no part. The frozen backbone's maps are cached; the threshold is chosen on validation.
    """
    name, seed = config.model.name, config.train.seed
    refuse_early(config)
    with record.start(config, runs_folder, name=f"{name}-outlines", command=command, started=started,
                      resume=resume) as run:  # fmt: skip
        with run.phase("data"):
            quarantine = Quarantine(run.folder / "quarantine.jsonl")
            cohort = data.load(config.data, config.model.task, quarantine, run=run)
            whole = splits.divide(cohort, config.data, seed)
            run.dataset = data.audit(cohort, whole, quarantine)
            split, masks = outlines.with_masks(cohort, whole)

        with run.phase("build"):
            run.device = fit_keras.prepare(config.train.device, seed=seed, precision=config.train.precision).state()
            backbone, head, network, names = _build(config, cohort.images.shape[-1])
        rows, settings = np.concatenate([split.test, split.external]), config.report
        with run.phase("score/floor"):
            usual = outlines.usual(masks, split.train, masks.shape)
            level = overlap.best_threshold(usual[split.validation], masks[split.validation])
            since = run.clock.elapsed()
            of_floor = outlines.scores(usual[rows] >= level, masks, split, cohort.patients, settings, seed=seed)
            after = duration.after_outlines(config, cohort, split, run.clock.elapsed() - since)
        run.pace = duration.follow(
            config, run, _stages(config), after, data_bytes=cohort.images.nbytes, ceiling=ceiling, target=target,
            history=history, made=made,
        )  # fmt: skip
        with Progress(_stages(config), unit="epoch", after_seconds=run.pace.finalise.seconds) as progress:
            epochs = _fit(config, backbone, head, network, names, cohort, masks, split, run, progress)

        with run.phase("score"):
            threshold = overlap.best_threshold(
                outlines.chances(network, cohort.images[split.validation]), masks[split.validation]
            )
            seen = outlines.chances(network, cohort.images[rows])
            run.scores = outlines.scores(seen >= threshold, masks, split, cohort.patients, settings, seed=seed)
            run.score_notes = overlap.notes()
            run.slices = outlines.slices(cohort, split, seen >= threshold, masks, settings, seed=seed)
            for metric, value in of_floor.items():
                run.scores[metric]["floor"] = {"name": outlines.FLOOR, **value}
            for sentence in doubts.about_outlines(masks, split, run.scores):
                run.warn(sentence)
            run.figures = outlines.figures(cohort, split.test, seen, masks, settings.heatmaps)

        with run.phase("finalise"):
            run.model = {"name": name, "backbone": config.model.backbone, "classes": list(cohort.classes)}
            run.model |= {**fit_keras.save_model(network, run.folder / "model.keras"), "epochs": epochs}
            run.model |= {"parameters": int(network.count_params()), "members": 1}
            run.model |= {"decision": {"rule": "the best Dice on validation", "thresholds": [threshold]}}
            run.pages["MODEL_CARD.md"] = model_card
            run.pages["DATA_CARD.md"] = data_card
    return {
        "run": str(run.folder),
        "status": run.status,
        "wall_seconds": run.wall_seconds,
        "scores": run.scores,
        "report": str(run.folder / "report.html"),
    }


def refuse_early(config: Config) -> None:
    """Refuse what cannot train here, before any data are read.

    Raises:
        PacelineError: the network gives no maps, or the device cannot be used.
    """
    if config.model.name == "resnet18":
        raise PacelineError("model.name = 'resnet18' gives no maps to outline from.", "Set model.name = 'frozen'.")
    device.refuse_unusable(config.train.device)


def most_steps(config: Config) -> int:
    """Return the most epochs of all trainings of a run together; `budget.AUTO` or more where time decides."""
    return sum(_stages(config).values())


def fit(
    config: Config, cohort: Cohort, masks: NDArray[np.bool_], split: Split, *, run: Run, progress: Progress
) -> tuple[keras.Model, int]:
    """Build the configured network and train it, watched by validation; return it with its epochs.

    Args:
        config: what to train, and how.
        cohort: the images.
        masks: of all its rows.
        split: rows with masks.
        run: the run record; `run.device` is set.
        progress: the progress line.
    """
    with run.phase("build"):
        backbone, head, network, names = _build(config, cohort.images.shape[-1])
    return network, _fit(config, backbone, head, network, names, cohort, masks, split, run, progress)


def _build(config: Config, channels: int) -> tuple[keras.Model, keras.Model, keras.Model, list[str]]:
    """Return the backbone, the decoder, both as one network, and the names of the maps between them."""
    size, seed = config.data.image_size_px, config.train.seed
    backbone = transfer.backbone(config.model.backbone, image_size_px=size, channels=channels)
    names = [each for each in decoder.STRIDES if each in backbone.output]
    shapes = {each: tuple(backbone.output[each].shape[1:]) for each in names}
    settings = config.model
    head = decoder.build(shapes, size, dropout=settings.dropout, normalise=settings.batch_normalisation, seed=seed)
    return backbone, head, transfer.attach(backbone, head, names=names), names


def _fit(
    config: Config,
    backbone: keras.Model,
    head: keras.Model,
    network: keras.Model,
    names: list[str],
    cohort: Cohort,
    masks: NDArray[np.bool_],
    split: Split,
    run: Run,
    progress: Progress,
) -> int:
    """Train the decoder on cached maps of a frozen backbone, then, where asked for, the whole network on images."""
    epochs, recipe = 0, config.train
    if config.model.backbone != "none":
        maps = transfer.features(
            backbone,
            cohort.images,
            names=names,
            dtype="float16",
            max_bytes=config.data.max_cache_bytes,
            setting="data.max_cache_bytes",
            run=run,
        )
        _compile(head, config, recipe)
        with contextlib.nullcontext() if config.model.name == "frozen" else held(run):
            epochs += _stage(config, head, maps, masks, split, "decoder", run, progress)
        if config.model.name == "frozen":
            return epochs
        recipe = recipe.model_copy(update={"learning_rate": config.transfer.learning_rate})
        transfer.unfreeze(backbone, share=config.transfer.unfreeze_share)
    _compile(network, config, recipe)
    stage = "train" if config.model.backbone == "none" else "fine_tune"
    return epochs + _stage(config, network, cohort.images, masks, split, stage, run, progress)


def _compile(network: keras.Model, config: Config, recipe: Recipe) -> None:
    """Give it penalties, optimizer and loss; what is watched is the loss without the penalties, which fall anyway."""
    loss = losses.Overlap()
    optimizers.penalise(network, l1=config.train.network_l1, l2=config.train.network_l2)
    watched = keras.metrics.MeanMetricWrapper(loss.call, name=WATCHED)
    network.compile(optimizer=fit_keras.optimizer(recipe), loss=loss, weighted_metrics=[watched])


def _stage(
    config: Config,
    network: keras.Model,
    inputs: Any,
    masks: NDArray[np.bool_],
    split: Split,
    stage: str,
    run: Run,
    progress: Progress,
) -> int:
    settings = config.train
    change = None if stage == "decoder" else augmenting(settings.augment, flip=settings.flip, masks=True)

    def batches(rows: NDArray[np.int64], seed: int | None) -> fit_keras.Batches:
        taken = {n: a[rows] for n, a in inputs.items()} if isinstance(inputs, dict) else np.asarray(inputs[rows])
        return fit_keras.Batches(
            taken, masks[rows].astype(np.uint8), batch_size=settings.batch_size, seed=seed, run=run,
            augment=change if seed is not None else None, workers=settings.workers,
        )  # fmt: skip

    fitted = fit_keras.fit(
        network,
        batches(split.train, settings.seed),
        batches(split.validation, None),
        epochs=_stages(config)[stage],
        early_stopping_epochs=settings.early_stopping_epochs,
        monitor=WATCHED,
        larger_is_better=False,
        checkpoint_seconds=settings.checkpoint_seconds,
        stage=stage,
        run=run,
        progress=progress,
        tensorboard=settings.tensorboard,
        devices=settings.most_devices,
    )
    progress.finish()
    return fitted.epochs


def _stages(config: Config) -> dict[str, int]:
    if config.model.backbone == "none":
        return {"train": most_epochs(config)}
    tuned = {"fine_tune": tuning_epochs(config)} if config.model.name == "fine_tuned" else {}
    return {"decoder": most_epochs(config), **tuned}
