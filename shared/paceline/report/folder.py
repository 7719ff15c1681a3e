"""Reports of the runs in folders: the command `report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paceline import atomic, record
from paceline.errors import PacelineError
from paceline.report.page import compare, index, render


def write(run_folders: Sequence[Path], runs: Path) -> dict[str, Any]:
    """Write the page that suits the number of runs, and return its path as `report`.

    One run: `report.html` in its folder, made again from its record. Several: `comparison.html` below `runs`. None:
    `index.html` below `runs`, of every run in it; folders whose record cannot be read are counted as `unreadable`.

    Raises:
        PacelineError: a named folder is no run, or there is no run at all.
    """
    if len(run_folders) == 1:
        return _written(run_folders[0] / "report.html", render(record.read(run_folders[0])))
    if run_folders:
        return _written(runs / "comparison.html", compare([record.read(folder) for folder in run_folders]))
    found, unreadable = [], 0
    for path in sorted(runs.glob("*/run.json")):
        try:
            found.append(record.read(path.parent))
        except PacelineError:
            unreadable += 1
    if not found:
        raise PacelineError(f"There is no run in '{runs}'.", "Train one first, or name its folder: --runs.")
    return {**_written(runs / "index.html", index(found)), "runs": len(found), "unreadable": unreadable}


def write_sheet(
    path: Path,
    title: str,
    facts: dict[str, Any],
    figures: Sequence[Mapping[str, Any]] = (),
    *,
    kind: str = "Data sheet",
    lead: str = "",
) -> dict[str, Any]:
    """Write `facts` as a page to `path` and as JSON beside it, and return them with the page's path as `sheet`.

    Args:
        path: of the page.
        title: its heading.
        facts: by name; lists of mappings become tables.
        figures: charts above the facts, see `figure`.
        kind: what the page is, above its heading.
        lead: what it comes to, below its heading.
    """
    from paceline.report.page import sheet

    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, sheet(title, facts, figures, kind=kind, lead=lead))
    atomic.write_json(path.with_suffix(".json"), facts)
    return {**facts, "sheet": str(path)}


def _written(path: Path, page: str) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, page)
    return {"report": str(path)}
