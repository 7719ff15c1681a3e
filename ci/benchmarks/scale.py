"""Fraud beyond memory: `train.external_memory` from 1 to 20 million transactions, its time by phase and its memory.

The transactions are simulated a million at a time, portfolios with cards and terminals of their own, each in one
Parquet file over all days, so that no file is in the order of time. Few rounds, no intervals: what grows is measured,
not how good the model is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from fraud_detection import synthetic
from fraud_detection.config import Data
from results import ROOT, TEMPLATE, save

MILLIONS = (1, 2, 5, 10, 20)
ROUNDS = 20
BLOCK = Data(customers=7_400, terminals=9_600)  # about a million transactions in 105 days
PHASES = ("data", "build", "train", "validation", "score")
SETTINGS = {
    "data.source": "handbook",
    "train.external_memory": True,
    "train.rounds": ROUNDS,
    "train.early_stopping_rounds": 0,
    "train.device": "cpu",
    "report.resamples": 0,
}


def main() -> None:
    """Measure every size given on the command line in millions (all by default); sizes measured before are kept."""
    sizes = [int(text) for text in sys.argv[1:]] or list(MILLIONS)
    kept = ROOT / "ci" / "results" / "scale.json"
    rows: list[dict[str, Any]] = json.loads(kept.read_text())["sizes"] if kept.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        payments = Path(folder, "payments")
        payments.mkdir()
        for millions in sizes:
            for number in range(len(list(payments.iterdir())), millions):
                block(number).write_parquet(payments / f"{number:03}.parquet")
            measured = measure(payments, Path(folder, "runs"))
            print(json.dumps(measured), flush=True)
            rows = [row for row in rows if row["millions"] != millions] + [{"millions": millions, **measured}]
            save("scale", {"rounds": ROUNDS, "sizes": sorted(rows, key=lambda row: row["millions"])})


def block(number: int) -> pl.DataFrame:
    """Return about a million transactions of cards, terminals and devices that no other block has."""
    made = synthetic.generate(BLOCK.model_copy(update={"seed": number}))
    own = [name for name in ("transaction_id", "customer_id", "terminal_id", "device_id") if name in made.columns]
    made = made.with_columns(pl.col(name) + number * 10_000_000 for name in own)
    usual = {"datetime": "TX_DATETIME", "amount": "TX_AMOUNT", "fraud": "TX_FRAUD"}
    return made.select(*own, *usual, "labelled_at").rename(lambda name: usual.get(name, name.upper()))


def measure(payments: Path, runs: Path) -> dict[str, Any]:
    """Return what training on the files of `payments` took, and how good it is."""
    command = [sys.executable, "-m", "fraud_detection", "train", "--json", "--runs", str(runs)]
    for name, value in {**SETTINGS, "data.path": payments}.items():
        command += ["--set", f"{name}={json.dumps(value, default=str)}"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, cwd=TEMPLATE)  # noqa: S603 -- this project's own command
        _, status, used = os.wait4(process.pid, 0)
        output.seek(0)
        text = output.read().decode()
    if status:
        sys.exit(f"train failed: {text[-500:]}")
    found = json.loads((Path(json.loads(text.splitlines()[-1])["run"]) / "run.json").read_text())
    return {
        "transactions": found["dataset"]["transactions"],
        "trained_on": found["dataset"]["folds"]["test"]["train_transactions"],
        "features": len(found["model"]["features"]),
        "wall_seconds": found["wall_seconds"],
        "seconds": {name: found["phases"].get(name, 0.0) for name in PHASES},
        "read_seconds": found["spans"].get("data/read", 0.0),
        "features_seconds": found["spans"].get("data/features", 0.0),
        "peak_memory_gb": used.ru_maxrss / 2**20,
        "input_bytes": sum(file.stat().st_size for file in payments.iterdir()),
        "average_precision": found["scores"]["average_precision"]["value"],
    }


if __name__ == "__main__":
    main()
