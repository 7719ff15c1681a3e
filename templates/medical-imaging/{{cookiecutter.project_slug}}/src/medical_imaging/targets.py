"""From labels as people give them to numbers that a network learns: uncertain ones by policy, missing ones masked."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1.0  # of a target: it counts in no loss and no score
SMOOTHED = (0.55, 0.85)  # what an uncertain label becomes, at random: U-Ones+LSR of Pham et al. 2021
MOST_WEIGHT = 20.0  # of a class, however rare: a few images must not make every step

Floats = NDArray[np.float32]
Policy = Literal["ignore", "zeros", "ones", "smooth"]


def to_learn(labels: Floats, policy: Policy, *, seed: int) -> Floats:
    """Return the targets of training: 0 to 1, or `UNKNOWN`.

    Args:
        labels: (rows, classes): 1 present, 0 absent, -1 uncertain, NaN not given.
        policy: what an uncertain label becomes (Irvin et al. 2019, "CheXpert"); `smooth` draws it from 0.55 to 0.85.
        seed: of that draw.

    >>> to_learn(np.array([[1, -1, np.nan]], np.float32), "ones", seed=0).tolist()
    [[1.0, 1.0, -1.0]]
    """
    drawn = np.random.default_rng(seed).uniform(*SMOOTHED, labels.shape)
    becomes = {"ignore": np.full_like(drawn, UNKNOWN), "zeros": 0 * drawn, "ones": 0 * drawn + 1, "smooth": drawn}
    found = np.where(labels == -1, becomes[policy], labels)
    return np.where(np.isnan(labels), UNKNOWN, found).astype(np.float32)


def to_judge(labels: Floats) -> Floats:
    """Return the targets of evaluation: 0 or 1, or NaN where nobody knows: uncertain labels judge no model."""
    return np.where(labels == -1, np.nan, labels).astype(np.float32)


def class_weights(targets: Floats, *, exclusive: bool) -> Floats:
    """Return how much rarer classes weigh more.

    Args:
        targets: as `to_learn` gives them.
        exclusive: of several classes one is present: then their weights have a mean of 1 over the rows. Otherwise each
            class's weight is that of its positives, absent over present.

    >>> class_weights(np.array([[1, 0], [0, 0], [0, 1], [0, 1]], np.float32), exclusive=False).tolist()
    [3.0, 1.0]
    """
    known = targets >= 0
    present = np.where(known, targets, 0).sum(axis=0)
    counts = known.sum(axis=0)
    if exclusive:
        weights = counts / (len(present) * np.maximum(present, 1))
    else:
        weights = (counts - present) / np.maximum(present, 1)
    clipped: Floats = np.clip(weights, 1 / MOST_WEIGHT, MOST_WEIGHT).astype(np.float32)
    return clipped
