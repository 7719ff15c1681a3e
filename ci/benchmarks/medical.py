"""BreastMNIST's official split: the template beside the published recipe, and the phantom cohort by model.

The recipe is ResNet-18 at 28 pixels as MedMNIST publishes it (Yang et al. 2023): 100 epochs, batches of 128, Adam at
0.001 that falls to a tenth after 50 and 75 epochs, the epoch with the best validation AUC. It runs here in the same
framework, on the same rows. Every choice of the template's was made on training and validation.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from medical_imaging import predict
from paceline import intervals
from results import ROOT, SAMPLE_DATA, save

TEMPLATE = ROOT / "templates" / "medical-imaging" / "{{cookiecutter.project_slug}}"
BREAST = SAMPLE_DATA / "medical" / "medmnist" / "breastmnist.npz"
SEEDS = range(5)
CONFIG = "configs/breastmnist.toml"
CANDIDATES = [
    {"model.head": head, "data.image_size_px": size, "train.l2": l2}
    for head, l2 in (("linear", 0.03), ("kernel", 0.003))
    for size in (128, 160, 224)
]
EPOCHS, BATCH, RATE, MILESTONES = 100, 128, 1e-3, (50, 75)


def main() -> None:
    """Choose on validation, run the template with every seed and the recipe once, and keep what came out."""
    if not BREAST.exists():
        sys.exit(f"There is no '{BREAST}'. Set PACELINE_SAMPLE_DATA to the folder that holds medical/.")
    found = template()
    baseline = recipe(seed=0)
    print("recipe", baseline["auroc"], baseline["wall_seconds"], flush=True)
    save("medical", figures(found, baseline))


def template() -> dict[str, Any]:
    """Return the candidates with their validation loss, and the runs of the one that the configuration names."""
    chosen = []
    with tempfile.TemporaryDirectory() as cache:
        for candidate in CANDIDATES:
            chosen.append({**candidate, "validation_cross_entropy": breast(candidate, 0, cache)["validation"]})
            print(chosen[-1], flush=True)
    runs = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as cache:  # cold: features are made anew, which counts
            runs.append(breast({}, seed, cache))
        print("template", seed, runs[-1]["auroc"], runs[-1]["wall_seconds"], flush=True)
    with tempfile.TemporaryDirectory() as cache:
        phantom = {name: train("config.toml", {}, cache) for name in ("cold", "warm")}
    return {"selection": chosen, "runs": runs, "phantom": phantom}


def figures(found: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept: means and spreads, the paired difference of each seed by DeLong, the ratio of the times."""
    runs = found["runs"]
    pairs = [intervals.compare_auc(baseline["labels"], run["chances"], baseline["chances"]) for run in runs]
    seconds = spread([run["wall_seconds"] for run in runs])
    return {
        "selection": found["selection"],
        "template": {"auroc": spread([run["auroc"] for run in runs]), "wall_seconds": seconds, "runs": len(runs)},
        "recipe": {"auroc": baseline["auroc"], "wall_seconds": baseline["wall_seconds"], "runs": 1},
        "difference": [pair.difference.state() for pair in pairs],
        "p_values": [pair.p_value for pair in pairs],
        "time_ratio": baseline["wall_seconds"] / seconds["mean"],
        "phantom": found["phantom"],
    }


def breast(settings: dict[str, Any], seed: int, cache: str) -> dict[str, Any]:
    """Return a run on BreastMNIST."""
    fixed = {"data.path": str(BREAST), "train.seed": seed, "report.resamples": 0, "report.heatmaps": 0}
    return train(CONFIG, {**fixed, **settings}, cache)


def train(config: str, settings: dict[str, Any], cache: str) -> dict[str, Any]:
    """Return the AUROC of a run started as a user would, its probabilities, validation loss and wall time."""
    with tempfile.TemporaryDirectory() as folder:
        options = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "medical_imaging", "train", "--json", "--runs", folder, "--config", config]
        environment = {**os.environ, "PACELINE_CACHE": cache}
        done = subprocess.run(  # noqa: S603 -- this project's own command
            [*command, *options], cwd=TEMPLATE, check=True, stdout=subprocess.PIPE, text=True, env=environment
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        found = {"auroc": answer["scores"]["auroc"]["value"], "wall_seconds": answer["wall_seconds"]}
        if config == CONFIG:
            run = Path(answer["run"])
            rows = json.loads((run / "run.json").read_text())["history"]["rows"]
            found["validation"] = min(row["validation_cross_entropy"] for row in rows)
            found["chances"] = predict.test_chances(run)[:, 1]
    return found


def recipe(*, seed: int) -> dict[str, Any]:
    """Return the test AUC of the published recipe, trained here, its probabilities, and the seconds it took."""
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
    pooled = keras.layers.GlobalAveragePooling2D()(resnet.last_map(images))
    network = keras.Model(images, keras.layers.Dense(2)(pooled))
    rows = len(parts["train"][0])
    steps = -(-rows // BATCH)
    rate = keras.optimizers.schedules.PiecewiseConstantDecay(
        [epoch * steps for epoch in MILESTONES], [RATE, RATE / 10, RATE / 100]
    )
    network.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    best, kept = -1.0, network.get_weights()
    for epoch in range(EPOCHS):
        network.fit(*parts["train"], batch_size=BATCH, epochs=1, verbose=0)
        logits = network.predict(parts["val"][0], batch_size=BATCH, verbose=0)
        score = roc_auc_score(parts["val"][1], logits[:, 1] - logits[:, 0])
        if score > best:
            best, kept = score, network.get_weights()
        print(f"recipe, epoch {epoch + 1}: {score:.3f} on validation", flush=True)
    network.set_weights(kept)
    logits = network.predict(parts["test"][0], batch_size=BATCH, verbose=0)
    chances, labels = logits[:, 1] - logits[:, 0], parts["test"][1]
    return {
        "auroc": float(roc_auc_score(labels, chances)),
        "chances": chances,
        "labels": labels,
        "wall_seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - began_cpu,
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return the mean and the standard deviation over runs."""
    return {"mean": statistics.fmean(values), "deviation": statistics.stdev(values) if len(values) > 1 else 0.0}


if __name__ == "__main__":
    main()
