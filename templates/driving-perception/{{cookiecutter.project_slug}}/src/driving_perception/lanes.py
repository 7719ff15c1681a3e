"""Lanes: where each lane marking crosses the rows of the image.

The lanes are told apart by their place beside the vehicle: second and first on the left, first and second on the right.
For each of these the network says, row by row, in which column it lies, and whether it is there at all: a choice among
columns instead of a label for each pixel (Qin et al., Ultra Fast Structure-aware Deep Lane Detection, 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception import figures, metrics
from driving_perception.config import Config, Train
from driving_perception.data import Scenes
from driving_perception.tasks import Evaluation
from paceline import device, intervals
from paceline.errors import PacelineError

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import layers, ops  # noqa: E402 -- after its backend

STRIDE = 4
SLOTS = ("second left", "first left", "first right", "second right")
AWAY = -1.0  # a row that a lane does not cross
FEWEST_ROWS = 3  # of a lane
NEAR_PX = 20 / 1280  # of the image's width: TuSimple's threshold
ENOUGH = 0.85  # of a lane's rows that are right, for the lane to count as found
NOTES = {
    "tusimple_accuracy": (
        "Share of each lane's rows within 20 pixels (at a width of 1280, across the lane), by TuSimple's rules, mean "
        "over frames with lanes; the rows are those of a grid at 1/4 of the image."
    ),
    "false_lanes": "Share of the lanes in the answer that are none.",
    "missed_lanes": "Share of the lanes that the answer has not.",
}


@dataclass(frozen=True)
class Lanes:
    """The task for images of one size; an answer is `places` (rows, columns, slots) and `there` (rows, slots), logits.

    Attributes:
        image_size_px: height and width of what the network sees.
        classes: the places of a lane beside the vehicle.
    """

    image_size_px: tuple[int, int]
    classes: tuple[str, ...] = SLOTS
    monitor = "loss"
    larger_is_better = False

    def head(self, x: Any) -> dict[str, Any]:
        """Return both answers, in float32."""
        rows, columns = x.shape[1:3]
        x = layers.Conv2D(x.shape[-1], 3, padding="same", activation="relu", name="head_lanes_conv")(x)
        places = layers.Conv2D(len(SLOTS), 1, name="places", dtype="float32")(x)
        along = layers.AveragePooling2D((1, columns), name="row_mean")(x)
        there = layers.Conv2D(len(SLOTS), 1, name="head_there", dtype="float32")(along)
        # What a row shows at its best column says more than its mean does.
        best = layers.GlobalAveragePooling2D(name="image_mean")(x)
        of_image = layers.Dense(len(SLOTS), name="head_there_image", dtype="float32")(best)
        there = layers.Reshape((rows, len(SLOTS)), name="rows")(there)
        of_image = layers.Reshape((1, len(SLOTS)), name="image")(of_image)
        return {"places": places, "there": layers.Add(name="there", dtype="float32")([there, of_image])}

    def finish(self, answer: Any) -> Any:
        """Return the answer as it is."""
        return answer

    def targets(self, scenes: Scenes) -> dict[str, NDArray[Any]]:
        """Return for `places` the column (rows, slots) as a fraction of cells, and for `there` 0 or 1."""
        if scenes.lanes is None:
            raise PacelineError("The data have no lanes.", "Choose another data.source, or another model.task.")
        columns = np.stack([slots(lanes, self.image_size_px) for lanes in scenes.lanes])
        places = np.where(columns >= 0, columns / STRIDE - 0.5, AWAY).astype(np.float32)
        return {"places": places, "there": (columns >= 0).astype(np.float32)}

    def loss(self, config: Train, targets: Any) -> dict[str, Any]:
        """Return a loss for each of the two."""
        return {"places": PlaceLoss(), "there": ThereLoss()}

    def metrics(self) -> list[Any]:
        """Return none: the validation loss is watched."""
        return []

    def flip(self, target: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return both, mirrored: left lanes become right ones."""
        columns = self.image_size_px[1] // STRIDE
        places = target["places"][:, ::-1]
        mirrored = np.where(places != AWAY, columns - 1 - places, AWAY).astype(np.float32)
        return {"places": mirrored, "there": target["there"][:, ::-1].copy()}

    def evaluate(
        self, scenes: Scenes, rows: NDArray[np.int64], train: NDArray[np.int64], answers: Iterable[Any], config: Config
    ) -> Evaluation:
        """Return TuSimple's scores beside those of the mean lanes, by slice, and the worst frames."""
        found = [self.decide(answer) for answer in answers]
        known = self.targets(scenes)["places"]
        truth = [_pixels(known[row]) for row in rows]
        mean = mean_lanes(np.stack([_pixels(known[row]) for row in train]))
        width = self.image_size_px[1]
        counts = np.array([compare(answer, there, width) for answer, there in zip(found, truth, strict=True)])
        floor = np.array([compare(mean, there, width) for there in truth])
        report, seed, sequences = config.report, config.train.seed, scenes.sequences[rows]
        scores = _score(counts, sequences, resamples=report.resamples, seed=seed)
        for name, value in _score(floor, sequences, resamples=0, seed=seed).items():
            if name in scores:
                scores[name]["floor"] = {"name": "mean lanes", **value}
        slices = []
        attributes = {name: values[rows] for name, values in scenes.attributes.items()}
        for name, values in {**attributes, "sequence": sequences}.items():
            texts = values.astype(str)
            for value in sorted(set(texts) - {"", "undefined"}):
                part = _score(counts[texts == value], sequences[texts == value], resamples=0, seed=seed)
                row = {key: each["value"] for key, each in part.items()}
                if row:
                    slices.append({"slice": f"{name}: {value}", "frames": int((texts == value).sum()), **row})
        for band, (top, bottom) in metrics.BANDS.items():
            pairs = (
                (within(answer, top, bottom), within(there, top, bottom))
                for answer, there in zip(found, truth, strict=True)
            )
            of_band = np.array([compare(answer, there, width) for answer, there in pairs])
            part = _score(of_band, sequences, resamples=0, seed=seed)
            row = {key: each["value"] for key, each in part.items()}
            if row:
                slices.append({"slice": f"distance: {band}", "frames": len(rows), **row})
        quality = np.where(counts[:, 1] > 0, counts[:, 0], 2.0)
        shown = []
        for place in np.argsort(quality, kind="stable")[: report.worst_frames]:
            image = np.asarray(scenes.images[rows[place]])
            line = f"{scenes.names[rows[place]]}: accuracy {quality[place]:.2f}"
            shown.append((draw(image, truth[place], self.image_size_px), f"{line}, truth"))
            shown.append((draw(image, found[place], self.image_size_px), "answer"))
        return Evaluation(scores, slices, NOTES, figures.of_lanes(slices, shown))

    def decide(self, answer: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return columns in pixels (rows, slots), `AWAY` where a lane is not; parts under three rows are left out."""
        logits, there = answer["places"], answer["there"] > 0
        cells = np.arange(logits.shape[1], dtype=np.float32)[:, None]
        best = logits.argmax(axis=1)
        near = np.abs(cells[None] - best[:, None]) <= 2  # the mean around the peak is finer than a cell
        weights = np.where(near, np.exp(logits - logits.max(axis=1, keepdims=True)), 0)
        columns = (weights * cells).sum(axis=1) / weights.sum(axis=1)
        found = np.where(there, (columns + 0.5) * STRIDE, AWAY).astype(np.float32)
        found[:, (found >= 0).sum(axis=0) < FEWEST_ROWS] = AWAY
        return found

    def draw(self, image: NDArray[np.uint8], answer: Any) -> NDArray[np.uint8]:
        """Return `image` with the lanes on it."""
        return draw(image, self.decide(answer), self.image_size_px)

    def describe(self, answer: Any, size_px: tuple[int, int]) -> dict[str, Any]:
        """Return `lanes` of an image of (height, width): `place` beside the vehicle, `points` as x, y."""
        return {
            "lanes": [
                {"place": SLOTS[slot], "points": np.round(points, 1).tolist()}
                for slot, points in _points(self.decide(answer), self.image_size_px, size_px)
            ]
        }


class PlaceLoss(keras.losses.Loss):  # type: ignore[misc] # Keras publishes no types
    """Cross-entropy over the columns, the truth shared out between the two columns next to it; rows without are out."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return a loss for each image."""
        truth = ops.cast(y_true, "float32")[:, :, None]
        cells = ops.arange(y_pred.shape[2], dtype="float32")[None, None, :, None]
        wanted = ops.maximum(0.0, 1.0 - ops.abs(cells - ops.clip(truth, 0.0, y_pred.shape[2] - 1.0)))
        there = ops.cast(truth[:, :, 0] != AWAY, "float32")
        entropy = -ops.sum(wanted * ops.log_softmax(ops.cast(y_pred, "float32"), axis=2), axis=2)
        return ops.sum(there * entropy, axis=(1, 2)) / ops.maximum(ops.sum(there, axis=(1, 2)), 1.0)


class ThereLoss(keras.losses.Loss):  # type: ignore[misc] # Keras publishes no types
    """Binary cross-entropy of whether a lane crosses a row, mean over rows and lanes."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return a loss for each image."""
        logits = ops.cast(y_pred, "float32")
        entropy = ops.softplus(logits) - ops.cast(y_true, "float32") * logits
        return ops.mean(entropy, axis=(1, 2))


def row_centres(height: int) -> NDArray[np.float32]:
    """Return the y of the grid's rows in pixels."""
    return ((np.arange(-(-height // STRIDE)) + 0.5) * STRIDE).astype(np.float32)


def slots(lanes: Sequence[NDArray[np.float32]], image_size_px: tuple[int, int]) -> NDArray[np.float32]:
    """Return the column in pixels (rows, slots) at which each lane beside the vehicle crosses each row, else `AWAY`.

    A lane is left or right of the vehicle by where it, or its prolongation, meets the lower edge of the image.
    """
    height, width = image_size_px
    y = row_centres(height)
    found = np.full((len(y), len(SLOTS)), AWAY, np.float32)
    left: list[tuple[float, NDArray[np.float32]]] = []
    right: list[tuple[float, NDArray[np.float32]]] = []
    for lane in lanes:
        points = lane[np.argsort(lane[:, 1], kind="stable")]
        if len(points) < 2 or points[-1, 1] - points[0, 1] < FEWEST_ROWS * STRIDE:
            continue
        columns = np.interp(y, points[:, 1], points[:, 0], left=np.nan, right=np.nan)
        columns = np.where((columns >= 0) & (columns < width), columns, np.nan)
        if (~np.isnan(columns)).sum() < FEWEST_ROWS:
            continue
        lower = points[points[:, 1] >= points[-1, 1] - max(height / 8, STRIDE)]
        foot = float(lower[-1, 0]) - width / 2
        if np.ptp(lower[:, 1]) > 0:
            foot = float(np.polyval(np.polyfit(lower[:, 1], lower[:, 0], 1), height)) - width / 2
        (left if foot < 0 else right).append((abs(foot), np.nan_to_num(columns, nan=AWAY).astype(np.float32)))
    for side, places in ((left, (1, 0)), (right, (2, 3))):
        for place, (_, nearest) in zip(places, sorted(side, key=lambda pair: pair[0]), strict=False):
            found[:, place] = nearest
    return found


def compare(
    found: NDArray[np.float32], truth: NDArray[np.float32], width: int
) -> tuple[float, float, float, float, float]:
    """Return TuSimple's figures of a frame: accuracy, lanes, missed lanes, lanes of the answer, false ones.

    Both are columns in pixels (rows, slots). As in TuSimple's own program, only the rows that any lane of the truth
    crosses are looked at, a row that neither has is right, and the threshold is across the lane.
    """
    there: list[NDArray[np.float32]] = [column for column in truth.T if (column >= 0).any()]
    answers: list[NDArray[np.float32]] = [column for column in found.T if (column >= 0).any()]
    rows = (truth >= 0).any(axis=1)
    y = row_centres(len(truth) * STRIDE).astype(np.float64)
    accuracies = []
    matched = set()
    for lane in there:
        seen = lane >= 0
        slope = float(np.polyfit(y[seen], lane[seen].astype(np.float64), 1)[0]) if seen.sum() > 1 else 0.0
        threshold = NEAR_PX * width * float(np.hypot(1.0, slope))
        shares = [
            float((np.abs(np.where(answer >= 0, answer, -100) - np.where(seen, lane, -100))[rows] < threshold).mean())
            for answer in answers
        ]
        best = int(np.argmax(shares)) if shares else -1
        accuracies.append(shares[best] if shares else 0.0)
        if shares and shares[best] >= ENOUGH:
            matched.add(best)
    missed = sum(accuracy < ENOUGH for accuracy in accuracies)
    accuracy = float(np.mean(accuracies)) if accuracies else 0.0
    return accuracy, float(len(there)), float(missed), float(len(answers)), float(len(answers) - len(matched))


def within(columns: NDArray[np.float32], top: float, bottom: float) -> NDArray[np.float32]:
    """Return columns in pixels (rows, slots), `AWAY` outside of this share of the height, 0 to 1 from the top."""
    y = (np.arange(len(columns)) + 0.5) / len(columns)
    return np.where(((y >= top) & (y < bottom))[:, None], columns, AWAY).astype(np.float32)


def mean_lanes(known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median column of each slot and row where it is there more often than not: the floor."""
    seen = (known >= 0).mean(axis=0) > 0.5
    middle = np.full(known.shape[1:], AWAY, np.float32)
    for row, slot in np.argwhere(seen):
        column = known[:, row, slot]
        middle[row, slot] = np.median(column[column >= 0])
    return middle


def draw(image: NDArray[np.uint8], columns: NDArray[np.float32], from_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Return `image` with lanes (rows, slots), columns of an image of (height, width) `from_px`, each in its colour."""
    drawn, palette = np.ascontiguousarray(image).copy(), figures.colours(SLOTS)
    for slot, points in _points(columns, from_px, image.shape[:2]):
        colour = [int(value) for value in palette[slot]]
        cv2.polylines(drawn, [points.round().astype(np.int32)], False, colour, max(2, image.shape[1] // 160))
    return drawn


def _points(
    columns: NDArray[np.float32], from_px: tuple[int, int], to_px: tuple[int, int]
) -> list[tuple[int, NDArray[np.float32]]]:
    y = row_centres(from_px[0])
    scale = np.array([to_px[1] / from_px[1], to_px[0] / from_px[0]], np.float32)
    found = []
    for slot in range(columns.shape[1]):
        seen = columns[:, slot] >= 0
        if seen.any():
            found.append((slot, np.stack([columns[seen, slot], y[seen]], axis=-1) * scale))
    return found


def _pixels(places: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(places != AWAY, (places + 0.5) * STRIDE, AWAY).astype(np.float32)


def _score(counts: NDArray[np.float64], sequences: NDArray[Any], *, resamples: int, seed: int) -> dict[str, Any]:
    """Return the scores of frames from what `compare` says of each."""
    accuracy, lanes, missed, answers, wrong = counts.T

    def values(weights: NDArray[np.float64]) -> dict[str, float]:
        with_lanes = weights * (lanes > 0)
        return {
            "tusimple_accuracy": _ratio(with_lanes @ accuracy, with_lanes.sum()),
            "false_lanes": _ratio(weights @ wrong, weights @ answers),
            "missed_lanes": _ratio(weights @ missed, weights @ lanes),
        }

    found = intervals.bootstrap_many(values, sequences.astype(str), resamples=resamples, seed=seed)
    return {name: interval.state() for name, interval in found.items() if not np.isnan(interval.value)}


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
