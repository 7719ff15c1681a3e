"""The floor that a network has to beat: logistic regression on the image shrunk to sixteen pixels a side."""

from __future__ import annotations

import warnings
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

NAME = "logistic regression on 16 x 16 pixels"
SIZE_PX = 16

Floats = NDArray[np.float64]


def logits(images: NDArray[Any], truth: NDArray[np.float32], train: NDArray[np.int64]) -> Floats:
    """Return log-odds (images, classes) by a model of each class, fitted on the rows `train`.

    Args:
        images: of the whole cohort.
        truth: 0, 1, or NaN where nobody knows.
        train: rows to learn from.
    """
    small = np.stack([_thumbnail(image) for image in images])
    X = StandardScaler().fit(small[train]).transform(small)
    found = np.zeros(truth.shape)
    for column in range(truth.shape[1]):
        rows = train[~np.isnan(truth[train, column])]
        y = truth[rows, column]
        if not 0 < y.sum() < len(y):
            continue  # one class only: the floor knows nothing of it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged matters little to a floor
            found[:, column] = LogisticRegression(C=0.01, max_iter=200).fit(X[rows], y).decision_function(X)
    return found


def _thumbnail(image: NDArray[Any]) -> NDArray[np.float32]:
    small = cv2.resize(image, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
    pixels: NDArray[np.float32] = small.reshape(-1).astype(np.float32)
    return pixels
