"""Training over several devices and several hosts: the same curve, the same files, a clear end when one is gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from paceline import distribute, hosts
from paceline.batches import Batches
from paceline.clock import Clock
from paceline.errors import PacelineError
from paceline.record import Run

SHARED = Path(__file__).parents[1] / "shared"
PROGRAM = """
import json, os, sys, time
from pathlib import Path
import numpy as np
from pydantic import BaseModel
from paceline import cli, fit_keras, record
from paceline.progress import Progress
from paceline.recipe import Recipe
import keras

class Config(BaseModel):
    train: Recipe = Recipe(learning_rate=0.02, ema=0.5)
    seed: int = int(os.environ.get("SEED", "0"))

def main(arguments):
    rng = np.random.default_rng(int(os.environ.get("DATA", "0")))
    x = rng.normal(size=(300, 8, 8, 3)).astype("float32")
    y = (x[..., 0].mean((1, 2)) > 0).astype("float32")[:, None]
    with record.start(Config(), Path("runs"), name="spread", resume=arguments.resume) as run:
        run.device = fit_keras.prepare("cpu", seed=0).state()
        model = keras.Sequential([
            keras.Input((8, 8, 3)), keras.layers.Conv2D(8, 3), keras.layers.BatchNormalization(), keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)])
        model.compile(fit_keras.optimizer(run.config.train), keras.losses.BinaryCrossentropy(from_logits=True),
            weighted_metrics=[keras.metrics.AUC(from_logits=True, num_thresholds=50, name="auc")])
        train = fit_keras.Batches(x[:220], y[:220], batch_size=32, seed=1, run=run)
        validation = fit_keras.Batches(x[220:], y[220:], batch_size=32, seed=None, run=run)
        epochs = int(os.environ.get("EPOCHS", "4"))
        if "SHORT" in os.environ:
            def fail(*given, **named):
                raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")
            model.fit = fail
        with Progress({"fit": epochs}, unit="epoch") as progress:
            fit_keras.fit(
                model, train, validation, epochs=epochs, early_stopping_epochs=0, monitor="loss",
                larger_is_better=False, checkpoint_seconds=0, stage="fit", run=run, progress=progress,
                devices=int(os.environ["MOST"]) if "MOST" in os.environ else None)
        if "STAYS" in os.environ:
            Path("stays-" + os.environ["KERAS_DISTRIBUTION_PROCESS_ID"]).touch()
            time.sleep(100)
        scores = np.asarray(model.predict(x[:5], verbose=0)).ravel().tolist()
        run.model = fit_keras.save_model(model, run.folder / "model.keras")
        return {"run": str(run.folder), "devices": run.device["devices"], "rows": run.history["rows"], "scores": scores}

command = cli.Command("train", "trains", main, cli.train_arguments)
sys.exit(cli.main("spread", "a test", [command]))
"""


class Settings(BaseModel):
    """A run's configuration, where none is needed."""


def start(folder: Path, *argv: str, devices: int = 1, **environment: str) -> subprocess.Popen[str]:
    """Start the program in `folder` with so many simulated devices."""
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KERAS_DISTRIBUTION")},
        "PYTHONPATH": str(SHARED),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}",
        **environment,
    }
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "train", "--json", *argv],
        cwd=folder,
        env=settings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(process: subprocess.Popen[str], expected_code: int = 0) -> dict[str, Any]:
    """Return the JSON of the last line of a process that ends with `expected_code`."""
    out, err = process.communicate(timeout=180)
    assert expected_code == process.returncode, err[-3000:]
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


def losses(answer: dict[str, Any]) -> list[float]:
    """Return the losses of training and validation by epoch."""
    return [row[name] for row in answer["rows"] for name in ("train_loss", "validation_loss")]


def areas(answer: dict[str, Any]) -> list[float]:
    """Return the areas under the curve of training and validation by epoch, which move by whole ranks of rows."""
    return [row[name] for row in answer["rows"] for name in ("train_auc", "validation_auc")]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answer of one device."""
    return finished(start(tmp_path_factory.mktemp("alone")))


@pytest.fixture
def pair() -> list[dict[str, str]]:
    """The environments of two hosts on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [{hosts.COUNT: "2", hosts.NUMBER: str(number), hosts.ADDRESSES: address} for number in (0, 1)]


@pytest.mark.slow
def test_eight_devices_give_the_curve_of_one(alone: dict[str, Any], tmp_path: Path) -> None:
    """Losses and scores agree to 1e-3: sums are taken in another order, which normalisation makes more of."""
    spread = finished(start(tmp_path, devices=8))
    assert losses(alone) == pytest.approx(losses(spread), rel=1e-3)
    assert areas(alone) == pytest.approx(areas(spread), abs=5e-3)
    assert alone["scores"] == pytest.approx(spread["scores"], abs=2e-3)


@pytest.mark.slow
def test_fewer_devices_than_there_are_may_be_asked_for(alone: dict[str, Any], tmp_path: Path) -> None:
    """Two of eight, or one, whose bits are those of a machine with one; more than there are is a mistake."""
    two, one = (finished(start(tmp_path / most, devices=8, MOST=most)) for most in ("2", "1"))
    assert (2, 1) == (two["devices"], one["devices"])
    assert losses(alone) == pytest.approx(losses(two), rel=1e-3)
    assert losses(alone) == losses(one)
    process = start(tmp_path / "many", devices=2, MOST="3")
    out, _ = process.communicate(timeout=180)
    assert (
        "train.devices is 3, and there are 2. Set train.devices = 'auto'." in json.loads(out.splitlines()[-1])["error"]
    )


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices(tmp_path: Path) -> None:
    """A checkpoint of eight devices, read by one."""
    process = start(tmp_path, devices=8, EPOCHS="400")
    run = interrupt_after_an_epoch(process, tmp_path)
    process.communicate(timeout=60)
    before = (run / "metrics.jsonl").read_text()
    epochs = len(before.splitlines()) + 3
    resumed = finished(start(tmp_path, "--resume", str(run), EPOCHS=str(epochs)))
    assert epochs == len(resumed["rows"])
    after = (run / "metrics.jsonl").read_text()
    assert before
    assert after.startswith(before)  # nothing of it was trained again


@pytest.mark.slow
def test_two_hosts_give_the_curve_of_one_and_the_first_writes(
    alone: dict[str, Any], pair: list[dict[str, str]], tmp_path: Path
) -> None:
    """The same command on each; one run folder, one model."""
    processes = [start(tmp_path, devices=2, **place) for place in pair]
    first, second = (finished(process) for process in processes)
    assert losses(alone) == pytest.approx(losses(first), rel=1e-3)
    assert areas(alone) == pytest.approx(areas(first), abs=5e-3)
    assert (losses(first), areas(first)) == (losses(second), areas(second))
    assert 1 == len(list((tmp_path / "runs").iterdir()))
    assert (Path(tmp_path, first["run"]) / "model.keras").exists()
    assert not Path(second["run"]).exists()


@pytest.mark.slow
def test_a_host_that_dies_ends_the_others_and_all_go_on_together(pair: list[dict[str, str]], tmp_path: Path) -> None:
    """The survivor says what happened within a minute, and the checkpoint of the last epoch is where they resume."""
    survivor, victim = (start(tmp_path, EPOCHS="4000", **place) for place in pair)
    run = wait_for_checkpoint(survivor, tmp_path)
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=60)
    out, err = survivor.communicate(timeout=60)
    assert 1 == survivor.returncode, err[-2000:]
    assert "Another host has gone" in json.loads(out.splitlines()[-1])["error"]
    saved = max(int(path.name) for path in (run / "checkpoints" / "fit").iterdir() if path.name.isdigit())
    epochs = (run / "metrics.jsonl").read_text().splitlines(keepends=True)[:saved]
    again = [{**place, hosts.ADDRESSES: pair[0][hosts.ADDRESSES]} for place in pair]
    more = str(saved + 3)
    first, _ = (finished(each) for each in [start(tmp_path, "--resume", str(run), EPOCHS=more, **p) for p in again])
    assert saved + 3 == len(first["rows"])
    assert (run / "metrics.jsonl").read_text().startswith("".join(epochs))  # none of them was trained again


@pytest.mark.slow
def test_a_host_that_is_told_to_stop_stops_all_with_the_epoch_saved(pair: list[dict[str, str]], tmp_path: Path) -> None:
    """Both exit with 75, also where all are told, as by a cloud that takes its machines back; one run to go on with."""
    first, second = (start(tmp_path, EPOCHS="4000", **place) for place in pair)
    run = wait_for_checkpoint(first, tmp_path)
    second.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    stopped = [finished(process, 75) for process in (first, second)]
    assert ["stopped"] * 2 == [each["status"] for each in stopped]
    assert stopped[0]["error"] == stopped[1]["error"]
    assert [str(run.relative_to(tmp_path)), None] == [each.get("run") for each in stopped]
    assert "SIGTERM" in stopped[0]["error"]


@pytest.mark.slow
def test_hosts_with_other_settings_are_refused(pair: list[dict[str, str]], tmp_path: Path) -> None:
    """Both end, and say what differs."""
    processes = [start(tmp_path, **place, SEED=place[hosts.NUMBER]) for place in pair]
    for process in processes:
        assert "Host 1 differs from host 0 in configuration.seed: 1 and 0." in finished(process, 1)["error"]


@pytest.mark.slow
def test_hosts_with_other_data_are_refused(pair: list[dict[str, str]], tmp_path: Path) -> None:
    """As many rows of the same shapes, with other values: before the first step."""
    processes = [start(tmp_path, **place, DATA=place[hosts.NUMBER]) for place in pair]
    for process in processes:
        assert "Host 1 differs from host 0 in the training data's inputs" in finished(process, 1)["error"]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_host_that_dies_while_the_other_scores_ends_it_clearly(
    victim: int, pair: list[dict[str, str]], tmp_path: Path
) -> None:
    """After the training, where nothing is exchanged: an error with the reason, no crash of the engine."""
    processes = [start(tmp_path, STAYS="1", **place) for place in pair]
    until = time.monotonic() + 120
    while len(list(tmp_path.glob("stays-*"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    processes[victim].send_signal(signal.SIGKILL)
    assert f"Host {victim} has gone." in finished(processes[1 - victim], 1)["error"]
    processes[victim].communicate(timeout=60)


@pytest.mark.slow
def test_memory_that_does_not_suffice_on_one_host_ends_all(pair: list[dict[str, str]], tmp_path: Path) -> None:
    """Alone it would halve its parts; here it says which host it was, and what to lower."""
    processes = [start(tmp_path, **pair[0]), start(tmp_path, SHORT="1", **pair[1])]
    expected = "Memory did not suffice on host 1 of 2, for batches of 32 over 2 devices. Lower train.batch_size"
    assert expected in finished(processes[1], 1)["error"]
    assert "nother host has gone" in (error := finished(processes[0], 1)["error"]) or expected in error


@pytest.mark.slow
def test_a_coordinator_that_cannot_be_reached_is_an_error_within_a_minute(
    pair: list[dict[str, str]], tmp_path: Path
) -> None:
    """One line with the address, on the host that came; no crash of the engine."""
    since = time.monotonic()
    error = finished(start(tmp_path, **pair[1]), 1)["error"]
    assert time.monotonic() - since < 60  # the promise itself, not a measure of speed
    assert f"met nobody at {pair[1][hosts.ADDRESSES]}" in error


def test_two_hosts_go_through_every_row_once(tmp_path: Path) -> None:
    """Their parts of the batches, put together, are the batches of one host."""
    rows = np.arange(46, dtype="float32")[:, None]

    def batches(host: int, count: int) -> list[np.ndarray]:
        made = Batches(rows, rows, batch_size=12, seed=3, run=Run(tmp_path, Settings(), Clock()))
        made.divide(1, devices=4, host=host, hosts=count)
        made.start_epoch(2)
        return [made[index][0].ravel() for index in range(len(made))]

    whole, first, second = batches(0, 1), batches(0, 2), batches(1, 2)
    assert len(whole) == len(first) == len(second)
    for expected, *parts in zip(whole, first, second, strict=True):
        assert expected.tolist() == np.concatenate(parts).tolist()
    times = Counter(np.concatenate(whole).tolist())
    assert set(rows.ravel().tolist()) == set(times)
    assert [2, 2] == [count for count in times.values() if count > 1]  # two of 46 fill the last batch of 12 up


def test_more_devices_than_rows_in_a_batch_are_refused(tmp_path: Path) -> None:
    """The remedy names the setting."""
    rows = np.zeros((64, 1), "float32")
    made = Batches(rows, rows, batch_size=4, seed=3, run=Run(tmp_path, Settings(), Clock()))
    with pytest.raises(PacelineError) as refused:
        made.divide(1, devices=8)
    assert "A batch of 4 cannot be divided over 8 devices." == refused.value.cause
    assert "train.batch_size to 8" in refused.value.remedy


def test_alone_nothing_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """One host agrees with itself."""
    for name in (hosts.COUNT, hosts.NUMBER, hosts.ADDRESSES):
        monkeypatch.delenv(name, raising=False)
    assert b"state" == distribute.agreed(b"state")
    assert distribute.agreed(None) is None
    assert "SIGTERM" == distribute.any_host("SIGTERM")
    assert not distribute.lost_host(RuntimeError("connection closed by peer"))


def wait_for_checkpoint(process: subprocess.Popen[str], folder: Path) -> Path:
    """Return the run's folder as soon as an epoch is saved."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if found := list(folder.glob("runs/*/checkpoints/fit/0*/manifest.json")):
            return found[0].parents[3]
        time.sleep(0.1)
    raise AssertionError(f"no checkpoint: {process.communicate()[1][-2000:] if process.poll() is not None else 'late'}")


def interrupt_after_an_epoch(process: subprocess.Popen[str], folder: Path) -> Path:
    """Return the run's folder, and have its process stop."""
    run = wait_for_checkpoint(process, folder)
    process.send_signal(signal.SIGTERM)
    return run
