"""When will early stopping end a training, and when, if ever, will it reach a score?

An ensemble of learning curves (power laws and exponentials, Domhan et al. 2015, with and without a decline, and the
nearest earlier trainings of the project) is continued many times with noise like that of the scores so far, and each
continuation is judged by the rule that will end the training. Where the answers differ too much, the forecast abstains:
then its ends are all that are possible, and it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POWERS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
TIME_CONSTANTS = 30  # of the exponentials, evenly on a logarithmic scale
DECLINE_DOUBT = 3.0  # a bend may look like a decline: of curves that fit alike, the one without is taken
LEAST_SCORES = 6  # fewer say nothing about a curve
KNOWN_RATIO = 3.0  # the 90th percentile of the end over the 10th, beyond which the forecast abstains
MOST_NEAREST_SHARE = 0.8  # of the draws
MOST_POINTS = 300  # a longer curve is thinned before curves are fitted


@dataclass(frozen=True)
class Forecast:
    """Equally likely ends of a training.

    Attributes:
        ends: the step at which each continuation ends.
        kept: the step that each keeps: its best where patience watches over it, else its last.
        reached: the step at which each reaches the target, infinite where it never does, no number where that cannot be
            known; empty without a target.
        abstains: why nothing useful is known, in a few words; empty where something is.
    """

    ends: Floats
    kept: Floats
    reached: Floats
    abstains: str

    @property
    def reach_probability(self) -> float | None:
        """The share of the continuations that reach the target; None without one, and where it cannot be known."""
        if not len(self.reached) or np.isnan(self.reached).any():
            return None
        return float(np.isfinite(self.reached).mean())


def foresee(
    scores: Sequence[float],
    *,
    most: int,
    patience: int,
    larger_is_better: bool,
    min_delta: float = 0.0,
    target: float | None = None,
    earlier: Sequence[Sequence[float]] = (),
    draws: int = 400,
    seed: int = 0,
) -> Forecast:
    """Return when a training with these scores will end.

    Args:
        scores: the watched score of each step so far.
        most: the steps after which it ends in any case.
        patience: steps without a better score that end it; 0: it goes through all.
        larger_is_better: of the score.
        min_delta: by how much a score has to be better to count.
        target: a score to be reached.
        earlier: the scores of earlier trainings of the project, whole.
        draws: how many continuations.
        seed: of the noise.
    """
    sign = 1.0 if larger_is_better else -1.0
    known = sign * np.asarray(scores, dtype=np.float64)
    goal = None if target is None else sign * target
    rng = np.random.default_rng(seed)
    left = max(0, most - len(known))
    if len(known) < LEAST_SCORES or not np.all(np.isfinite(known)):
        return _anything(known, most, patience, min_delta, draws, goal, f"{len(known)} scores are too few")
    paths = _continuations(known, left, [sign * np.asarray(each, dtype=np.float64) for each in earlier], draws, rng)
    ends, kept, reached = judge(known, paths, patience=patience, min_delta=min_delta, target=goal)
    if patience:
        low, high = np.quantile(ends, [0.1, 0.9])
        if high > KNOWN_RATIO * low:
            reason = f"the end may come anywhere between {low:.0f} and {high:.0f}"
            wide = _anything(known, most, patience, min_delta, draws, goal, reason)
            return Forecast(wide.ends, wide.kept, reached, reason)
    return Forecast(ends, kept, reached, "")


def judge(
    known: Floats, paths: Floats, *, patience: int, min_delta: float = 0.0, target: float | None = None
) -> tuple[Floats, Floats, Floats]:
    """Apply the stopping rule to continuations of `known`; larger is better here.

    The rule is `course.Course.judge`: a step is the best where its score exceeds the best before it by more than
    `min_delta`; the training ends when `patience` steps have passed since.

    Args:
        known: scores so far, one for each step.
        paths: the scores that follow, a row for each continuation.
        patience: see `foresee`.
        min_delta: see `foresee`.
        target: a score to be reached.

    Returns:
        The step of the end, the step kept, and the step that reaches `target` (infinite: none; empty without target).
    """
    best, best_step = -np.inf, 0
    for step, score in enumerate(known, start=1):
        if score > best + (min_delta if best_step else 0.0):
            best, best_step = float(score), step
    count = len(paths)
    last = len(known) + paths.shape[1]
    bests, best_steps = np.full(count, best), np.full(count, float(best_step))
    ends = np.full(count, float(last))
    running = np.ones(count, dtype=bool)
    reached = np.full(count if target is not None else 0, np.inf)
    if target is not None and np.any(known >= target):
        reached[:] = 1 + int(np.argmax(known >= target))
    for place in range(paths.shape[1]):
        step, scores = len(known) + place + 1, paths[:, place]
        better = running & (scores > bests + min_delta)
        bests, best_steps = np.where(better, scores, bests), np.where(better, step, best_steps)
        if target is not None:
            reached = np.where(running & (scores >= target) & np.isinf(reached), step, reached)
        if patience:
            ended = running & ~better & (step - best_steps >= patience)
            ends[ended] = step
            running &= ~ended
            if not running.any():
                break
    return ends, best_steps if patience else ends.copy(), reached


def _anything(
    known: Floats, most: int, patience: int, min_delta: float, draws: int, target: float | None, reason: str
) -> Forecast:
    """Return ends spread over all that are possible, evenly on a logarithmic scale; a target may be behind already."""
    reached = np.full(draws if target is not None else 0, np.nan)
    if target is not None and np.any(known >= target):
        reached[:] = 1 + int(np.argmax(known >= target))
    if not patience:
        ends = np.full(draws, float(most))
        return Forecast(ends, ends.copy(), reached, "")
    flat = np.full((1, patience), -np.inf)
    earliest = min(most, judge(known, flat, patience=patience, min_delta=min_delta)[0][0])
    ends = np.geomspace(max(1.0, earliest), max(1.0, most), draws).round()
    kept = np.where(ends < most, ends - patience, ends).clip(1)
    return Forecast(ends, kept, reached, reason)


def _continuations(known: Floats, left: int, earlier: list[Floats], draws: int, rng: np.random.Generator) -> Floats:
    """Return `draws` continuations of `left` steps each."""
    curves, offsets, noise, memory = _fitted(known, left, draws, rng)
    near = [each for each in earlier if len(each) > len(known)]
    if near:
        distances = np.array([_distance(known, each, noise) for each in near])
        weights = np.exp(-0.5 * distances**2)
        share = min(MOST_NEAREST_SHARE, weights.sum() / (weights.sum() + 1))
        taken = rng.random(draws) < share
        for row in np.flatnonzero(taken):
            followed = near[rng.choice(len(near), p=weights / weights.sum())]
            curves[row], offsets[row] = _follow(known, followed, left, rng), 0.0
    # The residual of the latest step fades as the noise forgets it.
    fading = memory ** np.arange(1, left + 1)
    return curves + offsets[:, None] * fading + _correlated(draws, left, noise, memory, rng)


def _fitted(known: Floats, left: int, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats, float, float]:
    """Return draws of curves' continuations, the latest residual of each, the noise's spread and its memory."""
    n = len(known)
    first = n // 10  # the very beginning follows no law
    places = np.unique(np.linspace(first, n - 1, min(MOST_POINTS, n - first)).round().astype(int))
    at, ahead = places + 1.0, np.arange(n + 1, n + left + 1, dtype=np.float64)
    scores = known[places]
    shapes: list[Callable[[Floats], Floats]] = [_power(power) for power in POWERS]
    constants = np.geomspace(1.5, max(3.0, 2.0 * n), TIME_CONSTANTS)
    shapes += [_exponential(constant) for constant in constants]
    fits = []
    for shape in shapes:
        for declining in (False, True):
            design = [np.ones(len(at)), shape(at)] + ([-(at - first) / n] if declining else [])
            X = np.stack(design, axis=1)
            found, *_ = np.linalg.lstsq(X, scores, rcond=None)
            if np.any(found[1:] < 0):
                continue  # a curve that falls towards its limit, or a decline upwards
            fits.append((shape, declining, X, found, scores - X @ found))
    if not fits:  # it gets worse from the beginning: go on flat
        spread = float(np.std(np.diff(known))) / np.sqrt(2)
        return np.full((draws, left), float(np.median(known[-5:]))), np.zeros(draws), max(spread, 1e-12), 0.0
    errors = np.array([float(np.mean(residual**2)) for *_, residual in fits])
    best = fits[int(np.argmin(errors))][4]
    memory = _memory(best)
    informative = max(2.0, len(at) * (1 - memory) / (1 + memory))  # correlated scores count less
    parameters = np.array([X.shape[1] for _, _, X, _, _ in fits])
    doubted = np.array([DECLINE_DOUBT if declining else 0.0 for _, declining, *_ in fits])
    worth = -0.5 * informative * np.log(errors + 1e-18) - 0.5 * parameters * np.log(informative) - doubted
    weights = np.exp(worth - worth.max())
    noise = float(np.sqrt(np.sum(best**2) / max(1, len(at) - 3)))
    curves, offsets = np.empty((draws, left)), np.empty(draws)
    chosen = rng.choice(len(fits), size=draws, p=weights / weights.sum())
    for place in np.unique(chosen):
        shape, declining, X, found, residual = fits[place]
        rows = np.flatnonzero(chosen == place)
        scale = noise**2 * len(at) / informative
        covariance = scale * np.linalg.pinv(X.T @ X)
        drawn = rng.multivariate_normal(found, covariance, size=len(rows), method="svd")
        drawn[:, 1:] = np.maximum(drawn[:, 1:], 0.0)
        basis = [np.ones(left), shape(ahead)] + ([-(ahead - first) / n] if declining else [])
        here = np.array([1.0, float(shape(np.array([float(n)]))[0])] + ([-(n - first) / n] if declining else []))
        curves[rows] = drawn @ np.stack(basis)
        # A drawn curve passes where the fitted one does: what is uncertain is where it goes.
        curves[rows] += (X[-1] @ found - drawn @ here)[:, None]
        offsets[rows] = residual[-1]
    return curves, offsets, max(noise, 1e-12), memory


def _power(power: float) -> Callable[[Floats], Floats]:
    return lambda t: np.asarray(-(t**-power))


def _exponential(constant: float) -> Callable[[Floats], Floats]:
    return lambda t: np.asarray(-np.exp(-t / constant))


def _memory(residual: Floats) -> float:
    """Return the correlation of neighbouring residuals, between 0 and 0.95."""
    spread = float(residual @ residual)
    return float(np.clip(residual[1:] @ residual[:-1] / spread, 0.0, 0.95)) if spread > 0 else 0.0


def _distance(known: Floats, other: Floats, noise: float) -> float:
    """Return how unlike the beginnings are, in units of the noise or a tenth of the range, whichever is larger."""
    n = len(known)
    half = n // 2
    differences = (known - other[:n])[half:]
    shift = float(differences.mean())
    unit = max(noise, 0.1 * float(np.ptp(known)), 1e-12)
    return float(np.hypot(np.std(differences), 0.5 * shift)) / unit


def _follow(known: Floats, other: Floats, left: int, rng: np.random.Generator) -> Floats:
    """Return `left` steps of `other` from here on, shifted to where `known` is, flat after its end, a little warped."""
    n = len(known)
    shift = float((known - other[:n])[n // 2 :].mean())
    pace = float(np.exp(0.15 * rng.standard_normal()))  # the same course a little sooner or later
    at = np.clip(n + pace * np.arange(1, left + 1), 0, len(other) - 1)
    tail = float(np.mean(other[-min(len(other), 10) :]))
    smooth = np.convolve(np.pad(other, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    smooth = np.append(smooth[:-1], tail)
    return np.asarray(shift + np.interp(at, np.arange(len(smooth)), smooth))


def _correlated(draws: int, left: int, noise: float, memory: float, rng: np.random.Generator) -> Floats:
    """Return noise of this spread whose neighbours are correlated by `memory`, beginning at 0."""
    steps = np.asarray(rng.standard_normal((draws, left)) * noise * np.sqrt(1 - memory**2))
    if memory:
        for place in range(1, left):
            steps[:, place] += memory * steps[:, place - 1]
    return steps
