"""A run from top to bottom: complete, accounted for, and repeatable from its own configuration."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from fraud_detection import data, model, train
from fraud_detection.config import Config, Model
from paceline import atomic, config, device, hosts
from paceline.clock import Clock
from paceline.errors import PacelineError
from paceline.record import Run

KEYS = {
    *("schema_version", "status", "started_at", "wall_seconds", "command", "seed", "config", "device", "hardware"),
    *("software", "dataset", "model", "phases", "predictions", "history", "scores", "warnings"),
}


@pytest.fixture(scope="session")
def record(run_folder: Path) -> dict[str, Any]:
    """The run's record, as any program reads it."""
    found: dict[str, Any] = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    return found


def test_the_run_folder_is_complete(run_folder: Path, small: Config) -> None:
    """Configuration, record, metrics, model, checkpoints, report and card, and the configuration is the run's."""
    files = {"config.toml", "run.json", "metrics.jsonl", "model.ubj", "report.html", "MODEL_CARD.md", "checkpoints"}
    assert files | {"DATA_CARD.md"} == {path.name for path in run_folder.iterdir()}
    assert small == config.load(Config, run_folder / "config.toml")
    assert {"select", "refit"} == {path.name for path in (run_folder / "checkpoints").iterdir()}


def test_the_record_is_complete(record: dict[str, Any], run_folder: Path, small: Config) -> None:
    """Every key that programs rely on, and what they say fits together."""
    assert set() == KEYS - set(record)
    assert ("done", 1, "fraud-detection train") == (record["status"], record["schema_version"], record["command"])
    assert small.model_dump(mode="json") == record["config"]
    assert ("cpu", "cpu", "float32") == tuple(record["device"][key] for key in ("requested", "kind", "precision"))
    assert "model.ubj" == record["model"]["file"]
    assert atomic.sha256((run_folder / "model.ubj").read_bytes()) == record["model"]["sha256"]
    folds = record["dataset"]["folds"]
    assert {"validation", "test"} == set(folds)
    assert all(folds[name]["test_frauds"] > 0 for name in folds)


def test_phases_sum_to_the_wall_time(record: dict[str, Any]) -> None:
    """Everything that took time has a name, in which every part of the work shows."""
    assert record["wall_seconds"] == pytest.approx(sum(record["phases"].values()), rel=1e-9)
    assert {"data", "build", "train", "validation", "checkpoint", "score", "finalise"} <= set(record["phases"])
    assert {"data/read", "data/features", "score/floor"} <= set(record["spans"])
    assert record["phases"]["other"] < 0.1 * record["wall_seconds"]


def test_scores_are_finite_and_beside_the_floor(record: dict[str, Any]) -> None:
    """Each score is a number within its interval's level, and so is that of logistic regression."""
    assert {"average_precision", "auc_roc", "card_precision_at_3"} <= set(record["scores"])
    for name, score in record["scores"].items():
        for found in (score, score["floor"]):
            assert math.isfinite(found["value"]), name
            assert found["low"] <= found["high"]
    assert record["scores"]["auc_roc"]["value"] > 0.6


def test_the_history_is_that_of_the_selection(record: dict[str, Any], run_folder: Path) -> None:
    """A row a round with its score; the refit takes as many rounds as were best, and its lines follow in the file."""
    history = record["history"]
    assert ("select", "round", "max") == (history["stage"], history["step_unit"], history["mode"])
    steps = [row["step"] for row in history["rows"]]
    assert list(range(1, len(steps) + 1)) == steps
    scores = [row["validation_average_precision"] for row in history["rows"]]
    assert max(scores) == scores[history["best_step"] - 1]
    assert history["best_step"] == record["model"]["steps"] == record["model"]["trees"]
    lines = [json.loads(line)["step"] for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    assert [*steps, *range(1, history["best_step"] + 1)] == lines


def test_the_report_and_the_card_are_of_this_run(record: dict[str, Any], run_folder: Path) -> None:
    """Both name the run; the report needs nothing from elsewhere."""
    page = (run_folder / "report.html").read_text(encoding="utf-8")
    card = (run_folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "The run took " in card
    assert record["run"] in page
    assert "<svg" in page
    assert "src=" not in page
    assert f"{record['scores']['average_precision']['value']:.3f}"[:4] in card


def test_the_configuration_of_a_run_makes_the_same_model(run_folder: Path, tmp_path: Path) -> None:
    """Its own config.toml, in another folder, gives the same bytes and the same scores."""
    again = train.train(config.load(Config, run_folder / "config.toml"), runs_folder=tmp_path)
    assert (run_folder / "model.ubj").read_bytes() == (Path(again["run"]) / "model.ubj").read_bytes()
    assert json.loads((run_folder / "run.json").read_text())["scores"] == atomic.plain(again["scores"])


def test_a_network_leaves_the_same_kind_of_run(small: Config, tmp_path: Path) -> None:
    """The same record and report, with epochs instead of rounds and its own phases."""
    chosen = small.model_copy(update={"model": Model(name="mlp", hidden_units=(8,))})
    answer = train.train(chosen, runs_folder=tmp_path)
    record = json.loads((Path(answer["run"]) / "run.json").read_text())
    assert ("done", "epoch", "model.keras") == (
        answer["status"],
        record["history"]["step_unit"],
        record["model"]["file"],
    )
    assert record["wall_seconds"] == pytest.approx(sum(record["phases"].values()), rel=1e-9)
    assert {"compile", "train", "input_wait", "validation"} <= set(record["phases"])
    assert math.isfinite(record["scores"]["average_precision"]["value"])


def test_a_history_that_is_too_short_is_refused(small: Config, tmp_path: Path) -> None:
    """A sentence with a remedy, and no folder of a run that trained nothing."""
    chosen = small.model_copy(update={"data": small.data.model_copy(update={"days": 30})})
    with pytest.raises(PacelineError, match=r"it takes \d+ days, and there are 30"):
        train.train(chosen, runs_folder=tmp_path)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("asked", ["gpu", "tpu"])
def test_a_device_that_is_not_here_is_refused_before_data_are_read(
    asked: str, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading may take minutes; the error needs none of it, and leaves no run."""
    monkeypatch.setattr(device, "gpus", lambda: ())
    monkeypatch.setattr(data, "load", lambda *given, **named: pytest.fail("data were read"))
    wanted = config.replace(small, {"train.device": asked}, source="test")
    with pytest.raises(PacelineError, match=r"^(A [GT]PU was asked for|XGBoost does not run on a TPU)"):
        train.train(wanted, runs_folder=tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_several_hosts_do_not_train_the_same_trees_side_by_side(
    small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would do all of it, and all but one would throw it away."""
    monkeypatch.setenv(hosts.COUNT, "2")
    monkeypatch.setenv(hosts.NUMBER, "0")
    monkeypatch.setenv(hosts.ADDRESSES, "127.0.0.1:9")
    with pytest.raises(PacelineError, match=r"is 2, and model.name is 'xgboost': each host .* train --scheduler"):
        train.train(small, runs_folder=tmp_path)


def test_boosting_from_disk_stays_on_the_cpu(small: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its batches come from the host's memory, whatever GPU there is."""
    monkeypatch.setattr(device, "gpus", lambda: ({"name": "a GPU"},))
    on_disk = config.replace(small, {"train.external_memory": True, "train.device": "auto"}, source="test")
    run = Run(Path(), on_disk, Clock())
    chosen = model.choose_device(on_disk, rows=10**7, run=run)
    assert ("cpu", "boosting from disk runs on the CPU") == (chosen.kind, chosen.reason)
    with pytest.raises(PacelineError, match=r"^A GPU was asked for, but boosting from disk runs on the CPU"):
        model.refuse_early(config.replace(on_disk, {"train.device": "gpu"}, source="test"))
