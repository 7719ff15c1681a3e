"""The time of a run: predicted as it begins, and kept below a ceiling that decides about the epochs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medical_imaging import fitting, segmentation, train
from medical_imaging.config import Config, Transfer
from paceline import budget, fit_keras, held, rehearsal
from paceline.budget import Ceiling, TooLittleTimeError
from paceline.errors import PacelineError

import keras  # isort: skip  # the backend is settled by the imports before


@pytest.fixture(scope="module")
def fine_tuning(tmp_path_factory: pytest.TempPathFactory, small: Config) -> Config:
    """A head on a user's own backbone, then both on images."""
    images = keras.Input((32, 32, 3))
    maps = keras.layers.Conv2D(4, 3, strides=8, padding="same", activation="relu")(images)
    path = tmp_path_factory.mktemp("backbone") / "tiny.keras"
    fit_keras.save_model(keras.Model(images, maps), path)
    return small.model_copy(update={"model": small.model.model_copy(update={"backbone": str(path)})})


def _record(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(answer["run"]) / "run.json").read_text())
    return found


def test_a_run_predicts_its_time(run_folder: Path) -> None:
    """Once it has begun, with the phases that the report holds against the outcome."""
    record = json.loads((run_folder / "run.json").read_text())
    first = record["predictions"][0]
    assert 0 < first["p05_seconds"] <= first["p50_seconds"] <= first["p95_seconds"]
    assert first["made_after_seconds"] < record["wall_seconds"]


@pytest.mark.parametrize("task", ["multilabel", "segmentation"])
def test_estimating_leaves_no_run(task: str, small: Config, tmp_path: Path) -> None:
    """The answer is a prediction; no folder is made where runs are kept."""
    config = small.model_copy(update={"model": small.model.model_copy(update={"task": task})})
    start = train.train if task == "multilabel" else segmentation.train
    found = rehearsal.estimate(start, config, history=tmp_path)
    assert 0 < found["p05_seconds"] <= found["p50_seconds"] <= found["p95_seconds"]
    assert {"training", "finalise"} <= set(found["phases"])
    assert [] == list(tmp_path.iterdir())


def test_time_decides_about_the_epochs_of_fine_tuning(fine_tuning: Config, tmp_path: Path) -> None:
    """Its head takes what it takes; the ceiling, and the prediction, are of the training that takes the time."""
    config = fine_tuning.model_copy(
        update={
            "transfer": Transfer(epochs="auto"),
            "train": fine_tuning.train.model_copy(update={"early_stopping_epochs": 0}),
        }
    )
    record = _record(train.train(config, runs_folder=tmp_path, ceiling=Ceiling(15.0, "--time-budget 15s")))
    assert ("done", {"head", "fine_tune"}) == (record["status"], set(record["training"]))
    assert "auto" == record["budget"]["fine_tune"]["epochs_asked"]
    assert 1 <= record["budget"]["fine_tune"]["epochs_that_fit"] < budget.AUTO
    assert {"fine_tune"} == set(record["predictions"][0]["terms"]["stages"])


def test_a_head_takes_a_share_of_the_time_at_most(
    fine_tuning: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More epochs than fit end below the ceiling all the same, with time left for what it prepares."""
    monkeypatch.setattr(held, "SHARE", 0.05)
    changes = {"train": fine_tuning.train.model_copy(update={"epochs": 100_000, "early_stopping_epochs": 0})}
    config = fine_tuning.model_copy(update={"transfer": Transfer(epochs=2), **changes})
    found = _record(train.train(config, runs_folder=tmp_path, ceiling=Ceiling(20.0, "--time-budget 20s")))
    assert ("done", {"head", "fine_tune"}) == (found["status"], set(found["training"]))
    assert found["budget"]["changed"]
    assert found["wall_seconds"] < 20.0


def test_members_that_time_was_enough_for_are_the_model(
    small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three folds two are trained: both are saved and scored, and it is said."""
    fit, calls = fitting.fit, iter(range(2))

    def timed(*arguments: Any, **named: Any) -> Any:
        if next(calls, None) is None:
            raise TooLittleTimeError("There is no time.", "Give more.")
        return fit(*arguments, **named)

    monkeypatch.setattr(fitting, "fit", timed)
    config = small.model_copy(update={"train": small.train.model_copy(update={"folds": 3})})
    found = _record(train.train(config, runs_folder=tmp_path))
    assert ("done", 2) == (found["status"], found["model"]["members"])
    assert "The time was enough for 2 of 3 members; these are the model." in found["warnings"]


def test_outlines_are_fine_tuned_on_one_map(fine_tuning: Config, tmp_path: Path) -> None:
    """A backbone with a single map is enough for a decoder, and the prediction is of what follows the decoder."""
    config = fine_tuning.model_copy(
        update={
            "transfer": Transfer(epochs=1),
            "model": fine_tuning.model.model_copy(update={"task": "segmentation"}),
        }
    )
    record = _record(segmentation.train(config, runs_folder=tmp_path))
    assert ("done", {"decoder", "fine_tune"}) == (record["status"], set(record["training"]))
    assert {"fine_tune"} == set(record["predictions"][0]["terms"]["stages"])


@pytest.mark.parametrize("section", ["train", "transfer"])
def test_time_decides_only_where_there_is_a_ceiling(section: str, small: Config, tmp_path: Path) -> None:
    """`auto` without --time-budget is a mistake, said before anything is trained."""
    config = small.model_copy(
        update={section: getattr(small, section).model_copy(update={"epochs": "auto"})},
    )
    with pytest.raises(PacelineError, match=rf"{section}\.epochs is 'auto', and there is no time to fill"):
        train.train(config, runs_folder=tmp_path)


def test_what_takes_no_time_does_not_fill_it() -> None:
    """Of fine-tuning the head's epochs are a number."""
    with pytest.raises(ValueError, match=r"Set transfer\.epochs = 'auto'"):
        Config.model_validate({"model": {"name": "fine_tuned"}, "train": {"epochs": "auto"}})
