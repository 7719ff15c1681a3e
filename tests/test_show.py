"""Answers as people read them."""

from __future__ import annotations

from typing import Any

from paceline import show

PREDICTION: dict[str, Any] = {
    "p05_seconds": 90.0, "p10_seconds": 92.0, "p25_seconds": 96.0, "p50_seconds": 100.0, "p75_seconds": 104.0,
    "p90_seconds": 108.0, "p95_seconds": 112.0,
    "phases": {"setup": 10.0, "compile": 0.0, "training": 90.0},
    "baselines": {"progress_bar": 130.0},
    "stopping": {}, "target": {}, "terms": {"drift": 0.03}, "history": {"runs": 0}, "sha256": "0123",
}  # fmt: skip


def test_a_prediction_is_what_a_person_asked_for() -> None:
    """The time, its intervals and what takes it; no hash, no terms, no phase that takes none."""
    expected = """\
whole run       1 min 40 s
50 % interval   1 min 36 s to 1 min 44 s
80 % interval   1 min 32 s to 1 min 48 s
90 % interval   1 min 30 s to 1 min 52 s
  setup         10 s
  training      1 min 30 s
by progress bar 2 min 10 s"""
    assert expected == show.answer(PREDICTION)


def test_stops_and_targets_are_said_in_words() -> None:
    """When it ends early, and whether it gets as far as that."""
    stopping = {"abstains": "", "end": {"p10": 40.0, "p50": 55.0, "p90": 80.0}, "kept": {"p50": 45.0}}
    target = {"score": 0.9, "probability": 0.0}
    lines = show.answer(PREDICTION | {"stopping": stopping, "target": target}).splitlines()
    assert "stops           at 55 (80 % interval 40 to 80), keeping 45" in lines
    assert "target          it will not reach 0.900 (probability 100 %)" in lines


def test_changes_stand_above_it_and_the_past_below() -> None:
    """A table with the day of its prices; how good predictions of this kind were."""
    made = PREDICTION | {
        "what_if": [{"what_if": "2 × the rows", "time": "3 min"}],
        "prices": "Prices of 2026-01-01.",
        "history": {"runs": 3, "median_error": 0.02},
    }
    lines = show.answer(made).splitlines()
    assert ["what if       time", "2 × the rows  3 min", "", "Prices of 2026-01-01."] == lines[:4]
    assert "earlier predictions 3 of this kind, half of them within 2.0 %" == lines[-1]
