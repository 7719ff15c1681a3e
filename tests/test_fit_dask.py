"""Boosting on a Dask cluster: as good as on one machine, and clear about what is wrong with a cluster."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("distributed")

from distributed import LocalCluster

from paceline import fit_dask, fit_xgboost, shards
from paceline.device import Device
from paceline.errors import PacelineError
from paceline.progress import Progress
from paceline.record import Run
from paceline.shards import Labelled

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own, of ports in use and of large graphs
CPU = Device("cpu", "cpu", "a processor", "the CPU was asked for", "float32", 1)
PARAMETERS = {
    **fit_xgboost.engine_parameters(CPU),
    "objective": "binary:logistic",
    "eval_metric": "aucpr",
    "max_bin": 64,
    "base_score": 0.5,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two workers in threads of this process, and a scheduler with an address."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.fixture
def rows(tmp_path: Path) -> Labelled:
    """Three thousand rows in three files of unequal length; two columns tell which are positive."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5)).astype(np.float32)
    y = (X[:, 0] - X[:, 1] + rng.normal(0, 0.5, 3000) > 2).astype(np.int8)
    files = []
    for number, part in enumerate(np.split(X, [100, 2500])):
        files.append(tmp_path / f"{number}.parquet")
        pl.DataFrame(part, schema=[f"f{place}" for place in range(5)]).write_parquet(files[-1])
    return Labelled(shards.scan(files), np.arange(3000), y)


def fit(rows: Labelled, judged: Labelled | None, address: str, run: Run, **changed: Any) -> fit_xgboost.Fitted:
    """Boost twenty rounds on the cluster."""
    how = {"rounds": 20, "early_stopping_rounds": 0} | changed
    with Progress({"fit": 20}, unit="round") as progress:
        return fit_dask.fit(
            PARAMETERS, rows, None if judged is None else (judged.read(), judged.y), scheduler=address, seed=0,
            stage="fit", run=run, progress=progress, **how,
        )  # fmt: skip


def test_a_cluster_trains_a_model_as_good_as_one_machine(
    rows: Labelled, cluster: LocalCluster, tmp_path: Path, open_run: Callable[..., Run]
) -> None:
    """Average precision to within two hundredths, and the history of every round; unequal shards are no matter."""
    import xgboost

    train, judged = rows[:2000], rows[2000:]
    run = open_run(tmp_path / "cluster")
    fitted = fit(train, judged, cluster.scheduler_address, run)
    X = judged.read()
    matrix = xgboost.QuantileDMatrix(train.read(), train.y, max_bin=64)
    alone = xgboost.train(PARAMETERS, matrix, 20)
    positives = np.flatnonzero(judged.y)
    expected, found = (
        fit_xgboost.average_precision(booster.inplace_predict(X), positives) for booster in (alone, fitted.booster)
    )
    assert expected == pytest.approx(found, abs=0.02)
    assert (20, "all 20 rounds", 20) == (fitted.rounds, fitted.stop_reason, len(run.history["rows"]))
    assert fitted.rounds == fitted.booster.num_boosted_rounds()
    assert "validation_average_precision" == run.history["monitor"]


def test_patience_ends_it_at_the_best_round(
    rows: Labelled, cluster: LocalCluster, tmp_path: Path, open_run: Callable[..., Run]
) -> None:
    """Labels of chance: the trees up to the best round are kept."""
    shuffled = np.random.default_rng(1).permutation(rows.y)
    judged = Labelled(rows.shards, rows.rows, shuffled)[2000:]
    run = open_run(tmp_path / "run")
    fitted = fit(rows[:2000], judged, cluster.scheduler_address, run, early_stopping_rounds=2)
    assert run.history["best_step"] == fitted.rounds == fitted.booster.num_boosted_rounds()
    assert fitted.rounds < 20
    assert "no better validation score for 2 rounds" == fitted.stop_reason


def test_files_that_a_worker_does_not_see_are_an_error(
    rows: Labelled, cluster: LocalCluster, tmp_path: Path, open_run: Callable[..., Run]
) -> None:
    """Said before training, with what to do."""
    shutil.move(rows.shards.files[0], tmp_path / "elsewhere")
    with pytest.raises(PacelineError, match=r"does not see 1 of 3 files of rows. Put the runs on a disk"):
        fit(rows, None, cluster.scheduler_address, open_run(tmp_path / "run"))
