"""Time-savers: which there are for this project, and how a training is made to measure them; `paceline.levers` does it.

They are measured on the patients of the training and validation parts; the test's and the external site's are left
behind before anything is computed. A model that outlines has time-savers of its own, `levers_outlines`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medical_imaging import fitting, model, targets, tune
from medical_imaging.config import Config
from medical_imaging.tune import Prepared
from paceline import device, fit_keras
from paceline.levers.task import Lever, Task
from paceline.progress import Progress
from paceline.record import Run

NORMALISED = Lever(
    "batch normalisation",
    "convergence",
    {"model.batch_normalisation": True},
    without={"model.batch_normalisation": False},
)
SMALLEST_PX = 32  # below it nothing of a chest is left


def levers(config: Config) -> list[Lever]:
    """Return the time-savers that suit the configured model and this machine."""
    settings, name = config.train, config.model.name
    scratch = config.from_scratch
    patience = settings.early_stopping_epochs or 10
    penalty = {"train.l2": settings.l2 or 0.03}
    if name != "frozen":
        penalty["train.network_l2"] = settings.network_l2 or 1e-4
    found = [
        Lever(
            "batch size",
            "throughput",
            {"train.batch_size": 4 * settings.batch_size},
            "fewer updates, so more epochs or a higher rate",
        ),
        Lever(
            "early stopping",
            "convergence",
            {"train.early_stopping_epochs": patience},
            without={"train.early_stopping_epochs": 0},
        ),
        Lever(
            "learning-rate schedule",
            "convergence",
            {"train.schedule": "cosine"},
            without={"train.schedule": "constant"},
        ),
        Lever(
            "learning rate", "convergence", {"train.learning_rate": round(3 * settings.learning_rate, 6)}, "it may jump"
        ),
        Lever("gradient clipping", "convergence", {"train.clip_norm": 1.0}, without={"train.clip_norm": 0.0}),
        Lever("dropout", "convergence", {"model.dropout": config.model.dropout or 0.2}, without={"model.dropout": 0.0}),
        Lever("L2 penalty", "convergence", penalty, without=dict.fromkeys(penalty, 0.0)),
        Lever("L1 penalty", "convergence", {"train.l1": settings.l1 or 0.001}, without={"train.l1": 0.0}),
    ]
    if name == "resnet18":
        found.append(NORMALISED)
    if config.data.image_size_px >= 2 * SMALLEST_PX and name != "frozen":
        half = {"data.image_size_px": config.data.image_size_px // 2}
        found.append(Lever("image size", "throughput", half, "small findings vanish"))
    if name != "frozen":
        exact = {"train.precision": "float32"}
        found += [
            Lever("input threads", "throughput", {"train.input_threads": "auto"}, without={"train.input_threads": 0}),
            Lever(
                "mixed precision", "throughput", {"train.precision": "mixed_bfloat16"}, "fewer digits", without=exact
            ),
            Lever(
                "augmentation",
                "convergence",
                {"train.augment": settings.augment or 0.5},
                without={"train.augment": 0.0},
            ),
        ]
    if scratch and config.data.image_size_px >= 2 * SMALLEST_PX and settings.epochs != "auto":
        found.append(
            Lever(
                "progressive resizing",
                "convergence",
                {"train.progressive_resizing": settings.progressive_resizing or 0.5},
                "small findings are learned late",
                without={"train.progressive_resizing": 0.0},
            )
        )
    if not scratch:
        found += [
            Lever(
                "frozen features",
                "convergence",
                {"model.name": "frozen", "train.network_l1": 0.0, "train.network_l2": 0.0},
                "no augmentation; features of other images",
                without={"model.name": "fine_tuned", "model.head": "linear"},
            ),
            Lever(
                "transfer learning",
                "convergence",
                {"model.name": name},
                "features of other images",
                without={"model.name": "resnet18", "model.head": "linear"},
            ),
        ]
    if len(device.gpus()) > 1 and settings.device != "cpu":
        found.append(Lever("devices", "throughput", {"train.devices": "auto"}, without={"train.devices": 1}))
    if device.gpus() and settings.device != "gpu":
        found.append(Lever("GPU", "throughput", {"train.device": "gpu"}, without={"train.device": "cpu"}))
    return found


def prepare(config: Config) -> Prepared:
    """Return the images before the test with one division into training and validation; see `tune.prepare`."""
    return tune.prepare(config.model_copy(update={"tune": config.tune.model_copy(update={"folds": 1})}))


def train(prepared: Prepared, config: Config, run: Run, progress: Progress) -> None:
    """Train one member, watched by the validation patients; images of another size are prepared again."""
    settings = config.train.model_copy(update={"folds": 1})
    config = config.model_copy(update={"train": settings})
    run.device = fit_keras.prepare(settings.device, seed=settings.seed, precision=settings.precision).state()
    if prepared.cohort.images.shape[1] != config.data.image_size_px:
        prepared = prepare(config)
    cohort, (learn_on, watch_on) = prepared.cohort, prepared.folds[0]
    learned = targets.to_learn(cohort.labels, settings.uncertain, seed=settings.seed)
    weights = targets.class_weights(learned[learn_on], exclusive=config.model.task == "multiclass")
    backbone = model.build_backbone(config, cohort.images.shape[-1])
    fitting.fit(
        config, backbone, cohort.images, learned, weights, learn_on, watch_on, suffix="", run=run, progress=progress
    )


def fewer(prepared: Prepared, share: float, seed: int) -> tuple[Prepared, int]:
    """Return it with a `share` of the training patients, drawn by `seed`, at least one."""
    learn_on, watch_on = prepared.folds[0]
    patients = np.unique(prepared.cohort.patients[learn_on])
    drawn = np.random.default_rng(seed).permutation(patients)[: max(1, round(share * len(patients)))]
    kept = learn_on[np.isin(prepared.cohort.patients[learn_on], drawn)]
    return Prepared(prepared.cohort, [(kept, watch_on)]), len(kept)


def lasting(config: Config) -> dict[str, Any]:
    """Return the settings under which a training does not end by itself, on whole images.

    Of a fine-tuned one the head is soon over.
    """
    fine_tuned = config.model.name == "fine_tuned" and config.model.backbone != "none"
    return {
        "train.epochs": 1 if fine_tuned else 1_000_000,
        "train.progressive_resizing": 0.0,
        "transfer.epochs": 1_000_000,
        "train.early_stopping_epochs": 0,
        "train.checkpoint_seconds": 1e6,
    }


TASK: Task[Config, Prepared] = Task(
    monitor="validation_auroc",
    larger_is_better=True,
    levers=levers,
    prepare=prepare,
    train=train,
    lasting=lasting,
    fewer=fewer,
    of_network=lambda config: True,
    refuse_early=tune.refuse_early,
)


def task(config: Config) -> Task[Config, Any]:
    """Return the project's side for the configured task."""
    if config.model.task != "segmentation":
        return TASK
    from medical_imaging import levers_outlines

    return levers_outlines.TASK
