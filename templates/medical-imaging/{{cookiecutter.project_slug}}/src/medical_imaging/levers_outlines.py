"""Time-savers of a model that outlines: which there are, and how a training is made; `levers` is of classifiers.

They are judged by what its training and its search are: `overlap_loss`, cross-entropy of pixels and Dice, on the
validation patients with masks. The test's and the external site's are left behind before anything is computed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medical_imaging import levers, segmentation, tune_outlines
from medical_imaging.config import Config
from medical_imaging.tune_outlines import Prepared
from paceline import fit_keras
from paceline.levers.task import Lever, Task
from paceline.progress import Progress
from paceline.record import Run

# A ResNet without maps; penalties of a linear head; images without masks to shrink with them.
OF_CLASSIFIERS = ("transfer learning", "L1 penalty", "L2 penalty", "progressive resizing")


def of_outlines(config: Config) -> list[Lever]:
    """Return the time-savers that suit the configured network and this machine."""
    found = [each for each in levers.levers(config) if each.name not in OF_CLASSIFIERS]
    penalty = {"train.network_l2": config.train.network_l2 or 1e-4}
    return [*found, Lever("L2 penalty", "convergence", penalty, without={"train.network_l2": 0.0}), levers.NORMALISED]


def prepare(config: Config) -> Prepared:
    """Return the images and masks before the test with one division into training and validation.

    Raises:
        PacelineError: see `tune_outlines.prepare`.
    """
    return tune_outlines.prepare(config.model_copy(update={"tune": config.tune.model_copy(update={"folds": 1})}))


def train(prepared: Prepared, config: Config, run: Run, progress: Progress) -> None:
    """Train the network, watched by the validation patients; images of another size are prepared again."""
    settings = config.train
    run.device = fit_keras.prepare(settings.device, seed=settings.seed, precision=settings.precision).state()
    if prepared.cohort.images.shape[1] != config.data.image_size_px:
        prepared = prepare(config)
    segmentation.fit(config, prepared.cohort, prepared.masks, prepared.folds[0], run=run, progress=progress)


def fewer(prepared: Prepared, share: float, seed: int) -> tuple[Prepared, int]:
    """Return it with a `share` of the training patients, drawn by `seed`, at least one, and the number of images."""
    split, patients = prepared.folds[0], prepared.cohort.patients
    each = np.unique(patients[split.train])
    drawn = np.random.default_rng(seed).permutation(each)[: max(1, round(share * len(each)))]
    kept = split.train[np.isin(patients[split.train], drawn)]
    return replace(prepared, folds=[replace(split, train=kept)]), len(kept)


TASK: Task[Config, Prepared] = Task(
    monitor=tune_outlines.MONITOR,
    larger_is_better=False,
    levers=of_outlines,
    prepare=prepare,
    train=train,
    lasting=levers.lasting,
    fewer=fewer,
    of_network=lambda config: True,
    refuse_early=segmentation.refuse_early,
)
