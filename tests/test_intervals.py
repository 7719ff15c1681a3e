"""Intervals: they equal brute force where there is one, and cover the truth as often as they say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from paceline.intervals import auc, bootstrap, bootstrap_many, compare_auc, wilson


def binormal(rng: np.random.Generator, positives: int, negatives: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose true area under the ROC curve is 0.802 (means 1.2 apart, deviations 1)."""
    labels = np.repeat([1, 0], [positives, negatives])
    return labels, rng.normal(1.2 * labels, 1.0)


def components(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's structural components by their definition, pair by pair."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    won = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return won.mean(axis=1), won.mean(axis=0)


def assert_covers(hits: int, trials: int, low: float, high: float) -> None:
    """Assert a share of hits between two bounds, each widened by four binomial standard deviations."""
    slack = 4 * math.sqrt(0.95 * 0.05 / trials)
    assert low - slack <= hits / trials <= high + slack


def test_auc_variance_equals_the_pairwise_definition_with_ties() -> None:
    """Midranks give the same area and covariance as counting every pair, ties included."""
    rng = np.random.default_rng(1)
    labels = (rng.random(120) < 0.3).astype(int)
    first = np.round(rng.normal(labels, 1.0), 1)
    second = np.round(rng.normal(0.7 * labels, 1.0), 1)
    (a10, a01), (b10, b01) = components(labels, first), components(labels, second)
    m, n = (labels == 1).sum(), (labels == 0).sum()
    covariance = np.cov(a10, b10) / m + np.cov(a01, b01) / n
    logit = math.log(a10.mean() / (1 - a10.mean()))
    reach = 1.959963984540054 * math.sqrt(covariance[0, 0]) / (a10.mean() * (1 - a10.mean()))
    area, comparison = auc(labels, first), compare_auc(labels, first, second)
    assert pytest.approx(a10.mean(), abs=1e-12) == area.value
    assert pytest.approx(1 / (1 + math.exp(-(logit - reach))), abs=1e-12) == area.low
    assert pytest.approx(1 / (1 + math.exp(-(logit + reach))), abs=1e-12) == area.high
    deviation = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert pytest.approx(a10.mean() - b10.mean(), abs=1e-12) == comparison.difference.value
    z = abs(comparison.difference.value) / deviation
    assert pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-9) == comparison.p_value


def test_auc_agrees_with_scikit_learn() -> None:
    """The area is the one of `roc_auc_score`."""
    from sklearn.metrics import roc_auc_score

    labels, scores = binormal(np.random.default_rng(2), 40, 400)
    assert pytest.approx(roc_auc_score(labels, scores), abs=1e-12) == auc(labels, scores).value


def test_auc_interval_covers_the_true_area() -> None:
    """95 % intervals of small samples hold the true area in about 95 % of 600 of them."""
    rng = np.random.default_rng(3)
    truth = 0.5 * math.erfc(-1.2 / math.sqrt(2) / math.sqrt(2))
    intervals = [auc(*binormal(rng, 25, 60)) for _ in range(600)]
    assert_covers(sum(each.low <= truth <= each.high for each in intervals), 600, 0.93, 0.97)


def test_compare_auc_rejects_equal_models_as_often_as_it_says() -> None:
    """Two equally good, correlated models differ at p < 0.05 in about 5 % of 600 samples."""
    rng = np.random.default_rng(4)
    rejected = 0
    for _ in range(600):
        labels, scores = binormal(rng, 40, 80)
        noise = rng.normal(0, 0.7, (2, len(labels)))
        rejected += compare_auc(labels, scores + noise[0], scores + noise[1]).p_value < 0.05
    assert_covers(600 - rejected, 600, 0.94, 0.965)


def test_perfect_order_keeps_an_open_end() -> None:
    """A perfect order of 3 positives and 50 negatives is not certain: the bound is that of 3 pairs ordered rightly."""
    interval = auc([1] * 3 + [0] * 50, np.r_[np.full(3, 2.0), np.linspace(0, 1, 50)])
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert pytest.approx(0.025 ** (1 / 3)) == interval.low
    mirrored = auc([0] * 3 + [1] * 50, np.r_[np.full(3, 2.0), np.linspace(0, 1, 50)])
    assert (0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 3))) == (mirrored.value, mirrored.low, mirrored.high)


def test_auc_without_a_class_is_nan() -> None:
    """No positive: no area. One positive: an area, no ends."""
    assert math.isnan(auc([0, 0], [1, 2]).value)
    one = auc([0, 0, 1], [1.0, 3.0, 2.0])
    assert one.value == 0.5
    assert math.isnan(one.low)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [([0, 2], [0.1, 0.2], "0 or 1"), ([0, 1], [0.1, math.nan], "NaN"), ([0, 1, 1], [0.1, 0.2], "shape")],
)
def test_auc_refuses_what_is_no_problem_of_two_classes(labels: list[int], scores: list[float], message: str) -> None:
    """Other labels, NaN scores and unequal lengths are errors of the caller."""
    with pytest.raises(ValueError, match=message):
        auc(labels, scores)


def test_identical_models_do_not_differ() -> None:
    """A model compared with itself has difference 0 and p 1."""
    labels, scores = binormal(np.random.default_rng(5), 10, 10)
    comparison = compare_auc(labels, scores, scores)
    assert (comparison.difference.value, comparison.p_value) == (0.0, 1.0)


def test_bootstrap_covers_the_mean_of_groups() -> None:
    """Rows alike within a group: drawing groups covers about 95 % of the time, drawing rows far less."""
    rng = np.random.default_rng(6)
    by_group = by_row = 0
    trials, groups, size = 250, 40, 6
    units = np.repeat(np.arange(groups), size)
    for trial in range(trials):
        values = np.repeat(rng.normal(0, 1, groups), size) + rng.normal(0, 0.3, groups * size)

        def mean(weights: np.ndarray, values: np.ndarray = values) -> float:
            return float(np.average(values, weights=weights))

        grouped = bootstrap(mean, units, resamples=300, seed=trial)
        single = bootstrap(mean, np.arange(len(units)), resamples=300, seed=trial)
        by_group += grouped.low <= 0 <= grouped.high
        by_row += single.low <= 0 <= single.high
    assert_covers(by_group, trials, 0.92, 0.96)
    assert by_row / trials < 0.75


def test_bca_covers_a_skewed_statistic_better_than_percentile() -> None:
    """For the variance of exponential data BCa leaves fewer truths out than percentiles do, on the same draws."""
    rng = np.random.default_rng(7)
    hits = {"percentile": 0, "bca": 0}
    trials = 150
    for trial in range(trials):
        values = rng.exponential(1.0, 50)

        def variance(weights: np.ndarray, values: np.ndarray = values) -> float:
            mean = np.average(values, weights=weights)
            return float(np.average((values - mean) ** 2, weights=weights))

        for method in ("percentile", "bca"):
            interval = bootstrap(variance, np.arange(50), resamples=500, seed=trial, method=method)
            hits[method] += interval.low <= 1.0 <= interval.high
    assert hits["bca"] > hits["percentile"]


def test_bca_of_symmetric_data_is_close_to_percentile() -> None:
    """Without skew and bias the two methods agree to a tenth of the width."""
    values = np.linspace(-1, 1, 81)

    def mean(weights: np.ndarray) -> float:
        return float(np.average(values, weights=weights))

    plain = bootstrap(mean, np.arange(81), resamples=2000, seed=0)
    corrected = bootstrap(mean, np.arange(81), resamples=2000, seed=0, method="bca")
    width = plain.high - plain.low
    assert pytest.approx(plain.low, abs=width / 10) == corrected.low
    assert pytest.approx(plain.high, abs=width / 10) == corrected.high


def test_bootstrap_draws_whole_groups_with_replacement() -> None:
    """All rows of a group have the same whole weight, and the weights of a draw sum to the number of groups."""
    units = np.array(["a", "b", "a", "c", "b", "a"])
    seen: list[np.ndarray] = []

    def note(weights: np.ndarray) -> float:
        seen.append(weights)
        return 0.0

    bootstrap(note, units, resamples=50, seed=0)
    assert np.ones(6).tolist() == seen[0].tolist()
    for weights, name in itertools.product(seen[1:], "abc"):
        assert len(set(weights[units == name])) == 1
    assert {3.0} == {weights[0] + weights[1] + weights[3] for weights in seen[1:]}
    assert len({tuple(weights) for weights in seen[1:]}) > 5


def test_undefined_draws_are_counted_and_kept_apart() -> None:
    """A statistic that needs the one rare group is undefined in about a third of the draws; the rest make the ends."""
    rare = np.zeros(30)
    rare[0] = 1

    def share(weights: np.ndarray) -> float:
        return math.nan if weights[0] == 0 else float(weights[0])

    interval = bootstrap(share, np.arange(30), resamples=600, seed=0)
    assert interval.resamples + interval.undefined == 600
    assert 0.25 < interval.undefined / 600 < 0.48
    assert interval.low == 1.0


def test_bootstrap_many_uses_the_same_draws() -> None:
    """Statistics computed together get the intervals they would get alone."""
    values = np.random.default_rng(8).normal(size=40)

    def both(weights: np.ndarray) -> dict[str, float]:
        mean = float(np.average(values, weights=weights))
        return {"mean": mean, "twice": 2 * mean}

    many = bootstrap_many(both, np.arange(40), resamples=100, seed=3)
    alone = bootstrap(lambda w: float(np.average(values, weights=w)), np.arange(40), resamples=100, seed=3)
    assert alone == many["mean"]
    assert pytest.approx(2 * alone.low) == many["twice"].low


def test_no_resamples_give_no_ends() -> None:
    """With `resamples=0` the value stands alone."""
    interval = bootstrap(lambda weights: float(weights.sum()), np.arange(4), resamples=0, seed=0)
    assert interval.value == 4.0
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_bootstrap_refuses_no_rows_and_impossible_levels() -> None:
    """An empty table and a level in per cent are errors of the caller."""
    with pytest.raises(ValueError, match="at least one row"):
        bootstrap(lambda weights: 0.0, [], resamples=1, seed=0)
    with pytest.raises(ValueError, match="level is 95"):
        bootstrap(lambda weights: 0.0, [1], resamples=1, seed=0, level=95)


def test_wilson_covers_as_it_says_over_all_outcomes() -> None:
    """Averaged over proportions, the exact binomial chance of covering is within 1 % of the level."""
    n = 30
    covered = []
    for share in np.linspace(0.03, 0.97, 95):
        inside = [each.low <= share <= each.high for each in (wilson(k, n) for k in range(n + 1))]
        chances = [math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
        covered.append(sum(chance for chance, hit in zip(chances, inside, strict=True) if hit))
    assert pytest.approx(0.95, abs=0.01) == float(np.mean(covered))


def test_wilson_holds_at_the_ends() -> None:
    """All or none of the trials: one end is exact, the other open; no trials: no numbers."""
    assert (wilson(0, 10).value, wilson(0, 10).low) == (0.0, 0.0)
    assert (wilson(10, 10).value, wilson(10, 10).high) == (1.0, 1.0)
    assert 0.6 < wilson(10, 10).low < 0.8
    assert math.isnan(wilson(0, 0).value)


def test_state_is_what_a_score_of_the_record_holds() -> None:
    """`state` has the value and its ends under the record's names."""
    assert {"value", "low", "high", "level"} <= wilson(3, 10).state().keys()
