"""How long the phantom cohort takes to write and to read, and how hard it is.

Writing and reading: the best of a few repetitions, in seconds of the clock and of the processor. Hardness: the mean
AUROC over the five labels on the test patients and on the external site, of logistic regression on frozen features and
of a small network trained from scratch at 64 pixels; one cohort, one split and one initialisation a seed.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from medical_imaging import data, splits, synthetic
from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Data
from paceline import transfer
from paceline.quarantine import Quarantine
from results import save

REPETITIONS = 3
EPOCHS, BATCH, LEARNING_RATE = 45, 32, 2e-3
SHIFT_PX = 4
C = 0.003  # of the regression; near the best on other seeds than those counted here


def main(seeds: int) -> None:
    """Measure, print a line for each figure, and keep them."""
    figures: dict[str, Any] = {"files": 3 * Data().patients, "image_size_px": Data().image_size_px}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PACELINE_CACHE"] = folder
        figures["write"] = timed(lambda turn: synthetic.write(Path(folder) / f"cohort-{turn}", Data()))
        synthetic.folder(Data())
        figures["load_first"] = timed(load, repetitions=1)
        figures["load_again"] = timed(load)
        rows = []
        for seed in range(seeds):
            cohort = load(seed)
            split = splits.divide(cohort, Data(), seed)
            for name, score in (("frozen features", frozen), ("from scratch", from_scratch)):
                rows.append({"seed": seed, "model": name, **score(cohort, split, seed)})
                print(rows[-1], flush=True)
    figures["hardness"] = rows
    for name in ("write", "load_first", "load_again"):
        print(name, figures[name])
    save("phantom", figures)


def load(seed: int) -> Cohort:
    """Return the cohort of a seed."""
    return data.load(Data(seed=seed), "multilabel", Quarantine())


def timed(work: Any, repetitions: int = REPETITIONS) -> dict[str, float]:
    """Return the least seconds of the clock and of the processor that `work` took."""
    wall, processor = [], []
    for turn in range(repetitions):
        before = time.perf_counter(), time.process_time()
        work(turn if repetitions > 1 and work is not load else 0)
        wall.append(time.perf_counter() - before[0])
        processor.append(time.process_time() - before[1])
    return {"seconds": min(wall), "processor_seconds": min(processor)}


def frozen(cohort: Cohort, split: Split, seed: int) -> dict[str, float]:
    """Score logistic regression on what EfficientNet-Lite0 says of the images."""
    backbone = transfer.backbone("efficientnet-lite0", image_size_px=cohort.images.shape[1], channels=1)
    found = transfer.features(backbone, cohort.images)["pooled"]
    learn = np.concatenate([split.train, split.validation])
    X = StandardScaler().fit(found[learn]).transform(found)
    logits = np.zeros(cohort.labels.shape)
    for column in range(len(cohort.classes)):
        rows = learn[cohort.labels[learn, column] >= 0]
        model = LogisticRegression(C=C, max_iter=500).fit(X[rows], cohort.labels[rows, column])
        logits[:, column] = model.decision_function(X)
    return auroc(cohort, split, logits)


def from_scratch(cohort: Cohort, split: Split, seed: int) -> dict[str, float]:
    """Score a small convolutional network, trained on shifted images of half the size."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    images = np.asarray(cohort.images, np.float32)
    X = (images[:, ::2, ::2] + images[:, 1::2, 1::2]) / 120 - 2
    certain = np.nan_to_num(cohort.labels, nan=-1) >= 0
    targets = np.concatenate([np.where(certain, cohort.labels, 0), certain], axis=1).astype(np.float32)
    model = network(X.shape[1:], len(cohort.classes))
    steps = -(-len(split.train) // BATCH) * EPOCHS
    model.compile(keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)), certain_loss)
    for _ in range(EPOCHS):
        by = rng.integers(-SHIFT_PX, SHIFT_PX + 1, (len(split.train), 2))
        shifted = np.stack([np.roll(X[row], tuple(move), (0, 1)) for row, move in zip(split.train, by, strict=True)])
        model.fit(shifted, targets[split.train], batch_size=BATCH, verbose=0)
    return auroc(cohort, split, model.predict(X, batch_size=BATCH, verbose=0))


def network(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Return four stages of two convolutions each."""
    layers = keras.layers
    x = inputs = keras.Input(shape)
    for place, channels in enumerate((16, 32, 64, 96)):
        for stride in (1 if place == 0 else 2, 1):
            x = layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False)(x)
            x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return keras.Model(inputs, layers.Dense(classes)(layers.Dropout(0.3)(x)))


def certain_loss(targets: Any, logits: Any) -> Any:
    """Return the cross-entropy of the labels that are certain; the second half of `targets` says which."""
    classes = logits.shape[-1]
    truth, certain = targets[..., :classes], targets[..., classes:]
    return keras.ops.mean(certain * (keras.ops.softplus(logits) - truth * logits), axis=-1)


def auroc(cohort: Cohort, split: Split, logits: NDArray[Any]) -> dict[str, float]:
    """Return the mean over the labels on the test patients and on the external site."""
    scores = {}
    for part in ("test", "external"):
        rows = getattr(split, part)
        each = []
        for column in range(len(cohort.classes)):
            known = rows[cohort.labels[rows, column] >= 0]
            each.append(roc_auc_score(cohort.labels[known, column], logits[known, column]))
        scores[part] = float(np.mean(each))
    return scores


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) == 2 else 3)
