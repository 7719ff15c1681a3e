"""Training from top to bottom, each task."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driving_perception import data, deploy, train
from driving_perception.config import Config
from paceline import config, device, fit_keras, record
from paceline.errors import PacelineError, Stopped

SCORES = {"segmentation": "mean_iou", "detection": "ap50", "lanes": "tusimple_accuracy"}


@pytest.mark.parametrize("task", sorted(SCORES))
def test_a_run_folder_has_everything(task: str, run_folders: dict[str, Path]) -> None:
    """Record, report, model and cards; the score stands beside its floor, slices and pictures are there."""
    folder = run_folders[task]
    assert {"run.json", "config.toml", "report.html", "model.keras", "MODEL_CARD.md", "DATA_CARD.md"} <= {
        path.name for path in folder.iterdir()
    }
    found = record.read(folder)
    assert "done" == found["status"]
    assert SCORES[task] == next(iter(found["scores"]))
    assert {"value", "low", "high", "floor"} <= set(found["scores"][SCORES[task]])
    assert {"weather: rainy", "distance: near (lowest quarter)"} <= {row["slice"] for row in found["slices"]}
    assert "pictures" in {figure["kind"] for figure in found["figures"]}
    assert sum(found["phases"].values()) == pytest.approx(found["wall_seconds"], rel=0.01)


def test_segmentation_learns_more_than_the_location_prior(run_folders: dict[str, Path]) -> None:
    """What lies somewhere else in every frame is found by looking."""
    for name in ("mean_iou", "pixel_accuracy"):
        score = record.read(run_folders["segmentation"])["scores"][name]
        assert score["floor"]["value"] + 0.01 < score["value"]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detection", "lanes"])
def test_boxes_and_lanes_are_learned_beyond_what_needs_no_image(
    task: str, small: Callable[..., Config], tmp_path: Path
) -> None:
    """Forty short epochs on other drives: far above the median box and the mean lanes."""
    found = record.read(Path(train.train(small(task, epochs=40), runs_folder=tmp_path)["run"]))
    score = found["scores"][SCORES[task]]
    assert {"detection": "median box", "lanes": "mean lanes"}[task] == score["floor"]["name"]
    assert score["floor"]["value"] + 0.2 < score["value"]


def test_a_run_starts_from_an_earlier_one(
    small: Callable[..., Config], run_folders: dict[str, Path], tmp_path: Path
) -> None:
    """All layers are taken over, so the first epoch is better than the earlier run's first."""
    config = small(epochs=1)
    earlier = config.transfer.model_copy(update={"from_run": str(run_folders["segmentation"])})
    answer = train.train(config.model_copy(update={"transfer": earlier}), runs_folder=tmp_path)
    found = json.loads((Path(answer["run"]) / "run.json").read_text())
    assert (run_folders["segmentation"].name, 0) == (found["model"]["from_run"], found["model"]["layers_left"])
    before = record.read(run_folders["segmentation"])
    assert found["history"]["rows"][0]["train_loss"] < before["history"]["rows"][0]["train_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("task", sorted(SCORES))
def test_frames_of_half_the_side_come_first(task: str, small: Callable[..., Config], tmp_path: Path) -> None:
    """One network, watched on whole frames alone; stopped among the small ones it goes on to the same weights."""
    settings = {"train.progressive_resizing": 0.5}
    resized = config.replace(small(task, epochs=4), settings, source="test")
    straight = Path(train.train(resized, runs_folder=tmp_path / "straight")["run"])
    found = record.read(straight)
    assert ["small_images", "train"] == list(found["training"])
    assert (4, 2) == (found["model"]["epochs"], len(found["history"]["rows"]))
    stages = found["predictions"][0]["terms"]["stages"]
    assert 4 * stages["small_images"]["step_seconds"] == pytest.approx(stages["train"]["step_seconds"])

    def stop(prediction: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        train.train(resized, runs_folder=tmp_path / "stopped", made=stop)
    (folder,) = (tmp_path / "stopped").iterdir()
    train.train(resized, runs_folder=tmp_path / "stopped", resume=folder)
    _same_weights(straight, folder)


def test_what_has_no_small_frames_is_refused() -> None:
    """With the remedy."""
    for settings, remedy in (
        ({"model.name": "frozen"}, "or model.name = 'small'"),
        ({"model.name": "small", "train.epochs": "auto"}, "Set train.epochs to a number"),
    ):
        with pytest.raises(PacelineError, match=remedy):
            config.replace(Config(), {"train.progressive_resizing": 0.5, **settings}, source="test")


@pytest.mark.slow
def test_a_network_without_batch_normalisation_trains_resumes_and_is_exported(
    small: Callable[..., Config], tmp_path: Path
) -> None:
    """Its convolutions have biases instead; stopped and gone on with it has the weights of a run left alone."""
    plain = config.replace(small("lanes", epochs=3), {"model.batch_normalisation": False}, source="test")
    straight = Path(train.train(plain, runs_folder=tmp_path / "straight")["run"])

    def stop(prediction: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        train.train(plain, runs_folder=tmp_path / "stopped", made=stop)
    (folder,) = (tmp_path / "stopped").iterdir()
    assert "stopped" == record.read(folder)["status"]
    train.train(plain, runs_folder=tmp_path / "stopped", resume=folder)
    names = [type(layer).__name__ for layer in _same_weights(straight, folder).layers]
    assert ("BatchNormalization" in names, "Conv2D" in names) == (False, True)
    pytest.importorskip("jax2onnx", reason="needs the extra onnx")
    assert deploy.export(folder)["max_abs_difference"] < 1e-3


def _same_weights(*folders: Path) -> Any:
    """Check that the networks of two runs are the same, and return one of them."""
    one, other = (fit_keras.load_model(each / "model.keras", record.read(each)["model"]["sha256"]) for each in folders)
    for expected, actual in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, actual)
    return one


@pytest.mark.parametrize("asked", ["gpu", "tpu"])
def test_a_device_that_is_not_here_is_refused_before_data_are_read(
    asked: str, small: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading may take minutes; the error needs none of it, and leaves no run."""
    monkeypatch.setattr(device, "gpus", lambda: ())
    monkeypatch.setattr(data, "load", lambda *given, **named: pytest.fail("data were read"))
    wanted = config.replace(small(), {"train.device": asked}, source="test")
    with pytest.raises(PacelineError, match=r"^(A [GT]PU was asked for|XGBoost does not run on a TPU)"):
        train.train(wanted, runs_folder=tmp_path)
    assert [] == list(tmp_path.iterdir())
