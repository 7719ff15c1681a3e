"""How long the phantom cohort takes to write and to read, and how hard it is.

Writing and reading: the best of a few repetitions, in seconds of the clock and of the processor. Hardness: the mean
AUROC over the five labels on the test patients and on the external site, of logistic regression on frozen features and
of the template's small network trained from scratch; one cohort, one split and one initialisation a seed.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from medical_imaging import data, splits, synthetic, train
from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Config, Data
from paceline import config, transfer
from paceline.quarantine import Quarantine
from results import ROOT, save

REPETITIONS = 3
TEMPLATE = next((ROOT / "templates" / "medical-imaging").glob("*/config.toml")).parent
SCORES = {"test": "auroc", "external": "external_auroc"}
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
    """Score the template's own small network, by its defaults."""
    options = ["model.name=fine_tuned", "model.backbone=none", "report.resamples=0"]
    options += [f"data.seed={seed}", f"train.seed={seed}", "report.heatmaps=0"]
    with tempfile.TemporaryDirectory() as folder:
        answer = train.train(config.load(Config, TEMPLATE / "config.toml", options), runs_folder=Path(folder))
    return {part: float(answer["scores"][name]["value"]) for part, name in SCORES.items()}


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
    main(int(sys.argv[1]) if len(sys.argv) == 2 else 5)
