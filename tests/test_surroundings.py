"""What a report says beside its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paceline import microbench, surroundings
from paceline.machines import Machine


def test_nothing_is_measured_and_nothing_known_is_left_out(
    record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without figures of the machine there are other sizes alone; with them, other machines too."""
    monkeypatch.setattr(microbench, "kept", lambda: None)
    monkeypatch.setattr(microbench, "measure", lambda: pytest.fail("nothing is to be measured"))
    found = surroundings.of(record, tmp_path)
    assert ({}, []) == (found["benchmarks"], found["levers"])
    assert "2 × the rows" in [row["what_if"] for row in found["what_if"]]
    assert {"-"} == {row["cost"] for row in found["what_if"]}
    here = Machine("here", "cpu", {"memory_gb_per_second": 10.0})
    monkeypatch.setattr(microbench, "kept", lambda: here)
    assert any("USD" in row["cost"] for row in surroundings.of(record, tmp_path)["what_if"])


def test_of_a_run_that_failed_there_is_nothing_to_scale(record: dict[str, Any], tmp_path: Path) -> None:
    """What it took is not what a whole run takes."""
    assert [] == surroundings.of(record | {"status": "failed"}, tmp_path)["what_if"]


def test_a_table_of_prices_with_a_mistake_costs_no_report(
    record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machines in it are left out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.toml").write_text("nonsense")
    monkeypatch.setattr(microbench, "kept", lambda: Machine("here", "cpu", {"memory_gb_per_second": 10.0}))
    assert {"-"} == {row["cost"] for row in surroundings.of(record, tmp_path)["what_if"]}
