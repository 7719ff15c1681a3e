"""Beyond memory the numbers are those of memory: the same rows, the same features, the same defects listed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from fraud_detection import data, examples, features, shards, synthetic, train
from fraud_detection.config import Config, Data
from paceline import clock, record
from paceline.quarantine import Quarantine
from paceline.record import Run

DATA = Data(customers=120, terminals=200, days=40, windows_days=(1, 7, 30))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """An open run in a folder of its own."""
    with record.start(Config(), tmp_path / "runs", name="test", started=clock.now()) as run:
        yield run


@pytest.fixture
def config(tmp_path: Path) -> Data:
    """The simulated payments in four files, in no order of time, one of them with text ids, some rows twice or bad."""
    made = synthetic.generate(DATA)
    order = np.random.default_rng(1).permutation(made.height)
    parts = np.array_split(order, 4)
    parts[2] = np.append(parts[2], parts[0][:5])  # repeated in a later file
    parts[3] = np.append(parts[3], parts[3][:2])  # and in the same one
    folder = tmp_path / "payments"
    folder.mkdir()
    for number, part in enumerate(parts):
        rows = made[part].drop("scenario", "true_fraud", "merchant_id")
        if number == 1:
            rows = rows.with_columns(customer_id=pl.concat_str(pl.lit("c"), "customer_id"))
        if number == 3:
            rows = rows.with_columns(amount=pl.when(pl.int_range(pl.len()) == 7).then(-1.0).otherwise("amount"))
        rows.write_parquet(folder / f"{number}.parquet")
    names = {name: name for name in ("labelled_at", "device_id", "channel")}
    return DATA.model_copy(
        update={"source": "table", "path": str(folder), "columns": DATA.columns.model_copy(update=names)}
    )


def test_rows_and_features_are_those_of_memory(config: Data, run: Run, tmp_path: Path) -> None:
    """Whatever the files' order, types and repetitions, and however many parts the features are made in."""
    inside, outside = Quarantine(tmp_path / "inside.jsonl"), Quarantine(tmp_path / "outside.jsonl")
    expected = data.load(config, inside)
    table, days = shards.load(config, run, outside)
    assert expected.select(table.columns).equals(table)
    assert (40, pl.String, 8) == (len(days), table["customer_id"].dtype, outside.quarantined)
    assert inside.state() | {"list": ""} == outside.state() | {"list": ""}
    known = features.compute(expected, config).cast(pl.Float32)
    rows = np.arange(table.height)
    for part_rows in (table.height, 700):
        found = shards.compute(days, config, run, part_rows)
        assert known.columns == found.columns
        np.testing.assert_array_equal(known.to_numpy(), found.take(rows))


def test_without_parties_there_are_the_features_of_amount_and_time(run: Run, tmp_path: Path) -> None:
    """A table of cards alone has no features of terminals and devices."""
    made = synthetic.generate(DATA)
    made.select("transaction_id", "datetime", "customer_id", "amount", "fraud").write_parquet(
        tmp_path / "cards.parquet"
    )
    columns = DATA.columns.model_copy(update={"terminal_id": ""})
    config = DATA.model_copy(update={"source": "table", "path": str(tmp_path / "cards.parquet"), "columns": columns})
    _, days = shards.load(config, run, Quarantine())
    found = shards.compute(days, config, run)
    expected = features.compute(data.load(config, Quarantine()), config).cast(pl.Float32)
    assert expected.columns == found.columns
    np.testing.assert_array_equal(expected.to_numpy(), found.take(np.arange(len(found))))


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster: two workers in threads of this process."""
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    with (
        warnings.catch_warnings(action="ignore"),  # Dask's own
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=None
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_the_workers_of_a_cluster_make_the_same_features(
    config: Data, run: Run, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every number as here, in however many shares; nothing is made here, and the workers' files are gone."""
    _, days = shards.load(config, run, Quarantine())
    expected = shards.compute(days, config, run).take(np.arange(1000))
    made: list[shards.Share] = []
    monkeypatch.setattr(shards, "windows", lambda share, make=shards.windows: (made.append(share), make(share))[1])
    monkeypatch.setattr(shards, "map", None, raising=False)  # what would make them here
    for part_rows in (10**6, 500):
        found = shards.compute(days, config, run, part_rows, scheduler)
        np.testing.assert_array_equal(expected, found.take(np.arange(1000)))
    assert {"customer_id", "terminal_id", "device_id"} == {share.party for share in made}
    assert len(made) > 6
    assert [] == list((shards.folder(run) / "windows").iterdir())


def test_training_from_disk_scores_as_in_memory(
    small: Config, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same report to within what a sampled floor and merged bins change; no shard is left."""
    monkeypatch.setattr(examples, "SAMPLE_ROWS", 1000)
    config = small.model_copy(update={"train": small.train.model_copy(update={"external_memory": True})})
    answer = train.train(config, runs_folder=tmp_path, command="fraud-detection train")
    expected = json.loads((run_folder / "run.json").read_text())
    found = record.read(Path(answer["run"]))
    assert expected["dataset"]["folds"] == found["dataset"]["folds"]
    assert expected["model"]["features"] == found["model"]["features"]
    value = found["scores"]["average_precision"]["value"]
    assert expected["scores"]["average_precision"]["value"] == pytest.approx(value, abs=0.05)
    assert expected["model"]["trees"] > 1
    groups = [[row["slice"] for row in each["slices"]] for each in (expected, found)]
    assert groups[0] == groups[1]
    assert {"channel=online", "portfolio=A"} < set(groups[1])
    assert not (Path(answer["run"]) / "shards").exists()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"train": {"scheduler": "tcp://127.0.0.1:1"}}, "train.scheduler wants its rows on disk"),
        ({"train": {"external_memory": True}, "model": {"name": "mlp"}}, "wants model.name = 'xgboost', not 'mlp'"),
        ({"train": {"external_memory": True}, "data": {"source": "ulb"}}, "train.external_memory takes data.source"),
        ({"train": {"external_memory": True}, "data": {"labels_path": "x"}}, "label files"),
    ],
)
def test_what_cannot_be_trained_from_disk_is_refused(changed: dict[str, dict[str, object]], expected: str) -> None:
    """Before anything is read, with the setting to change."""
    with pytest.raises(ValidationError, match=expected):
        Config.model_validate(changed)


@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_a_cluster_trains_from_the_same_shards(small: Config, scheduler: str, tmp_path: Path) -> None:
    """The whole command's work with a scheduler's address: a run that is done, with the history of its rounds."""
    changed = {"external_memory": True, "scheduler": scheduler}
    config = small.model_copy(update={"train": small.train.model_copy(update=changed)})
    found = record.read(Path(train.train(config, runs_folder=tmp_path, command="")["run"]))
    assert ("done", "select") == (found["status"], found["history"]["stage"])
    assert found["history"]["best_step"] == found["model"]["trees"]
