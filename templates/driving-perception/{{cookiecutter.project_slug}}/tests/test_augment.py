"""What a training frame may also have looked like."""

from __future__ import annotations

import numpy as np
import pytest

from driving_perception import augment
from driving_perception.config import Config
from driving_perception.segmentation import Segmentation

TASK = Segmentation(("road", "car"), (16, 24))


def batch(frames: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return images whose red is ten times the class of the pixel."""
    masks = np.random.default_rng(0).integers(0, 2, (frames, 16, 24)).astype(np.uint8)
    images = np.zeros((frames, 16, 24, 3), np.uint8)
    images[..., 0] = masks * 10
    return images, masks


def test_mirroring_keeps_images_and_masks_together() -> None:
    """Some frames are mirrored, some are not; each still fits its mask."""
    change = augment.of(Config(), TASK, of_features=True)
    assert change is not None
    images, masks = batch()
    before = images.copy()
    images, masks = change(images, masks, np.random.default_rng(0))
    assert np.array_equal(images[..., 0], masks * 10)
    mirrored = [not np.array_equal(one, other) for one, other in zip(images, before, strict=True)]
    assert 0 < sum(mirrored) < len(mirrored)


def test_a_crop_is_a_part_of_the_frame_enlarged() -> None:
    """Image and mask are cut alike, no class is invented, the size stays."""
    rows = np.arange(16, dtype=np.uint8)[:, None].repeat(24, axis=1)
    masks = (rows >= 8).astype(np.uint8)[None]
    images = (rows[None, ..., None] * 10).repeat(3, axis=3)
    changed, of_mask = augment.scale_and_crop(images, masks, np.random.default_rng(3), strength=1.0)
    assert (1, 16, 24, 3) == changed.shape
    assert {0, 1} >= set(np.unique(of_mask))
    # Where the mask says "below the middle", so does the image, but for the pixels between.
    assert (changed[0, ..., 0][of_mask[0] == 1] >= 70).all()


def test_light_changes_pixels_but_not_their_order_much() -> None:
    """Brightness, contrast and saturation: another image, brighter pixels stay the brighter ones."""
    images = np.linspace(60, 180, 16 * 24).reshape(1, 16, 24, 1).repeat(3, axis=3).astype(np.uint8)
    changed = augment.photometric(images.copy(), np.random.default_rng(1), strength=1.0)
    assert not np.array_equal(images, changed)
    assert (np.diff(changed[0, ..., 0].ravel().astype(int)) >= 0).all()


def test_pasted_classes_bring_their_pixels() -> None:
    """After pasting every pixel still fits its mask, and something came from another frame."""
    images, masks = batch()
    before = masks.copy()
    images, masks = augment.class_mix(images, masks, np.random.default_rng(0), share=1.0)
    assert np.array_equal(images[..., 0], masks * 10)
    assert not np.array_equal(before, masks)


@pytest.mark.parametrize("of_features", [True, False])
def test_nothing_wanted_is_no_function(of_features: bool) -> None:
    """Batches then need no copy and no thread."""
    config = Config()
    still = config.train.model_copy(update={"flip": False, "augment": 0.0, "class_mix": 0.0})
    assert augment.of(config.model_copy(update={"train": still}), TASK, of_features=of_features) is None
