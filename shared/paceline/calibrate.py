"""From scores to probabilities: sigmoid, isotonic, temperature; and how far probabilities can be believed.

A calibrator is fitted on rows that neither training nor the test has seen, is a frozen dataclass of a few numbers, and
goes into a file as JSON. For rare events prefer `Sigmoid`: it keeps the order of the scores strictly and needs few
positives. `Isotonic` follows any rising shape, wants about a thousand positives, and makes ties: scores of one step
come out equal, so the AUC and the average precision can change and a threshold may lie on a step.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paceline.errors import PacelineError
from paceline.intervals import wilson

FloatArray = NDArray[np.float64]

_TEMPERATURES = (1e-3, 1e3)


@dataclass(frozen=True)
class Sigmoid:
    """`1 / (1 + exp(-(slope * score + offset)))`: strictly rising for a positive slope, so no order is lost.

    Attributes:
        slope: under 1 for scores that are too sure of themselves, negative for scores that rank the wrong way round.
        offset: shifts the base rate.
    """

    slope: float
    offset: float

    def apply(self, scores: ArrayLike) -> FloatArray:
        """Return probabilities for log-odds of any shape."""
        return _expit(self.slope * np.asarray(scores, dtype=np.float64) + self.offset)

    def state(self) -> dict[str, Any]:
        """Return the calibrator as JSON types."""
        return {"method": "sigmoid", **asdict(self)}


@dataclass(frozen=True)
class Isotonic:
    """A rising line through fitted points, level outside them; it rises weakly, so scores can become equal.

    Attributes:
        scores: places of the points, rising.
        probabilities: their values, never falling, never 0 nor 1.
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def apply(self, scores: ArrayLike) -> FloatArray:
        """Return probabilities for scores of any shape and scale, the scale it was fitted on."""
        values = np.interp(np.asarray(scores, dtype=np.float64), self.scores, self.probabilities)
        return np.asarray(values, dtype=np.float64)

    def state(self) -> dict[str, Any]:
        """Return the calibrator as JSON types."""
        return {"method": "isotonic", "scores": list(self.scores), "probabilities": list(self.probabilities)}


@dataclass(frozen=True)
class Temperature:
    """Softmax of logits divided by one number: the most likely class stays the same.

    Attributes:
        temperature: above 1 for logits that are too sure of themselves.
    """

    temperature: float

    def apply(self, scores: ArrayLike) -> FloatArray:
        """Return probabilities for logits of shape (..., classes)."""
        return _softmax(np.asarray(scores, dtype=np.float64) / self.temperature)

    def state(self) -> dict[str, Any]:
        """Return the calibrator as JSON types."""
        return {"method": "temperature", **asdict(self)}


Calibrator = Sigmoid | Isotonic | Temperature


def from_state(state: dict[str, Any]) -> Calibrator:
    """Return the calibrator that `state` describes, checked.

    Raises:
        PacelineError: the method is unknown or its numbers cannot be.

    >>> from_state({"method": "temperature", "temperature": 1.5})
    Temperature(temperature=1.5)
    """
    remedy = "Train again, or take the calibration from the run it belongs to."
    try:
        match state["method"]:
            case "sigmoid":
                numbers = [float(state["slope"]), float(state["offset"])]
                if all(map(math.isfinite, numbers)):
                    return Sigmoid(*numbers)
            case "isotonic":
                scores = tuple(float(score) for score in state["scores"])
                values = tuple(float(value) for value in state["probabilities"])
                rising = bool(np.all(np.diff(scores) > 0) and np.all(np.diff(values) >= 0))
                if scores and len(scores) == len(values) and rising and values[0] >= 0 and values[-1] <= 1:
                    return Isotonic(scores, values)
            case "temperature":
                temperature = float(state["temperature"])
                if 0 < temperature < math.inf:
                    return Temperature(temperature)
    except (KeyError, TypeError, ValueError):
        pass
    raise PacelineError(f"This is no calibration: {str(state)[:200]}.", remedy)


def logit(probabilities: ArrayLike) -> FloatArray:
    """Return log-odds, the scale that `fit_sigmoid` wants; 0 and 1 are moved to the nearest number between.

    >>> logit([0.5, 0.75]).round(4).tolist()
    [0.0, 1.0986]
    """
    inside = np.clip(np.asarray(probabilities, dtype=np.float64), np.finfo(np.float64).tiny, 1 - 2**-53)
    values: FloatArray = np.log(inside) - np.log1p(-inside)
    return values


def fit_sigmoid(labels: ArrayLike, scores: ArrayLike) -> Sigmoid:
    """Fit Platt's sigmoid on log-odds by maximum likelihood.

    The targets are Platt's (1999): (positives + 1) / (positives + 2) and 1 / (negatives + 2) instead of 1 and 0, which
    keeps the fit finite for classes that scores separate wholly.

    Args:
        labels: 0 or 1, shape (rows,).
        scores: log-odds or margins, shape (rows,); `logit` makes them of probabilities.

    Raises:
        PacelineError: a class is absent.
        ValueError: labels are not 0 and 1, scores are not finite, or their lengths differ.
    """
    from sklearn.linear_model import LogisticRegression

    truth, values = _checked(labels, scores)
    for_positive, for_negative = _targets(truth)
    targets = np.where(truth == 1, for_positive, for_negative)
    # A row with target t is a positive of weight t and a negative of weight 1 - t; scaled, the solver converges fast.
    centre, spread = float(values.mean()), float(values.std()) or 1.0
    scaled = (values - centre) / spread
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=200)
    model.fit(
        np.concatenate([scaled, scaled])[:, None],
        np.repeat([1, 0], len(truth)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    slope = float(model.coef_[0, 0]) / spread
    return Sigmoid(slope, float(model.intercept_[0]) - slope * centre)


def fit_isotonic(labels: ArrayLike, scores: ArrayLike) -> Isotonic:
    """Fit a rising step-like curve by least squares (pool adjacent violators), held off 0 and 1 by Platt's targets.

    Without that bound the lowest step of a rare event would be exactly 0, and one event there an infinite loss.

    Args:
        labels: 0 or 1, shape (rows,).
        scores: on any scale, shape (rows,).

    Raises:
        PacelineError: a class is absent.
        ValueError: as `fit_sigmoid`.
    """
    from sklearn.isotonic import IsotonicRegression

    truth, values = _checked(labels, scores)
    highest, lowest = _targets(truth)
    model = IsotonicRegression(y_min=lowest, y_max=highest, increasing=True, out_of_bounds="clip")
    model.fit(values, truth)
    return Isotonic(
        tuple(float(place) for place in model.X_thresholds_), tuple(float(value) for value in model.y_thresholds_)
    )


def fit_temperature(labels: ArrayLike, logits: ArrayLike) -> Temperature:
    """Fit the temperature that makes the labels most likely (Guo et al. 2017).

    The slope of the loss rises with 1 / temperature, so halving finds its zero; where classes are separated wholly it
    has none, and the answer is the end of the range, 0.001 to 1,000.

    Args:
        labels: the class of each row, whole numbers from 0, shape (rows,).
        logits: shape (rows, classes).

    Raises:
        ValueError: shapes do not fit, a label is no class, or logits are not finite.
    """
    truth, values = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or truth.shape != values.shape[:1] or not len(truth):
        raise ValueError(f"labels have shape {truth.shape}, logits {values.shape}")
    if not np.issubdtype(truth.dtype, np.integer) or truth.min() < 0 or truth.max() >= values.shape[1]:
        raise ValueError(f"labels are whole numbers from 0 to {values.shape[1] - 1}")
    if not np.isfinite(values).all():
        raise ValueError("logits are not finite")
    mean_truth = float(values[np.arange(len(truth)), truth].mean())
    low, high = -math.log(_TEMPERATURES[1]), -math.log(_TEMPERATURES[0])  # log of 1 / temperature
    for _ in range(60):
        middle = (low + high) / 2
        expected = float((_softmax(values * math.exp(middle)) * values).sum(axis=1).mean())
        low, high = (middle, high) if expected <= mean_truth else (low, middle)
    return Temperature(math.exp(-(low + high) / 2))


@dataclass(frozen=True)
class Bin:
    """Rows with probabilities alike.

    Attributes:
        n: how many.
        mean_predicted: their mean probability.
        observed: the share of positives among them.
        low: Wilson's 95 % interval of that share, lower end.
        high: upper end.
    """

    n: int
    mean_predicted: float
    observed: float
    low: float
    high: float


def reliability(
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int = 10,
    *,
    binning: Literal["equal_mass", "equal_width", "log_width"] = "equal_mass",
) -> list[Bin]:
    """Return what was observed where what was predicted.

    Args:
        labels: 0 or 1, shape (rows,); for several classes, whether the most likely class was right.
        probabilities: of 1, shape (rows,); for several classes, the largest one.
        bins: at most so many, in rising order; empty ones are left out. Equal probabilities share a bin.
        binning: as many rows in each, or as wide each, or as wide each on a log scale. Of a rare event, equal widths
            put nearly all rows into one bin and equal masses all that matters; the log scale shows both ends.

    Raises:
        ValueError: shapes differ, labels are not 0 and 1, or a probability is not one.
    """
    truth, values = _checked_probabilities(labels, probabilities)
    if binning == "equal_mass":
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    elif binning == "log_width":
        edges = np.geomspace(max(values.min(), 1e-6), max(values.max(), 1e-6), bins + 1)[1:-1]
    else:
        edges = np.linspace(0, 1, bins + 1)[1:-1]
    place = np.searchsorted(edges, values, side="left" if binning == "equal_mass" else "right")
    found = []
    for index in np.unique(place):
        inside = place == index
        n, positives = int(inside.sum()), float(truth[inside].sum())
        share = wilson(positives, n)
        found.append(Bin(n, float(values[inside].mean()), share.value, share.low, share.high))
    return found


def expected_calibration_error(
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int = 15,
    *,
    binning: Literal["equal_mass", "equal_width"] = "equal_mass",
) -> float:
    """Return the mean distance of observed from predicted over the bins of `reliability`, weighted by their rows.

    It falls with fewer bins and is above 0 by chance alone: compare only values made with the same rows and bins.

    >>> expected_calibration_error([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5])
    0.0
    """
    found = reliability(labels, probabilities, bins, binning=binning)
    rows = sum(each.n for each in found)
    return sum(each.n * abs(each.observed - each.mean_predicted) for each in found) / rows


def scores(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """Return `brier`, `log_loss`, and the expected calibration error in both binnings, `ece_equal_mass|width`.

    Raises:
        ValueError: as `reliability`.
    """
    from sklearn.metrics import brier_score_loss, log_loss

    truth, values = _checked_probabilities(labels, probabilities)
    return {
        "brier": float(brier_score_loss(truth, values)),
        "log_loss": float(log_loss(truth, values, labels=[0, 1])),
        "ece_equal_mass": expected_calibration_error(truth, values),
        "ece_equal_width": expected_calibration_error(truth, values, binning="equal_width"),
    }


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[FloatArray, FloatArray]:
    truth, values = np.asarray(labels).astype(np.float64), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != values.shape:
        raise ValueError(f"labels have shape {truth.shape}, scores {values.shape}")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("labels are 0 or 1")
    if not np.isfinite(values).all():
        raise ValueError("scores are not finite")
    if not 0 < truth.sum() < len(truth):
        raise PacelineError(
            f"The {len(truth)} rows to calibrate on are all of one class.", "Use more rows, or a longer time."
        )
    return truth, values


def _checked_probabilities(labels: ArrayLike, probabilities: ArrayLike) -> tuple[FloatArray, FloatArray]:
    truth, values = np.asarray(labels).astype(np.float64), np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != values.shape or not len(truth):
        raise ValueError(f"labels have shape {truth.shape}, probabilities {values.shape}")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("labels are 0 or 1")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a probability lies between 0 and 1")
    return truth, values


def _targets(truth: FloatArray) -> tuple[float, float]:
    """Platt's targets for positives and negatives."""
    positives = float(truth.sum())
    return (positives + 1) / (positives + 2), 1 / (len(truth) - positives + 2)


def _expit(values: FloatArray) -> FloatArray:
    small = np.exp(-np.abs(values))  # never overflows
    result: FloatArray = np.where(values >= 0, 1 / (1 + small), small / (1 + small))
    return result


def _softmax(values: FloatArray) -> FloatArray:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    result: FloatArray = powers / powers.sum(axis=-1, keepdims=True)
    return result
