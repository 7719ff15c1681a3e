"""How a run's settings were found, as its report says it."""

from __future__ import annotations

from typing import Any

import pytest

from paceline import report
from paceline.report import study


def test_the_search_is_told_with_its_time_by_trial_state(record: dict[str, Any]) -> None:
    """How many trials in what time, what pruning saved, and the way to the report of the search."""
    page = report.render(record)
    assert "They are the best of 12 trials of the search &#39;study&#39;, which took 6\u00a0min 40\u00a0s." in page
    assert "Pruning saved 1\u00a0min 23\u00a0s." in page
    assert '<a href="../../tune/study/report.html">' in page
    assert ["75 %", "25 %"] == [row["share of time"] for row in study.table(record["study"])]


@pytest.mark.parametrize(
    ("address", "expected"),
    [("javascript:alert(1)", "javascript%3Aalert%281%29"), ("//host/x", "host/x"), ('a"b.html', "a%22b.html")],
)
def test_a_link_leads_nowhere_but_to_a_file_beside(address: str, expected: str) -> None:
    """Whatever somebody wrote into the record."""
    assert expected == study.link({"report": address})


@pytest.mark.parametrize("odd", [{"name": "s"}, {"time_by_trial_state": [3], "trials": 1, "name": "s"}])
def test_a_study_that_somebody_edited_costs_no_report(record: dict[str, Any], odd: dict[str, Any]) -> None:
    """The section is left out."""
    assert "How its settings were found" not in report.render(record | {"study": odd})
