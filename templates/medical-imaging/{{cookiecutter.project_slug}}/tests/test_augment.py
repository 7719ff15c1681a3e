"""Augmentation: repeatable, masks move with their images, mirrors only where asked for."""

from __future__ import annotations

import numpy as np
import pytest

from medical_imaging import augment


def test_no_strength_is_no_augmentation() -> None:
    """Nothing is done, and nothing costs time."""
    assert augment.augmenting(0.0, flip=False) is None


def test_the_same_generator_gives_the_same_images() -> None:
    """So that a resumed run sees what it would have seen."""
    change = augment.augmenting(0.5, flip=True)
    assert change is not None
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1), dtype=np.uint8)
    first, _ = change(images.copy(), None, np.random.default_rng(5))
    again, _ = change(images.copy(), None, np.random.default_rng(5))
    np.testing.assert_array_equal(first, again)
    assert (images.shape, np.uint8) == (first.shape, first.dtype)
    assert (first != images).any()


def test_a_mask_moves_with_its_image() -> None:
    """A bright square and its mask stay together, also mirrored."""
    change = augment.augmenting(1.0, flip=True, masks=True)
    assert change is not None
    images, masks = np.zeros((8, 64, 64, 1), np.uint8), np.zeros((8, 64, 64), np.uint8)
    images[:, 10:30, 8:24] = 255
    masks[:, 10:30, 8:24] = 1
    moved, targets = change(images, masks, np.random.default_rng(0))
    for image, mask in zip(moved[..., 0], targets, strict=True):
        bright = image > (int(image.min()) + int(image.max())) / 2
        assert (bright & (mask == 1)).sum() > 0.9 * mask.sum() > 0


@pytest.mark.parametrize(("flip", "count"), [(False, 5), (True, 5)])
def test_views_are_the_same_each_time(flip: bool, count: int) -> None:
    """The first is the image itself; with mirroring the second is its mirror."""
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)
    seen = augment.views(images, count, flip=flip)
    assert count == len(seen)
    np.testing.assert_array_equal(images, seen[0])
    if flip:
        np.testing.assert_array_equal(images[:, :, ::-1], seen[1])
