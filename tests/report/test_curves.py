"""The diagnosis names what made curves show, with their figures, and abstains where they show nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paceline.report import diagnosis
from paceline.report.curves import learning_curves, thin


def made(train: Any, validation: Any, *, mode: str = "max", **more: Any) -> dict[str, Any]:
    """A history of two curves of the same score."""
    rows = [
        {"step": step, "train_score": float(a), "validation_score": float(b)}
        for step, (a, b) in enumerate(zip(train, validation, strict=True), start=1)
    ]
    return {"step_unit": "epoch", "monitor": "validation_score", "mode": mode, "rows": rows, **more}


STEPS = np.arange(1, 101)
RISING = 1 - np.exp(-STEPS / 20)
NOISE = np.random.default_rng(0).normal(0, 0.002, 100)


@pytest.mark.parametrize(
    ("history", "begins"),
    [
        (made(RISING, 0.7 * RISING - 0.004 * np.maximum(0, STEPS - 50) + NOISE), "Overfitting after epoch"),
        (made(STEPS / 100, 0.9 * STEPS / 100 + NOISE), "Still improving when it ended"),
        (made(0.95 * RISING, 0.6 * (1 - np.exp(-STEPS / 10)) + NOISE), "The validation score levelled off"),
        (made(1 - np.exp(-STEPS / 10), 0.99 * (1 - np.exp(-STEPS / 10)) + NOISE), "The validation score levelled off"),
        (made(RISING, 0.5 + 10 * NOISE), "No learning is visible"),
        (made(1 - RISING, 1 - 0.7 * RISING + 0.004 * np.maximum(0, STEPS - 50), mode="min"), "Overfitting after"),
    ],
    ids=["overfit", "underfit", "gap", "flat", "noise", "overfit-loss"],
)
def test_diagnosis_of_made_curves(history: dict[str, Any], begins: str) -> None:
    """Curves made with a known fault are named after it."""
    assert diagnosis(history).startswith(begins)


def test_diagnosis_shows_its_evidence() -> None:
    """The best step and the values around it stand in the sentence."""
    validation = [0.1, 0.4, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2]
    train = [0.1, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.91, 0.92, 0.93, 0.94]
    text = diagnosis(made(train, validation))
    expected = "Overfitting after epoch 3: from there to epoch 11 training went on from 0.700 to 0.940"
    assert text == f"{expected} while validation fell back from 0.600 to 0.250."


def test_what_brought_more_until_the_last_permitted_step_is_not_level() -> None:
    """A slow rise that ends with the steps permitted is still improving; with steps to spare it has levelled off."""
    slow = 1 - np.exp(-STEPS / 22)
    history = made(slow, 0.9 * slow)
    assert diagnosis({**history, "stop_reason": "all 100 epochs"}).startswith("Still improving when it ended")
    assert "Epoch 100 was the last one permitted." in diagnosis({**history, "stop_reason": "all 100 epochs"})
    assert "levelled off" in diagnosis(history)


def test_a_best_by_chance_among_the_last_steps_is_no_improvement() -> None:
    """Every permitted step was taken, and a level noisy score has its best near the end: it has levelled off."""
    level = 0.6 * (1 - np.exp(-STEPS / 8)) + NOISE
    level[96] = level.max() + 0.001
    assert "levelled off" in diagnosis(made(0.9 * RISING, level, stop_reason="all 100 epochs"))


@pytest.mark.parametrize("seed", range(20))
def test_a_small_drop_after_patience_is_no_overfitting(seed: int) -> None:
    """A noisy score that ends 0.002 below its best after 50 rounds levelled off, and the best model was kept."""
    noise = np.random.default_rng(seed).normal(0, 0.002, 100)
    validation = 0.6 * (1 - np.exp(-STEPS / 8)) - 0.002 * (STEPS > 50) + noise
    validation[49] = validation.max() + 0.002
    text = diagnosis(
        made(0.9 * RISING, validation, best_step=50, stop_reason="no better validation score for 50 epochs")
    )
    assert text.startswith("The validation score levelled off: it was best at epoch 50")
    assert "The model kept is that of epoch 50." in text
    assert f"training stood at {0.9 * RISING[49]:.3f} there, {0.9 * RISING[49] - validation[49]:.3f} better" in text


def test_a_drop_within_few_values_is_no_overfitting() -> None:
    """Nine values are too few to tell a fall from chance."""
    validation = [0.1, 0.4, 0.6, 0.59, 0.55, 0.52, 0.5, 0.48, 0.45]
    train = [0.1, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.91, 0.92]
    assert "levelled off" in diagnosis(made(train, validation))


@pytest.mark.parametrize(
    ("history", "part"),
    [
        ({}, "No learning curve was kept"),
        ({"rows": []}, "No learning curve was kept"),
        (made([0.1], [0.2]), "cannot be judged from 1 value of"),
        (made([0.1] * 9, [float("nan")] * 9), "cannot be judged from 0 values"),
        ({"monitor": "validation_a", "rows": [{"step": s, "validation_a": s / 9} for s in range(9)]}, "No training sc"),
        ({"rows": [{"step": None}, {"validation_a": 1}, {}]}, "cannot be judged"),
    ],
)
def test_diagnosis_abstains(history: dict[str, Any], part: str) -> None:
    """What the curves cannot show is said to be so."""
    assert part in diagnosis(history)


def test_a_constant_curve_shows_no_learning() -> None:
    """A validation score that never moves is called that, not flat after learning."""
    assert "No learning is visible" in diagnosis(made([0.5] * 10, [0.5] * 10))


def test_the_monitored_score_comes_first_with_its_best_step_marked() -> None:
    """Of several scores the monitored one is the first chart, and the best step is marked on it."""
    rows = [{"step": s, "train_loss": 1 / s, "validation_loss": 1 / s, "validation_auc": s / 10} for s in (1, 2, 3)]
    history = {"step_unit": "round", "monitor": "validation_auc", "best_step": 3, "rows": rows}
    first, second = learning_curves(history)
    assert [series["name"] for series in first["series"]] == ["validation"]
    assert first["points"] == [{"name": "best: 0.300 at round 3", "x": 3, "y": 0.3}]
    assert [series["name"] for series in second["series"]] == ["validation", "training"]


def test_thin_keeps_ends_and_extremes() -> None:
    """Thinned rows are in order and hold the first, the last, the least and the greatest."""
    rows = [(x, (x * 7919) % 1000) for x in range(5000)]
    kept = thin(rows, 100)
    assert len(kept) <= 100
    assert kept == sorted(kept)
    assert {rows[0], rows[-1]} <= set(kept)
    assert {min(y for _, y in rows), max(y for _, y in rows)} <= {y for _, y in kept}
