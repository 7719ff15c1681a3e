"""Boosting on a cluster: XGBoost's own distributed training on Dask, on rows that lie in Parquet files.

Every worker reads its files itself, so they must lie where all of them can: a shared or network disk. What travels are
labels, the histograms of a level (summed over the workers) and the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from paceline import cluster, shards
from paceline.course import Course
from paceline.errors import PacelineError
from paceline.fit_xgboost import LARGER_IS_BETTER, MONITOR_NAMES, Fitted
from paceline.progress import Progress
from paceline.record import Run
from paceline.shards import Labelled


def fit(
    parameters: Mapping[str, Any],
    train: Labelled,
    validation: tuple[NDArray[np.float32], NDArray[np.int8]] | None,
    *,
    scheduler: str,
    rounds: int,
    early_stopping_rounds: int,
    seed: int,
    stage: str,
    run: Run,
    progress: Progress,
) -> Fitted:
    """Boost on the workers of a Dask cluster; see `fit_xgboost.fit`, which does it on one machine.

    As good a model, not the same bytes: bins and sums depend on how many workers there are. There are no checkpoints
    inside it: a run that is resumed begins this training anew.

    Args:
        parameters: of the booster; `eval_metric` is one name. `nthread` is each worker's own.
        train: the training rows.
        validation: the rows whose score is watched, with labels; they travel to one worker.
        scheduler: `tcp://host:port`.
        rounds: the most trees.
        early_stopping_rounds: rounds without a better score that end training; 0 goes through all.
        seed: of the sampling of rows and features.
        stage: the name of this training in the progress line and the record.
        run: gets the history and the time by phase.
        progress: the progress line.

    Raises:
        PacelineError: the cluster cannot be used, does not see the files, or XGBoost refused.
    """
    with run.phase("build"):
        client = cluster.connect(scheduler)
    progress.begin(stage)
    settings = {name: value for name, value in parameters.items() if name != "nthread"} | {"seed": seed}
    metric = str(settings["eval_metric"])
    try:
        with run.phase("build"):
            cluster.check_files(client, train.shards.files)
            rows = _matrix(client, train, settings)
            watched = [] if validation is None else [(_of_arrays(client, *validation, rows, settings), "validation")]
        with run.phase("train"):
            from xgboost import dask as on_dask

            found = on_dask.train(
                client,
                settings,
                rows,
                num_boost_round=rounds,
                evals=watched,
                early_stopping_rounds=early_stopping_rounds or None if watched else None,
                verbose_eval=False,
            )
    except xgboost.core.XGBoostError as error:
        raise PacelineError(f"XGBoost refused: {str(error).splitlines()[0]}.", "Check [model] and [train].") from None
    except cluster.losses() as error:
        raise cluster.lost(scheduler, error) from None
    finally:
        client.close()
    booster = found["booster"]
    course = _course(metric, early_stopping_rounds, rounds, found["history"])
    progress.step(course.step, course.note())
    if watched:
        run.history = course.history(stage)
    return Fitted(booster[: course.kept()], course.kept(), course.ended)


def _matrix(client: Any, train: Labelled, settings: Mapping[str, Any]) -> Any:
    """Return the rows as Dask arrays of one part for each worker's thread or more, so that none is without any."""
    import dask
    import dask.array as da
    from xgboost import dask as on_dask

    workers = len(client.scheduler_info(n_workers=-1)["workers"])
    width = len(train.shards.columns)
    batches = train.batches(min(shards.BATCH_ROWS, max(1, len(train) // (2 * workers))))
    if len(batches) < workers:  # fewer files than workers
        size = -(-len(train) // workers)
        batches = [train[first : first + size] for first in range(0, len(train), size)]
    resolved = [_resolved(batch) for batch in batches]
    X = da.concatenate(
        [da.from_delayed(dask.delayed(Labelled.read)(batch), (len(batch), width), np.float32) for batch in resolved]
    )
    y = da.concatenate([da.from_array(batch.y, chunks=-1) for batch in resolved])
    X, y = client.persist([X, y])
    return on_dask.DaskQuantileDMatrix(client, X, y, max_bin=settings.get("max_bin"))


def _resolved(batch: Labelled) -> Labelled:
    """Return the batch with the files it is in, whole paths, so that a task carries no more than that."""
    used = [(file, inside) for file, inside, _ in batch.shards._files_of(batch.rows)]
    counts = [int(inside[-1]) + 1 for _, inside in used]
    starts = np.cumsum([0, *counts[:-1]])
    rows = np.concatenate([inside + start for (_, inside), start in zip(used, starts, strict=True)])
    files = tuple(file.resolve() for file, _ in used)
    return Labelled(shards.Shards(files, tuple(np.cumsum(counts).tolist()), batch.shards.columns), rows, batch.y)


def _of_arrays(client: Any, X: NDArray[Any], y: NDArray[Any], ref: Any, settings: Mapping[str, Any]) -> Any:
    import dask.array as da
    from xgboost import dask as on_dask

    whole = (len(X), X.shape[1])
    arrays = client.persist([da.from_array(X, chunks=whole), da.from_array(y, chunks=len(y))])
    return on_dask.DaskQuantileDMatrix(client, *arrays, ref=ref, max_bin=settings.get("max_bin"))


def _course(metric: str, patience: int, rounds: int, history: Mapping[str, Any]) -> Course:
    """Return what `fit_xgboost.fit` would have written down of the same scores."""
    name = MONITOR_NAMES.get(metric, metric)
    course = Course("round", f"validation_{name}", metric in LARGER_IS_BETTER, patience)
    for score in history.get("validation", {}).get(metric, ()):
        course.step += 1
        course.judge(float(score))
        course.rows.append({"step": course.step, course.monitor: float(score)})
    if not course.ended:
        course.step = rounds
        course.ended = f"all {rounds} rounds"
    return course
