"""What several tests share: run records as a fraud training writes them, made through `record.Run` on a set clock."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"  # before any test imports Keras
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands settle it: see paceline.threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PACELINE_CACHE", str(Path(tempfile.gettempdir()) / "paceline-tests"))  # not the user's
# Programs are compiled once, for all tests and the processes they start: a process has dozens that take 40 ms.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ["JAX_PLATFORMS"] = "cpu"  # the same bits on every machine
# Networks of tests train for seconds, and most of that goes into compiling them. With these flags it is nearly halved,
# and a step takes as long as before. The demo and the generated projects' workflows compile as a user's programs do.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false")

import hypothesis
import numpy as np
import pytest

import fraud_detection
import paceline
from fraud_detection.config import Config
from paceline.clock import Clock
from paceline.config import Section
from paceline.record import Run
from paceline.report import figure

# The same examples every time: a build must not fail by chance. Search for more with --hypothesis-profile=default.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

SPANS = {
    "import": 1.312,
    "data": 0.214,
    "data/read": 1.871,
    "data/features": 3.442,
    "data/split": 0.133,
    "build": 0.018,
    "compile": 0.842,
    "train": 51.906,
    "input_wait": 0.421,
    "validation": 9.744,
    "checkpoint": 0.638,
    "score": 11.207,
    "other": 0.301,
    "finalise": 0.097,
}


@pytest.fixture
def record(tmp_path: Path) -> dict[str, Any]:
    """The record of a fraud training that is done, with every part filled."""
    return full_record(tmp_path / "20260729T140312Z-fraud-xgboost")


LONGEST = (("test_workflow.py",), ("test_readme.py", "test_ci.py"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spread the tests that take minutes: of two workers each begins with some, so that both end together."""
    if not hasattr(config, "workerinput"):
        return  # one process, no workers
    first, second = ([item for item in items if item.path.name in names] for names in LONGEST)
    taken = {*first, *second}
    rest = [item for item in items if item not in taken]
    half = len(items) // 2 - len(first)
    items[:] = [*first, *rest[:half], *second, *rest[half:]]


class Settings(Section):
    """A configuration with no more than a record needs."""

    name: str = "trial"


@pytest.fixture
def open_run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """A function that opens the record of a run, each time as a new session in its folder."""
    opened: list[Run] = []

    def open_(folder: Path = tmp_path) -> Run:
        folder.mkdir(exist_ok=True)
        opened.append(Run(folder, Settings(), Clock()))
        return opened[-1]

    yield open_
    for run in opened:
        if run._metrics is not None:  # a session that was not closed, as of a killed process
            run._metrics.close()


@pytest.fixture
def process_environment() -> dict[str, str]:
    """Environment variables for a started Python that imports the library and the template as this one does."""
    folders = [str(Path(package.__file__ or "").parents[1]) for package in (paceline, fraud_detection)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def network_record(record: dict[str, Any]) -> dict[str, Any]:
    """The record of a network's training, with what a step waits for as `levers` found it."""
    epochs = history(rounds=24, best=17, seed=1) | {"step_unit": "epoch", "stage": "fit"}
    facts = {
        "steps": 5760,
        "batch_size": 32,
        "micro_batches": 1,
        "rollbacks": 0,
        "examples_per_second": 3520.0,
        "input_examples_per_second": 21_300.0,
        "compile_seconds": 0.842,
        "recompilations": 0,
        "parameters": 1_204_993,
        "trainable_parameters": 1_200_001,
        "convolutions": True,
        "flops_per_step": 3.1e8,
        "peak_memory_bytes": 1.9 * 2**30,
        "peak_device_memory_bytes": None,
    }
    times = {"rows": 32, "loader": 0.0015, "step": 0.0088, "together": 0.0091, "small_rows": 8, "small_step": 0.0031}
    step = {"times": times, "batch_size": 32, "trainable_parameters": 1_200_001, "measured_on": "2026-07-28"}
    return record | {
        "run": "20260729T150000Z-medical-resnet18",
        "started_at": "2026-07-29T15:00:00+00:00",
        "history": epochs,
        "model": {"name": "resnet18", "parameters": 1_204_993},
        "training": {"fit": facts},
        "benchmarks": {"matmul_gflops": 106.0, "convolution_gflops": 61.0, "launches_per_second": 9000.0},
        "step_times": step | {"kind": "cpu", "precision": "float32"},
        "predictions": [
            record["predictions"][0]
            | {
                "stage": "fit",
                "stopping": {
                    "abstains": "",
                    "end": {"p10": 19.2, "p50": 23.0, "p90": 31.0},
                    "kept": {"p10": 12.0, "p50": 16.0, "p90": 24.0},
                },
            }
        ],
        "levers": [],
    }


@pytest.fixture
def bare_record() -> Callable[..., dict[str, Any]]:
    """A record with nothing in it but what is given."""

    def make(**parts: Any) -> dict[str, Any]:
        return {"run": "r", "status": "done", "started_at": "2026-07-29T14:03:00+00:00", "wall_seconds": 1.0, **parts}

    return make


def full_record(folder: Path) -> dict[str, Any]:
    """Return a record with every part filled, its phases measured on a clock that ticks as `SPANS` says."""
    reading = [0.0]
    clock = Clock(started=0.0, read=lambda: reading[0])
    for name, seconds in SPANS.items():
        reading[0] += seconds
        clock.mark(name)
    run = Run(folder, Config(), clock)
    run.started_at = datetime(2026, 7, 29, 14, 3, 12, tzinfo=UTC)
    run.command = "fraud-detection train --set train.rounds=400"
    run.status = "done"
    run.device = {
        "requested": "auto",
        "kind": "cpu",
        "name": "Intel Xeon Platinum 8481C",
        "reason": "No usable GPU was found.",
        "precision": "float32",
        "threads": 2,
    }
    run.dataset = {
        "source": "synthetic, portfolio A",
        "read": 293_117,
        "kept": 293_085,
        "quarantined": 32,
        "days": 150,
        "quarantine": [
            {"reason": "amount is no number", "rows": 17, "example": "transaction 10442: amount 'n/a'"},
            {"reason": "repeated transaction_id", "rows": 15, "example": "transaction 20711"},
        ],
        "splits": {
            "train": {"rows": 117_240, "frauds": 998, "from": "2025-03-01", "to": "2025-04-29"},
            "validation": {"rows": 27_391, "frauds": 241, "from": "2025-04-30", "to": "2025-05-13"},
            "test": {"rows": 27_264, "frauds": 235, "from": "2025-05-17", "to": "2025-05-30"},
        },
    }
    run.model = {
        "name": "xgboost",
        "trees": 132,
        "features": 15,
        "size_bytes": 812_332,
        "calibration": {"method": "sigmoid", "slope": 0.93, "offset": -0.12},
        "decision": {"rule": "cost", "threshold": 0.083, "alerts_per_day": 41.3},
    }
    run.history = history()
    facts = {"steps": 182, "rows": 117_240, "features": 15, "max_depth": 5, "examples_per_second": 411_000.0}
    run.training = {"train": facts | {"peak_memory_bytes": 1.4 * 2**30}}
    run.scores = scores()
    run.figures = figures()
    run.predictions = [
        {
            "kind": "wall",
            **{"p05_seconds": 70.0, "p10_seconds": 72.0, "p25_seconds": 75.5, "p50_seconds": 79.0},
            **{"p75_seconds": 83.0, "p90_seconds": 88.5, "p95_seconds": 92.0},
            "made_after_seconds": 12.0,
            "phases": {"setup": 9.4, "training": 55.0, "validation": 6.1, "checkpoint": 0.4, "finalise": 8.1},
            "stage": run.history["stage"],
            "stopping": {
                "abstains": "",
                "end": {"p10": 150.4, "p50": 171.0, "p90": 188.0},
                "kept": {"p10": 100.0, "p50": 121.0, "p90": 138.0},
            },
            "baselines": {"progress_bar": 101.0, "first_epoch": 124.0, "mean_step": 66.0},
            "history": {"runs": 31, "median_error": 0.04, "bias": -0.013, "inside_90": 0.9},
        }
    ]
    run.warnings = ["The score of the last week lies below that of the first: 0.58 against 0.68. The data may drift."]
    hardware = {"cpu": run.device["name"], "cores": 2, "memory_gb": 15.6, "os": "Linux 6.1", "accelerators": []}
    return run.state() | {"hardware": hardware} | surroundings()


def surroundings() -> dict[str, Any]:
    """Return what a report says beside the run: two time-savers, another size, another machine."""
    gain = {"value": 1.42, "low": 1.38, "high": 1.47, "level": 0.9, "pairs": 14}
    slower = {"value": 0.81, "low": 0.72, "high": 0.93, "level": 0.9, "pairs": 5}
    common = {"in_use": False, "setup_seconds": 0.1, "speed": None, "risk": "", "reason": "", "without": {}}
    bins = {"lever": "histogram bins", "kind": "throughput", "settings": {"model.max_bin": 256}, "gain": gain}
    penalty = {"lever": "L2 penalty", "kind": "convergence", "settings": {"train.l2": 10.0}, "gain": slower}
    trained = {
        "seeds": 5,
        "reached": 5,
        "training_gain": slower,
        "score_change": 0.004,
        "score_changes": [0.001, 0.007],
    }
    row = {"90_%_interval": "1 min 40 s to 3 min 2 s", "time": "2 min 11 s"}
    return {
        "benchmarks": {"matmul_gflops": 106.0, "launches_per_second": 9000.0},
        "levers": [common | bins | {"risk": "rare amounts fall together"}, common | penalty | trained],
        "levers_score": "average_precision",
        "study": {
            "name": "study",
            "report": "../../tune/study/report.html",
            "trials": 12,
            "time_by_trial_state": [
                {"ended": "complete", "trials": 9, "seconds": 300.0, "share_of_time": 0.75},
                {"ended": "pruned", "trials": 3, "seconds": 100.0, "share_of_time": 0.25},
            ],
            "saved_by_pruning_seconds": 83.0,
            "sampler": "tpe",
        },
        "what_if": [
            {"what_if": "2 × the rows", **row, "cost": "-", "known_by": "this machine"},
            {"what_if": "AWS g6.xlarge (NVIDIA L4)", **row, "cost": "0.029 USD", "known_by": "data sheet"},
        ],
    }


def history(rounds: int = 182, best: int = 132, seed: int = 0) -> dict[str, Any]:
    """Return a boosting history: training rises throughout, validation until `best` and falls a little after it."""
    rng = np.random.default_rng(seed)
    step = np.arange(1, rounds + 1)
    train = 0.35 + 0.58 * (1 - np.exp(-step / 45)) + rng.normal(0, 0.001, rounds)
    valid = 0.33 + 0.34 * (1 - np.exp(-step / 28)) - 0.0006 * np.maximum(0, step - best) + rng.normal(0, 0.003, rounds)
    valid[best - 1] = valid.max() + 0.001
    rows = [
        {
            "step": int(at),
            "elapsed_seconds": round(10 + 0.28 * float(at), 3),
            "train_average_precision": float(a),
            "validation_average_precision": float(b),
        }
        for at, a, b in zip(step, train, valid, strict=True)
    ]
    return {
        "stage": "train",
        "step_unit": "round",
        "monitor": "validation_average_precision",
        "mode": "max",
        "best_step": best,
        "stop_reason": f"no better validation score for {rounds - best} rounds",
        "rows": rows,
    }


def scores() -> dict[str, Any]:
    """Return scores with intervals and a floor, one of them not between 0 and 1."""
    floor = "logistic_regression"
    return {
        "average_precision": {
            "value": 0.6524,
            "low": 0.6013,
            "high": 0.7002,
            "level": 0.95,
            "floor": {"name": floor, "value": 0.5312, "low": 0.471, "high": 0.588},
        },
        "auc_roc": {
            "value": 0.8711,
            "low": 0.842,
            "high": 0.899,
            "level": 0.95,
            "floor": {"name": floor, "value": 0.858, "low": 0.829, "high": 0.886},
        },
        "card_precision_at_100": {
            "value": 0.273,
            "low": 0.248,
            "high": 0.299,
            "level": 0.95,
            "floor": {"name": floor, "value": 0.251, "low": 0.226, "high": 0.277},
        },
        "recall_at_fpr_0.005": {"value": 0.611, "low": 0.55, "high": 0.668, "level": 0.95},
        "expected_cost_per_day": {
            "value": 1234.5,
            "low": 1050.2,
            "high": 1432.9,
            "level": 0.95,
            "floor": {"name": floor, "value": 1705.1, "low": 1488.0, "high": 1951.3},
        },
    }


def figures() -> list[dict[str, Any]]:
    """Return a figure of every kind."""
    recall = np.linspace(0.01, 1, 800)
    names = ["amount", "terminal risk, 7 days", "customer mean amount, 30 days", "hour", "night"]
    predicted = np.array([0.0006, 0.002, 0.01, 0.05, 0.2, 0.62])
    observed = np.array([0.0004, 0.0021, 0.012, 0.041, 0.23, 0.66])
    return [
        figure.line(
            "Precision against recall on the test days",
            [
                figure.series("xgboost", recall, 1 / (1 + np.exp(9 * (recall - 0.66)))),
                figure.series("logistic regression", recall, 0.95 / (1 + np.exp(7 * (recall - 0.52)))),
            ],
            x_label="recall",
            y_label="precision",
            caption="The mark is the threshold in use: 41 alerts a day, 58 % of frauds found.",
            lines=[{"name": "share of frauds", "y": 0.0086}],
            points=[{"name": "threshold 0.083", "x": 0.58, "y": 0.673}],
        ),
        figure.interval(
            "Calibration: observed against predicted share of frauds",
            [figure.series("test", predicted, observed, observed * 0.7, np.minimum(1, observed * 1.35))],
            x_label="mean predicted probability",
            y_label="observed share of frauds",
            lines=[{"name": "perfect", "from": [0.0, 0.0], "to": [0.62, 0.62]}],
        ),
        figure.bar(
            "What the model looks at",
            [figure.series("gain", names, [0.41, 0.28, 0.17, 0.09, 0.05])],
            x_label="feature",
            y_label="share of the gain",
        ),
        figure.interval(
            "Average precision by channel",
            [
                figure.series(
                    "xgboost", ["chip", "web", "contactless"], [0.61, 0.7, 0.66], [0.5, 0.64, 0.6], [0.71, 0.75, 0.72]
                ),
                figure.series(
                    "logistic regression",
                    ["chip", "web", "contactless"],
                    [0.5, 0.59, 0.55],
                    [0.4, 0.5, 0.47],
                    [0.6, 0.67, 0.62],
                ),
            ],
            x_label="channel",
            y_label="average precision",
        ),
    ]
