"""What each time-saver brings in each template on its embedded data: the command `levers`, as a user starts it.

PACELINE_BENCH_MINUTES (8) is the time of each workload. Embedded data say how long things take, and little of how much
a lever is worth on yours: that is what the command is for. A workload that was measured before, in the same time, is
kept where others are named on the command line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results import ROOT, save

KEPT = ROOT / "ci" / "results" / "levers.json"
MINUTES = float(os.environ.get("PACELINE_BENCH_MINUTES", "8"))
# Small enough that several trainings of each lever fit into the time.
WORKLOADS: dict[str, tuple[str, dict[str, Any]]] = {
    "boosting": ("fraud-detection", {}),
    "head on frozen features": ("medical-imaging", {}),
    "fine-tuning": ("medical-imaging", {"model.name": "fine_tuned", "transfer.epochs": 2, "data.patients": 80}),
    "decoder on frozen maps": ("driving-perception", {"data.frames": 160, "train.epochs": 6}),
    "small network on frames": (
        "driving-perception",
        {"model.name": "small", "data.frames": 160, "train.epochs": 8},
    ),
}


def main() -> None:
    """Measure the levers of the workloads that the command line names, all by default; keep each as it is found."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    rows = {row["workload"]: row for row in kept["workloads"]} if kept.get("minutes") == MINUTES else {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in sys.argv[1:] or WORKLOADS:
            template, settings = WORKLOADS[name]
            rows[name] = {"workload": name, "template": template, **measured(Path(scratch) / name, template, settings)}
            print(json.dumps(rows[name]), flush=True)
            save("levers", {"minutes": MINUTES, "workloads": [rows[each] for each in WORKLOADS if each in rows]})


def measured(folder: Path, template: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the levers of one workload, measured in `folder`, and the name of the watched score."""
    folder.mkdir(parents=True)
    shutil.copy(next((ROOT / "templates" / template).glob("*/config.toml")), folder)
    options = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", template.replace("-", "_"), "levers", "--time-budget", f"{60 * MINUTES:.0f}s"]
    subprocess.run(  # noqa: S603 -- this project's own command
        [*command, *options], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    answer = json.loads((folder / "levers.json").read_text(encoding="utf-8"))
    return {"score": answer["score"], "levers": answer["levers"], "wall_seconds": answer["wall_seconds"]}


if __name__ == "__main__":
    main()
