"""A run for its prediction alone: it ends as soon as that is made, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paceline import record, rehearsal
from paceline.config import Section
from paceline.errors import PacelineError


class Settings(Section):
    """A configuration with no more than a record needs."""

    epochs: int = 3


def test_an_estimate_ends_the_run_that_it_comes_from(tmp_path: Path) -> None:
    """As soon as it is made; the project's history is read, and nothing is left behind."""
    folders: list[Path] = []

    def train(config: Settings, *, made: Callable[[dict[str, Any]], None], **given: Any) -> None:
        assert (tmp_path, 0.5, None) == (given["history"], given["target"], given["started"])
        with record.start(config, given["runs_folder"], name="run") as run:
            folders.append(run.folder)
            made({"p50_seconds": 76.0})
            raise AssertionError("the run went on")

    found = rehearsal.estimate(train, Settings(), history=tmp_path, target=0.5)
    assert {"p50_seconds": 76.0} == found
    assert not folders[0].exists()
    assert [] == list(tmp_path.iterdir())


def test_a_run_that_is_over_at_once_has_no_estimate(tmp_path: Path) -> None:
    """It says that training takes no longer."""
    with pytest.raises(PacelineError, match=r"over before its time could be predicted. Train: it takes no longer"):
        rehearsal.estimate(lambda config, **given: None, Settings(), history=tmp_path)
