"""BreastMNIST's official split: settings chosen on validation, then the test once a seed; beside the published recipe.

The candidates are head, its penalty and the size of the images. The one with the best mean validation AUROC over the
seeds is taken, whatever the test says; the test scores of the others are not read. `configs/breastmnist.toml` must hold
it, else this stops before the test. The recipe is `resnet18.py`'s: run that first, once.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from medical_imaging import predict
from medical_imaging.config import Config
from paceline import config, intervals
from resnet18 import BREAST
from results import ROOT, save

TEMPLATE = ROOT / "templates" / "medical-imaging" / "{{cookiecutter.project_slug}}"
CONFIG = "configs/breastmnist.toml"
SEEDS = range(5)
PENALTIES = (("linear", (0.01, 0.03, 0.1)), ("kernel", (0.001, 0.003, 0.01)))
SIZES_PX = (128, 160, 224)
CANDIDATES = [
    {"model.head": head, "train.l2": l2, "data.image_size_px": size}
    for head, penalties in PENALTIES
    for l2, size in product(penalties, SIZES_PX)
]


def main() -> None:
    """Choose on validation, run the chosen settings with every seed, and keep what came out."""
    if not BREAST.exists():
        sys.exit(f"There is no '{BREAST}'. Set PACELINE_SAMPLE_DATA to the folder that holds medical/.")
    candidates = select()
    best = max(candidates, key=lambda row: row["validation_auroc"]["mean"])
    held = config.load(Config, TEMPLATE / CONFIG)
    holds = {"model.head": held.model.head, "train.l2": held.train.l2, "data.image_size_px": held.data.image_size_px}
    if any(best[key] != value for key, value in holds.items()):
        sys.exit(f"The best on validation is {best}, and '{CONFIG}' holds {holds}. Change it and start again.")
    save("medical", {"candidates": candidates, **figures(test())})


def select() -> list[dict[str, Any]]:
    """Return the candidates with their validation AUROC over the seeds."""
    found = []
    with tempfile.TemporaryDirectory() as cache:
        for candidate in CANDIDATES:
            scores = [run(candidate, seed, cache)["validation_auroc"] for seed in SEEDS]
            found.append({**candidate, "validation_auroc": spread(scores)})
            print(found[-1], flush=True)
    return found


def test() -> list[dict[str, Any]]:
    """Return a run of the chosen settings for each seed, features made anew each time, which counts."""
    runs = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as cache:
            runs.append(run({}, seed, cache, test=True))
        print(seed, {key: value for key, value in runs[-1].items() if key != "answers"}, flush=True)
    return runs


def figures(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means and spreads; beside the recipe, where it was run, paired differences by DeLong and time ratios."""
    found: dict[str, Any] = {"runs": len(runs)}
    found |= {name: spread([each[name] for each in runs]) for name in ("auroc", "wall_seconds", "cpu_seconds")}
    kept = ROOT / "ci" / "results" / "resnet18.json"
    if kept.exists():
        recipe = json.loads(kept.read_text(encoding="utf-8"))
        pairs = [intervals.compare_auc(recipe["labels"], each["answers"], recipe["answers"]) for each in runs]
        found["recipe"] = {
            "difference": [pair.difference.state() for pair in pairs],
            "p_values": [pair.p_value for pair in pairs],
            "wall_ratio": recipe["wall_seconds"] / found["wall_seconds"]["mean"],
            "cpu_ratio": recipe["cpu_seconds"] / found["cpu_seconds"]["mean"],
        }
    return found


def run(settings: dict[str, Any], seed: int, cache: str, *, test: bool = False) -> dict[str, Any]:
    """Return what a run started as a user would start it leaves: the validation AUROC, or that of the test.

    The validation AUROC is the watched one, in 200 bins, of the epoch that was kept.
    """
    fixed = {"data.path": str(BREAST), "train.seed": seed, "report.resamples": 0, "report.heatmaps": 0}
    options = [text for key, value in {**fixed, **settings}.items() for text in ("--set", f"{key}={value}")]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "medical_imaging", "train", "--json", "--runs", folder, "--config", CONFIG]
        before = _processor_seconds()
        done = subprocess.run(  # noqa: S603 -- this project's own command
            [*command, *options],
            cwd=TEMPLATE,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PACELINE_CACHE": cache},
        )
        seconds = _processor_seconds() - before
        answer = json.loads(done.stdout.splitlines()[-1])
        place = Path(answer["run"])
        if not test:
            history = json.loads((place / "run.json").read_text(encoding="utf-8"))["history"]
            return {"validation_auroc": history["rows"][history["best_step"] - 1]["validation_auroc"]}
        return {
            "auroc": answer["scores"]["auroc"]["value"],
            "answers": predict.test_chances(place)[:, 1].tolist(),
            "wall_seconds": answer["wall_seconds"],
            "cpu_seconds": seconds,
        }


def spread(values: list[float]) -> dict[str, float]:
    """Return the mean and the standard deviation over runs."""
    return {"mean": statistics.fmean(values), "deviation": statistics.stdev(values) if len(values) > 1 else 0.0}


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
