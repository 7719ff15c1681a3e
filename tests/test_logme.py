"""The transferability score: the evidence of a linear model, in the order that is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from paceline import logme
from paceline.errors import PacelineError

Floats = NDArray[np.float64]


def problem(noise: float, *, examples: int = 200, dimensions: int = 16, classes: int = 3) -> tuple[Floats, Floats]:
    """Return features that show the class up to `noise`, and the classes."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, classes, examples)
    centres = generator.normal(size=(classes, dimensions))
    return centres[labels] + noise * generator.normal(size=(examples, dimensions)), labels.astype(float)


def test_the_score_is_the_largest_evidence() -> None:
    """Against the definition: y ~ N(0, 1/beta + F F'/alpha), its log density maximised over both by another method."""
    for examples, dimensions in ((40, 5), (12, 20)):  # more examples than dimensions, and fewer
        features, labels = problem(2.0, examples=examples, dimensions=dimensions, classes=2)

        def negative(logs: Floats, X: Floats = features, y: Floats = labels) -> float:
            alpha, beta = np.exp(logs)
            return -float(multivariate_normal.logpdf(y, cov=np.eye(len(y)) / beta + X @ X.T / alpha)) / len(y)

        columns = []
        for y in (labels == 0, labels == 1):
            found = minimize(negative, [0.0, 0.0], args=(features, y.astype(float)), method="Nelder-Mead")
            columns.append(-found.fun)
        assert np.mean(columns) == pytest.approx(logme.score(features, labels), abs=0.02)


def test_clearer_features_score_higher() -> None:
    """The order by noise is the order of the score and of the probe, for classes and for several labels."""
    for several in (False, True):
        scores, probes = [], []
        for noise in (0.5, 2.0, 8.0):
            features, labels = problem(noise)
            targets = np.stack([labels == 0, labels == 1], axis=1).astype(int) if several else labels
            scores.append(logme.score(features, targets))
            probes.append(logme.probe(features, targets)["value"])
        assert sorted(scores, reverse=True) == scores
        assert sorted(probes, reverse=True) == probes


def test_features_without_meaning_are_chance() -> None:
    """The probe's interval covers one half where features say nothing, and is near one where they say all."""
    features, labels = problem(0.1)
    assert logme.probe(features, labels)["low"] > 0.99
    noise = logme.probe(np.random.default_rng(1).normal(size=features.shape), labels)
    assert noise["low"] < 0.5 < noise["high"]


def test_one_class_is_refused() -> None:
    """There is nothing to tell apart; a class of too few for five folds leaves nothing to probe."""
    features, labels = problem(1.0)
    with pytest.raises(PacelineError, match="one class only"):
        logme.score(features, np.zeros(len(labels)))
    with pytest.raises(PacelineError, match="No class has 5"):
        logme.probe(features, np.arange(len(labels)) == 0)
