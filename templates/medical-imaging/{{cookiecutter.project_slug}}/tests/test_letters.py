"""Burned-in letters: found, erased, and told from anatomy; whether a model reads them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medical_imaging import doubts, films, letters
from medical_imaging.cohort import Cohort
from medical_imaging.decisions import Decision
from medical_imaging.metrics import Judged

IMAGES, SIDE = 40, 128
DECISION = Decision(False, (0.0, 0.0), (1.0, 1.0), "youden", (0.5, 0.5))


def _body(side: int, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    body = np.clip(rng.normal(120, 6, (side, side)), 0, 255).astype(np.uint8)
    body[side // 3 :, side * 2 // 5 : side * 3 // 5] = 250
    return body


def _marked(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.minimum(films.mark(image.astype(np.float32) * 16, "L") / 16, 255).astype(np.uint8)


@pytest.fixture
def cohort() -> Cohort:
    """Images of twenty patients; every other image has a letter."""
    images = np.stack([_body(SIDE, seed) for seed in range(IMAGES)])
    images[::2] = [_marked(image) for image in images[::2]]
    labels = np.zeros((IMAGES, 2), np.float32)
    labels[::3] = 1
    return Cohort(
        images[..., None],
        labels,
        ("finding", "other"),
        np.arange(IMAGES, dtype=np.int64) // 2,
        tuple(f"item-{number}" for number in range(IMAGES)),
        "multilabel",
    )


def _reads_the_letter(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    read = np.array([letters.places(image).any() for image in images])
    return np.stack([np.where(read, 3.0, -3.0), np.zeros(len(images))], axis=1)


def _reads_the_body(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    shade = images[:, SIDE // 3 : -SIDE // 3, SIDE // 3 : -SIDE // 3].mean(axis=(1, 2, 3))
    return np.stack([shade - shade.mean(), np.zeros(len(images))], axis=1)


def test_letters_are_told_from_anatomy() -> None:
    """A letter near the border is found; a smooth bright body, a bright frame and noise are not."""
    body = _body(128)
    assert not letters.places(body).any()
    rows, columns = np.nonzero(letters.places(_marked(body)))
    assert 5 < rows.min() < rows.max() < 25
    assert 105 < columns.min() < columns.max() < 125
    framed = body.copy()
    framed[:6] = framed[-6:] = 255
    assert not letters.places(framed).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_an_erased_letter_is_gone(channels: int) -> None:
    """The place looks as what is around it, the rest is as it was, and so is the shape."""
    body = np.repeat(_body(128)[..., None], channels, axis=2)
    marked = np.repeat(_marked(body[..., 0])[..., None], channels, axis=2)
    clean = letters.erased(marked, letters.places(marked))
    assert marked.shape == clean.shape
    assert not letters.places(clean).any()
    assert np.abs(clean.astype(int) - body).max() < 40
    np.testing.assert_array_equal(marked[40:], clean[40:])


def test_a_model_that_reads_letters_is_found_out(cohort: Cohort) -> None:
    """Its answer falls when they are erased, and not when as much is on the opposite side; the warning says so."""
    score, rows = letters.effect(cohort, np.arange(IMAGES), _reads_the_letter, DECISION, resamples=50, seed=0)
    moved = (1 / (1 + np.exp(-3)) - 1 / (1 + np.exp(3))) / 2  # one of two classes moves
    assert moved == pytest.approx(score["value"])
    assert 0 == score["floor"]["value"]
    assert IMAGES // 2 == rows[0]["images"]
    assert rows[0]["with_letters"]["value"] > 0.9 > 0.1 > rows[0]["letters_erased"]["value"]
    assert rows[1]["with_letters"]["value"] == rows[1]["letters_erased"]["value"]
    said = _doubts(cohort, score, rows)
    assert ["finding from 0.95 to 0.05" in sentence for sentence in said if "It reads letters" in sentence] == [True]


def test_a_model_that_reads_the_body_is_not_suspected(cohort: Cohort) -> None:
    """Erasing letters changes nothing for it, so nothing is said."""
    score, rows = letters.effect(cohort, np.arange(IMAGES), _reads_the_body, DECISION, resamples=0, seed=0)
    assert 0 == score["value"]
    assert not any("It reads letters" in sentence for sentence in _doubts(cohort, score, rows))


def test_few_letters_say_nothing(cohort: Cohort) -> None:
    """Neither a score nor a row."""
    rows = np.arange(2 * letters.FEW - 2)
    assert ({}, []) == letters.effect(cohort, rows, _reads_the_letter, DECISION, resamples=0, seed=0)


def _doubts(cohort: Cohort, score: dict[str, object], rows: list[dict[str, object]]) -> list[str]:
    chances = np.full(cohort.labels.shape, 0.5)
    judged = Judged(cohort.labels, chances, cohort.patients, np.full(2, 0.5), cohort.classes, False)
    scores = {"auroc": {"value": 0.9, "floor": {"name": "floor", "value": 0.5}}, "letters_effect": score}
    return doubts.about(judged, judged, scores, rows)
