"""Which backbone suits a data set: the better source ranks first, by images and by pixels, with nothing trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paceline import suitability
from paceline.errors import PacelineError


def test_the_backbone_that_knows_photographs_ranks_first(tmp_path: Path) -> None:
    """Shapes against textures: pretrained features beat random ones; one that cannot be had comes last, with why."""
    generator, size = np.random.default_rng(0), 32
    labels = np.arange(60) % 2
    images = generator.normal(120, 40, (60, size, size, 1))
    for image, label in zip(images, labels, strict=True):
        period, phase = generator.uniform(6, 9), generator.uniform(0, 6)
        waves = np.sin(np.arange(size) * 6.28 / period + phase) * 25
        image += (waves[:, None] if label else waves[None, :])[..., None]
    images = np.clip(images, 0, 255).astype(np.uint8)
    candidates = ["hub:absent", "none", "efficientnet-lite0"]
    rows = suitability.rank_by_images(candidates, images, labels, image_size_px=size, folder=tmp_path)
    assert ["efficientnet-lite0", "none", "hub:absent"] == [row["backbone"] for row in rows]
    assert "keras-hub" in rows[2]["error"]
    best, other = rows[0]["probe"], rows[1]["probe"]
    assert best["low"] <= best["value"] <= best["high"] <= 1.0
    assert best["value"] > other["value"]
    assert rows[0]["seconds"] > 0


def test_backbones_are_ranked_by_pixels_for_outlines(tmp_path: Path) -> None:
    """As many of each class, the same for all candidates, without those left out; a class that maps show is found."""
    generator, size = np.random.default_rng(0), 64
    classes = np.repeat(np.repeat(generator.integers(0, 4, (40, 4, 4)) == 0, 16, axis=1), 16, axis=2).astype(np.int8)
    waves = 60 * np.sin(np.arange(size) * 1.6)
    images = generator.normal(120, 15, (40, size, size)) + classes * waves[:, None] + (1 - classes) * waves[None, :]
    images = np.clip(images, 0, 255).astype(np.uint8)[..., None]
    classes[:, :16] = -1
    rows = suitability.rank_by_pixels(
        ["hub:absent", "none", "efficientnet-lite0"], images, classes, image_size_px=size, folder=tmp_path
    )
    assert {"none", "efficientnet-lite0"} == {row["backbone"] for row in rows[:2]}
    assert rows[0]["logme"] >= rows[1]["logme"]
    middles = classes[:, 8::16, 8::16]
    assert {2 * int((middles == 1).sum())} == {row["pixels"] for row in rows[:2]}
    assert all(row["probe"]["value"] > 0.9 for row in rows[:2] if row["backbone"] == "efficientnet-lite0")
    assert "keras-hub" in rows[2]["error"]
    with pytest.raises(PacelineError, match="of one class only"):
        suitability.rank_by_pixels(["none"], images, np.zeros_like(classes), image_size_px=size, folder=tmp_path)
