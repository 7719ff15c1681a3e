"""Time-savers in tables and a sentence."""

from __future__ import annotations

from typing import Any

from paceline import report
from paceline.report import time_savers


def test_the_verdict_names_the_best_lever_that_is_sure_and_its_risk(record: dict[str, Any]) -> None:
    """One that is in use already, or may be no gain, is not named."""
    bins, _ = record["levers"]
    expected = (
        "Histogram bins: model.max_bin = 256 makes a pass over the data 1.42 (1.38 to 1.47) times as fast. It may"
    )
    assert time_savers.verdict(record["levers"]).startswith(expected)
    assert time_savers.verdict([bins | {"in_use": True}]).startswith("None of the time-savers")
    assert time_savers.verdict([bins | {"gain": bins["gain"] | {"low": 0.99}}]).startswith("None of the time-savers")


def test_the_report_begins_with_the_best_lever_that_is_sure(record: dict[str, Any]) -> None:
    """In its lead, of whatever kind it is; without a sure one the lead names none."""
    expected = "The best time-saver measured here: histogram bins, model.max_bin = 256: a pass over the data 1.42"
    assert expected in report.render(record)
    bins, penalty = record["levers"]
    sooner = penalty | {"gain": penalty["gain"] | {"value": 2.0, "low": 1.5}}
    assert time_savers.best([bins, sooner]) is sooner
    assert "The best time-saver" not in report.render(record | {"levers": [penalty]})


def test_a_lever_that_never_reaches_the_score_says_so(record: dict[str, Any]) -> None:
    """It has no gain, whatever its training took."""
    _, penalty = record["levers"]
    (row,) = time_savers.tables([penalty | {"gain": None, "reached": 1}], "average_precision")["convergence_levers"]
    assert "reached by 1 of 5" == row["same score, times as fast"]
    assert "+0.004 (+0.001 to +0.007)" == row["change of average precision"]


def test_rows_that_somebody_edited_cost_no_report(record: dict[str, Any]) -> None:
    """The section is left out."""
    assert "What would make it shorter" in report.render(record)
    assert "What would make it shorter" not in report.render(record | {"levers": [{"lever": 3}]})
