"""The trainings of a run: which there are, one after the other or fold by fold, and what each watches."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging import model, splits
from medical_imaging.augment import augmenting
from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Config
from paceline import budget, fit_keras, optimizers, resizing, transfer
from paceline.held import held
from paceline.progress import Progress
from paceline.record import Run

import keras  # isort: skip  # the backend is settled by the imports before


def stages(config: Config) -> dict[str, int]:
    """Return the trainings of a run with the most epochs that each can take."""
    most = most_epochs(config)
    first, rest = resizing.divide(most, config.train.progressive_resizing)
    scratch = {resizing.SMALL: first, "train": rest} if first else {"train": most}
    one = scratch if config.from_scratch else {"head": most}
    if config.model.name == "fine_tuned" and not config.from_scratch:
        one = one | {"fine_tune": tuning_epochs(config)}
    folds = config.train.folds
    return {
        f"{name}_{fold + 1}" if folds > 1 else name: epochs for fold in range(folds) for name, epochs in one.items()
    }


def most_epochs(config: Config) -> int:
    """Return `train.epochs`; `budget.AUTO` where as many are asked for as fit."""
    return _number(config.train.epochs)


def tuning_epochs(config: Config) -> int:
    """Return `transfer.epochs` in the same way."""
    return _number(config.transfer.epochs)


def _number(asked: int | str) -> int:
    return asked if isinstance(asked, int) else budget.AUTO


def fit(
    config: Config,
    backbone: keras.Model,
    images: NDArray[Any],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    *,
    suffix: str,
    run: Run,
    progress: Progress,
) -> model.Member:
    """Train one member, watching `validation`, from which the best epoch is chosen.

    Args:
        config: what to train, and how.
        backbone: as `model.build_backbone` gives it; a frozen one may be shared by members.
        images: of the whole cohort.
        targets: of it, see `targets.to_learn`.
        weights: of the classes.
        train: rows to learn from.
        validation: rows to watch.
        suffix: of the stages' names: the fold's number, or nothing.
        run: the run record.
        progress: the progress line.
    """
    recipe, head, epochs = config.train, None, 0
    width = backbone.output[model.VECTOR].shape[-1]
    if not config.from_scratch:
        vectors = model.features(config, backbone, images, run)
        with run.phase("build"):
            head = model.build_head(config, width, targets.shape[1], np.asarray(vectors[train]))
            model.compile_(head, config, recipe, weights)
        # Cached features are of the images as they are: there is no augmentation before a frozen backbone.
        alone = config.model.name == "frozen"
        with contextlib.nullcontext() if alone else held(run):
            epochs = _fit(
                head, config, vectors, targets, train, validation, stage=f"head{suffix}", run=run, progress=progress
            )
        if alone:
            return model.Member(backbone, head, epochs)
        recipe = recipe.model_copy(update={"learning_rate": config.transfer.learning_rate})
        transfer.unfreeze(backbone, share=config.transfer.unfreeze_share)
    with run.phase("build"):
        optimizers.penalise(backbone, l1=config.train.network_l1, l2=config.train.network_l2)
        member = model.Member(backbone, head or model.build_head(config, width, targets.shape[1], None), 0)
        network = model.joined(member)
        model.compile_(network, config, recipe, weights)
    stage = f"train{suffix}" if head is None else f"fine_tune{suffix}"
    if (small := resizing.SMALL + suffix) in stages(config):
        epochs += _fit_small(config, member, images, targets, weights, train, stage=small, run=run, progress=progress)
    epochs += _fit(network, config, images, targets, train, validation, stage=stage, run=run, progress=progress)
    return model.Member(member.backbone, member.head, epochs)


def _fit_small(
    config: Config,
    member: model.Member,
    images: NDArray[Any],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    train: NDArray[np.int64],
    *,
    stage: str,
    run: Run,
    progress: Progress,
) -> int:
    """Train the member's network on images of half the side; nothing watches, for scores of these are others."""
    with run.phase("build"):
        size_px = config.data.image_size_px // 2
        halved = config.model_copy(update={"data": config.data.model_copy(update={"image_size_px": size_px})})
        backbone = model.build_backbone(halved, images.shape[-1])
        resizing.hand_over(member.backbone, backbone)
        optimizers.penalise(backbone, l1=config.train.network_l1, l2=config.train.network_l2)
        network = model.joined(model.Member(backbone, member.head, 0))
        model.compile_(network, config, config.train, weights)
        smaller = resizing.shrink(images[train], (size_px, size_px))
    everything = np.arange(len(train))
    epochs = _fit(network, config, smaller, targets[train], everything, None, stage=stage, run=run, progress=progress)
    resizing.hand_over(backbone, member.backbone)
    return epochs


def _fit(
    network: keras.Model,
    config: Config,
    inputs: NDArray[Any],
    targets: NDArray[np.float32],
    train: NDArray[np.int64],
    validation: NDArray[np.int64] | None,
    *,
    stage: str,
    run: Run,
    progress: Progress,
) -> int:
    settings = config.train
    change = None if stage.startswith("head") else augmenting(settings.augment, flip=settings.flip)
    batches = fit_keras.Batches(
        np.asarray(inputs[train]), targets[train], batch_size=settings.batch_size, seed=settings.seed, run=run,
        augment=change, workers=settings.workers,
    )  # fmt: skip
    watched = None
    if validation is not None:
        watched = fit_keras.Batches(
            np.asarray(inputs[validation]), targets[validation], batch_size=settings.batch_size, seed=None, run=run,
            workers=settings.workers,
        )  # fmt: skip
    fitted = fit_keras.fit(
        network,
        batches,
        watched,
        epochs=stages(config)[stage],
        early_stopping_epochs=settings.early_stopping_epochs,
        monitor="cross_entropy",
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


def folds(config: Config, cohort: Cohort, split: Split) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return what each member learns from and is watched on.

    One member learns from the training part and is watched on validation; several share both parts between them, so
    that each image is unseen by one member.
    """
    if config.train.folds == 1:
        return [(split.train, split.validation)]
    rows = np.sort(np.concatenate([split.train, split.validation]))
    parts = splits.folds(cohort, rows, config.train.folds, config.train.seed)
    return [(np.setdiff1d(rows, part), part) for part in parts]


def out_of_fold(
    config: Config,
    fitted: model.Trained,
    images: NDArray[Any],
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    logits: NDArray[np.float64],
    run: Run,
) -> NDArray[np.float64]:
    """Return `logits` with, for the rows that a member was watched on, what that member alone says of them."""
    if config.train.folds == 1:
        return logits
    found = logits.copy()
    for member, (_, watched) in zip(fitted.members, parts, strict=True):
        found[watched] = model.Trained((member,), fitted.frozen).logits(config, images, run)[watched]
    return found
