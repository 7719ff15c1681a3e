"""The benchmarks measure what their tables say."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "ci" / "benchmarks"
RECORD = {"model": {"parameters": 1}, "dataset": {"splits": [{"split": "train", "frames": 3}]}, "wall_seconds": 2.0}
SCORES = {"mean_iou": {"value": 0.5, "floor": {"value": 0.1}}}


def test_each_run_of_driving_whose_time_is_told_begins_with_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of its own that is gone afterwards; runs that are compared by score alone share the user's."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import driving  # found only after the line above

    caches: list[str] = []

    def run(command: list[str], *, env: dict[str, str], **others: Any) -> CompletedProcess[str]:
        caches.append(env["PACELINE_CACHE"])
        assert env["PACELINE_CACHE"] == "shared" or [] == list(Path(env["PACELINE_CACHE"]).iterdir())
        folder = Path(command[command.index("--runs") + 1]) / str(len(caches))
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(RECORD), encoding="utf-8")
        answer = {"run": str(folder), "scores": SCORES, "wall_seconds": 2.0}
        return CompletedProcess(command, 0, json.dumps(answer), "")

    monkeypatch.setenv("PACELINE_CACHE", "shared")
    monkeypatch.setattr(driving.subprocess, "run", run)
    for asked in (*driving.sequences()[:2], *driving.pretraining()[:1]):
        driving.measured(asked, tmp_path)
    assert "shared" == caches[2]
    assert 3 == len(set(caches))
    assert not any(Path(cache).exists() for cache in caches[:2])


def test_the_table_of_driving_has_the_longest_time_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget is kept by the slowest run, not by the one in the middle."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import tables  # found only after the line above

    rows = [
        {"model": "m", "test": name, "floor": 0.1, "mean_iou": 0.5, "wall_seconds": seconds, "parameters": 1}
        for name, seconds in (("", 100.0), ("a", 700.0), ("b", 90.0))
    ]
    text = tables.driving({"sequences": rows})
    assert "One seed" in text
    assert text.splitlines()[-1].endswith("| 700 s |")
