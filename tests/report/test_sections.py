"""What the sections say of records of every status, in sentences and rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from paceline.report import sections


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("done", "Done in 1 min 22 s: average precision 0.652."),
        ("failed", "Failed after 1 min 22 s."),
        ("stopped", "Stopped early, after 1 min 22 s."),
        ("running", "Not finished: 1 min 22 s known of a run that was never closed."),
    ],
)
def test_headline_by_status(record: dict[str, Any], status: str, expected: str) -> None:
    """Every status has a verdict; only a run that is done shows a score in it."""
    assert expected == sections.headline(record | {"status": status})


def test_verdict_of_a_done_run(record: dict[str, Any]) -> None:
    """When, predicted against actual, the largest share and the leading score with interval and floor."""
    assert sections.verdict(record) == [
        "Finished on 29 July 2026, 14:04 UTC.",
        "It was predicted to take 1 min 19 s (90 % interval 1 min 10 s to 1 min 32 s); it took 4.0 % longer, "
        "inside the interval.",
        "The largest share was train: 63 %, 52 s.",
        "Average precision is 0.652 (95 % interval 0.601 to 0.700); logistic regression reaches 0.531.",
    ]


@pytest.mark.parametrize(
    ("wall", "part"),
    [(60.0, "took 24 % less, outside"), (100.0, "took 27 % longer, outside"), (79.0, "took just that")],
)
def test_prediction_against_outcome(record: dict[str, Any], wall: float, part: str) -> None:
    """The outcome is compared with the middle and the interval."""
    assert part in sections.prediction(record | {"wall_seconds": wall})


def test_a_resumed_run_is_counted_over_its_sessions(record: dict[str, Any]) -> None:
    """Wall time and verdict are of all sessions; their table ends with the total."""
    record["earlier_sessions"] = [
        {"status": "stopped", "started_at": "2026-07-29T12:00:00+00:00", "wall_seconds": 38.0, "phases": {}}
    ]
    assert sections.headline(record) == "Done in 2 min 0 s: average precision 0.652."
    assert "in 2 sessions" in sections.verdict(record)[0]
    assert [row["wall"] for row in sections.sessions(record)] == ["38 s", "1 min 22 s", "2 min 0 s"]


def test_the_ledger_closes_and_shows_parts(record: dict[str, Any]) -> None:
    """Phases with their parts and what is outside of them, the sum and the closing difference."""
    ledger = sections.ledger(record)
    parts = [row["name"] for row in ledger["rows"] if row["part"]]
    assert parts == ["read", "features", "split", "the rest"]
    assert ledger["wall"] == "82.15"
    assert ledger["closed"]
    assert pytest.approx(1.0) == sum(share for _, share in ledger["shares"])


def test_a_ledger_that_does_not_close_says_so(bare_record: Callable[..., dict[str, Any]]) -> None:
    """Phases that miss 10 % of the wall time are not called closed."""
    ledger = sections.ledger(bare_record(phases={"train": 0.9}))
    assert not ledger["closed"]
    assert (ledger["difference"], ledger["difference_share"]) == ("+0.100 s", "10 %")


def test_scores_are_drawn_only_between_0_and_1(record: dict[str, Any]) -> None:
    """A cost has its row without a drawing; a bare number is a score; a missing one a dash."""
    record["scores"] |= {"accuracy": 0.9, "nothing": {"value": None}}
    rows = {row["key"]: row for row in sections.scores(record)}
    assert rows["expected_cost_per_day"]["drawn"] is None
    assert rows["accuracy"]["value"] == "0.900"
    assert rows["nothing"]["value"] == "-"
    assert rows["nothing"]["drawn"] is None


def test_tables_and_facts_divide_a_free_mapping() -> None:
    """Mappings of mappings and lists of mappings are tables, all else are facts; seconds read as durations."""
    values = {"read": 12_000, "read_seconds": 83, "splits": {"a": {"n": 1}, "b": {"m": 2}}, "own": {"x": [1, 2]}}
    assert sections.facts(values) == [("read", "12,000"), ("read seconds", "1 min 23 s"), ("own, x", "1, 2")]
    (table,) = sections.tables(values)
    assert (table["columns"], table["rows"]) == (["", "n", "m"], [["a", "1", "-"], ["b", "-", "2"]])


def test_configuration_is_flat_with_values_as_in_toml() -> None:
    """Nested sections become dotted keys."""
    rows = sections.configuration({"train": {"seed": 7, "device": "auto"}, "a": {"b": {"c": [1]}}})
    assert rows == [("train.seed", "7"), ("train.device", '"auto"'), ("a.b.c", "[1]")]


def test_few_rows_with_many_entries_are_turned() -> None:
    """Folds are columns and their facts rows; a pair of dates is one span that does not break."""
    fold = {"train": ["2025-02-05", "2025-03-04"], "rows": 2300, "a": 1, "b": 2, "c": 3}
    (table,) = sections.tables({"folds": {"validation": fold, "test": fold | {"rows": 2337}}})
    assert ["", "validation", "test"] == table["columns"]
    assert ["rows", "2,300", "2,337"] == table["rows"][1]
    assert "5\u00a0Feb to 4\u00a0Mar\u00a02025" == table["rows"][0][1]


def test_quantiles_of_several_quantities_are_one_table() -> None:
    """A row a quantity, a column a quantile, and nothing of it among the facts."""
    values = {"n": 1, "amount": {"min": 0, "p50": 2.5}, "delay": {"min": None, "p50": 7.5}}
    (table,) = sections.tables(values)
    assert [["amount", "0", "2.50"], ["delay", "-", "7.50"]] == table["rows"]
    assert [("n", "1")] == sections.facts(values)


def test_a_floor_without_a_name_is_the_floor(record: dict[str, Any]) -> None:
    """A floor is called by its name, or the floor; never a model that may be none."""
    score = {"value": 0.6, "floor": {"value": 0.5}}
    assert "AP is 0.600; the floor reaches 0.500." == sections.score_sentence("AP", score)
    score["floor"] = {"value": 0.5, "name": "logistic regression"}
    assert "AP is 0.600; logistic regression reaches 0.500." == sections.score_sentence("AP", score)
    assert "floor" == sections.floor_name({"floor": {"value": 0.5}})
