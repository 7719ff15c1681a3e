"""What `levers` found as tables and charts: for the screen, for its page, for the reports of later runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paceline import atomic, report, step_times
from paceline.report import format as fmt
from paceline.report import time_savers

FILE = "levers.json"  # below runs/, for the reports of later runs
TITLE = "Time-savers"


def write(answer: Mapping[str, Any], output: Path, runs_folder: Path | None) -> str:
    """Write the page and its JSON, and the findings where reports look for them; return the page's path."""
    facts = {
        "verdict": time_savers.verdict(answer["levers"]),
        **_bound(answer),
        "cpu": answer["hardware"]["cpu"],
        "cores": answer["hardware"]["cores"],
        "time": fmt.duration(answer["wall_seconds"]),
        **time_savers.tables(answer["levers"], answer["score"]),
        "nothing_known_of": time_savers.unknown(answer["levers"]),
        "method": "Throughput: two trainings take turns of 0.25 s or more; the gain is the geometric mean over "
        "pairs of turns, with a 90 % bootstrap interval. Convergence: whole trainings with and without, paired by "
        "seed, to the score that each training without it reaches. Validation data alone; the test is not touched.",
    }
    written = report.write_sheet(output, TITLE, facts, time_savers.charts(answer["levers"]))
    atomic.write_json(output.with_suffix(".json"), dict(answer))
    if runs_folder is not None:
        runs_folder.mkdir(parents=True, exist_ok=True)
        atomic.write_json(runs_folder / FILE, dict(answer))
        if answer.get("step_times"):  # else those of an earlier call stay
            atomic.write_json(runs_folder / step_times.FILE, answer["step_times"])
    return str(written["sheet"])


def _bound(answer: Mapping[str, Any]) -> dict[str, str]:
    found = answer.get("step_times")
    return {"a_step": " ".join(step_times.verdict(step_times.StepTimes(**found["times"])))} if found else {}


def kept(file: Path, part: str, kind: type = list) -> dict[str, Any]:
    """Return what was left in `file`; empty where nothing can be read that has a `part` of that `kind`."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get(part), kind) else {}


def shown(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer as the screen shows it: two tables, and what is beside them."""
    return {
        **time_savers.tables(answer["levers"], answer["score"]),
        "verdict": time_savers.verdict(answer["levers"]),
        **_bound(answer),
        "wall_seconds": answer["wall_seconds"],
        **({"nothing_known_of": rows} if (rows := time_savers.unknown(answer["levers"])) else {}),
        **({"applied": ", ".join(answer["applied"]) or "nothing"} if "applied" in answer else {}),
        "sheet": answer["sheet"],
    }
