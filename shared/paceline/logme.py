"""How well features suit labels, in seconds: LogME, and a cross-validated linear probe beside it.

LogME (You, Liu, Wang and Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021,
with the fixed-point iteration of its journal version, JMLR 2022) is the maximum evidence of a Bayesian linear model, a
label at a time, divided by the number of examples. Higher is better; only differences on the same labels mean anything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from paceline.errors import PacelineError

Floats = NDArray[np.float64]
ITERATIONS = 100
FOLDS = 5


def score(features: NDArray[np.floating], labels: NDArray[np.generic]) -> float:
    """Return the LogME score.

    Args:
        features: (examples, dimensions).
        labels: classes (examples,), or 0 and 1 for several labels (examples, labels).

    Raises:
        PacelineError: no label has both values.
    """
    X = np.asarray(features, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(X, full_matrices=False)
    return float(np.mean([_evidence(left, sizes, X.shape, y) for y in _targets(labels).T]))


def probe(features: NDArray[np.floating], labels: NDArray[np.generic], *, seed: int = 0) -> dict[str, float]:
    """Return the AUROC of logistic regression on the features over five folds, the mean over classes or labels.

    Folds are of examples: where a patient or a video has several, the figure flatters every candidate alike.

    Args:
        features: (examples, dimensions).
        labels: classes (examples,), or 0 and 1 for several labels (examples, labels).
        seed: of the folds.

    Returns:
        `value`, and `low` and `high`: its 95 % interval by the spread over folds (Student's t), which is rough.

    Raises:
        PacelineError: no label has both values, or five of each.
    """
    from scipy.stats import t

    X = np.asarray(features, dtype=np.float64)
    targets = _targets(labels)
    usable = [y for y in targets.T if min(y.sum(), len(y) - y.sum()) >= FOLDS]
    if not usable:
        raise PacelineError(
            f"No class has {FOLDS} examples with it and {FOLDS} without.", "Give more labelled images to rank by."
        )
    scores = np.zeros((len(usable), FOLDS))
    for row, y in enumerate(usable):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(X, y)
        for column, (train, test) in enumerate(folds):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
            scores[row, column] = roc_auc_score(y[test], model.fit(X[train], y[train]).decision_function(X[test]))
    means = scores.mean(axis=0)
    half = float(t.ppf(0.975, FOLDS - 1) * means.std(ddof=1) / np.sqrt(FOLDS))
    value = float(means.mean())
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half)}


def _targets(labels: NDArray[np.generic]) -> Floats:
    """Return one column of 0 and 1 a class or label that has both."""
    values = np.asarray(labels)
    columns = np.stack([values == one for one in np.unique(values)], axis=1) if values.ndim == 1 else values
    columns = columns.astype(np.float64)
    varied = columns[:, (columns.min(axis=0) == 0) & (columns.max(axis=0) == 1)]
    if not varied.shape[1]:
        raise PacelineError("The labels have one class only.", "Give images of at least two classes.")
    return varied


def _evidence(left: Floats, sizes: Floats, shape: tuple[int, ...], y: Floats) -> float:
    """Return the maximum log evidence of `y` an example, from the singular values and left vectors of the features."""
    n, d = shape
    squared, projected = sizes**2, (left.T @ y) ** 2
    outside = max(float(y @ y - projected.sum()), 0.0)
    alpha, beta = 1.0, 1.0
    for _ in range(ITERATIONS):
        ratio = alpha / beta
        gamma = float((squared / (squared + ratio)).sum())
        weight = float((squared * projected / (squared + ratio) ** 2).sum())
        residual = float((projected * (ratio / (squared + ratio)) ** 2).sum()) + outside
        alpha, beta = gamma / (weight + 1e-5), (n - gamma) / (residual + 1e-5)
        if abs(alpha / beta - ratio) <= 1e-3 * ratio:
            break
    ratio = alpha / beta
    weight = float((squared * projected / (squared + ratio) ** 2).sum())
    residual = float((projected * (ratio / (squared + ratio)) ** 2).sum()) + outside
    logs = np.log(alpha + beta * squared).sum() + (d - len(squared)) * np.log(alpha)
    evidence = n / 2 * np.log(beta) + d / 2 * np.log(alpha) - n / 2 * np.log(2 * np.pi)
    return float((evidence - beta / 2 * residual - alpha / 2 * weight - logs / 2) / n)
