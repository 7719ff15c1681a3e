"""Where benchmarks find the project and leave their figures: `ci/results/<name>.json`, with date, machine, versions.

They are started by `sh ci/bench`, which puts the library and the template's package on the path.
"""

from __future__ import annotations

import math
import os
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scipy.special import stdtrit

from paceline import atomic, device, record

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "templates" / "fraud-detection" / "{{cookiecutter.project_slug}}"
SAMPLE_DATA = Path(os.environ.get("PACELINE_SAMPLE_DATA", ROOT.parent / "shared" / "data"))


def save(name: str, figures: dict[str, Any]) -> None:
    """Keep the figures of the benchmark `name`, with the conditions they hold under."""
    hardware = device.hardware()
    machine = f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gb']} GB"
    conditions = {"measured_on": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine, "software": record.software()}
    (ROOT / "ci" / "results").mkdir(exist_ok=True)
    atomic.write_json(ROOT / "ci" / "results" / f"{name}.json", {**conditions, **figures})


def interval(values: list[float]) -> dict[str, Any]:
    """Return the mean of `values` with its 95 % t interval."""
    half = float(stdtrit(len(values) - 1, 0.975)) * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return {"value": mean, "low": mean - half, "high": mean + half, "each": values}
