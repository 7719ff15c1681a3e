"""Calibration: known distortions are found and undone, order is kept where promised, files hold plain numbers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from paceline import calibrate
from paceline.calibrate import Isotonic, Sigmoid, Temperature
from paceline.errors import PacelineError


def rare(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of a rare event that are twice too sure and shifted: true ones are 0.5 times them less 0.7."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(-7, 3, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-(0.5 * scores - 0.7)))).astype(int)
    return labels, scores


def test_sigmoid_finds_the_distortion() -> None:
    """Slope and offset of made data come back: 0.5 to a tenth, -0.7 to 0.2."""
    fitted = calibrate.fit_sigmoid(*rare(60_000, 0))
    assert pytest.approx(0.5, abs=0.05) == fitted.slope
    assert pytest.approx(-0.7, abs=0.2) == fitted.offset


def test_sigmoid_is_the_maximum_of_platts_likelihood() -> None:
    """At the fit the gradient of the smoothed log likelihood is zero."""
    labels, scores = rare(2_000, 1)
    fitted = calibrate.fit_sigmoid(labels, scores)
    positives, negatives = labels.sum(), (1 - labels).sum()
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    residuals = fitted.apply(scores) - targets
    assert pytest.approx(0, abs=1e-6) == float(residuals.mean())
    assert pytest.approx(0, abs=1e-5) == float((residuals * scores).mean())


def test_sigmoid_stays_finite_for_separated_classes() -> None:
    """Wholly separated classes give a finite slope and probabilities of Platt's targets at most."""
    fitted = calibrate.fit_sigmoid([0, 0, 0, 1, 1, 1], [-4, -3, -2, 2, 3, 4])
    assert 0 < fitted.slope < 10
    assert fitted.apply([4]).item() < 1


def test_sigmoid_keeps_the_order_strictly() -> None:
    """Distinct scores stay distinct and in order."""
    scores = np.linspace(-15, 5, 500)
    assert (np.diff(calibrate.fit_sigmoid(*rare(5_000, 2)).apply(scores)) > 0).all()


def test_sigmoid_of_huge_scores_does_not_overflow() -> None:
    """Log-odds of a thousand are certain, without a warning."""
    assert Sigmoid(1.0, 0.0).apply([-1000, 1000]).tolist() == [0.0, 1.0]


def test_isotonic_never_falls_and_is_never_certain() -> None:
    """Probabilities rise weakly with the scores, and stay off 0 and 1 inside and outside the fitted range."""
    labels, scores = rare(5_000, 3)
    values = calibrate.fit_isotonic(labels, scores).apply(np.linspace(-40, 40, 1_000))
    assert (np.diff(values) >= 0).all()
    assert values.min() > 0
    assert values.max() < 1


def test_isotonic_equals_pooled_means() -> None:
    """Adjacent violators are pooled to their mean: scores 2 and 3 are out of order, so both get one half."""
    fitted = calibrate.fit_isotonic([0, 1, 0, 1], [1, 2, 3, 4])
    assert fitted.apply([2, 3]).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_brings_expected_close_to_observed(method: str) -> None:
    """On fresh rows the calibrated probabilities have a fraction of the error that the raw ones have."""
    labels, scores = rare(40_000, 4)
    fit = calibrate.fit_sigmoid if method == "sigmoid" else calibrate.fit_isotonic
    fitted = fit(labels[:20_000], scores[:20_000])
    raw = 1 / (1 + np.exp(-scores[20_000:]))
    before = calibrate.expected_calibration_error(labels[20_000:], raw)
    after = calibrate.expected_calibration_error(labels[20_000:], fitted.apply(scores[20_000:]))
    assert after < before / 3


def test_temperature_is_found_and_keeps_the_class() -> None:
    """Logits three times too large give a temperature of about 3, and the most likely class stays."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 1.5, (20_000, 4))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(4, p=row) for row in chances])
    fitted = calibrate.fit_temperature(labels, 3 * logits)
    probabilities = fitted.apply(3 * logits)
    assert pytest.approx(3.0, abs=0.12) == fitted.temperature
    assert pytest.approx(np.ones(len(labels))) == probabilities.sum(axis=1)
    assert (probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_temperature_of_separated_classes_is_the_end_of_the_range() -> None:
    """Without a finite best temperature the smallest allowed is taken, not a crash."""
    assert pytest.approx(1e-3) == calibrate.fit_temperature([0, 1], [[1.0, 0.0], [0.0, 1.0]]).temperature


@pytest.mark.parametrize(
    "calibrator", [Sigmoid(0.93, -0.12), Isotonic((-1.0, 0.5), (0.01, 0.9)), Temperature(1.7)], ids=lambda c: type(c)
)
def test_state_goes_through_json_and_back(calibrator: calibrate.Calibrator) -> None:
    """A calibrator read back from its JSON equals the one written."""
    assert calibrator == calibrate.from_state(json.loads(json.dumps(calibrator.state())))


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"method": "pickle"},
        {"method": "sigmoid", "slope": "x", "offset": 0},
        {"method": "sigmoid", "slope": math.nan, "offset": 0},
        {"method": "isotonic", "scores": [1, 0], "probabilities": [0.1, 0.2]},
        {"method": "isotonic", "scores": [0, 1], "probabilities": [0.1, 1.2]},
        {"method": "isotonic", "scores": [], "probabilities": []},
        {"method": "temperature", "temperature": 0},
    ],
)
def test_a_damaged_state_is_refused(state: dict[str, object]) -> None:
    """A state that describes no calibrator is an error that says so."""
    with pytest.raises(PacelineError, match="no calibration"):
        calibrate.from_state(state)


def test_one_class_is_refused_with_a_remedy() -> None:
    """A slice without a positive cannot be calibrated on."""
    with pytest.raises(PacelineError, match="all of one class"):
        calibrate.fit_sigmoid([0, 0, 0], [1.0, 2.0, 3.0])


def test_logit_undoes_the_sigmoid_and_stays_finite() -> None:
    """Log-odds of probabilities come back, and 0 and 1 give finite ones."""
    scores = np.linspace(-20, 20, 9)
    assert pytest.approx(scores, abs=1e-6) == calibrate.logit(Sigmoid(1.0, 0.0).apply(scores))
    assert np.isfinite(calibrate.logit([0.0, 1.0])).all()


def test_reliability_has_equal_masses_and_all_rows() -> None:
    """Ten bins of a thousand distinct probabilities hold a hundred rows each, with means and intervals around them."""
    rng = np.random.default_rng(6)
    probabilities = rng.permutation(np.linspace(0.001, 0.3, 1_000))
    labels = (rng.random(1_000) < probabilities).astype(int)
    bins = calibrate.reliability(labels, probabilities)
    assert [each.n for each in bins] == [100] * 10
    assert pytest.approx(labels.mean()) == float(np.mean([each.observed for each in bins]))
    assert pytest.approx(probabilities.mean()) == float(np.mean([each.mean_predicted for each in bins]))
    assert all(each.low <= each.observed <= each.high for each in bins)


def test_equal_probabilities_share_a_bin() -> None:
    """Ties are never divided, whatever their number."""
    bins = calibrate.reliability([0, 0, 1, 0, 1], [0.1, 0.1, 0.1, 0.1, 0.9], bins=4)
    assert [(each.n, each.observed) for each in bins] == [(4, 0.25), (1, 1.0)]


def test_equal_widths_divide_the_scale() -> None:
    """Equal widths put 0.05 and 0.95 into the first and the last of ten, and leave empty ones out."""
    bins = calibrate.reliability([0, 1, 1], [0.05, 0.95, 1.0], binning="equal_width")
    assert [each.n for each in bins] == [1, 2]


def test_calibration_error_by_hand() -> None:
    """Two bins: |0 - 0.2| on half of the rows and |0.5 - 0.8| on the other half make 0.25."""
    error = calibrate.expected_calibration_error([0, 0, 1, 0], [0.2, 0.2, 0.8, 0.8], bins=2)
    assert pytest.approx(0.25) == error


def test_scores_agree_with_their_definitions() -> None:
    """Brier is the mean squared distance, the log loss the mean negative log likelihood."""
    labels, probabilities = np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.6, 0.3])
    found = calibrate.scores(labels, probabilities)
    assert pytest.approx(float(((labels - probabilities) ** 2).mean())) == found["brier"]
    likelihood = np.where(labels == 1, probabilities, 1 - probabilities)
    assert pytest.approx(float(-np.log(likelihood).mean())) == found["log_loss"]


def test_what_is_no_probability_is_refused() -> None:
    """A probability above 1 is an error of the caller."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibrate.reliability([0, 1], [0.5, 1.5])


def test_bins_of_a_rare_event_show_both_ends() -> None:
    """On a log scale the few high probabilities have bins of their own, and every row is in one."""
    rng = np.random.default_rng(0)
    probabilities = 1 / (1 + np.exp(-rng.normal(-6, 2, 50_000)))
    labels = (rng.random(50_000) < probabilities).astype(int)
    bins = calibrate.reliability(labels, probabilities, bins=10, binning="log_width")
    assert 50_000 == sum(part.n for part in bins)
    assert sorted(part.mean_predicted for part in bins) == [part.mean_predicted for part in bins]
    assert bins[-1].mean_predicted > 0.3
    for part in bins:  # drawn from the probabilities, so observed and predicted agree but for chance
        assert part.observed == pytest.approx(part.mean_predicted, abs=4 * math.sqrt(part.mean_predicted / part.n))
