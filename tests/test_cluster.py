"""A Dask cluster: what is wrong with it is said at once, and its workers do what they are given."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from distributed import Client, LocalCluster

from paceline import cluster, duration
from paceline.errors import PacelineError

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own, of ports in use


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalCluster]:
    """Two workers in threads of this process, and a scheduler with an address."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
    ) as found:
        yield found


def test_workers_do_each_item(workers: LocalCluster) -> None:
    """By a function of an installed module; what is ready first comes first."""
    assert {60.0, 120.0, 5400.0} == set(
        cluster.each(workers.scheduler_address, duration.seconds, ["1m", "2m", "1.5h"], [])
    )


def test_what_the_function_raises_is_raised_here(workers: LocalCluster) -> None:
    """A user's mistake keeps its sentence on the way."""
    with pytest.raises(PacelineError, match="'soon'"):
        list(cluster.each(workers.scheduler_address, duration.seconds, ["soon"], []))


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_an_error(tmp_path: Path) -> None:
    """What was not done is no result, and no traceback either."""
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = {**os.environ, "PYTHONPATH": str(Path(cluster.__file__).parents[1])}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for arguments in (["scheduler", "--port", address.rpartition(":")[2]], ["worker", address, "--nthreads", "1"])
    ]
    try:
        results = cluster.each(address, duration.seconds, ["1m"] * 2000, [])
        assert 60.0 == next(results)
        started[0].kill()
        with pytest.raises(PacelineError, match=f"The cluster at '{address}' was lost at work: .*See its logs"):
            list(results)
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_files_that_no_worker_sees_are_an_error(workers: LocalCluster, tmp_path: Path) -> None:
    """Before anything is done, with what to do."""
    with pytest.raises(PacelineError, match=r"does not see 1 of 1 files of rows. Put the runs on a disk"):
        list(cluster.each(workers.scheduler_address, duration.seconds, ["60"], [tmp_path / "elsewhere.parquet"]))


@pytest.mark.parametrize(("prints", "expected"), [("abba", r"The worker tcp://\S+"), ("aaab", "The scheduler")])
def test_other_code_on_the_cluster_is_an_error(
    prints: str, expected: str, workers: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features made by other files than these would be other features; the scheduler unpacks the tasks."""
    found = iter(prints)  # here, on two workers, on the scheduler
    monkeypatch.setattr(cluster.origin, "fingerprint", lambda folder: 64 * next(found))
    message = rf"{expected} has paceline files b{{12}}, this machine files a{{12}}. Install the same lock and the same"
    with pytest.raises(PacelineError, match=message):
        cluster.connect(workers.scheduler_address)


def test_a_worker_of_another_version_is_an_error(workers: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named with the package and both versions."""
    here = cluster.versions(["paceline"])
    answers = iter([here, here | {"xgboost": "1.7.6"}, here | {"xgboost": "1.7.6"}, here])
    monkeypatch.setattr(cluster, "versions", lambda code: next(answers))
    with pytest.raises(PacelineError, match=r"has xgboost 1.7.6, this machine 3\S+. Install the same lock and"):
        cluster.connect(workers.scheduler_address)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "not an address", "smtp://127.0.0.1:{port}"])
def test_a_scheduler_that_cannot_be_reached_is_an_error(address: str) -> None:
    """Within the time set for it, with how to start one."""
    with pytest.raises(PacelineError, match=r"No Dask scheduler answers at .* in 1 s: \w+. Start one with 'dask"):
        cluster.connect(address.format(port=free_port()), connect_seconds=1)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "not an address"])
def test_a_client_that_came_to_nothing_is_not_left_to_chance(address: str) -> None:
    """None is there to be collected while another one begins, which would wait for itself, for ever."""
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(PacelineError):
            cluster.connect(address.format(port=free_port()), connect_seconds=0.2)
        left = [each for each in gc.get_objects() if isinstance(each, Client)]
    finally:
        gc.enable()
    assert [] == left


def test_a_cluster_without_workers_is_an_error() -> None:
    """A scheduler alone trains nothing."""
    with (
        LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
        ) as empty,
        pytest.raises(PacelineError, match=r"has no worker after 0.2 s. Start some with 'dask worker tcp://"),
    ):
        cluster.connect(empty.scheduler_address, worker_seconds=0.2)


def test_the_waits_leave_time_for_the_error() -> None:
    """A cluster that cannot be used is reported within a minute."""
    assert cluster.CONNECT_SECONDS + cluster.WORKER_SECONDS < 60


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line instead of an import error."""
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PacelineError, match=r"Dask is not installed. Install the extra: pip install '.\[dask\]'"):
        cluster.connect("tcp://127.0.0.1:1")
