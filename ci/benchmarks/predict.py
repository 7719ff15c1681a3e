"""Time the use of a trained run on new transactions: features and scoring, and the whole command with its files.

A run is trained on the template's default data. New transactions follow a history of 37 days of the same cards and
terminals, in Parquet. Rates per new transaction: features (of history and new ones together), scores, decisions and
reasons; and the whole command, from the start of the process to the written file, with the new ones in each format that
it reads. Best of three; peak memory is the process's.
"""

from __future__ import annotations

import json
import os
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
FORMATS = ("parquet", "csv", "jsonl")
HISTORY_DAYS = 37  # the longest window and the delay of labels
COMMAND = [sys.executable, "-m", "fraud_detection"]
CONFIG = Data(customers=20_000, terminals=10_000, days=76)


def main() -> None:
    """Train, predict, print the rates and keep them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [*COMMAND, "train", "--json", "--runs", str(folder / "runs"), "--set", "report.resamples=0"]
        trained = subprocess.run(words, cwd=TEMPLATE, check=True, capture_output=True, text=True)  # noqa: S603 -- this project's own command
        run = json.loads(trained.stdout.splitlines()[-1])["run"]
        table = synthetic.generate(CONFIG)
        boundary = table["datetime"][0] + timedelta(days=HISTORY_DAYS)
        for part, rows in {
            "history": pl.col("datetime") < boundary,
            "new": pl.col("datetime") >= boundary,
        }.items():
            table.filter(rows).rename({name: column for name, column in data.HANDBOOK.model_dump().items()
                                       if name in table.columns}).write_parquet(folder / f"{part}.parquet")  # fmt: skip
        done = subprocess.run([sys.executable, __file__, run, name], check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 -- this file
        found = json.loads(done.stdout)
        new = pl.read_parquet(folder / "new.parquet")
        new.write_csv(folder / "new.csv")
        new.with_columns(pl.col(pl.Datetime).dt.to_string("iso:strict")).write_ndjson(folder / "new.jsonl")
        for ending in FORMATS:
            found |= command(run, folder, ending)
    for part in ("scoring", *FORMATS):
        found[f"{part}_per_second"] = found["transactions"] / found[f"{part}_seconds"]
        print(part, f"{found[f'{part}_per_second']:,.0f} transactions/s, {found[f'{part}_peak_mb']:,.0f} MB peak")
    save("predict", found)


def command(run: str, folder: Path, ending: str) -> dict[str, float]:
    """Return the seconds and the peak memory of the whole command with the new transactions in a file of one format."""
    options = ["--set", "data.source=handbook", "--set", f"data.path={folder / 'history.parquet'}"]
    words = [*COMMAND, "predict", run, str(folder / f"new.{ending}"), "--output", str(folder / "out.csv"), *options]
    seconds, peaks = [], []
    for _ in range(REPETITIONS):
        before = time.perf_counter()
        process = subprocess.Popen(words, cwd=TEMPLATE, stdout=subprocess.DEVNULL)  # noqa: S603 -- this project's own command
        _, status, usage = os.wait4(process.pid, 0)  # what this process alone has used
        seconds.append(time.perf_counter() - before)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, words)
        peaks.append(usage.ru_maxrss / 1024)
    return {f"{ending}_seconds": min(seconds), f"{ending}_peak_mb": max(peaks)}


def child(run_folder: Path, folder: Path) -> None:
    """Time features, scores and reasons, and print the figures as JSON."""
    overrides = ["data.source=handbook", f"data.path={folder / 'history.parquet'}"]
    run = predict.load(run_folder, overrides)
    new = data.load_unlabelled([folder / "new.parquet"], run.config.data, Quarantine())
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


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        main()
