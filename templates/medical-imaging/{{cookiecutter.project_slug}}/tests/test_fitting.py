"""Progressive resizing: two trainings, one on images of half the side, that are one model, one run and one estimate."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medical_imaging import predict, train, trained
from medical_imaging.config import Config
from paceline import config as configuration
from paceline import rehearsal
from paceline.budget import Ceiling
from paceline.errors import PacelineError, Stopped
from paceline.keras_training import Training

RESIZED = {"train.progressive_resizing": 0.5, "train.epochs": 4, "train.early_stopping_epochs": 0}


@pytest.fixture(scope="module")
def resized(small: Config) -> Config:
    """Two epochs on small images, two on whole ones."""
    return configuration.replace(small, RESIZED, source="test")


@pytest.fixture(scope="module")
def resized_run(resized: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of `resized` that was left alone; tests do not write to it."""
    return Path(train.train(resized, runs_folder=tmp_path_factory.mktemp("runs"))["run"])


def _record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def test_both_parts_make_one_model(resized_run: Path) -> None:
    """Scores of whole images alone are watched, the epochs of both count, and the saved network gives the scores."""
    record = _record(resized_run)
    assert ["small_images", "train"] == list(record["training"])
    assert ([4], 2) == (record["model"]["epochs"], len(record["history"]["rows"]))
    lines = [json.loads(line) for line in (resized_run / "metrics.jsonl").read_text().splitlines()]
    watched = {each["stage"]: "validation_cross_entropy" in each for each in lines}
    assert {"small_images": False, "train": True} == watched
    for name, score in predict.evaluate(resized_run)["scores"].items():
        assert record["scores"][name]["value"] == pytest.approx(score["value"], abs=1e-4), name


def test_what_was_learned_on_small_images_is_gone_on_with(resized_run: Path, run_folder: Path) -> None:
    """The first loss on whole images is below that of a run which began with them, by the same seed."""
    losses = [_record(folder)["history"]["rows"][0]["train_loss"] for folder in (resized_run, run_folder)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize("stage", ["small_images", "train"])
def test_a_stopped_run_goes_on_to_the_same_bits(
    stage: str, resized: Config, resized_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it was stopped, among small images or among whole ones."""
    end = Training.epoch_ended

    def end_and_stop(training: Training, logs: dict[str, float]) -> None:
        end(training, logs)
        if training.folder.name == stage:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Training, "epoch_ended", end_and_stop)
    with pytest.raises(Stopped, match="after 1 epochs"):
        train.train(resized, runs_folder=tmp_path)
    monkeypatch.undo()
    (folder,) = tmp_path.iterdir()
    train.train(resized, runs_folder=tmp_path, resume=folder)
    weights = [trained.load(each).network.get_weights() for each in (resized_run, folder)]
    for expected, actual in zip(*weights, strict=True):
        np.testing.assert_array_equal(expected, actual)


def test_the_estimate_has_both_parts(resized: Config, tmp_path: Path) -> None:
    """A step on whole images is to take four times one on small ones, which alone were measured; it is validated."""
    found = rehearsal.estimate(train.train, resized, history=tmp_path)
    stages = found["terms"]["stages"]
    small, whole = stages["small_images"], stages["train"]
    assert (2, 2) == (small["epochs"], whole["epochs"])
    assert 4 * small["step_seconds"] == pytest.approx(whole["step_seconds"])
    assert small["validation_seconds"] == 0 < whole["validation_seconds"]


@pytest.mark.slow
def test_a_ceiling_shortens_both_parts(resized: Config, tmp_path: Path) -> None:
    """Time is left for whole images, and both schedules end."""
    long = configuration.replace(resized, {"train.epochs": 2000}, source="test")
    answer = train.train(long, runs_folder=tmp_path, ceiling=Ceiling(30.0, "--time-budget 30s"))
    record = _record(Path(answer["run"]))
    assert "done" == record["status"]
    assert record["wall_seconds"] < 30
    fits = {name: record["budget"][name]["epochs_that_fit"] for name in ("small_images", "train")}
    assert 1 <= fits["small_images"] < 1000
    assert 1 <= fits["train"] < 1000
    assert record["history"]["rows"][-1]["learning_rate"] < 1e-4


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"model.name": "frozen", "model.backbone": "efficientnet-lite0"}, "is of classifiers from scratch."),
        ({"model.task": "segmentation"}, "is of classifiers from scratch."),
        ({"train.epochs": "auto"}, "divides the epochs, and train.epochs is 'auto'."),
        ({"data.image_size_px": 24}, "data.image_size_px is 24. Set it to 0, or data.image_size_px to 32 or more."),
    ],
)
def test_what_has_no_small_images_is_refused(settings: dict[str, Any], cause: str, resized: Config) -> None:
    """With the remedy."""
    with pytest.raises(PacelineError, match=re.escape(cause)):
        configuration.replace(resized, settings, source="test")
