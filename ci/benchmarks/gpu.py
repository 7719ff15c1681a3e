"""The three domains on a GPU and on the CPU beside it, as a user starts them: what each manages, and what binds it.

For each domain the same training on both devices: examples a second, the share of the GPU's measured ceiling that this
is, what the report says binds it, the time until both had reached the same validation score, and the time that was
predicted against the time that it took. Where there is no GPU there is nothing to measure, and that is said.

The machine is measured first (`paceline bench-machine`), so that there is a ceiling.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paceline import device, explain, hindsight, microbench
from paceline.report import comparison, sections
from results import ROOT, save

DEVICES = ("gpu", "cpu")
# Large enough that a GPU has something to do: embedded data, so that the figures can be had anywhere.
WORKLOADS: dict[str, tuple[str, dict[str, Any]]] = {
    "boosting, 3 million rows": ("fraud-detection", {"data.customers": 23_000, "data.terminals": 30_000}),
    "network on transactions": ("fraud-detection", {"model.name": "mlp", "train.batch_size": 8192}),
    "fine-tuning": ("medical-imaging", {"model.name": "fine_tuned", "data.patients": 400}),
    "driving, `base`": (
        "driving-perception",
        {"model.name": "base", "data.image_height_px": 360, "data.image_width_px": 480, "train.epochs": 10},
    ),
}


def main() -> None:
    """Train each workload on both devices, print a row for each, and keep them."""
    if not device.gpus():
        sys.exit("There is no NVIDIA GPU that its driver reports. Start this where one is; see SCALE.md.")
    machine = microbench.measure().benchmarks
    rows = []
    for name, (template, settings) in WORKLOADS.items():
        with tempfile.TemporaryDirectory() as folder:
            records = {each: trained(Path(folder) / each, template, settings, each) for each in DEVICES}
        rows += [{"workload": name, **row} for row in of_both(records, machine)]
        print(rows[-2:], flush=True)
        save("gpu", {"gpus": list(device.gpus()), "machine_benchmarks": dict(machine), "rows": rows})


def trained(folder: Path, template: str, settings: Mapping[str, Any], on: str) -> dict[str, Any]:
    """Return the record of a run on the device, started from the command line."""
    folder.mkdir(parents=True)
    project = next((ROOT / "templates" / template).glob("*/config.toml")).parent
    options = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", template.replace("-", "_"), "train", "--json", "--device", on, *options]
    command += ["--config", str(project / "config.toml"), "--set", "report.resamples=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os.environ))  # noqa: S603 -- this project's own command
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(
        (folder / json.loads(done.stdout.splitlines()[-1])["run"] / "run.json").read_text()
    )
    return found


def of_both(records: Mapping[str, Mapping[str, Any]], machine: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return a row for each device: what its run managed, what bound it, how long it took to the common score."""
    same = comparison.time_to_quality([sections.prepare(record) for record in records.values()])
    rows = []
    for place, (on, record) in enumerate(records.items()):
        known = machine if on == "gpu" else None  # the ceilings are the GPU's
        evidence = explain.rows(record, known)
        made = next(iter(record["predictions"]), None)
        outcome = hindsight.outcome(record)
        rows.append(
            {
                "device": on,
                "precision": record["device"]["precision"],
                "wall_seconds": record["wall_seconds"],
                "examples_per_second": evidence[-1].get("examples_per_second") if evidence else None,
                "of_the_ceiling": evidence[-1].get("of_the_ceiling", "") if evidence else "",
                "bound": next(iter(explain.verdict(record, known)), ""),
                "seconds_to_same_score": same["seconds"][place] if same else None,
                "score": f"{same['score']} {same['target']:.4g}" if same else "",
                "predicted_seconds": made["p50_seconds"] if made else None,
                "inside_90": outcome.inside(90) if outcome else None,
                "gpu_use": record["hardware"].get("gpu_use"),
            }
        )
    return rows


if __name__ == "__main__":
    main()
