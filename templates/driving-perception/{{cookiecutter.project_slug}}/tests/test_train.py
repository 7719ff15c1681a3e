"""Training from top to bottom, each task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from driving_perception import data, train
from driving_perception.config import Config
from paceline import config, device, record
from paceline.errors import PacelineError

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
