"""Boosting from disk learns what boosting in memory learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost

from paceline import external_memory, fit_xgboost, shards
from paceline.device import Device
from paceline.errors import PacelineError
from paceline.progress import Progress
from paceline.record import Run
from paceline.shards import Labelled

CPU = Device("cpu", "cpu", "a processor", "the CPU was asked for", "float32", 1)
PARAMETERS = {
    **fit_xgboost.engine_parameters(CPU),
    "objective": "binary:logistic",
    "eval_metric": "aucpr",
    "max_bin": 64,
    "base_score": 0.5,
}


@pytest.fixture
def rows(tmp_path: Path) -> Labelled:
    """Three thousand rows in six files; a tenth are positive, and two columns tell which."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5)).astype(np.float32)
    y = (X[:, 0] - X[:, 1] + rng.normal(0, 0.5, 3000) > 2).astype(np.int8)
    files = []
    for number, part in enumerate(np.split(X, 6)):
        files.append(tmp_path / f"{number}.parquet")
        pl.DataFrame(part, schema=[f"f{place}" for place in range(5)]).write_parquet(files[-1])
    return Labelled(shards.scan(files), np.arange(3000), y)


def fit(train: xgboost.DMatrix, judged: xgboost.DMatrix, run: Run, **changed: Any) -> xgboost.Booster:
    """Boost thirty rounds and return the booster."""
    with Progress({"fit": 30}, unit="round") as progress:
        fitted = fit_xgboost.fit(
            PARAMETERS | changed, train, judged, rounds=30, early_stopping_rounds=0, seed=0, checkpoint_seconds=60,
            stage="fit", run=run, progress=progress,
        )  # fmt: skip
    return fitted.booster


def test_one_batch_from_disk_trains_the_model_of_memory(
    rows: Labelled, tmp_path: Path, open_run: Callable[..., Run]
) -> None:
    """The same bins, so the same trees, rows sampled or not; validation rows in memory share the bins."""
    X, judged_rows = rows.read(), rows[2000:]
    inside = xgboost.QuantileDMatrix(X[:2000], rows.y[:2000], max_bin=64)
    outside = external_memory.matrix(rows[:2000], max_bin=64, cache=tmp_path / "cache")
    boosters = [
        fit(
            train,
            xgboost.QuantileDMatrix(judged_rows.read(), judged_rows.y, ref=train, max_bin=64),
            open_run(tmp_path / name),
        )
        for name, train in (("inside", inside), ("outside", outside))
    ]
    np.testing.assert_array_equal(boosters[0].inplace_predict(X), boosters[1].inplace_predict(X))
    assert bytes(boosters[0].save_raw("ubj")) == bytes(boosters[1].save_raw("ubj"))


def test_several_batches_train_a_model_as_good(rows: Labelled, tmp_path: Path, open_run: Callable[..., Run]) -> None:
    """Bins from merged sketches: other cuts, the same quality to within a hundredth."""
    X, judged = rows.read(), rows[2000:]
    positives = np.flatnonzero(judged.y)
    scores = []
    for batch_rows in (3000, 500):
        train = external_memory.matrix(rows[:2000], max_bin=64, cache=tmp_path / str(batch_rows), batch_rows=batch_rows)
        watched = external_memory.matrix(
            judged, max_bin=64, cache=tmp_path / f"{batch_rows}-judged", ref=train, batch_rows=batch_rows
        )
        booster = fit(train, watched, open_run(tmp_path / f"run-{batch_rows}"), subsample=0.8)
        scores.append(fit_xgboost.average_precision(booster.inplace_predict(X[2000:]), positives))
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    assert scores[0] > 0.7


def test_a_shard_that_breaks_while_it_is_read_says_so(rows: Labelled, tmp_path: Path) -> None:
    """The error of the reading thread reaches the caller."""
    rows.shards.files[2].write_bytes(b"no Parquet")
    with pytest.raises(PacelineError, match=r"'2.parquet' cannot be read"):
        external_memory.matrix(rows, max_bin=64, cache=tmp_path / "cache")


def test_what_cannot_be_cached_is_refused(rows: Labelled, tmp_path: Path) -> None:
    """A cause and a remedy, before a row is read."""
    (tmp_path / "file").touch()
    with pytest.raises(PacelineError, match="No cache can be kept in"):
        external_memory.matrix(rows, max_bin=64, cache=tmp_path / "file" / "cache")
    with pytest.raises(PacelineError, match="no row to learn from"):
        external_memory.matrix(rows[:0], max_bin=64, cache=tmp_path / "cache")
