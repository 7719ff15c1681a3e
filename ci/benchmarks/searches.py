"""`tune` in each template: TPE beside random search, and beside the defaults.

The data are embedded, but for fraud: the Handbook's where PACELINE_SAMPLE_DATA has them, which the rows say.
Every search is started as a user starts it, each sampler with the same wall time and five seeds; TPE prunes, random
search does not. The model that a search ends with is scored on the test, which no search has seen, and so is one
trained with the defaults and the same seed. A search and a training are a row each, kept as soon as it is there: what
is started again goes on with those that are missing. PACELINE_BENCH_MINUTES (2) is the time of a search; rows of
another time are thrown away.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fraud import SPLIT, TRANSACTIONS
from results import ROOT, interval, save

SEEDS = range(5)
MINUTES = float(os.environ.get("PACELINE_BENCH_MINUTES", "2"))
DEFAULTS = "defaults"
ARMS = {"TPE, pruning": ("tpe", "auto"), "random": ("random", "none"), DEFAULTS: None}
KEPT = ROOT / "ci" / "results" / "searches.json"


@dataclass(frozen=True)
class Domain:
    """What is searched.

    Attributes:
        template: its name.
        score: of the test, as the record names it.
        settings: beside the template's own: small enough that a search has trials.
        data: what is searched on, for the row.
    """

    template: str
    score: str
    settings: dict[str, Any] = field(default_factory=dict)
    data: str = "embedded"


FRAUD = "fraud, boosted trees"
DOMAINS = {
    "medical, head on frozen features": Domain("medical-imaging", "auroc"),
    "driving, decoder on frozen maps": Domain(
        "driving-perception", "mean_iou", {"data.frames": 160, "train.epochs": 6}
    ),
    FRAUD: (
        Domain("fraud-detection", "average_precision", SPLIT, "the Handbook's")
        if TRANSACTIONS.exists()
        else Domain("fraud-detection", "average_precision")
    ),
}


def main() -> None:
    """Make the rows that are missing, seed by seed, so that all arms grow alike."""
    found = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    rows: list[dict[str, Any]] = found.get("rows", []) if found.get("minutes") == MINUTES else []
    rows = [row for row in rows if row.get("data", "embedded") == DOMAINS[row["domain"]].data]
    there = {(row["domain"], row["arm"], row["seed"]) for row in rows}
    for seed in SEEDS:
        for name, domain in DOMAINS.items():
            for arm, choice in ARMS.items():
                if (name, arm, seed) in there:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    made = trained(domain, seed, Path(folder)) if choice is None else searched(
                        domain, seed, *choice, Path(folder)
                    )  # fmt: skip
                rows.append({"domain": name, "data": domain.data, "arm": arm, "seed": seed, **made})
                print(json.dumps(rows[-1]), flush=True)
                save("searches", {"minutes": MINUTES, "rows": rows, "compared": compared(rows)})


def searched(domain: Domain, seed: int, sampler: str, pruner: str, folder: Path) -> dict[str, Any]:
    """Return what a search came to."""
    settings = {**domain.settings, "train.seed": seed, "tune.folds": 1, "tune.repeats": 0, "report.resamples": 0}
    settings |= {"tune.sampler": sampler, "tune.pruner": pruner}
    answer = started(domain, "tune", settings, folder, "--time-budget", f"{60 * MINUTES:.0f}s")
    if answer["best_run_is_a_trial"]:  # it has not seen the test
        scores = started(domain, "evaluate", {}, folder, answer["best_run"])["scores"]
    else:
        scores = json.loads((folder / answer["best_run"] / "run.json").read_text(encoding="utf-8"))["scores"]
    return {
        "wall_seconds": answer["wall_seconds"],
        "trials": answer["trials"],
        "pruned": answer["pruned"],
        "validation": answer["best_value"],
        "validation_of_defaults": answer["value_before"],
        "trained_for_good": not answer["best_run_is_a_trial"],
        "test": scores[domain.score]["value"],
    }


def trained(domain: Domain, seed: int, folder: Path) -> dict[str, Any]:
    """Return what a training with the defaults came to."""
    settings = {**domain.settings, "train.seed": seed, "report.resamples": 0}
    answer = started(domain, "train", settings, folder)
    return {"wall_seconds": answer["wall_seconds"], "test": answer["scores"][domain.score]["value"]}


def started(domain: Domain, command: str, settings: dict[str, Any], folder: Path, *more: str) -> dict[str, Any]:
    """Run a command of the template in `folder` and return its answer."""
    shutil.copy(next((ROOT / "templates" / domain.template).glob("*/config.toml")), folder)
    options = [text for key, value in settings.items() for text in ("--set", f"{key}={json.dumps(value)}")]
    done = subprocess.run(  # noqa: S603 -- this project's own command
        [sys.executable, "-m", domain.template.replace("-", "_"), command, "--json", *more, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    answer: dict[str, Any] = json.loads((done.stdout.splitlines() or ["{}"])[-1])
    if done.returncode and "scores" not in answer:  # `evaluate` fails where its safety gate does, and answers
        sys.exit(f"{command} failed: {done.stderr.strip()[-2000:]}")
    return answer


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each domain, the differences seed by seed of those seeds that have all arms."""
    found = []
    for name in DOMAINS:
        by = {(row["arm"], row["seed"]): row for row in rows if row["domain"] == name}
        seeds = [seed for seed in SEEDS if all((arm, seed) in by for arm in ARMS)]
        if len(seeds) < 2:
            continue

        def pairs(one: str, other: str, key: str, by: Any = by, seeds: Sequence[int] = seeds) -> list[float]:
            return [by[one, seed][key] - by[other, seed][key] for seed in seeds]

        tpe, random = (arm for arm in ARMS if arm != DEFAULTS)
        found.append(
            {
                "domain": name,
                "seeds": len(seeds),
                "tpe_less_random_validation": interval(pairs(tpe, random, "validation")),
                "tpe_less_random_test": interval(pairs(tpe, random, "test")),
                "tuned_less_defaults_test": interval(pairs(tpe, DEFAULTS, "test")),
            }
        )
    return found


if __name__ == "__main__":
    main()
