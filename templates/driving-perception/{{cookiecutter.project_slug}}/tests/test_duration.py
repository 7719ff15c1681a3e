"""The time of a run: predicted as it begins, and kept below a ceiling that decides about the epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from driving_perception import train
from driving_perception.config import Config
from paceline import budget, record, rehearsal
from paceline.budget import Ceiling
from paceline.errors import PacelineError


def timed(small: Callable[..., Config], epochs: int | str) -> Config:
    """Return a small configuration with so many epochs."""
    config = small()
    return config.model_copy(update={"train": config.train.model_copy(update={"epochs": epochs})})


def test_a_run_predicts_its_time(run_folders: dict[str, Path]) -> None:
    """Once it has begun, with the phases that the report holds against the outcome."""
    found = record.read(run_folders["segmentation"])
    first = found["predictions"][0]
    assert 0 < first["p05_seconds"] <= first["p50_seconds"] <= first["p95_seconds"]
    assert first["made_after_seconds"] < found["wall_seconds"]


def test_estimating_leaves_no_run(small: Callable[..., Config], tmp_path: Path) -> None:
    """The answer is a prediction; no folder is made where runs are kept."""
    found = rehearsal.estimate(train.train, small(), history=tmp_path)
    assert 0 < found["p05_seconds"] <= found["p50_seconds"] <= found["p95_seconds"]
    assert {"training", "validation", "finalise"} <= set(found["phases"])
    assert [] == list(tmp_path.iterdir())


def test_epochs_fill_the_time_they_are_given(small: Callable[..., Config], tmp_path: Path) -> None:
    """As many as fit below the ceiling, which the run keeps, and the model is scored all the same."""
    ceiling = Ceiling(20.0, "--time-budget 20s")
    answer = train.train(timed(small, "auto"), runs_folder=tmp_path, ceiling=ceiling)
    found = record.read(Path(answer["run"]))
    assert "done" == found["status"]
    assert "auto" == found["budget"]["train"]["epochs_asked"]
    assert 1 <= found["budget"]["train"]["epochs_that_fit"] < budget.AUTO
    assert 0 < found["scores"]["mean_iou"]["value"] <= 1


def test_time_decides_only_where_there_is_a_ceiling(small: Callable[..., Config], tmp_path: Path) -> None:
    """`auto` without --time-budget is a mistake, said before anything is trained."""
    with pytest.raises(PacelineError, match=r"train\.epochs is 'auto', and there is no time to fill"):
        train.train(timed(small, "auto"), runs_folder=tmp_path)
