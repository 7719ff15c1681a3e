"""Time the use of a trained run on new transactions: features and scoring, and the whole command with its files.

A run is trained on the template's default data. The new transactions follow a history of as many days of the same
cards and terminals; both are written as Parquet. Two figures: features of history and new transactions together plus
scores, decisions and reasons of the new ones (per new transaction); and the whole command, start of the process, reading,
checking and writing included (per new transaction). Best of three; peak memory is the process's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import polars as pl

from fraud_detection import data, features, predict, synthetic
from fraud_detection.config import Data
from paceline.quarantine import Quarantine
from results import TEMPLATE, save

REPETITIONS = 3
HISTORY_DAYS = 37  # the longest window and the delay of labels
CONFIG = Data(customers=20_000, terminals=10_000, days=76)


def main() -> None:
    """Train, predict, print the rates and keep them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = command("train", "--runs", str(folder / "runs"), "--set", "report.resamples=0")
        run = json.loads(trained.splitlines()[-1])["run"]
        table = synthetic.generate(CONFIG)
        boundary = table["datetime"][0] + timedelta(days=HISTORY_DAYS)
        for part, rows in {
            "history": pl.col("datetime") < boundary,
            "new": pl.col("datetime") >= boundary,
        }.items():
            table.filter(rows).rename({name: column for name, column in data.HANDBOOK.model_dump().items()
                                       if name in table.columns}).write_parquet(folder / f"{part}.parquet")  # fmt: skip
        done = subprocess.run([sys.executable, __file__, run, name], check=True, capture_output=True, text=True)  # noqa: S603 -- this file
        found = json.loads(done.stdout)
        options = ["--set", "data.source=handbook", "--set", f"data.path={folder / 'history.parquet'}"]
        seconds = []
        for _ in range(REPETITIONS):
            before = time.perf_counter()
            command("predict", run, str(folder / "new.parquet"), "--output", str(folder / "out.csv"), *options)
            seconds.append(time.perf_counter() - before)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        found |= {"command_seconds": min(seconds), "command_peak_mb": peak / 1024}
    for part in ("scoring", "command"):
        found[f"{part}_per_second"] = found["transactions"] / found[f"{part}_seconds"]
        print(part, f"{found[f'{part}_per_second']:,.0f} transactions/s, {found[f'{part}_peak_mb']:,.0f} MB peak")
    save("predict", found)


def child(run_folder: Path, folder: Path) -> None:
    """Time features, scores and reasons, and print the figures as JSON."""
    overrides = ["data.source=handbook", f"data.path={folder / 'history.parquet'}"]
    run = predict.load(run_folder, overrides)
    new = data.load_unlabelled(folder / "new.parquet", run.config.data, Quarantine())
    table = data.append(data.load(run.config.data, Quarantine()), new)
    seconds, alerts = [], 0
    for _ in range(REPETITIONS):
        before = time.perf_counter()
        scored = predict.score(run, features.compute(table, run.config.data).tail(len(new)))
        seconds.append(time.perf_counter() - before)
        alerts = int(scored["alert"].sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = {"transactions": len(new), "history": len(table) - len(new), "alerts": alerts}
    print(json.dumps({**counts, "scoring_seconds": min(seconds), "scoring_peak_mb": peak}))


def command(*words: str) -> str:
    """Run a command of the project and return its standard output."""
    full = [sys.executable, "-m", "fraud_detection", *words, "--json"]
    return subprocess.run(full, cwd=TEMPLATE, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- this project's own command


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        main()
