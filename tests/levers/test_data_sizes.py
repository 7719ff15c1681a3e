"""What more data brings and costs, with trainings that are arithmetic: the score is as large as the share."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paceline import clock
from paceline.errors import PacelineError
from paceline.levers import command, data_sizes


def measure(task: Any, config: Any, folder: Path, **given: Any) -> dict[str, Any]:
    """Return what a measurement finds."""
    given = {"budget_seconds": 60.0, "runs_folder": folder / "runs", "say": lambda text: None, **given}
    return data_sizes.measure(task, config, output=folder / "data-sizes.html", **given)


def test_each_share_is_trained_with_each_seed(task: Any, config: Any, tmp_path: Path) -> None:
    """Scores and seconds of every training, and a page that says what the last doubling brought."""
    found = measure(task, config, tmp_path)
    assert [100, 200, 400, 800] == [size["examples"] for size in found["sizes"]]
    assert [0.123, 0.246, 0.493, 0.985] == pytest.approx([size["scores"][0] for size in found["sizes"]], abs=1e-3)
    assert [data_sizes.MOST_SEEDS] * 4 == [len(size["seconds"]) for size in found["sizes"]]
    assert found["verdict"].startswith(
        "From 50 % of the data to 100 % the s changed by +0.493 (+0.493 to +0.493 over 5"
    )
    assert found["verdict"].endswith("It got better with every seed: more data like these would probably help.")
    assert "More data" in (tmp_path / "data-sizes.html").read_text()
    kept = json.loads((tmp_path / "runs" / data_sizes.FILE).read_text())
    assert found["sizes"] == kept["sizes"]


def test_a_seed_that_is_not_finished_does_not_count(
    task: Any, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares are compared over the same seeds: time is up within the second, and the first is what is told."""
    made: list[float] = []

    def fewer(prepared: Any, share: float, seed: int) -> Any:
        made.append(share)
        return task.fewer(prepared, share, seed)

    began = clock.now()
    late = SimpleNamespace(now=lambda: began if len(made) < 6 else began + 1000.0)
    monkeypatch.setattr(data_sizes, "clock", late)
    found = measure(replace(task, fewer=fewer), config, tmp_path)
    assert 6 == len(made)
    assert [1] * 4 == [len(size["scores"]) for size in found["sizes"]]


def test_a_budget_that_is_too_short_is_refused(task: Any, config: Any, tmp_path: Path) -> None:
    """One sentence; no page."""
    with pytest.raises(PacelineError, match=r"did not suffice .* 4 shares of the data\. Give more"):
        measure(task, config, tmp_path, budget_seconds=0.0)
    assert not (tmp_path / "data-sizes.html").exists()


def test_it_measures_no_lever(task: Any, config: Any) -> None:
    """A lever named beside it is a mistake."""
    arguments = Namespace(data_sizes=True, only=["fast"], apply=None)
    with pytest.raises(PacelineError, match=r"^--data-sizes measures no lever\. Leave out --only and --apply\."):
        command.from_arguments(task, config, arguments)
