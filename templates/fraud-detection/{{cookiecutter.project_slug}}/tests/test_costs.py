"""Costs and savings: equal to their definitions, at every threshold and every budget."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from fraud_detection.config import Report
from fraud_detection.costs import Costs, alert_budget_curve, cost_curve
from fraud_detection.decisions import choose_threshold
from fraud_detection.examples import Examples

REVIEW = 5.0


def examples(labels: list[int], amounts: list[float], days: int = 1) -> Examples:
    """Transactions of one customer each, spread over `days`."""
    rows = len(labels)
    return Examples(
        X=np.zeros((rows, 1), np.float32),
        y=np.array(labels, np.int8),
        amounts=np.array(amounts, np.float64),
        days=pl.Series([date(2025, 1, 1) + timedelta(days=row % days) for row in range(rows)]),
        customers=np.arange(rows),
    )


def random_examples(seed: int = 0, rows: int = 400) -> tuple[Examples, np.ndarray]:
    """Transactions of four days with scores that know something of the label, some of them equal."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.1).astype(int)
    scores = np.round(np.clip(rng.random(rows) * 0.7 + 0.3 * labels, 0.01, 1), 2)
    return examples(labels.tolist(), np.round(rng.lognormal(3, 1, rows), 2).tolist(), days=4), scores


def test_savings_of_a_small_case() -> None:
    """Of frauds of 100, 40 and 3 the first is caught and one honest payment reviewed: (100 - 2 reviews) / 143."""
    costs = Costs.of(examples([1, 1, 1, 0, 0], [100, 40, 3, 9, 9]), np.array([1, 0, 0, 1, 0], bool), REVIEW)
    ones = np.ones(5)
    assert pytest.approx(90 / 143) == costs.savings(ones)
    # Perfect: the fraud of 3 is worth less than its review.
    assert pytest.approx(90 / (95 + 35)) == costs.savings_of_possible(ones)


def test_savings_at_the_ends() -> None:
    """No alert saves nothing, alerts on just the frauds worth a review all that can be; alerts for all may lose."""
    given = examples([1, 0, 0, 0], [10, 50, 50, 50])
    ones = np.ones(4)
    nothing, perfect, all_of_them = (
        Costs.of(given, np.array(alerts, bool), REVIEW) for alerts in ([0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1])
    )
    assert (0.0, 0.0) == (nothing.savings(ones), nothing.savings_of_possible(ones))
    assert 1.0 == perfect.savings_of_possible(ones)
    assert -1.0 == all_of_them.savings(ones)


def test_savings_without_fraud_are_no_number() -> None:
    """Where there is nothing to save, a share of it is NaN and not 0."""
    costs = Costs.of(examples([0, 0], [10, 10]), np.array([True, False]), REVIEW)
    assert np.isnan(costs.savings(np.ones(2)))
    assert np.isnan(costs.savings_of_possible(np.ones(2)))


def test_weights_count_transactions_as_often() -> None:
    """A weight of 2 is the transaction twice."""
    given, scores = random_examples()
    rng = np.random.default_rng(1)
    times = rng.integers(0, 3, len(scores))
    rows = np.repeat(np.arange(len(scores)), times)
    repeated = Examples(given.X[rows], given.y[rows], given.amounts[rows], given.days[rows], given.customers[rows])
    once = Costs.of(given, scores >= 0.6, REVIEW)
    often = Costs.of(repeated, scores[rows] >= 0.6, REVIEW)
    assert pytest.approx(often.savings(np.ones(len(rows)))) == once.savings(times.astype(float))


def test_cost_curve_is_the_cost_at_each_threshold() -> None:
    """Every point is what alerts from that threshold on cost, computed transaction by transaction."""
    given, scores = random_examples()
    thresholds, cost, alerts = cost_curve(given, scores, REVIEW, 50)
    assert (np.diff(thresholds) < 0).all()
    for threshold, at, per_day in zip(thresholds, cost, alerts, strict=True):
        alert = scores >= threshold
        assert pytest.approx(1000 * Costs.of(given, alert, REVIEW).of_alerts.mean()) == at
        assert pytest.approx(alert.sum() / 4) == per_day


def test_chosen_threshold_is_the_lowest_point_of_the_curve() -> None:
    """With every threshold on the curve, none costs less than the one that `choose_threshold` takes."""
    given, scores = random_examples()
    thresholds, cost, _ = cost_curve(given, scores, REVIEW, 10_000)
    assert len(np.unique(scores)) == len(thresholds)
    assert choose_threshold(Report(review_cost=REVIEW), scores, given) == thresholds[np.argmin(cost)]


def test_alert_budget_curve_is_what_so_many_alerts_catch() -> None:
    """Amounts and frauds at each number of alerts are those of the highest scores; all alerts catch everything."""
    given, scores = random_examples()
    alerts, amount, frauds = alert_budget_curve(given, scores, 30)
    for per_day, share, found in zip(alerts, amount, frauds, strict=True):
        alert = np.zeros(len(scores), bool)
        alert[np.argsort(-scores, kind="stable")[: round(per_day * 4)]] = True
        assert scores[alert].min() > scores[~alert].max(initial=-1)  # no group of equal scores is cut
        assert pytest.approx((given.amounts * given.y * alert).sum() / (given.amounts * given.y).sum()) == share
        assert pytest.approx((given.y * alert).sum() / given.y.sum()) == found
    assert (1.0, 1.0) == (pytest.approx(amount[-1]), pytest.approx(frauds[-1]))
