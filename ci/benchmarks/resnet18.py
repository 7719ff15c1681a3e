"""The recipe published for BreastMNIST, run once in this project's framework, to stand beside the template.

ResNet-18 at 28 pixels as MedMNIST publishes it (Yang et al. 2023): 100 epochs, batches of 128, Adam at 0.001 that falls
to a tenth after 50 and 75 epochs, the epoch with the best validation AUC. Long: an hour of processor time and more.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import sys
import time
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from results import SAMPLE_DATA, save

BREAST = SAMPLE_DATA / "medical" / "medmnist" / "breastmnist.npz"
EPOCHS, BATCH, RATE, MILESTONES = 100, 128, 1e-3, (50, 75)


def main() -> None:
    """Train the recipe once and keep its AUC, its answers on the test images, and its time."""
    if not BREAST.exists():
        sys.exit(f"There is no '{BREAST}'. Set PACELINE_SAMPLE_DATA to the folder that holds medical/.")
    save("resnet18", recipe(seed=0))


def recipe(*, seed: int) -> dict[str, Any]:
    """Return the test AUC, the answers and labels of the test images, and the seconds of the clock and processor."""
    began, began_cpu = time.perf_counter(), time.process_time()
    from paceline import fit_keras

    fit_keras.prepare("cpu", seed=seed, precision="float32")
    import keras

    from medical_imaging import resnet

    found = np.load(BREAST)
    parts = {
        part: (found[f"{part}_images"][..., None], found[f"{part}_labels"][:, 0]) for part in ("train", "val", "test")
    }
    images = keras.Input((28, 28, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(resnet.last_map(images, normalise=True))
    network = keras.Model(images, keras.layers.Dense(2)(pooled))
    steps = -(-len(parts["train"][0]) // BATCH)
    rate = keras.optimizers.schedules.PiecewiseConstantDecay(
        [epoch * steps for epoch in MILESTONES], [RATE, RATE / 10, RATE / 100]
    )
    network.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    best, kept = -1.0, network.get_weights()
    for epoch in range(EPOCHS):
        network.fit(*parts["train"], batch_size=BATCH, epochs=1, verbose=0)
        logits = network.predict(parts["val"][0], batch_size=BATCH, verbose=0)
        score = float(roc_auc_score(parts["val"][1], logits[:, 1] - logits[:, 0]))
        if score > best:
            best, kept = score, network.get_weights()
        print(f"epoch {epoch + 1}: {score:.3f} on validation", flush=True)
    network.set_weights(kept)
    logits = network.predict(parts["test"][0], batch_size=BATCH, verbose=0)
    answers, labels = logits[:, 1] - logits[:, 0], parts["test"][1]
    return {
        "auroc": float(roc_auc_score(labels, answers)),
        "answers": answers.tolist(),
        "labels": labels.tolist(),
        "wall_seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - began_cpu,
    }


if __name__ == "__main__":
    main()
