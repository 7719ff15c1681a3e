"""What a run's report says beside the run: its machine's figures, the project's time-savers, other sizes and machines.

Nothing is measured here: the machine's figures are those that `bench-machine`, `levers` or `estimate --what-if` kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paceline import explain, machines, microbench, step_times, whatif
from paceline.errors import PacelineError
from paceline.machines import Machine
from paceline.report import format as fmt


def of(record: Mapping[str, Any], runs_folder: Path) -> dict[str, Any]:
    """Return `benchmarks` of the machine, `levers`, `step_times`, `data_sizes` as found last, `what_if` as rows.

    What is not known is empty.

    Args:
        record: of the run, as it ends.
        runs_folder: where `levers` left what it found.
    """
    from paceline.levers import data_sizes, sheet

    here = microbench.kept()
    found = sheet.kept(runs_folder / sheet.FILE, "levers")
    step = sheet.kept(runs_folder / step_times.FILE, "times", dict)
    sizes = sheet.kept(runs_folder / data_sizes.FILE, "sizes")
    return {
        "benchmarks": {} if here is None else dict(here.benchmarks),
        "levers": found.get("levers", []),
        "levers_score": found.get("score", ""),
        "step_times": step,
        "data_sizes": {key: sizes[key] for key in ("sizes", "score", "larger_is_better") if key in sizes},
        "what_if": _what_if({**record, "step_times": step}, here),
    }


def _what_if(record: Mapping[str, Any], here: Machine | None) -> list[dict[str, Any]]:
    """Return what other sizes and machines would have made of a run that is done, from what it took."""
    wall = record.get("wall_seconds")
    if record.get("status") != "done" or not fmt.is_number(wall) or wall <= 0:
        return []
    from paceline import terms

    took = {f"p{level}_seconds": float(wall) for level in ("05", "50", "95")}
    took_by_phase = {**took, "phases": terms.by_phase(record.get("phases") or {})}
    changes = [change for change in whatif.USUAL if change != whatif.Change()]
    if here is None:
        return [each.row() for each in whatif.answers(took_by_phase, {}, changes, Machine("here", "cpu", {}))]
    try:
        known = machines.sheets()
    except PacelineError:  # a table that somebody edits must not cost a run its report
        known = []
    shares = explain.shares(record, here.benchmarks) or {"compute": 1.0}
    changes += [whatif.Change(machine=machine) for machine in known]
    exchange = whatif.exchange_of(record)
    return [each.row() for each in whatif.answers(took_by_phase, shares, changes, here, exchange)]
