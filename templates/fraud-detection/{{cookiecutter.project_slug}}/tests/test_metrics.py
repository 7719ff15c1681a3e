"""Metrics against slow, plain implementations, with ties, weights and days."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from fraud_detection import metrics
from fraud_detection.config import Report
from fraud_detection.examples import Examples
from fraud_detection.metrics import CardRanking

Floats = NDArray[np.float64]
SEEDS = range(30)


def handbook_card_precision(days: list[int], cards: list[int], labels: list[int], scores: list[float], k: int) -> float:
    """Return card precision top-k as the Handbook's chapter 4 describes it: day by day, in plain loops."""
    found: set[int] = set()
    precisions = []
    for day in sorted(set(days)):
        highest: dict[int, float] = {}
        fraud: dict[int, int] = {}
        for row_day, card, label, score in zip(days, cards, labels, scores, strict=True):
            if row_day == day and card not in found:
                highest[card] = max(score, highest.get(card, -1.0))
                fraud[card] = max(label, fraud.get(card, 0))
        first = sorted(highest, key=lambda card: (-highest[card], card))[:k]
        detected = {card for card in first if fraud[card]}
        precisions.append(len(detected) / k)
        found |= detected
    return sum(precisions) / len(precisions)


def payments(seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8], Floats]:
    """Return days, cards, labels and scores of payments in the order of time."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(20, 200))
    days = np.sort(rng.integers(0, 6, rows))
    cards = rng.integers(0, 15, rows)
    labels = (rng.random(rows) < 0.2).astype(np.int8)
    return days, cards, labels, np.round(rng.random(rows) * 0.7 + labels * 0.3, 2 if seed % 2 else 9)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 3, 20])
def test_card_precision_is_the_handbooks(seed: int, k: int) -> None:
    """Found cards are out of the days after; a day with fewer cards than k still divides by k."""
    days, cards, labels, scores = payments(seed)
    expected = handbook_card_precision(days.tolist(), cards.tolist(), labels.tolist(), scores.tolist(), k)
    found = CardRanking(pl.Series(days), cards, labels, scores).precision_at_k(k)
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_card_that_was_found_is_not_called_again() -> None:
    """One card's frauds on two days count once; one that was missed stays in."""
    days, cards = [0, 0, 1, 1], np.array([0, 1, 0, 1])
    ranking = CardRanking(pl.Series(days), cards, np.array([1, 1, 1, 1], np.int8), np.array([0.9, 0.1, 0.9, 0.2]))
    assert 1.0 == ranking.precision_at_k(1)  # card 0 on the first day, card 1 on the second
    assert 0.5 == ranking.precision_at_k(2)  # both on the first day, nothing left on the second


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [2, 4])
def test_a_card_weight_counts_as_so_many_cards(seed: int, k: int) -> None:
    """A card drawn twice is two cards that do the same, ranked one after the other.

    Weights and k are even here: of a card that fits into k in part, a copy would be found on a later day, where a
    weight is found as a whole.
    """
    days, cards, labels, scores = payments(seed)
    scores = scores + cards * 1e-6  # no ties between cards, so that copies stand next to each other
    weights = np.random.default_rng(seed).integers(0, 2, 15).astype(np.float64) * 2
    weights[cards[np.unique(days, return_index=True)[1]]] = 2  # no day without a card
    copies: list[tuple[int, int, int, float]] = []
    for day, card, label, score in zip(days.tolist(), cards.tolist(), labels.tolist(), scores.tolist(), strict=True):
        copies += [(day, 2 * card + copy, label, score) for copy in range(int(weights[card]))]
    expected = handbook_card_precision(*(list(column) for column in zip(*copies, strict=True)), k)  # type: ignore[arg-type]
    found = CardRanking(pl.Series(days), cards, labels, scores).precision_at_k(k, weights)
    assert found == pytest.approx(expected, abs=1e-12)


def test_scores_are_what_their_names_say(examples: Examples) -> None:
    """Each score of a small set against its definition, inside its interval."""
    rng = np.random.default_rng(1)
    probabilities = np.clip(examples.y * 0.4 + rng.random(len(examples.y)) * 0.6, 0, 1)
    threshold = 0.55
    config = Report(review_cost=3.0, alert_budget_per_day=4, resamples=50)
    found = metrics.score(examples, probabilities, threshold, config, seed=0)
    alert, fraud = probabilities >= threshold, examples.y == 1
    caught = (alert & fraud).sum()
    cost = examples.amounts[fraud & ~alert].sum() + 3.0 * alert.sum()
    rows = (examples.days.to_list(), examples.customers.tolist(), examples.y.tolist(), probabilities.tolist())
    expected: dict[str, Any] = {
        "average_precision": average_precision_score(examples.y, probabilities),
        "auc_roc": roc_auc_score(examples.y, probabilities),
        "card_precision_at_4": handbook_card_precision(*rows, 4),
        "mean_score_over_prevalence": probabilities.sum() / fraud.sum(),
        "recall": caught / fraud.sum(),
        "precision": caught / alert.sum(),
        "false_positive_rate": (alert & ~fraud).sum() / (~fraud).sum(),
        "cost_per_1000_transactions": 1000 * cost / len(examples.y),
        "savings": 1 - cost / examples.amounts[fraud].sum(),
        "savings_of_possible": (examples.amounts[fraud].sum() - cost)
        / np.maximum(examples.amounts[fraud] - 3, 0).sum(),
    }
    assert expected == pytest.approx({name: found[name]["value"] for name in expected})
    assert {*expected, "recall_at_0.1%_fpr", "recall_at_0.5%_fpr", "recall_at_1.0%_fpr"} == set(found)
    for score in found.values():
        assert score["low"] <= score["high"]
    assert found["average_precision"]["low"] < found["average_precision"]["value"] < found["average_precision"]["high"]
    assert found == metrics.score(examples, probabilities, threshold, config, seed=0)


def test_slices_count_what_is_in_them(examples: Examples) -> None:
    """A row for each value, with its own counts; transactions without a value are in none."""
    probabilities = np.linspace(0, 1, len(examples.y))
    channel = pl.Series(["online", "pos", None, "pos"] * 100)
    rows = metrics.slices(examples.y, probabilities, 0.5, {"channel": channel})
    assert ["channel=online", "channel=pos"] == [row["slice"] for row in rows]
    for row, places in zip(rows, (slice(0, None, 4), slice(1, None, 2)), strict=True):
        fraud, alert = examples.y[places] == 1, probabilities[places] >= 0.5
        assert (len(fraud), fraud.sum()) == (row["transactions"], row["frauds"])
        assert row["recall"]["value"] == pytest.approx((fraud & alert).sum() / fraud.sum())
        assert row["precision"]["value"] == pytest.approx((fraud & alert).sum() / alert.sum())


def test_mean_score_is_held_against_the_prevalence(examples: Examples) -> None:
    """1 for probabilities that are right on average, 2 for twice as high, with an interval and a note."""
    prevalence = float(examples.y.mean())
    for factor in (1.0, 2.0):
        flat = np.full(len(examples.y), factor * prevalence)
        scores = metrics.score(examples, flat, 0.5, Report(resamples=50), seed=0)
        found = scores["mean_score_over_prevalence"]
        assert pytest.approx(factor) == found["value"]
        assert found["low"] < factor < found["high"]
    assert "mean_score_over_prevalence" in metrics.notes(Report())
