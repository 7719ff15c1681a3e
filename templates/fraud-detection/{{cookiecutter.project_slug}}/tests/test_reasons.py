"""Reasons: only what raised the score, the weightiest first, one for windows of the same thing, with their values."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import xgboost
from polars.testing import assert_frame_equal

from fraud_detection import features, predict
from fraud_detection.boosted import Boosted
from fraud_detection.config import Config, Data
from fraud_detection.decisions import Decision
from fraud_detection.extras import Encoding
from fraud_detection.linear import Linear
from fraud_detection.reasons import MOST, describe, explain
from paceline import calibrate

NAMES = features.names(Data())


def row(**values: float) -> np.ndarray:
    """One row of features, 0 where nothing is said."""
    return np.array([[values.get(name, 0.0) for name in NAMES]], dtype=np.float32)


def test_reasons_are_the_largest_positive_contributions() -> None:
    """Four groups raised the score: the three weightiest are named in their order, those that lowered it are not."""
    X = row(amount=250, amount_ratio_30d=6.2, customer_count_1d=1, during_night=1, terminal_count_7d=4)
    weights = row(amount=0.5, amount_ratio_30d=2.0, customer_count_1d=0.1, during_night=1.0, terminal_count_7d=-3.0)
    expected = ["amount is 6.2 times this card's 30-day mean", "it is night, before 07:00 UTC", "amount is 250.00"]
    assert [expected] == explain(NAMES, X, weights.astype(float))


def test_windows_of_one_thing_give_one_reason() -> None:
    """Three windows of a terminal's risk are one reason, about the weightiest, and weigh together."""
    X = row(
        terminal_risk_1d=1, terminal_count_1d=1, terminal_risk_7d=1 / 3, terminal_count_7d=9, amount=12, during_night=1
    )
    weights = row(terminal_risk_1d=0.4, terminal_risk_7d=0.7, terminal_risk_30d=0.3, amount=1.2)
    (found,) = explain(NAMES, X, weights.astype(float))
    assert ["3 of the 9 labels that arrived for this terminal within 7 days were fraud", "amount is 12.00"] == found


def test_windows_that_cancel_give_no_reason() -> None:
    """Where one window raised the score and another lowered it as much, the thing itself is no reason."""
    weights = row(customer_count_1d=0.5, customer_count_30d=-0.5, amount=0.1)
    assert [["amount is 5.00"]] == explain(NAMES, row(amount=5), weights.astype(float))


def test_nothing_that_raised_the_score_gives_no_reason() -> None:
    """An alert by prevalence alone has no reasons rather than made-up ones."""
    assert [[]] == explain(NAMES, row(amount=5), np.full((1, len(NAMES)), -0.1))


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("terminal_risk_1d", {"terminal_count_1d": 1.0, "terminal_risk_1d": 1.0},
         "the one label that arrived for this terminal within a day was fraud"),
        ("terminal_risk_1d", {"terminal_count_1d": 1.0, "terminal_risk_1d": 0.0},
         "the one label that arrived for this terminal within a day was not fraud"),
        ("terminal_risk_30d", {"terminal_count_30d": 0.0, "terminal_risk_30d": 0.0},
         "no label arrived for this terminal within 30 days"),
        ("customer_count_1d", {"customer_count_1d": 1.0}, "1 transaction of this card within a day"),
        ("customer_count_7d", {"customer_count_7d": 23.0}, "23 transactions of this card within 7 days"),
        ("customer_mean_amount_7d", {"customer_mean_amount_7d": 1234.5},
         "this card's mean amount within 7 days is 1,234.50"),
        ("during_weekend", {"during_weekend": 0.0}, "it is a working day"),
        ("distance_home", {"distance_home": 12.345}, "distance home is 12.3"),
    ],
)  # fmt: skip
def test_values_are_filled_in(name: str, values: dict[str, float], expected: str) -> None:
    """Each feature has its sentence, in the singular where it is one, and an unknown feature its name and value."""
    assert expected == describe(name, values)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("extra_type", 2.0, "type is TRANSFER"),
        ("extra_type", 0.0, "type is unknown"),
        ("extra_city_pop", 41.0, "city pop is missing"),
        ("extra_city_pop", 1234.0, "city pop is 1,234"),
        ("terminal_count_7d", 0.0, "no label arrived for this terminal within 7 days"),
        ("device_count_1d", 0.0, "no payment by this device within a day, on any card"),
    ],
)
def test_further_columns_say_what_stood_in_the_data(name: str, value: float, expected: str) -> None:
    """A code is its text again, what was not seen in training is unknown, a gap is missing, and nothing is no."""
    extras = Encoding({"extra_city_pop": 41.0}, {"extra_type": ["PAYMENT", "TRANSFER"]})
    assert expected == describe(name, {name: value}, extras)
    assert [[expected]] == explain([name], np.array([[value]], np.float32), np.ones((1, 1)), extras)


def test_every_feature_has_a_sentence_of_its_own() -> None:
    """No feature of the template falls back to its bare name."""
    values = dict.fromkeys(NAMES, 2.0)
    assert not [name for name in NAMES if describe(name, values) == f"{name.replace('_', ' ')} is 2"]


def test_contributions_of_trees_sum_to_the_logits() -> None:
    """With the bias they are the margin: nothing of the score is left unexplained."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0.5).astype(np.int8)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.QuantileDMatrix(X, y), 8)
    fitted = Boosted(booster, 8)
    rest = fitted.logits(X) - fitted.contributions(X).sum(axis=1)
    assert (300, 4) == fitted.contributions(X).shape
    assert pytest.approx(np.full(300, rest[0]), abs=1e-4) == rest


def test_contributions_of_the_linear_model_sum_to_the_logits() -> None:
    """Weight times standardised deviation, and the intercept is the rest."""
    linear = Linear(np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.array([0.5, -1.0]), 0.25)
    X = np.array([[3.0, 2.0], [1.0, 10.0]], dtype=np.float32)
    assert [[0.5, 0.0], [0.0, -2.0]] == linear.contributions(X).tolist()
    assert pytest.approx(linear.logits(X)) == linear.contributions(X).sum(axis=1) + 0.25


def test_at_most_three_reasons() -> None:
    """However many features raised the score."""
    assert MOST == len(explain(NAMES, row(amount=5), np.ones((1, len(NAMES))))[0])


def test_alerts_alone_get_reasons_and_parts_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every alert has its reasons, no other row has; scored in parts of 7 rows the result is the same."""
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({name: rng.lognormal(size=100) for name in NAMES})
    X = frame.to_numpy()
    linear = Linear(X.mean(axis=0), X.std(axis=0), rng.normal(size=len(NAMES)), 0.0)
    decision = Decision(calibrate.Sigmoid(1.0, 0.0), "cost", 0.7)
    run = predict.TrainedRun(Config(), linear, decision, NAMES, Encoding({}, {}))
    whole = predict.score(run, frame)
    assert 0 < whole["alert"].sum() < 100
    assert whole["alert"].to_list() == whole["reason_1"].is_not_null().to_list()
    monkeypatch.setattr(predict, "SCORED_ROWS", 7)
    assert_frame_equal(whole, predict.score(run, frame))
    assert 0 == len(predict.score(run, frame.head(0)))


def test_reasons_of_a_run_name_the_categories_it_learned() -> None:
    """A scored file of payments with a further column gives its text, as the run's own encoding has it."""
    linear = Linear(np.zeros(1), np.ones(1), np.ones(1), 0.0)
    decision = Decision(calibrate.Sigmoid(1.0, 0.0), "cost", 0.5)
    run = predict.TrainedRun(Config(), linear, decision, ["extra_type"], Encoding({}, {"extra_type": ["CASH_OUT"]}))
    assert ["type is CASH_OUT"] == predict.score(run, pl.DataFrame({"extra_type": [1.0]}))["reason_1"].to_list()
