"""What a training frame may also have looked like: mirrored, nearer, darker, with classes of another frame pasted in.

All of it works on batches of uint8 images in the threads that make them, on OpenCV and NumPy. Cached features exist
for frames as they are, so of these only mirroring is left there, done on the features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.config import Config
from driving_perception.tasks import Task
from paceline.batches import Augment

LARGEST_SCALE = 2.0  # at strength 1, as in most recipes for road scenes
BRIGHTNESS, CONTRAST, SATURATION = 64.0, 0.4, 0.4  # at strength 1


def of(config: Config, task: Task, *, of_features: bool) -> Augment | None:
    """Return the configured changes of a batch, None where there are none.

    Args:
        config: `augment`, `flip`, `class_mix`. Scaling and pasting are for masks alone.
        task: mirrors targets.
        of_features: batches are cached features: they can only be mirrored.
    """
    settings = config.train
    masks = config.model.task == "segmentation"
    steps: list[Augment] = []
    if not of_features:
        if masks and settings.class_mix:
            steps.append(lambda x, y, rng: class_mix(x, y, rng, share=settings.class_mix))
        if masks and settings.augment:
            steps.append(lambda x, y, rng: scale_and_crop(x, y, rng, strength=settings.augment))
        if settings.augment:
            steps.append(lambda x, y, rng: (photometric(x, rng, strength=settings.augment), y))
    if settings.flip:
        steps.append(_mirror(task.flip))
    if not steps:
        return None

    def all_of_them(x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        for step in steps:
            x, y = step(x, y, rng)
        return x, y

    return all_of_them


def _mirror(flip: Callable[[Any], Any]) -> Augment:
    def mirror(x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        for place in np.flatnonzero(rng.random(len(next(iter(_arrays(x))))) < 0.5):
            for array in _arrays(x):
                array[place] = array[place][:, ::-1].copy()
            mirrored = flip({name: array[place] for name, array in y.items()} if isinstance(y, dict) else y[place])
            if isinstance(y, dict):
                for name, array in y.items():
                    array[place] = mirrored[name]
            else:
                y[place] = mirrored
        return x, y

    return mirror


def _arrays(values: Any) -> list[Any]:
    return list(values.values()) if isinstance(values, dict) else [values]


def scale_and_crop(
    images: NDArray[np.uint8], masks: NDArray[np.uint8], rng: np.random.Generator, *, strength: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Enlarge each frame by 1 to `1 + strength` and cut a piece of the old size out of it, anywhere."""
    height, width = masks.shape[1:3]
    for place in range(len(images)):
        scale = float(rng.uniform(1.0, 1.0 + strength * (LARGEST_SCALE - 1.0)))
        rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
        top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
        piece = np.s_[top : top + rows, left : left + columns]
        images[place] = cv2.resize(images[place][piece], (width, height), interpolation=cv2.INTER_LINEAR)
        masks[place] = cv2.resize(masks[place][piece], (width, height), interpolation=cv2.INTER_NEAREST)
    return images, masks


def photometric(images: NDArray[np.uint8], rng: np.random.Generator, *, strength: float) -> NDArray[np.uint8]:
    """Change brightness, contrast and saturation of each image by chance, up to `strength`."""
    for place, image in enumerate(images):
        brightness = BRIGHTNESS * strength * rng.uniform(-1, 1)
        contrast = 1 + CONTRAST * strength * rng.uniform(-1, 1)
        saturation = 1 + SATURATION * strength * rng.uniform(-1, 1)
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        images[place] = cv2.addWeighted(
            image, contrast * saturation, grey, contrast * (1 - saturation), 128 * (1 - contrast) + brightness
        )
    return images


def class_mix(
    images: NDArray[np.uint8], masks: NDArray[np.uint8], rng: np.random.Generator, *, share: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Paste half of the classes of another frame of the batch into `share` of the frames (Olsson et al. 2021)."""
    others = rng.permutation(len(images))
    before_images, before_masks = images.copy(), masks.copy()
    for place in np.flatnonzero(rng.random(len(images)) < share):
        mask = before_masks[others[place]]
        there = np.unique(mask[mask != 255])
        if not len(there):
            continue
        chosen = rng.choice(there, (len(there) + 1) // 2, replace=False)
        pasted = np.isin(mask, chosen)
        images[place][pasted] = before_images[others[place]][pasted]
        masks[place][pasted] = mask[pasted]
    return images, masks
