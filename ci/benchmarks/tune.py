"""What a search brings: TPE with pruning beside random search, tuned settings beside the defaults, a warm start.

Within the same time, on the three folds before the test week of the Handbook's split (see `fraud.py`), each sampler
searches with five seeds. Time is the process's own on one core, so that what else the machine does favours nobody.
Then the best settings of each TPE search and the defaults are trained with the same seed as `train` does it, and scored
on the test week, which no search has seen. A warm start is `tune --from` an earlier study: after
the defaults, trial 0, come its five best settings.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from fraud import SPLIT, TRANSACTIONS
from fraud_detection import train, tune
from fraud_detection.config import Config
from paceline import config
from paceline.tune import deadline, opening, plan, ranking, search, space, storage
from results import TEMPLATE, interval, save

SEEDS = range(5)
WARM_SEEDS = range(3)
SEARCH_SECONDS, WARM_SECONDS = 150.0, 8.0  # of one core
SHORT = {"train.rounds": 200, "train.early_stopping_rounds": 20}  # so that many trials fit
ARMS = {"TPE, median pruning": ("tpe", "median"), "random": ("random", "none")}
HANDBOOK = {**SPLIT, "tune.folds": 3}  # as many as the transactions beside the repository hold
SYNTHETIC = {"data.customers": 800, "data.terminals": 1000, "tune.folds": 1}  # a third of the defaults
CLOSE = 0.002  # average precision: so near is as good


@dataclass(frozen=True)
class Found:
    """A search: its trials, the best settings, and the seconds it took."""

    trials: list[FrozenTrial]
    best: Config
    value: float
    seconds: float

    def before(self) -> float:
        """Return the value of trial 0."""
        return float(self.trials[0].values[0])

    def best_sampled(self) -> float:
        """Return the best value of the settings that the sampler chose: of all trials but the first."""
        return max(trial.values[0] for trial in plan.complete(self.trials[1:]))

    def seconds_to(self, value: float) -> float | None:
        """Return the seconds until a trial had reached `value`, or None where none did."""
        passed = 0.0
        for trial in self.trials:
            passed += float(plan.facts(trial)["seconds"])
            if plan.complete([trial]) and trial.values[0] >= value:
                return passed
        return None

    def state(self) -> dict[str, Any]:
        """Return what is kept of it."""
        pruned = sum(plan.facts(trial)["ended"] == plan.PRUNED for trial in self.trials)
        facts = {"trials": len(self.trials), "pruned": pruned, "saved_seconds": plan.saved_seconds(self.trials)}
        return {
            **facts,
            "value": self.value,
            "best_sampled": self.best_sampled(),
            "before": self.before(),
            "seconds": self.seconds,
        }


def main() -> None:
    """Run all searches, print a line for each, and keep the figures."""
    if os.environ.get("OMP_NUM_THREADS") != "1":  # read when XGBoost is loaded: too late to set it here
        sys.exit("Set OMP_NUM_THREADS=1: threads that wait would count as work.")
    if not TRANSACTIONS.exists():
        sys.exit(f"There is no '{TRANSACTIONS}'. Set PACELINE_SAMPLE_DATA to the folder that holds fraud/.")
    folds = tune.prepare(settings(HANDBOOK, 0))
    arms: dict[str, list[Found]] = {name: [] for name in ARMS}
    for seed in SEEDS:
        for name, (sampler, pruner) in ARMS.items():
            choice = {"tune.sampler": sampler, "tune.pruner": pruner}
            arms[name].append(searched(settings(HANDBOOK | choice, seed), folds, SEARCH_SECONDS))
            print(seed, name, arms[name][-1].state(), flush=True)
    tests = {
        "tuned": [tested(found.best) for found in arms["TPE, median pruning"]],
        "defaults": [tested(settings(HANDBOOK, seed)) for seed in SEEDS],
    }
    print(tests, flush=True)
    values = {name: [found.value for found in each] for name, each in arms.items()}
    sampled = {name: [found.best_sampled() - found.before() for found in each] for name, each in arms.items()}
    tpe, random = sampled.values()
    transferred = warm(arms["TPE, median pruning"], folds)
    gains = [row["transferred"] - row["cold_before"] for row in transferred if row["target"] == "portfolio B"]
    save(
        "tune",
        {
            "budget_seconds": SEARCH_SECONDS,
            "folds": HANDBOOK["tune.folds"],
            "rounds": SHORT["train.rounds"],
            "early_stopping_rounds": SHORT["train.early_stopping_rounds"],
            "varied": sorted(tune.space(settings(HANDBOOK, 0))),
            "seeds": len(SEEDS),
            "arms": {name: [found.state() for found in each] for name, each in arms.items()},
            "value": {name: interval(each) for name, each in values.items()},
            "sampled_less_defaults": {name: interval(each) for name, each in sampled.items()},
            "tpe_less_random": interval([a - b for a, b in zip(tpe, random, strict=True)]),
            "test": {name: interval(each) for name, each in tests.items()},
            "tuned_less_defaults": interval([a - b for a, b in zip(tests["tuned"], tests["defaults"], strict=True)]),
            "warm": transferred,
            "warm_less_defaults": interval(gains),
            "warm_seconds": WARM_SECONDS,
        },
    )


def warm(handbook: list[Found], handbook_folds: Any) -> list[dict[str, Any]]:
    """Return, seed by seed, what the best settings of portfolio A are worth elsewhere, and when a cold search is there.

    Args:
        handbook: cold searches of the Handbook's data.
        handbook_folds: its folds.
    """
    prepared = {name: tune.prepare(settings(SYNTHETIC | {"data.portfolio": name}, 0)) for name in ("A", "B")}
    rows = []
    for seed in WARM_SEEDS:
        first = searched(settings(SYNTHETIC | {"data.portfolio": "A"}, seed), prepared["A"], WARM_SECONDS)
        cold = searched(settings(SYNTHETIC | {"data.portfolio": "B"}, seed), prepared["B"], WARM_SECONDS)
        targets = (("portfolio B", cold, prepared["B"]), ("the Handbook's data", handbook[seed], handbook_folds))
        for name, cold_search, folds in targets:
            begin = settings(SYNTHETIC | {"data.portfolio": "B"} if name == "portfolio B" else HANDBOOK, seed)
            one = searched(begin, folds, earlier=first.trials)
            transferred = one.best_sampled()
            seconds = cold_search.seconds_to(transferred - CLOSE)
            row = {"target": name, "seed": seed, "transferred": transferred, "transferred_seconds": one.seconds}
            row |= {"settings": len(one.trials) - 1, "cold_before": cold_search.before()}
            row |= {"cold_best": cold_search.value, "cold_seconds_to_it": seconds, "cold_seconds": cold_search.seconds}
            rows.append(row)
            print(rows[-1], flush=True)
    return rows


def settings(values: dict[str, Any], seed: int) -> Config:
    """Return the template's settings with `values`."""
    values = {**values, "train.seed": seed, "report.resamples": 0, **SHORT}
    texts = [f"{key}={value}" for key, value in values.items()]
    return config.load(Config, TEMPLATE / "config.toml", texts)


def searched(begin: Config, folds: Any, seconds: float | None = None, earlier: Sequence[FrozenTrial] = ()) -> Found:
    """Search from `begin` for so many seconds, all of them for the search, or try the best settings of `earlier`."""
    parameters = space.chosen(tune.space(begin), begin, ())
    points = opening.earlier(earlier, begin, parameters, larger_is_better=True).points
    trials = None if seconds is not None else 1 + len(points)
    with tempfile.TemporaryDirectory() as folder, storage.connected(storage.url_of("", Path(folder))) as backend:
        study = storage.open_study(backend, "study", ["maximize"], {})
        opening.queue(study, begin, parameters, begin.tune, points)
        began = time.process_time()
        end = None if seconds is None else began + seconds
        budget = deadline.Budget(end, setup_seconds=0.0, finish_seconds=0.0, trainings=0.0, read=time.process_time)
        seed = begin.train.seed
        one = search.Search(tune.TASK, begin, study, parameters, folds, budget, trials=trials, seed=100 * seed)
        one.run()
        found = ranking.finished(study)
        best = ranking.best(found, larger_is_better=True)
        if best is None:
            sys.exit(f"No trial ended within {seconds} s: this machine is too slow for the benchmark.")
        return Found(found, space.applied(begin, best.params), best.values[0], time.process_time() - began)


def tested(chosen: Config) -> float:
    """Return the average precision on the test week of a run with these settings."""
    with tempfile.TemporaryDirectory() as folder:
        answer = train.train(chosen, runs_folder=Path(folder))
    return float(answer["scores"]["average_precision"]["value"])


if __name__ == "__main__":
    main()
