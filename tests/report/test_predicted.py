"""Predicted against actual, as the report shows it."""

from __future__ import annotations

from typing import Any

import pytest

from paceline import report, terms
from paceline.report import predicted


def test_every_phase_stands_beside_what_it_took(record: dict[str, Any]) -> None:
    """By the phases of an estimate; the last row is the whole run with the median that was shown."""
    rows = predicted.tables(record)["predicted_and_actual_by_phase"]
    took = terms.by_phase(record["phases"])
    (training,) = (row for row in rows if row["phase"] == "training")
    assert f"{took['training'] - 55.0:+.1f} s" == training["difference"]
    assert f"{record['wall_seconds'] - 79.0:+.1f} s" == rows[-1]["difference"]
    assert "all" == rows[-1]["phase"]


@pytest.mark.parametrize(
    ("wall", "inside"), [(79.0, [1, 1, 1]), (86.0, [0, 1, 1]), (91.0, [0, 0, 1]), (60.0, [0, 0, 0])]
)
def test_each_interval_says_whether_it_held_the_run(record: dict[str, Any], wall: float, inside: list[int]) -> None:
    """Of 50, 80 and 90 %."""
    rows = predicted.tables(record | {"wall_seconds": wall})["the_intervals"]
    assert inside == [int(row["the run"] == "inside") for row in rows]
    assert ["50 %", "80 %", "90 %"] == [row["interval"] for row in rows]


def test_simpler_rules_are_held_to_the_same_outcome(record: dict[str, Any]) -> None:
    """With what each is off by."""
    rows = predicted.tables(record | {"wall_seconds": 100.0})["simpler_rules_at_the_same_moment"]
    assert ["+1 %", "+24 %", "-34 %"] == [row["off by"] for row in rows]


def test_the_project_s_own_record_is_told(record: dict[str, Any]) -> None:
    """How far earlier predictions were off, to which side, and how often the interval held; or that there are none."""
    text = " ".join(predicted.sentences(record))
    assert "Of the project's 31 earlier predictions of this kind" in text
    assert "too short" in text
    (made,) = record["predictions"]
    assert "first of its kind" in predicted.sentences(record | {"predictions": [made | {"history": {"runs": 0}}]})[-1]


def test_later_predictions_are_shown_where_there_are_any(record: dict[str, Any]) -> None:
    """One made again when steps had become slower, say."""
    assert "predictions_of_this_run" not in predicted.tables(record)
    again = {"kind": "revised", "p50_seconds": 90.0, "made_after_seconds": 40.0}
    found = predicted.tables(record | {"wall_seconds": 100.0, "predictions": [*record["predictions"], again]})
    rows = found["predictions_of_this_run"]
    assert [("first", "-21 %"), ("when steps had become slower", "-10 %")] == [
        (row["prediction"], row["off by"]) for row in rows
    ]


def test_a_run_that_a_ceiling_ended_has_no_outcome_to_compare(record: dict[str, Any]) -> None:
    """What is told is how much of the ceiling it used."""
    cut = record | {
        "wall_seconds": 57.0,
        "budget": {"seconds": 60.0, "asked": "--time-budget 60s", "changed": True},
    }
    assert {} == predicted.tables(cut)
    assert any("--time-budget 60s" in text and "95" in text for text in predicted.sentences(cut))
    assert any(
        "left as it was" in text for text in predicted.sentences(cut | {"budget": cut["budget"] | {"changed": False}})
    )


def test_nothing_is_said_where_nothing_was_predicted(record: dict[str, Any]) -> None:
    """And a prediction that somebody edited costs no report."""
    assert "Predicted and actual" in report.render(record)
    assert "Predicted and actual" not in report.render(record | {"predictions": []})
    odd = {"p50_seconds": 79.0, "phases": [3], "baselines": "none", "history": {"runs": "many"}, "p05_seconds": None}
    assert "Where the time went" in report.render(record | {"predictions": [odd]})


def stopped(record: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return the record of a training that patience ended after round 172, its prediction's `stopping` changed."""
    (made,) = record["predictions"]
    stopping = made["stopping"] | changed
    history = record["history"] | {"best_step": 132, "stop_reason": "no better validation score for 40 rounds"}
    history["rows"] = [{"step": 172}]
    return record | {"predictions": [made | {"stopping": stopping}], "history": history}


def test_the_predicted_stop_stands_beside_the_actual_one(record: dict[str, Any]) -> None:
    """With its interval, and the round whose model was to be kept."""
    expected = (
        "Training was predicted to end after round 171 (80 % interval 150 to 188) and to keep that of round 121; it "
        "ended after round 172, inside the interval, keeping that of round 132."
    )
    assert expected == predicted.stop(stopped(record))
    assert expected in " ".join(predicted.sentences(stopped(record)))
    early = stopped(record, end={"p10": 80.0, "p50": 90.0, "p90": 100.0})
    assert "outside the interval" in predicted.stop(early)


def test_a_forecast_that_abstained_says_why(record: dict[str, Any]) -> None:
    """And when the training did end."""
    expected = (
        "When early stopping would end it was not predicted, for 4 scores are too few; it ended after round 172, "
        "keeping that of round 132."
    )
    assert expected == predicted.stop(stopped(record, abstains="4 scores are too few"))


def test_a_stop_that_was_not_foreseen_or_not_awaited_is_not_told(record: dict[str, Any]) -> None:
    """Without early stopping, of another training, below a ceiling, or in a run that failed."""
    known = stopped(record)
    (made,) = known["predictions"]
    assert "" == predicted.stop(known | {"predictions": [made | {"stage": "another"}]})
    assert "" == predicted.stop(known | {"predictions": [made | {"stopping": {}}]})
    assert "" == predicted.stop(known | {"budget": {"changed": True}})
    assert "" == predicted.stop(known | {"status": "failed"})
    assert "" == predicted.stop(stopped(record, end={"p10": 400.0, "p50": 400.0, "p90": 400.0}))
