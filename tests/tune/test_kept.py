"""The best trial's own model: kept whole or not at all, and made a run of."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from paceline.tune import kept
from paceline.tune.trial import Own


def own(value: float = 0.5) -> Own:
    """Return a model that is a file of a few bytes."""

    def save(folder: Path) -> dict[str, Any]:
        (folder / "model.bin").write_bytes(b"weights")
        return {"file": "model.bin"}

    return Own(value, save)


def test_a_later_model_takes_the_place_of_earlier_ones(tmp_path: Path) -> None:
    """Those of trials that began later, of another process, stay."""
    for number in (3, 7, 5):
        kept.keep(tmp_path, number, own(), {})
    assert [5, 7] == kept.numbers(tmp_path)
    kept.drop(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_model_that_is_not_whole_is_not_there(tmp_path: Path) -> None:
    """A process that is killed while it writes leaves nothing that is taken for a model, nor in the next one's way."""

    def dies(folder: Path) -> dict[str, Any]:
        (folder / "model.bin").write_bytes(b"wei")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.keep(tmp_path, 2, Own(0.5, dies), {})
    assert not kept.has(tmp_path, 2)
    kept.keep(tmp_path, 2, own(), {})
    assert kept.has(tmp_path, 2)


def test_a_kept_model_becomes_a_run(quadratic: ModuleType, tmp_path: Path) -> None:
    """Done, with the model's files, what it was computed on, its score, what that is of, and a warning."""
    kept.keep(tmp_path / "kept", 2, own(0.75), {"kind": "cpu"})
    made = kept.as_run(
        tmp_path / "kept",
        2,
        quadratic.Config(),
        score="validation_quality",
        runs_folder=tmp_path / "runs",
        command="tune",
        started=0.0,
    )
    folder = Path(made["run"])
    record = json.loads((folder / "run.json").read_text())
    assert ("done", "done") == (made["status"], record["status"])
    assert b"weights" == (folder / "model.bin").read_bytes()
    assert not (folder / kept.FACTS).exists()
    assert {"file": "model.bin"} == record["model"]
    assert {"kind": "cpu"} == record["device"]
    assert {"validation_quality": {"value": 0.75}} == record["scores"] == made["scores"]
    assert "before the test" in record["score_notes"]["validation_quality"]
    assert "the model of trial 2 itself" in (folder / "report.html").read_text()
