"""Monitoring: the stability index by its definition, weeks judged only once their labels are in."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fraud_detection.monitor import BINS, LEAST_SHARE, band, draw, monitor, stability, stability_index, weekly
from paceline import record
from paceline.errors import PacelineError

START = datetime(2025, 3, 3)
DELAY = 7


def test_index_by_its_definition() -> None:
    """Two values, half and half before, nine to one after: two bins, the sum of (q - p) ln(q / p)."""
    before, after = np.repeat([0.0, 1.0], 50), np.repeat([0.0, 1.0], [90, 10])
    expected = 0.4 * np.log(0.9 / 0.5) + -0.4 * np.log(0.1 / 0.5)
    assert pytest.approx(expected) == stability_index(before, after)


def test_index_of_a_normal_shift() -> None:
    """Of a shift of a normal by d standard deviations: near d squared, its value without bins, and below it."""
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=200_000), rng.normal(0.5, 1, 200_000)
    assert 0.85 * 0.25 < stability_index(before, after) < 0.25


def test_index_of_one_distribution_is_small() -> None:
    """By chance alone it is about (bins - 1) (1/n + 1/m)."""
    rng = np.random.default_rng(1)
    found = np.mean([stability_index(rng.normal(size=1000), rng.normal(size=1000)) for _ in range(100)])
    assert pytest.approx((BINS - 1) * 2 / 1000, rel=0.2) == found


def test_index_is_finite_where_a_bin_is_empty() -> None:
    """Values of a range never seen count against the least share, so the index is large and no infinity."""
    found = stability_index(np.arange(100.0), np.full(50, 99.0))
    assert 1 < found < -np.log(LEAST_SHARE)


@pytest.mark.parametrize("sign", [1, -1])
def test_index_sees_a_common_value_left_on_either_side(sign: int) -> None:
    """From 95 % of one value to 5 % is the same movement, whether the others lie above it or below."""
    before, after = (np.repeat([0.0, sign * 1.0], [zeros, 100 - zeros]) for zeros in (95, 5))
    assert pytest.approx(2 * 0.9 * np.log(0.95 / 0.05)) == stability_index(before, after)


def test_index_is_the_same_of_negated_values() -> None:
    """It knows no direction: also where half of the values are one, with others on both sides."""
    rng = np.random.default_rng(2)
    before = np.where(np.arange(1_000) % 2, 0.0, rng.normal(size=1_000))
    after = np.where(np.arange(1_000) % 4, rng.normal(0.3, 1, 1_000), 0.0)
    assert pytest.approx(stability_index(before, after), rel=0.05) == stability_index(-before, -after)
    assert stability_index(before, after) > 0.25


def test_index_of_a_constant_is_nothing() -> None:
    """A feature that never changes has one bin."""
    assert 0 == stability_index(np.zeros(10), np.zeros(7))


@pytest.mark.parametrize(("index", "expected"), [(0.0999, "stable"), (0.1, "moved"), (0.25, "moved far")])
def test_bands(index: float, expected: str) -> None:
    """A limit belongs to the band above it."""
    assert expected == band(index)


def test_rows_name_the_score_first_and_then_what_moved_most() -> None:
    """Features follow by how far they moved."""
    before = np.tile(np.arange(100, dtype=np.float32)[:, None], 3)
    rows = stability(
        ["a", "b", "c"], before, before + np.array([0, 40, 15], np.float32), (before[:, 0] / 100, before[:, 0] / 100)
    )
    assert ["score", "b", "c", "a"] == [row["name"] for row in rows]
    assert ["stable", "moved far"] == [rows[3]["band"], rows[1]["band"]]


def payments(days: int) -> pl.DataFrame:
    """Ten payments a day, the first of each day a fraud that is reported after the delay."""
    time = [START + timedelta(days=day, hours=hour) for day in range(days) for hour in range(10)]
    return pl.DataFrame(
        {
            "datetime": time,
            "fraud": pl.Series([int(moment.hour == 0) for moment in time], dtype=pl.Int8),
            "labelled_at": [moment + timedelta(days=DELAY) for moment in time],
        }
    )


def weeks_of(table: pl.DataFrame, as_of: datetime) -> list[dict[str, object]]:
    """The weeks, every fraud scored above every honest payment and every second one alerted."""
    fraud = table["fraud"].to_numpy()
    scores = np.where(fraud == 1, np.where(np.arange(len(fraud)) % 20 == 0, 0.9, 0.4), 0.1)
    end = table["datetime"][-1].replace(hour=0) + timedelta(days=1)
    return weekly(table, scores, 0.5, start=START, end=end, as_of=as_of, delay_days=DELAY)


def test_weeks_are_judged_once_their_labels_are_in() -> None:
    """At the end of the third week the first two have had their delay; the third is counted and waits."""
    weeks = weeks_of(payments(21), START + timedelta(days=21))
    assert ["arrived", "arrived", "waiting"] == [week["labels"] for week in weeks]
    assert "recall" not in weeks[2]
    assert [70, 70, 70] == [week["transactions"] for week in weeks]
    assert (7, 4, 4 / 7, 1.0, 1.0) == (
        weeks[0]["frauds"],
        weeks[0]["alerts"],
        weeks[0]["recall"]["value"],  # type: ignore[index]
        weeks[0]["precision"]["value"],  # type: ignore[index]
        weeks[0]["average_precision"],
    )


def test_a_week_is_judged_from_the_moment_of_its_last_label_on() -> None:
    """One second before the delay is over it waits."""
    arrived = START + timedelta(days=7 + DELAY)
    assert "arrived" == weeks_of(payments(7), arrived)[0]["labels"]
    assert "waiting" == weeks_of(payments(7), arrived - timedelta(seconds=1))[0]["labels"]


def test_labels_after_the_moment_of_looking_are_not_known() -> None:
    """A fraud reported later than the delay, and later than now, counts as honest."""
    late = payments(7).with_columns(labelled_at=pl.col("datetime") + pl.duration(days=60))
    (week,) = weeks_of(late, START + timedelta(days=14))
    assert 0 == week["frauds"]


def test_a_week_that_is_not_whole_is_listed_with_its_days() -> None:
    """Twenty days are two weeks and six days; half a day alone is a period too."""
    weeks = weeks_of(payments(20), START + timedelta(days=20))
    assert [("2025-03-03", 7), ("2025-03-10", 7), ("2025-03-17", 6)] == [(week["from"], week["days"]) for week in weeks]
    assert [70, 70, 60] == [week["transactions"] for week in weeks]
    (half,) = weekly(
        payments(1),
        np.full(10, 0.5),
        0.4,
        start=START,
        end=START + timedelta(hours=12),
        as_of=START + timedelta(hours=12),
        delay_days=0,
    )
    assert (0.5, 10, "arrived") == (half["days"], half["transactions"], half["labels"])


def test_periods_follow_what_a_moment_stands_for() -> None:
    """Where a date stands for a month of 30 days, two months are two periods and none is empty."""
    monthly = payments(1).with_columns(pl.col("datetime").dt.truncate("1d"))
    months = pl.concat([monthly, monthly.with_columns(pl.col("datetime") + pl.duration(days=30))])
    end = START + timedelta(days=60)
    rows = weekly(months, np.full(20, 0.5), 0.4, start=START, end=end, as_of=end, delay_days=0, period_days=30)
    assert [(30, 10), (30, 10)] == [(row["days"], row["transactions"]) for row in rows]


def test_figures_show_judged_weeks_only() -> None:
    """The chart by week has the weeks whose labels are in, and says how many wait; without one there is no chart."""
    rows = [{"name": "score", "stability_index": 0.1, "band": "moved"}]
    _, chart = draw(rows, weeks_of(payments(21), START + timedelta(days=21)))
    assert ["2025-03-03", "2025-03-10"] == chart["series"][0]["x"]
    assert "1 more wait" in chart["caption"]
    assert 1 == len(draw(rows, weeks_of(payments(7), START + timedelta(days=7))))


def test_a_run_is_monitored_on_the_data_it_was_made_of(run_folder: Path, tmp_path: Path) -> None:
    """A row for the score and each feature, the weeks of its test, a page with the charts and the same as JSON."""
    answer = monitor(run_folder, tmp_path / "monitor.html")
    known = record.read(run_folder)
    assert {"score", *known["model"]["features"]} == {row["name"] for row in answer["stability"]}
    assert known["dataset"]["folds"]["test"]["train"] == answer["training"]
    assert known["dataset"]["folds"]["test"]["test"] == answer["later"]
    (week,) = known["dataset"]["performance_by_period"]
    assert 7 == week["days"]
    assert known["dataset"]["folds"]["test"]["test_frauds"] == week["frauds"]
    assert known["scores"]["recall"]["value"] == week["recall"]["value"]
    page = (run_folder / "report.html").read_text(encoding="utf-8")
    assert "erformance by period" in page
    assert f"{week['recall']['low']:.3f} to {week['recall']['high']:.3f}" in page
    assert "What has moved since training" in (tmp_path / "monitor.html").read_text(encoding="utf-8")
    stored = json.loads((tmp_path / "monitor.json").read_text(encoding="utf-8"))
    assert answer["stability"] == stored["stability"]


def test_data_without_the_training_window_are_refused(run_folder: Path, tmp_path: Path) -> None:
    """New data alone have nothing to compare with; the message says which days are wanted."""
    with pytest.raises(PacelineError, match="but the model learned from"):
        monitor(run_folder, tmp_path / "monitor.html", ["data.start_date=2025-06-01"])
