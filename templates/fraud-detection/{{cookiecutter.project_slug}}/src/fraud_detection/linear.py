"""Logistic regression on standardised features: the floor that anything else has to beat."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fraud_detection.examples import Examples
from paceline import atomic, checkpoint
from paceline.errors import PacelineError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """Logistic regression on standardised features: the floor that anything else has to beat."""

    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float
    steps: int = 1

    @classmethod
    def fit(cls, train: Examples, *, l2: float) -> Linear:
        """Fit by L-BFGS with the penalty `l2 / rows`; a moment's work on one core."""
        scaler = StandardScaler().fit(train.X)
        found = LogisticRegression(C=1.0 / l2 if l2 > 0 else np.inf, max_iter=1000).fit(
            scaler.transform(train.X), train.y
        )
        return cls(scaler.mean_, scaler.scale_, found.coef_[0], float(found.intercept_[0]))

    def logits(self, X: NDArray[np.float32]) -> Floats:
        """Return the weighted sum for each row."""
        result: Floats = ((X - self.mean) / self.scale) @ self.weights + self.intercept
        return result

    def contributions(self, X: NDArray[np.float32]) -> Floats:
        """Return weight times standardised deviation from the training mean."""
        result: Floats = (X - self.mean) / self.scale * self.weights
        return result

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `model.json`: means, scales, weights, intercept."""
        path = folder / "model.json"
        atomic.write_json(
            path, {"mean": self.mean, "scale": self.scale, "weights": self.weights, "intercept": self.intercept}
        )
        return {"file": path.name, "sha256": atomic.sha256(path.read_bytes()), "steps": 1}

    @classmethod
    def load(cls, path: Path, sha256: str, steps: int) -> Linear:
        """Read `model.json`."""
        try:
            found = json.loads(checkpoint.read_verified(path, sha256))
        except OSError as error:
            raise PacelineError(f"'{path}' cannot be read: {error.strerror}.", "Name a run that finished.") from None
        mean, scale, weights = (np.asarray(found[name], dtype=np.float64) for name in ("mean", "scale", "weights"))
        return cls(mean, scale, weights, float(found["intercept"]), steps)

    def state(self) -> dict[str, Any]:
        """Return the number of parameters."""
        return {"parameters": len(self.weights) + 1}
