"""The best trial's own model, kept while a search goes on: the result where no time is left for the final run.

It was trained on less than a final run trains on, and judged without the test; `evaluate` scores it there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from paceline import atomic, record
from paceline.tune.trial import Own

FACTS = "kept.json"  # beside the model's files, written last: without it they are not whole


def keep(folder: Path, number: int, own: Own, device: dict[str, Any]) -> None:
    """Write a trial's own model below `folder`, and drop those of earlier trials, which it is better than.

    Args:
        folder: of all kept models of a study.
        number: of the trial.
        own: its model.
        device: what it was computed on, as `run.device` has it.
    """
    place = folder / str(number)
    shutil.rmtree(place, ignore_errors=True)  # of a process that was killed
    place.mkdir(parents=True)
    atomic.write_json(place / FACTS, {"model": own.save(place), "value": own.value, "device": device})
    drop(folder, before=number)


def drop(folder: Path, *, before: int | None = None) -> None:
    """Remove the models of trials before this one; of all, by default."""
    for place in folder.glob("*"):
        if before is None or (place.name.isdigit() and int(place.name) < before):
            shutil.rmtree(place, ignore_errors=True)


def has(folder: Path, number: int) -> bool:
    """Return whether the model of this trial is kept here; another machine keeps those of its own trials."""
    return (folder / str(number) / FACTS).is_file()


def numbers(folder: Path) -> list[int]:
    """Return the trials whose models are kept, in order."""
    return sorted(int(path.parent.name) for path in folder.glob(f"*/{FACTS}") if path.parent.name.isdigit())


def as_run(
    folder: Path, number: int, config: BaseModel, *, score: str, runs_folder: Path, command: str, started: float
) -> dict[str, Any]:
    """Make a run of a kept model and return what `train` would: its folder, status, time and scores.

    Args:
        folder: of all kept models of a study.
        number: of the trial.
        config: its settings.
        score: the name of what it was judged by.
        runs_folder: where the run is made.
        command: the command line, for the record.
        started: see `record.start`.
    """
    place = folder / str(number)
    found = json.loads((place / FACTS).read_text(encoding="utf-8"))
    with record.start(config, runs_folder, name=f"trial-{number}", command=command, started=started) as run:
        for file in place.iterdir():
            if file.name != FACTS:
                shutil.copy2(file, run.folder / file.name)
        run.model, run.device = found["model"], found["device"]
        run.scores = {score: {"value": found["value"]}}
        run.score_notes = {score: "On the data before the test by which the trial was judged."}
        run.warn(
            "Too little time was left to train the best settings for good: this is the model of trial "
            f"{number} itself, which learned from less and has not seen the test. Score it with evaluate, or train its "
            "config.toml."
        )
    return {
        "run": str(run.folder),
        "status": run.status,
        "wall_seconds": run.wall_seconds,
        "scores": run.scores,
        "report": str(run.folder / "report.html"),
    }
