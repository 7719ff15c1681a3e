"""Where the model looks: what each place of an image adds to a class's logit, and whether that is in the lesion.

The head is linear in means and spreads of feature maps, so a logit is a sum over places, exactly: a mean gives each
place its value, a spread its squared deviation. For means this is the class activation map (Zhou et al. 2016), which is
what Grad-CAM comes down to there (Selvaraju et al. 2017). No gradient is needed, whatever computes. Shown is what a
place adds beyond what it adds on average: a heart lies in every chest, and borders are alike in all images. Of a kernel
head its slope at the image is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medical_imaging import kernels, letters
from medical_imaging.cohort import Cohort
from medical_imaging.model import LAST, MAPS, VECTOR, Member, Trained, predict_maps
from paceline import intervals

Floats = NDArray[np.float64]
TOLERANCE_SHARE = 0.05  # of the image's side, around the lesion: Zhang et al. 2018 allow 15 pixels of about 300
PICTURE_PX = 160
OPPOSITE = "the same area on the opposite side"
USUAL_IMAGES = 64  # of the training, that say what is usual


def heatmaps(fitted: Trained, images: NDArray[Any], classes: Sequence[int], usual: NDArray[Any]) -> Floats:
    """Return (images, height, width): what each place adds to the logit of the given class, beyond the usual.

    Args:
        fitted: the model.
        images: as the cohort holds them.
        classes: the class to explain, one an image.
        usual: images whose mean is taken off, such as some of the training.
    """
    size = images.shape[1]
    total = np.zeros((len(images), size, size))
    if not len(images):
        return total
    for member in fitted.members:
        maps, usual_maps = predict_maps(member.backbone, images), predict_maps(member.backbone, usual)
        slopes = _slopes(member, maps[VECTOR], classes)
        for name, kind, part in _parts(member):
            values = _places(maps[name], kind) - _places(usual_maps[name], kind).mean(axis=0)
            added = np.einsum("nhwc,nc->nhw", values, slopes[:, part])
            total += np.stack([cv2.resize(each, (size, size), interpolation=cv2.INTER_LINEAR) for each in added])
    return total / len(fitted.members)


def pointing_game(maps: Floats, lesions: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return for each image whether the strongest place lies in the lesion, or within 5 % of the side of it."""
    return np.array(
        [
            _near(lesion)[np.unravel_index(each.argmax(), each.shape)]
            for each, lesion in zip(maps, lesions, strict=True)
        ],
        dtype=bool,
    )


def pointing_score(
    cohort: Cohort, rows: NDArray[np.int64], fitted: Trained, usual: NDArray[Any]
) -> tuple[dict[str, Any], list[Any]]:
    """Return the pointing game over the lesions of some rows, and the same by site and class.

    The floor points at the same place each time: where lesions lie most often, which needs no look at the image.

    Returns:
        The score with Wilson's interval and its floor, empty without lesions; rows for `metrics.slices`' table.
    """
    if cohort.lesions is None:
        return {}, []
    pairs = [
        (int(row), number)
        for row in rows
        for number in range(len(cohort.classes))
        if cohort.labels[row, number] == 1 and (cohort.lesions[row] == number + 1).any()
    ]
    if not pairs:
        return {}, []
    places, numbers = (np.array(column) for column in zip(*pairs, strict=True))
    lesions = np.stack([cohort.lesions[row] == number + 1 for row, number in pairs])
    hits = pointing_game(heatmaps(fitted, np.asarray(cohort.images[places]), numbers.tolist(), usual), lesions)
    near = np.stack([_near(lesion) for lesion in lesions])
    score = intervals.wilson(int(hits.sum()), len(hits)).state()
    score["floor"] = {"name": "pointing at the most frequent place", "value": float(near.mean(axis=0).max())}
    groups: dict[str, NDArray[Any]] = {"class": np.array(cohort.classes)[numbers]}
    if cohort.sites is not None:
        groups["site"] = cohort.sites[places]
    found = []
    for name, values in groups.items():
        for value in sorted({str(each) for each in values}):
            here = values.astype(str) == value
            row = {"of": f"{name}={value}", "lesions": int(here.sum())}
            found.append(row | {"hit": intervals.wilson(int(hits[here].sum()), int(here.sum())).state()})
    return score, found


def on_letters(
    cohort: Cohort,
    rows: NDArray[np.int64],
    fitted: Trained,
    usual: NDArray[Any],
    place: int,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Return the share of a class's heat, for it and against it, that lies on burned-in letters.

    The pointing game does not see them: a letter moves an answer without being its strongest place, mostly by speaking
    against "no finding". The floor is the share of the same area on the opposite side.

    Args:
        cohort: the images.
        rows: of them; those with letters count, of which there are some.
        fitted: the model.
        usual: see `heatmaps`.
        place: the class's.
        resamples: of the bootstrap over patients.
        seed: of it.
    """
    marks = {int(row): where for row in rows if (where := letters.places(cohort.images[row])).any()}
    marked = list(marks)
    heat = np.abs(heatmaps(fitted, np.asarray(cohort.images[marked]), [place] * len(marked), usual))
    near = np.stack([_near(where) for where in marks.values()])
    shares = {"on": share_within(heat, near), "off": share_within(heat, near[:, :, ::-1])}
    found = intervals.bootstrap_many(
        lambda weights: {name: float(np.average(each, weights=weights)) for name, each in shares.items()},
        cohort.patients[marked],
        resamples=resamples,
        seed=seed,
    )
    return found["on"].state() | {"floor": {"name": OPPOSITE, **found["off"].state()}}


def share_within(heat: Floats, areas: NDArray[np.bool_]) -> Floats:
    """Return for each image the share of its heat, none of it negative, that lies within its area."""
    shares: Floats = (heat * areas).sum(axis=(1, 2)) / np.maximum(heat.sum(axis=(1, 2)), 1e-12)
    return shares


def overlay(image: NDArray[np.uint8], heat: Floats, lesion: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """Return a small RGB picture: the image, what speaks for the class in orange, the lesion outlined in blue."""
    side = (PICTURE_PX, PICTURE_PX)
    grey = image if image.shape[-1] == 3 else np.repeat(image, 3, axis=-1)
    shown = cv2.resize(grey, side, interpolation=cv2.INTER_AREA).astype(np.float64)
    strength = np.clip(cv2.resize(heat, side), 0, None)
    strength = (strength / (strength.max() or 1.0))[..., None] ** 2 * 0.6
    shown = shown * (1 - strength) + np.array([255.0, 140.0, 0.0]) * strength
    picture = np.ascontiguousarray(shown.astype(np.uint8))
    if lesion is not None and lesion.any():
        mask = cv2.resize(lesion.astype(np.uint8), side, interpolation=cv2.INTER_NEAREST)
        outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outline, -1, (70, 130, 255), 1)
    return picture


def _slopes(member: Member, vectors: Floats, classes: Sequence[int]) -> Floats:
    """Return by how much the logit of each image's class rises with each part of its vector: (images, width)."""
    dense = np.asarray(member.head.get_layer("logits").kernel, dtype=np.float64)
    mean, scale, kernel = np.zeros(vectors.shape[1]), np.ones(vectors.shape[1]), None
    for layer in member.head.layers:
        if type(layer).__name__ == "Normalization":
            mean, scale = (np.asarray(each, dtype=np.float64).reshape(-1) for each in (layer.mean, layer.variance))
            scale = np.sqrt(scale)
        if isinstance(layer, kernels.Kernel):
            kernel = layer
    if kernel is None:
        found: Floats = dense[:, classes].T / scale
        return found
    return kernels.slopes(kernel, dense, (vectors - mean) / scale, list(classes)) / scale


def _parts(member: Member) -> list[tuple[str, str, slice]]:
    """Return map, `mean` or `spread`, and the places in the vector, of each of its parts."""
    outputs = member.backbone.output
    names = [name for name in MAPS if name in outputs]
    order = [(name, "mean") for name in names] + [(name, "spread") for name in names] + [(LAST, "mean")]
    found, start = [], 0
    for name, kind in order:
        channels = outputs[name].shape[-1]
        found.append((name, kind, slice(start, start + channels)))
        start += channels
    return found


def _places(values: Floats, kind: str) -> Floats:
    """Return what each place adds to the mean, or to the spread, of its map."""
    count = values.shape[1] * values.shape[2]
    if kind == "mean":
        shares: Floats = values / count
        return shares
    apart = (values - values.mean(axis=(1, 2), keepdims=True)) ** 2
    spread = np.sqrt(apart.mean(axis=(1, 2), keepdims=True) + 1e-6)
    found: Floats = apart / (count * spread)
    return found


def _near(lesion: NDArray[np.bool_]) -> NDArray[np.bool_]:
    reach = max(1, round(TOLERANCE_SHARE * lesion.shape[0]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    found: NDArray[np.bool_] = cv2.dilate(lesion.astype(np.uint8), kernel) > 0
    return found
