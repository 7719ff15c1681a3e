"""Retraining four ways (`train --from`): average precision on the fold before the test, and the seconds each way took.

Later: the Handbook's sample, an earlier run that learned from two weeks, then so many days of new labels (taken to
arrive after 3 days, so that 66 days of data have room for both). Transfer: the simulator's portfolio A, then so many
days of portfolio B. Three seeds; the test days are not looked at.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fraud import SPLIT, TRANSACTIONS
from results import TEMPLATE, save

SEEDS = range(3)
NEW_DAYS = (1, 7, 14)
COMMON = {**SPLIT, "report.resamples": 200}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "later, the same cards": (
        {**COMMON, "data.test_start": "2018-07-11", "data.train_days": 14, "data.label_delay_days": 3},
        {**COMMON, "data.label_delay_days": 3},
    ),
    "portfolio A to B": ({"report.resamples": 0}, {"report.resamples": 200, "data.portfolio": "B"}),
}


def main() -> None:
    """Compare the ways, print a line for each and keep the figures."""
    if not TRANSACTIONS.exists():
        sys.exit(f"There is no '{TRANSACTIONS}'. Set PACELINE_SAMPLE_DATA to the folder that holds fraud/.")
    rows = []
    for case, (before, after) in CASES.items():
        for days in NEW_DAYS:
            with tempfile.TemporaryDirectory() as folder:
                found = [compare(before, {**after, "data.train_days": days}, seed, Path(folder)) for seed in SEEDS]
            for way in found[0]:
                row = {"case": case, "new_days": days, "way": way}
                for key in ("average_precision", "seconds"):
                    values = [float(seed[way][key]) for seed in found]
                    row[key] = {"mean": statistics.fmean(values), "deviation": statistics.stdev(values)}
                row["behind_the_best_shown"] = sum(bool(seed[way]["shown"]) for seed in found)
                rows.append(row)
                print(row)
    save("retrain", {"rows": rows, "seeds": len(SEEDS)})


def compare(before: dict[str, Any], after: dict[str, Any], seed: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Return average precision, seconds and whether it was shown to be behind the best, for each way."""
    earlier = train({**before, "train.seed": seed}, folder)
    run = train({**after, "train.seed": seed, "transfer.from_run": earlier}, folder)
    ways = json.loads((Path(run) / "run.json").read_text(encoding="utf-8"))["model"]["ways"]
    return {
        way: {
            "average_precision": row["average_precision"]["value"],
            "seconds": row["seconds"],
            "shown": row["shown"],
        }
        for row in sorted(ways, key=lambda row: str(row["way"]))
        for way in [str(row["way"])]
    }


def train(settings: dict[str, Any], folder: Path) -> str:
    """Return the folder of a run, as a user would start it."""
    options = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "fraud_detection", "train", "--json", "--runs", str(folder), *options]
    done = subprocess.run(command, cwd=TEMPLATE, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 -- this project's own command
    return str(json.loads(done.stdout.splitlines()[-1])["run"])


if __name__ == "__main__":
    main()
