"""A run from top to bottom: complete, accounted for, and repeatable from its own configuration."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medical_imaging import checklist, data, segmentation, synthetic, train
from medical_imaging.config import Config
from paceline import atomic, config, device
from paceline.errors import PacelineError

KEYS = {
    *("schema_version", "status", "started_at", "wall_seconds", "command", "seed", "config", "device", "hardware"),
    *("software", "dataset", "model", "phases", "predictions", "history", "scores", "warnings", "training"),
}


@pytest.fixture(scope="session")
def record(run_folder: Path) -> dict[str, Any]:
    """The run's record, as any program reads it."""
    found: dict[str, Any] = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    return found


def test_the_run_folder_is_complete(run_folder: Path, small: Config) -> None:
    """Configuration, record, metrics, model, checkpoints, report and cards, and the configuration is the run's."""
    files = {"config.toml", "run.json", "metrics.jsonl", "model.keras", "report.html", "MODEL_CARD.md", "checkpoints"}
    assert files | {"DATA_CARD.md", "quarantine.jsonl"} == {path.name for path in run_folder.iterdir()}
    assert small == config.load(Config, run_folder / "config.toml")


def test_the_record_is_complete(record: dict[str, Any], run_folder: Path, small: Config) -> None:
    """Every key that programs rely on, and what they say fits together."""
    assert set() == KEYS - set(record)
    assert ("done", 1, "medical-imaging train") == (record["status"], record["schema_version"], record["command"])
    assert small.model_dump(mode="json") == record["config"]
    assert atomic.sha256((run_folder / "model.keras").read_bytes()) == record["model"]["sha256"]
    assert {"train"} == set(record["training"])
    assert {"steps", "examples_per_second", "flops_per_step"} <= set(record["training"]["train"])


def test_phases_sum_to_the_wall_time(record: dict[str, Any]) -> None:
    """Everything that took time has a name."""
    assert record["wall_seconds"] == pytest.approx(sum(record["phases"].values()), rel=1e-9)
    assert {"data", "build", "compile", "train", "validation", "score", "finalise"} <= set(record["phases"])


def test_scores_are_finite_and_beside_the_floor(record: dict[str, Any]) -> None:
    """Each score is a number with an interval that holds it, for the test and for the external site; ECE has none."""
    assert {"auroc", "auprc", "sensitivity", "external_auroc"} <= set(record["scores"])
    for name, score in record["scores"].items():
        assert math.isfinite(score["value"]), name
        assert "ece" in name or score["low"] <= score["value"] <= score["high"], name


def test_the_external_site_is_in_no_slice_of_the_test(record: dict[str, Any]) -> None:
    """Groups of the test sum to the test, and those of the external site stand apart, with its name."""
    sizes = {part["part"]: part["images"] for part in record["dataset"]["parts"]}
    rows = {row["slice"]: row["images"] for row in record["slices"]}
    assert {"site=A", "site=B", "external site=C", "sex=F", "external sex=F"} <= set(rows)
    assert "site=C" not in rows
    assert sizes["external"] == rows["external site=C"]
    for column, part in (("site", "test"), ("sex", "test"), ("external sex", "external")):
        assert sizes[part] == sum(images for name, images in rows.items() if name.startswith(f"{column}=")), column


def test_no_identifier_leaves_the_data(run_folder: Path, small: Config, tmp_path: Path) -> None:
    """Names that the phantom cohort plants in its files stand in none of the run's files."""
    planted = [path.read_bytes() for path in synthetic.write(tmp_path / "phantom", small.data).rglob("*.dcm")]
    assert any(b"Canary" in content for content in planted), "otherwise this shows nothing"
    for path in run_folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"Canary" not in content, path.name
            assert b".dcm" not in content, path.name


def test_the_card_has_the_checklist(run_folder: Path) -> None:
    """CLAIM and TRIPOD+AI, answered by the run where it knows."""
    card = (run_folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## CLAIM and TRIPOD+AI" in card
    record = json.loads((run_folder / "run.json").read_text())
    (apart,) = [part["images"] for part in record["dataset"]["parts"] if part["part"] == "external"]
    assert apart > 0
    assert f"| 32 / 16 | External validation | Site C, {apart} images, kept out of training. |" in card


def test_the_checklist_says_what_did_not_happen() -> None:
    """No external site where no image is of one, whatever is configured; the division as it was."""
    parts = [{"part": "train", "images": 7}, {"part": "validation", "images": 2}, {"part": "external", "images": 0}]
    dataset = {"parts": parts, "split": "as published"}
    text = checklist.table({"config": Config().model_dump(mode="json"), "dataset": dataset})
    assert "| 32 / 16 | External validation | None. |" in text
    assert "As published: 7 for train, 2 for validation; no patient" in text


@pytest.mark.parametrize("trains", [train.train, segmentation.train])
@pytest.mark.parametrize("asked", ["gpu", "tpu"])
def test_a_device_that_is_not_here_is_refused_before_data_are_read(
    trains: Callable[..., Any], asked: str, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading may take minutes; the error needs none of it, and leaves no run."""
    monkeypatch.setattr(device, "gpus", lambda: ())
    monkeypatch.setattr(data, "load", lambda *given, **named: pytest.fail("data were read"))
    wanted = config.replace(small, {"train.device": asked}, source="test")
    with pytest.raises(PacelineError, match=r"^(A [GT]PU was asked for|XGBoost does not run on a TPU)"):
        trains(wanted, runs_folder=tmp_path)
    assert [] == list(tmp_path.iterdir())
