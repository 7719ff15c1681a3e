"""Scores against scikit-learn, unknown labels left out, patients drawn whole."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from medical_imaging import metrics
from medical_imaging.metrics import Judged


def judged(rows: int = 200) -> Judged:
    """Return two classes, some labels unknown, three images a patient."""
    rng = np.random.default_rng(0)
    truth = (rng.random((rows, 2)) < 0.4).astype(np.float32)
    chances = np.clip(rng.normal(0.4, 0.2, (rows, 2)) + 0.2 * truth, 0.01, 0.99)
    truth[:10, 0] = np.nan
    return Judged(truth, chances, np.arange(rows) // 3, np.array([0.5, 0.4]), ("a", "b"), False)


def test_scores_are_means_of_scikit_learn_over_the_classes() -> None:
    """Each class on the rows where its label is known."""
    given = judged()
    found = metrics.score(given, resamples=50, seed=0)
    parts = [(given.truth[10:, 0], given.chances[10:, 0]), (given.truth[:, 1], given.chances[:, 1])]
    assert found["auroc"]["value"] == pytest.approx(np.mean([roc_auc_score(y, p) for y, p in parts]))
    assert found["auprc"]["value"] == pytest.approx(np.mean([average_precision_score(y, p) for y, p in parts]))
    hits = [(p[y == 1] >= t).mean() for (y, p), t in zip(parts, (0.5, 0.4), strict=True)]
    assert found["sensitivity"]["value"] == pytest.approx(np.mean(hits))
    for score in found.values():
        assert score is found["ece"] or score["low"] < score["value"] < score["high"]


def test_rows_by_class_have_both_intervals() -> None:
    """The bootstrap over patients, and DeLong's, around one value."""
    row = metrics.by_class(judged(), resamples=50, seed=0)[0]
    assert ("a", 190) == (row["class"], row["images"])
    assert row["auroc"]["value"] == pytest.approx(row["auroc_delong"]["value"])
    assert row["auroc_delong"]["low"] < row["auroc"]["value"] < row["auroc_delong"]["high"]


def test_slices_count_what_is_there() -> None:
    """Images without the group are in none; counts of positives add up."""
    given = judged()
    sex = np.array(["F", "M", ""], dtype=object)[np.arange(200) % 3]
    rows = metrics.slices(given, {"sex": sex}, resamples=10, seed=0)
    assert ["sex=F", "sex=M"] == [row["slice"] for row in rows]
    assert sum(row["images"] for row in rows) == int((sex != "").sum())
    assert rows[0]["positives"] == int((given.truth[sex == "F"] == 1).sum())


def test_a_class_without_positives_has_no_score() -> None:
    """NaN there, and the mean is of the others."""
    given = judged()
    given.truth[:, 1] = 0
    found = metrics.score(given, resamples=5, seed=0)
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(given.truth[10:, 0], given.chances[10:, 0]))
    assert np.isnan(metrics.by_class(given, resamples=5, seed=0)[1]["auroc"]["value"])
