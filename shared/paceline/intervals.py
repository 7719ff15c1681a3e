"""How sure a score is: bootstrap over whole groups, DeLong for the AUC, Wilson for a proportion.

All of them return an `Interval`. The bootstrap hands the statistic a weight for each row instead of a resampled table,
so that sorting, and everything else that does not depend on the draw, is done once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_JACKKNIFE_BLOCKS = 200


@dataclass(frozen=True)
class Interval:
    """A value between two ends.

    Attributes:
        value: the score itself.
        low: lower end, NaN where no interval can be given.
        high: upper end.
        level: how often intervals made this way cover the truth.
        resamples: bootstrap draws that the ends come from, 0 for a formula.
        undefined: further draws, in which the statistic was no number (no positive drawn, say); they do not count.
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    resamples: int = 0
    undefined: int = 0

    def state(self) -> dict[str, Any]:
        """Return the fields as the run record keeps a score."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """Two scores on the same rows.

    Attributes:
        difference: the first less the second.
        p_value: two-sided, for no difference.
    """

    difference: Interval
    p_value: float


def bootstrap(
    statistic: Callable[[FloatArray], float],
    units: ArrayLike,
    *,
    resamples: int,
    seed: int,
    level: float = 0.95,
    method: Literal["percentile", "bca"] = "percentile",
) -> Interval:
    """Return the bootstrap interval of one statistic; see `bootstrap_many`.

    >>> amounts = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    >>> mean = bootstrap(lambda w: np.average(amounts, weights=w), np.arange(6), resamples=200, seed=0)
    >>> mean.value, mean.low < 3.5 < mean.high, mean.undefined
    (3.5, True, 0)
    """
    return bootstrap_many(
        lambda weights: {"": statistic(weights)}, units, resamples=resamples, seed=seed, level=level, method=method
    )[""]


def bootstrap_many(
    statistics: Callable[[FloatArray], dict[str, float]],
    units: ArrayLike,
    *,
    resamples: int,
    seed: int,
    level: float = 0.95,
    method: Literal["percentile", "bca"] = "percentile",
) -> dict[str, Interval]:
    """Return bootstrap intervals of several statistics from the same draws, whole groups drawn with replacement.

    Rows of one customer, patient or sequence are alike; drawing rows one by one would call the score surer than it is.
    Each draw gives every group a multinomial count and every row its group's count as its weight.

    Args:
        statistics: returns its values by name for weights of shape (rows,), float64 and not negative; NaN where a
            value is undefined. With all weights 1 it gives the values themselves.
        units: the group of each row, shape (rows,): numbers or text. `np.arange(rows)` where each row stands alone.
        resamples: draws; 0 gives no ends (NaN). For `percentile` 300 is coarse and 2,000 enough; `bca` wants 1,000.
        seed: the same seed gives the same interval.
        level: between 0 and 1.
        method: `percentile`, or `bca`, bias-corrected and accelerated (Efron 1987), better for skewed statistics. Its
            acceleration comes from a jackknife over at most 200 blocks of groups, that many evaluations more.

    Raises:
        ValueError: there are no rows, or the level is not between 0 and 1.
    """
    groups, group_of_row = np.unique(np.asarray(units), return_inverse=True)
    if not len(groups):
        raise ValueError("a bootstrap needs at least one row")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, it lies between 0 and 1")
    group_of_row = group_of_row.reshape(-1)
    values = {name: float(value) for name, value in statistics(np.ones(len(group_of_row))).items()}
    rng = np.random.default_rng(seed)
    chances = np.full(len(groups), 1 / len(groups))
    draws = {name: np.full(resamples, np.nan) for name in values}
    for draw in range(resamples):
        counts = rng.multinomial(len(groups), chances).astype(np.float64)
        for name, value in statistics(counts[group_of_row]).items():
            draws[name][draw] = value
    influences = _influences(statistics, len(groups), group_of_row, rng) if method == "bca" and resamples else {}
    return {name: _ends(value, draws[name], level, influences.get(name)) for name, value in values.items()}


def wilson(successes: float, trials: float, level: float = 0.95) -> Interval:
    """Return a proportion with Wilson's score interval (1927), good also for few trials and near 0 and 1.

    Without trials the value and the ends are NaN.

    >>> interval = wilson(0, 20)
    >>> interval.low, round(interval.high, 3)
    (0.0, 0.161)
    """
    if trials <= 0:
        return Interval(math.nan, math.nan, math.nan, level)
    z = _quantile(level)
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At 0 and 1 the ends are exact; arithmetic would leave them a rounding error away.
    low = 0.0 if successes == 0 else max(0.0, middle - reach)
    high = 1.0 if successes == trials else min(1.0, middle + reach)
    return Interval(share, low, high, level)


def auc(labels: ArrayLike, scores: ArrayLike, level: float = 0.95) -> Interval:
    """Return the area under the ROC curve with DeLong's interval (1988), made on the logit so that it stays in (0, 1).

    Ties count half. A perfect (or wholly wrong) order has no variance by DeLong; its open end is then the exact
    binomial bound over min(positives, negatives) disjoint pairs, each of which is ordered rightly with a chance equal
    to the area. Rows are taken as independent: where they come in groups, use `bootstrap`.

    Args:
        labels: 0 or 1, shape (rows,).
        scores: larger for more likely positive, shape (rows,).
        level: between 0 and 1.

    Returns:
        NaN where a class is absent, and NaN ends where one has a single row.

    Raises:
        ValueError: labels are not 0 and 1, scores hold NaN, or their lengths differ.

    >>> area = auc([0, 0, 0, 1, 1, 1], [0.1, 0.4, 0.35, 0.8, 0.3, 0.9])
    >>> round(area.value, 3), area.low < area.value < area.high
    (0.778, True)
    """
    areas, covariance, smaller_class = _delong(labels, np.asarray(scores, dtype=np.float64)[None, :])
    value, variance = float(areas[0]), float(covariance[0, 0])
    if math.isnan(value) or math.isnan(variance):
        return Interval(value, math.nan, math.nan, level)
    if value in (0.0, 1.0):
        bound: float = ((1 - level) / 2) ** (1 / smaller_class)
        return Interval(value, bound, 1.0, level) if value else Interval(value, 0.0, 1 - bound, level)
    reach = _quantile(level) * math.sqrt(variance) / (value * (1 - value))
    logit = math.log(value / (1 - value))
    return Interval(value, _expit(logit - reach), _expit(logit + reach), level)


def compare_auc(labels: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Comparison:
    """Return how much larger the area of `first` is than that of `second` on the same rows (DeLong's paired test).

    Args:
        labels: 0 or 1, shape (rows,).
        first: scores of one model, shape (rows,).
        second: scores of the other.
        level: of the interval of the difference.

    Returns:
        A p value of 1 and an interval of no width where the two order all pairs alike; NaN where a class has fewer
        than two rows.

    Raises:
        ValueError: as `auc`.
    """
    areas, covariance, _ = _delong(labels, np.vstack([np.asarray(first, np.float64), np.asarray(second, np.float64)]))
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if math.isnan(variance):
        return Comparison(Interval(difference, math.nan, math.nan, level), math.nan)
    deviation = math.sqrt(max(variance, 0.0))
    reach = _quantile(level) * deviation
    interval = Interval(difference, difference - reach, difference + reach, level)
    if deviation < 1e-12:
        return Comparison(interval, 1.0 if abs(difference) < 1e-12 else 0.0)
    return Comparison(interval, 2 * NormalDist().cdf(-abs(difference) / deviation))


def _delong(labels: ArrayLike, scores: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Return the areas (k,), their covariance (k, k) and the rows of the smaller class, by midranks.

    Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE Signal Processing Letters 21 (2014) 1389.
    """
    truth = np.asarray(labels).astype(np.float64)
    if truth.ndim != 1 or scores.shape[1:] != truth.shape:
        raise ValueError(f"labels have shape {truth.shape}, scores {scores.shape[1:]}")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("labels are 0 or 1")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN")
    positive = truth == 1
    positives, negatives = int(positive.sum()), int((~positive).sum())
    k = len(scores)
    if not positives or not negatives:
        return np.full(k, np.nan), np.full((k, k), np.nan), 0
    of_positives, of_negatives = np.empty((k, positives)), np.empty((k, negatives))
    for row, score in enumerate(scores):
        ranks = _midranks(score)
        of_positives[row] = (ranks[positive] - _midranks(score[positive])) / negatives
        of_negatives[row] = 1 - (ranks[~positive] - _midranks(score[~positive])) / positives
    areas = of_positives.mean(axis=1)
    if min(positives, negatives) < 2:
        return areas, np.full((k, k), np.nan), 1
    covariance = np.atleast_2d(np.cov(of_positives)) / positives + np.atleast_2d(np.cov(of_negatives)) / negatives
    return areas, covariance, min(positives, negatives)


def _midranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: FloatArray = (last - (counts - 1) / 2)[inverse]
    return ranks


def _influences(
    statistics: Callable[[FloatArray], dict[str, float]],
    groups: int,
    group_of_row: NDArray[np.intp],
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """How each block of groups moves the values: leaving it out, against the mean of all that are left out."""
    blocks = min(groups, _JACKKNIFE_BLOCKS)
    block_of_group = rng.permutation(np.arange(groups) % blocks)
    without: dict[str, list[float]] = {}
    for block in range(blocks):
        weights = (block_of_group != block).astype(np.float64)[group_of_row]
        for name, value in statistics(weights).items():
            without.setdefault(name, []).append(value)
    found = {name: np.asarray(values, dtype=np.float64) for name, values in without.items()}
    return {name: np.nanmean(values) - values[~np.isnan(values)] for name, values in found.items()}


def _ends(value: float, draws: FloatArray, level: float, influences: FloatArray | None) -> Interval:
    known = draws[~np.isnan(draws)]
    undefined = len(draws) - len(known)
    if not len(known):
        return Interval(value, math.nan, math.nan, level, 0, undefined)
    tails = [(1 - level) / 2, (1 + level) / 2]
    if influences is not None and not math.isnan(value):
        below = (float((known < value).sum()) + float((known == value).sum()) / 2) / len(known)
        below = min(max(below, 0.5 / len(known)), 1 - 0.5 / len(known))
        bias = NormalDist().inv_cdf(below)
        spread = float((influences**2).sum())
        acceleration = float((influences**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
        z = [bias + NormalDist().inv_cdf(tail) for tail in tails]
        tails = [NormalDist().cdf(bias + at / (1 - acceleration * at)) for at in z]
    low, high = np.quantile(known, tails)
    return Interval(value, float(low), float(high), level, len(known), undefined)


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _expit(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
