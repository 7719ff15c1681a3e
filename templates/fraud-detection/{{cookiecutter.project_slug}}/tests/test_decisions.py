"""The threshold against trying every one, and the decision that goes into the record."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from fraud_detection import decisions
from fraud_detection.config import Report
from fraud_detection.decisions import Decision
from fraud_detection.examples import Examples
from paceline import calibrate

SEEDS = range(25)
Floats = NDArray[np.float64]


def draw(seed: int, examples: Examples) -> tuple[Examples, Floats]:
    """Return examples with other labels and amounts, and probabilities with ties that tell something of them."""
    rng = np.random.default_rng(seed)
    y = (rng.random(len(examples.y)) < 0.08).astype(np.int8)
    probabilities = np.clip(rng.normal(0.2 + 0.3 * y, 0.15), 0, 1)
    return replace(examples, y=y), np.round(probabilities, 2 if seed % 2 else 12)


def cost(threshold: float, probabilities: Floats, examples: Examples, review_cost: float) -> float:
    """Return what the frauds that are missed and the alerts cost at a threshold."""
    alert = probabilities >= threshold
    return float(examples.amounts[(examples.y == 1) & ~alert].sum() + review_cost * alert.sum())


def every(probabilities: Floats) -> list[float]:
    """Return every threshold that makes a difference, the one that alerts nothing first."""
    return [2.0, *np.unique(probabilities)[::-1].tolist()]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("review_cost", [0.0, 5.0, 40.0])
def test_cost_finds_the_cheapest_threshold(seed: int, review_cost: float, examples: Examples) -> None:
    """No other threshold costs less."""
    given, probabilities = draw(seed, examples)
    config = Report(threshold="cost", review_cost=review_cost)
    found = decisions.choose_threshold(config, probabilities, given)
    cheapest = min(cost(threshold, probabilities, given, review_cost) for threshold in every(probabilities))
    assert cost(found, probabilities, given, review_cost) == pytest.approx(cheapest)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("max_fpr", [0.001, 0.02, 0.3])
def test_max_fpr_finds_the_lowest_threshold_that_is_allowed(seed: int, max_fpr: float, examples: Examples) -> None:
    """It stops at most that share of the honest, and the next lower threshold would stop more."""
    given, probabilities = draw(seed, examples)
    found = decisions.choose_threshold(Report(threshold="max_fpr", max_fpr=max_fpr), probabilities, given)
    honest = probabilities[given.y == 0]
    allowed = [threshold for threshold in every(probabilities) if (honest >= threshold).mean() <= max_fpr]
    assert (probabilities >= min(allowed)).tolist() == (probabilities >= found).tolist()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("budget", [1, 4, 1000])
def test_alert_budget_finds_the_lowest_threshold_that_the_team_can_call(
    seed: int, budget: int, examples: Examples
) -> None:
    """On the mean of the days as many cards as can be called, and the next lower threshold would alert more."""
    given, probabilities = draw(seed, examples)
    config = Report(threshold="alert_budget", alert_budget_per_day=budget)
    found = decisions.choose_threshold(config, probabilities, given)

    def cards(threshold: float) -> int:
        alert = probabilities >= threshold
        return len(
            set(zip(given.days.filter(pl.Series(alert)).to_list(), given.customers[alert].tolist(), strict=True))
        )

    allowed = [threshold for threshold in every(probabilities) if cards(threshold) <= budget * 5]
    assert (probabilities >= min(allowed)).tolist() == (probabilities >= found).tolist()


@pytest.mark.parametrize(
    "config",
    [
        Report(threshold="cost", review_cost=1e9),
        Report(threshold="max_fpr", max_fpr=1e-6),
        Report(threshold="alert_budget", alert_budget_per_day=1),
    ],
)
@pytest.mark.parametrize("probability", [0.3, 1.0])
def test_where_nothing_is_worth_an_alert_the_threshold_is_above_one(
    config: Report, probability: float, examples: Examples
) -> None:
    """Every transaction with the same probability, so all or none: none, also of those that are certain."""
    found = decisions.choose_threshold(config, np.full(len(examples.y), probability), examples)
    assert found > 1


def test_a_decision_survives_the_record(examples: Examples) -> None:
    """What `from_state` reads from JSON decides the same."""
    logits = np.log(examples.X[:, 0]).astype(np.float64) - 3
    decision = decisions.decide(Report(), logits, examples)
    again = Decision.from_state(json.loads(json.dumps(decision.state())))
    assert decision == again
    assert decision.probabilities(logits).tolist() == again.probabilities(logits).tolist()
    assert {"rule": "cost", "threshold": decision.threshold} == decision.state()["decision"]


def test_probabilities_match_the_prevalence_and_keep_the_order(examples: Examples) -> None:
    """Calibrated on these rows, their mean is the share of frauds, and no two change places."""
    logits = 5 * np.log(examples.X[:, 0]).astype(np.float64) + 30
    probabilities = decisions.decide(Report(), logits, examples).probabilities(logits)
    assert probabilities.mean() == pytest.approx(examples.y.mean(), rel=0.05)
    assert np.argsort(logits, kind="stable").tolist() == np.argsort(probabilities, kind="stable").tolist()


ROWS = 20_000


def rare(seed: int) -> tuple[Examples, Floats]:
    """Rare frauds, and logits that know something of them."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(-6, 2, ROWS)
    y = (rng.random(ROWS) < 1 / (1 + np.exp(-risk))).astype(np.int8)
    amounts = rng.lognormal(3, 1, ROWS)
    return Examples(np.zeros((ROWS, 1), np.float32), y, amounts, pl.Series([0] * ROWS), np.arange(ROWS)), risk


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("shift", [0.0, 4.6])  # 4.6: what weighting frauds a hundredfold does to a logit
def test_mean_score_is_the_prevalence(shift: float, scale: float) -> None:
    """However far the logits are off, too sure or shifted by class weights, the mean comes back within 2 %."""
    given, risk = rare(0)
    logits = scale * risk + shift
    probabilities = decisions.decide(Report(), logits, given).probabilities(logits)
    raw = 1 / (1 + np.exp(-logits))
    assert pytest.approx(given.y.mean(), rel=0.02) == probabilities.mean()
    assert (scale, shift) == (1.0, 0.0) or abs(raw.mean() / given.y.mean() - 1) > 0.1  # there was something to mend


def test_it_holds_on_later_transactions_of_the_same_kind() -> None:
    """Calibrated on one slice, the mean on another is the share of frauds there, but for chance."""
    (first, risk), (second, later) = rare(1), rare(2)
    found = decisions.decide(Report(), 3 * risk, first).probabilities(3 * later).mean()
    deviation = np.sqrt(2 * second.y.mean() / ROWS)
    assert abs(found - second.y.mean()) < 3 * deviation


def test_a_decision_is_carried_over_to_logits_that_lie_elsewhere() -> None:
    """Logits that were moved and stretched get the same probabilities, so the same transactions are alerts."""
    before = np.random.default_rng(0).normal(-4, 1.5, 1000)
    decision = Decision(calibrate.Sigmoid(1.2, -0.4), "cost", 0.1)
    after = 0.3 * before + 2.0
    carried = decisions.carry_over(decision, before, after)
    assert carried.probabilities(after) == pytest.approx(decision.probabilities(before), rel=1e-9)
    assert (decision.rule, decision.threshold) == (carried.rule, carried.threshold)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_decision_stays_where_no_transactions_wait_for_labels(rows: int) -> None:
    """Without a delay of the labels there is nothing that both models could be compared on."""
    decision = Decision(calibrate.Sigmoid(1.2, -0.4), "cost", 0.1)
    assert decision == decisions.carry_over(decision, np.ones(rows), np.zeros(rows))
