"""Several processes on one study: as many trials as asked for, none lost, also on PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from paceline.tune import command, storage
from paceline.tune.settings import Tune


@pytest.fixture
def several(quadratic: ModuleType, tmp_path: Path) -> Any:
    """A function that searches with two workers and returns the answer and the trials."""

    def run(trials: int, *, behave: str = "well", storage_url: str = "") -> tuple[dict[str, Any], list[FrozenTrial]]:
        config = quadratic.Config(
            train=quadratic.Train(behave=behave, marks=str(tmp_path)), tune=Tune(workers=2, repeats=0, folds=1)
        )
        answer = command.tune(
            quadratic.TASK,
            config,
            runs_folder=tmp_path / "runs",
            folder=tmp_path / "tune",
            trials=trials,
            storage_url=storage_url,
        )
        url = storage.url_of(storage_url, tmp_path / "tune" / "study")
        with storage.connected(url) as backend:
            return answer, optuna.load_study(storage=backend, study_name="study").trials

    return run


@pytest.mark.slow
def test_two_workers_make_as_many_trials_as_asked_for(several: Any) -> None:
    """Exactly so many, made by two processes, with different settings."""
    answer, trials = several(12, behave="wait for another")
    assert 12 == answer["trials"] == len(trials)
    assert 2 == len({trial.user_attrs["worker"] for trial in trials})
    assert 12 == len({trial.params["train.rate"] for trial in trials})


@pytest.mark.slow
def test_the_trial_of_a_killed_worker_is_done_again(several: Any) -> None:
    """The worker is replaced, the trial has the same settings, and the number asked for is reached."""
    answer, trials = several(6, behave="kill once")
    assert 6 == answer["trials"]
    lost = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert [2] == [trial.number for trial in lost]
    redone = [trial for trial in trials if trial.system_attrs.get("failed_trial") == 2]
    assert [TrialState.COMPLETE, lost[0].params] == [redone[0].state, redone[0].params]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server made for this session, its data in a folder that goes with it."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL's programs are not installed (Debian: postgresql)")
    user = None
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = Path(tempfile.mkdtemp(prefix="paceline-postgresql-"))
    if user is not None:
        os.chown(place, user.pw_uid, user.pw_gid)
    (place / "password").write_text("topsecret")
    who = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    environment = {"PATH": f"{programs[-1]}:/usr/bin:/bin", "LC_ALL": "C", "HOME": str(place)}

    def call(*words: object) -> None:
        subprocess.run(
            [str(word) for word in words],
            cwd=place,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **who,
        )

    data = place / "data"
    try:
        call(programs[-1] / "initdb", "-D", data, "-U", "tuner", "-A", "scram-sha-256", "--pwfile", place / "password")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
        call(programs[-1] / "pg_ctl", "-D", data, "-o", options, "-l", place / "log", "-w", "start")
        try:
            yield f"postgresql://tuner:topsecret@127.0.0.1:{port}/postgres"
        finally:
            call(programs[-1] / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.slow
def test_a_study_on_postgresql(
    several: Any, postgresql: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Workers share it, a killed one's trial is done again, and its password is in no file and on no screen."""
    answer, trials = several(6, behave="kill once", storage_url=postgresql)
    assert 6 == answer["trials"]
    assert {2} == storage.requeued(trials)
    assert "topsecret" not in "".join(capfd.readouterr())
    assert "topsecret" not in repr(answer)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"topsecret" not in path.read_bytes(), path
    assert not list(tmp_path.rglob("study.db"))
