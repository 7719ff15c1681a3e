"""The command from top to bottom, with trainings that are arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paceline.errors import PacelineError
from paceline.levers import command, sheet


@pytest.fixture
def measured(task: Any, config: Any, tmp_path: Path) -> dict[str, Any]:
    """What a whole measurement finds."""
    return command.levers(
        task,
        config,
        budget_seconds=15.0,
        output=tmp_path / "levers.html",
        runs_folder=tmp_path / "runs",
        say=lambda text: None,
    )


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probing takes no longer than a few pairs: turns of arithmetic take no time."""
    monkeypatch.setattr(command, "LEAST_PROBE_SECONDS", 0.1)
    monkeypatch.setattr(command, "MOST_SEEDS", 4)
    monkeypatch.setattr(command, "THROUGHPUT_SHARE", 0.2)


def test_gains_are_found_ordered_and_kept_for_reports(measured: dict[str, Any], tmp_path: Path) -> None:
    """Twice as fast is found as twice as fast; three times the rate reaches the score sooner; a broken one says why."""
    fast, broken, rate = measured["levers"]
    assert ["fast", "broken", "rate"] == [row["lever"] for row in measured["levers"]]
    assert pytest.approx(2.0) == fast["gain"]["value"]
    assert fast["gain"]["low"] > 1
    assert "train.broken is true. Mend it." == broken["reason"]
    assert (4, 4) == (rate["seeds"], rate["reached"])
    assert 0 < rate["score_change"] < 0.05
    assert measured["levers"] == sheet.kept(tmp_path / "runs" / sheet.FILE, "levers")["levers"]
    page = (tmp_path / "levers.html").read_text()
    assert "Fast: train.fast = true makes a pass over the data 2.00 (2.00 to 2.00) times as fast" in page
    assert "Mend it." in page


def test_the_screen_shows_two_tables_and_what_is_unknown(measured: dict[str, Any]) -> None:
    """Each with its setting and its risk."""
    shown = sheet.shown(measured)
    assert ["fast"] == [row["lever"] for row in shown["throughput_levers"]]
    assert "train.fast = true" == shown["throughput_levers"][0]["setting"]
    assert "it may jump" == shown["convergence_levers"][0]["risk"]
    assert [{"lever": "broken", "reason": "train.broken is true. Mend it."}] == shown["nothing_known_of"]


def test_a_budget_that_is_too_short_leaves_levers_unknown_not_guessed(task: Any, config: Any, tmp_path: Path) -> None:
    """Each says that time was short."""
    found = command.levers(task, config, budget_seconds=0.0, output=tmp_path / "l.html", say=lambda text: None)
    assert ["The time budget was too short"] * 3 == [row["reason"][:29] for row in found["levers"]]
    assert [None] * 3 == [row["gain"] for row in found["levers"]]


def test_an_unknown_lever_is_refused(task: Any, config: Any, tmp_path: Path) -> None:
    """The refusal names those that there are."""
    with pytest.raises(PacelineError, match=r"no lever 'fats'.*'broken', 'fast', 'rate'"):
        command.levers(task, config, budget_seconds=1.0, chosen=["fats"], output=tmp_path / "l.html")


def test_findings_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    """A report is made without them."""
    assert {} == sheet.kept(tmp_path / sheet.FILE, "levers")
    (tmp_path / sheet.FILE).write_text(json.dumps([1]))
    assert {} == sheet.kept(tmp_path / sheet.FILE, "levers")
