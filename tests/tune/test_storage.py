"""Where a study lives: addresses, what a study is made for, trials put back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from paceline.errors import PacelineError
from paceline.tune import storage


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[optuna.storages.RDBStorage]:
    """A storage in a file."""
    with storage.connected(storage.url_of("", tmp_path)) as found:
        yield found


def test_without_an_address_it_is_a_file_of_the_study(tmp_path: Path) -> None:
    """Its folder is made."""
    assert f"sqlite:///{tmp_path / 'new' / 'study.db'}" == storage.url_of("", tmp_path / "new")
    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_gets_a_driver_that_is_here(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where the driver is not, the extra is named."""
    assert "postgresql+pg8000://u@h/d" == storage.url_of(f"{scheme}://u@h/d", tmp_path)
    monkeypatch.setattr(storage.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PacelineError, match=r"'pg8000' is not installed\. Install the extra: pip install '\.\[tune\]'"):
        storage.url_of(f"{scheme}://u@h/d", tmp_path)


def test_a_study_reopens_for_what_it_was_made_for(backend: optuna.storages.RDBStorage) -> None:
    """Equal after JSON: tuples are lists there."""
    made_for: dict[str, Any] = {"space": {"a": "1 to 2"}, "settings": {"train.steps": (1, 2)}}
    storage.open_study(backend, "one", ["maximize"], made_for).enqueue_trial({"a": 1})
    again = storage.open_study(backend, "one", ["maximize"], made_for)
    assert 1 == len(again.trials)
    with pytest.raises(PacelineError, match=r"made with another search space: a 1 to 2, now 1 to 3"):
        storage.open_study(backend, "one", ["maximize"], made_for | {"space": {"a": "1 to 3"}})
    with pytest.raises(PacelineError, match=r"another search space: b fixed, now 0 to 1"):
        storage.open_study(backend, "one", ["maximize"], made_for | {"space": {"a": "1 to 2", "b": "0 to 1"}})


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed:UserWarning")  # asked for by hand here
def test_a_waiting_trial_goes_to_one_worker_only(tmp_path: Path) -> None:
    """Also where two ask for it at the same moment: SQLite locks no rows."""
    url = storage.url_of("", tmp_path)
    with storage.connected(url) as one, storage.connected(url) as other:
        study = storage.open_study(one, "one", ["maximize"], {})
        for number in range(20):
            study.enqueue_trial({"a": number})
        together = Barrier(2)

        def ask(backend: optuna.storages.RDBStorage) -> list[int]:
            mine = optuna.load_study(storage=backend, study_name="one")
            together.wait()
            return [mine.ask().number for _ in range(10)]

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(ask, [one, other])
        assert list(range(20)) == sorted(first + second)


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed:UserWarning")  # asked for by hand here
def test_a_trial_put_back_waits_with_its_values_and_is_not_put_back_for_ever(
    backend: optuna.storages.RDBStorage,
) -> None:
    """It may be what kills its workers: after two retries it is left."""
    study = storage.open_study(backend, "one", ["maximize"], {})
    study.enqueue_trial({"a": 1.0})
    for _ in range(storage.MOST_RETRIES + 1):
        trial = study.ask()
        assert 1.0 == trial.suggest_float("a", 0.0, 2.0)
        storage.requeue(study, study.trials[trial.number])
    assert [TrialState.FAIL] * 3 == [trial.state for trial in study.trials]
    assert {0, 1} == storage.requeued(study.trials)
