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
        (made(STEPS / 100, 0.9 * STEPS / 100 + NOISE), "Still learning"),
        (made(0.95 * RISING, 0.6 * (1 - np.exp(-STEPS / 10)) + NOISE), "A gap"),
        (made(1 - np.exp(-STEPS / 10), 0.99 * (1 - np.exp(-STEPS / 10)) + NOISE), "Neither"),
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
    assert text == f"{expected} while validation fell back from 0.600 to 0.200."


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
