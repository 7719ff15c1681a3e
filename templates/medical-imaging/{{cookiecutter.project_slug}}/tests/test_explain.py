"""Heat maps add up to the logit, and the pointing game counts as it says."""

from __future__ import annotations

import numpy as np
import pytest

from medical_imaging import explain, model
from medical_imaging.cohort import Cohort
from medical_imaging.config import Config, Data, Model
from paceline import fit_keras


@pytest.mark.parametrize("vectors", [None, "known"])
def test_the_places_add_up_to_the_logit(vectors: str | None) -> None:
    """Up to a constant of the class: what the places of two images differ by is what their logits differ by."""
    config = Config(data=Data(image_size_px=32), model=Model(name="fine_tuned", backbone="none"))
    fit_keras.prepare("cpu", seed=0, precision="float32")
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1), dtype=np.uint8)
    backbone = model.build_backbone(config, 1)
    width = backbone.output[model.VECTOR].shape[-1]
    known = None if vectors is None else np.random.default_rng(1).normal(1, 2, (20, width)).astype(np.float32)
    member = model.Member(backbone, model.build_head(config, width, 3, known), 1)
    logits = model.predict(model.joined(member), images)[:, 2]
    maps = model.predict_maps(backbone, images)
    sums = np.zeros(4)
    slopes = explain._slopes(member, maps[model.VECTOR], [2] * 4)
    for name, kind, part in explain._parts(member):
        sums += np.einsum("nhwc,nc->n", explain._places(maps[name], kind), slopes[:, part])
    np.testing.assert_allclose(logits - logits[0], sums - sums[0], atol=1e-3)


def test_the_pointing_game_allows_a_near_miss() -> None:
    """Within five pixels of a hundred it is a hit, beyond it is none."""
    lesion = np.zeros((100, 100), dtype=bool)
    lesion[50, 50] = True
    heat = np.zeros((3, 100, 100))
    heat[0, 50, 50] = heat[1, 50, 55] = heat[2, 50, 57] = 1.0
    assert [True, True, False] == explain.pointing_game(heat, np.stack([lesion] * 3)).tolist()


def test_heat_on_letters_is_held_against_the_opposite_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the heat on a marker is a quarter, for the class or against it; images without a marker are none."""
    images = np.full((6, 64, 64, 1), 60, np.uint8)
    images[1:, 4:9, 4:9] = 255  # a marker in the corner
    maps = np.zeros((5, 64, 64))
    maps[:, 6, 6], maps[:, 40, 40] = -1.0, 3.0
    cohort = Cohort(images, np.zeros((6, 1), np.float32), ("ill",), np.arange(6), tuple("abcdef"), "multilabel")
    monkeypatch.setattr(explain, "heatmaps", lambda fitted, seen, classes, usual: maps[: len(seen)])
    fitted = model.Trained((), frozen=True)
    found = explain.on_letters(cohort, np.arange(6), fitted, images, 0, resamples=20, seed=0)
    assert (0.25, 0.0) == (found["value"], found["floor"]["value"])


def test_an_overlay_shows_heat_and_lesion() -> None:
    """Orange where it is hot, blue around the lesion, the image elsewhere."""
    heat = np.zeros((32, 32))
    heat[4:8, 4:8] = 1.0
    lesion = np.zeros((32, 32), dtype=bool)
    lesion[20:28, 20:28] = True
    picture = explain.overlay(np.full((32, 32, 1), 100, np.uint8), heat, lesion)
    assert (160, 160, 3) == picture.shape
    assert picture[30, 30, 0] > 150
    assert [100, 100, 100] == picture[100, 20].tolist()
    assert (picture == (70, 130, 255)).all(axis=-1).any()
