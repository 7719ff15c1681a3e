"""Boosting that can be stopped anywhere and resumed to the same bytes."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xgboost

from paceline import fit_xgboost
from paceline.device import Device
from paceline.errors import PacelineError, Stopped
from paceline.progress import Progress
from paceline.record import Run

CPU = Device("cpu", "cpu", "a processor", "it was asked for", "float32", 1)
PLAIN = {
    "objective": "binary:logistic",
    "eval_metric": "aucpr",
    "max_depth": 3,
    "learning_rate": 0.3,
    **fit_xgboost.engine_parameters(CPU),
}
SAMPLED = {**PLAIN, "subsample": 0.6, "colsample_bytree": 0.5, "colsample_bylevel": 0.7}
DART = {**SAMPLED, "booster": "dart", "rate_drop": 0.3, "skip_drop": 0.1}


class Signal:
    """In the place of a listener: asks for the end when it has been looked at `looks` times."""

    looks = 10**9

    def __init__(self, overdue: Callable[[], None]) -> None:
        self.left = Signal.looks

    def __enter__(self) -> Signal:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def requested(self) -> str:
        """The signal's name once it has come."""
        self.left -= 1
        return "SIGTERM" if self.left < 0 else ""


@pytest.fixture(autouse=True)
def no_real_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals come when a test says so."""
    monkeypatch.setattr(fit_xgboost, "Listener", Signal)
    monkeypatch.setattr(Signal, "looks", 10**9)


@pytest.fixture(scope="module")
def rows() -> tuple[xgboost.DMatrix, xgboost.DMatrix]:
    """Training and validation rows that are learnt slowly."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 8)).astype(np.float32)
    y = (X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + rng.normal(0, 0.8, 900) > 1).astype(np.float32)
    train = xgboost.QuantileDMatrix(X[:600], y[:600])
    return train, xgboost.QuantileDMatrix(X[600:], y[600:], ref=train)


Rows = tuple[xgboost.DMatrix, xgboost.DMatrix | None]
Fit = Callable[..., fit_xgboost.Fitted]


@pytest.fixture
def fit(rows: Rows) -> Fit:
    """A function that trains in a run's folder, or goes on there."""

    def fit_(
        run: Run,
        parameters: dict[str, Any] = SAMPLED,
        *,
        rounds: int = 35,
        patience: int = 0,
        watch: bool = True,
        checkpoint_seconds: float = 1e9,
        start: xgboost.Booster | None = None,
    ) -> fit_xgboost.Fitted:
        with Progress({"select": rounds}, unit="round") as progress:
            return fit_xgboost.fit(
                parameters,
                rows[0],
                rows[1] if watch else None,
                rounds=rounds,
                early_stopping_rounds=patience,
                seed=3,
                checkpoint_seconds=checkpoint_seconds,
                stage="select",
                run=run,
                progress=progress,
                start=start,
            )

    return fit_


def raw(booster: xgboost.Booster) -> bytes:
    """Return the model's bytes."""
    return bytes(booster.save_raw("ubj"))


def interrupted(
    fit: Fit, folder: Path, open_run: Callable[..., Run], chunks: Sequence[int], **how: Any
) -> tuple[fit_xgboost.Fitted, Run]:
    """Train with a stop after each of `chunks` chunks of a session, and to the end in the last session."""
    for looks in chunks:
        Signal.looks = looks
        with pytest.raises(Stopped) as stopped:
            fit(open_run(folder), **how)
        assert stopped.value.resumable
    Signal.looks = 10**9
    run = open_run(folder)
    return fit(run, **how), run


@pytest.mark.parametrize("chunks", [[0], [1], [3], [4], [1, 1], [2, 0, 1]])
@pytest.mark.parametrize("name", ["plain", "sampled", "dart"])
def test_a_stopped_run_ends_with_the_same_bytes(
    name: str, chunks: list[int], fit: Fit, open_run: Callable[..., Run], tmp_path: Path
) -> None:
    """Stopped at whichever chunk boundaries, with random rows, columns and dropped trees, the model is the same.

    The fourth chunk is the last: what follows a training may take long, so a signal in it is no less obeyed.
    """
    parameters = {"plain": PLAIN, "sampled": SAMPLED, "dart": DART}[name]
    straight = open_run(tmp_path / "straight")
    expected = fit(straight, parameters)
    fitted, run = interrupted(fit, tmp_path / "stopped", open_run, chunks, parameters=parameters)
    assert raw(expected.booster) == raw(fitted.booster)
    assert (35, "all 35 rounds") == (fitted.rounds, fitted.stop_reason)
    assert without_time(straight.history) == without_time(run.history)


def without_time(history: dict[str, Any]) -> dict[str, Any]:
    """Return a history less its seconds, which differ from run to run."""
    rows = [{key: value for key, value in row.items() if key != "elapsed_seconds"} for row in history["rows"]]
    return {**history, "rows": rows}


def test_random_states_differ_between_chunks(fit: Fit, open_run: Callable[..., Run], tmp_path: Path) -> None:
    """Making them new at each boundary must not make every chunk sample the same rows as the one before."""
    model = json.loads(fit(open_run(tmp_path), rounds=20).booster.save_raw("json"))
    columns = [tuple(tree["split_indices"]) for tree in model["learner"]["gradient_booster"]["model"]["trees"]]
    first, second = columns[:10], columns[10:]
    assert first != second
    assert len(set(columns)) > 15


@pytest.mark.parametrize("chunks", [[1], [2, 1]])
def test_early_stopping_survives_a_stop(
    chunks: list[int], fit: Fit, open_run: Callable[..., Run], tmp_path: Path
) -> None:
    """Patience counts on across sessions: the same best round, the same trees, cut there."""
    how: dict[str, Any] = {"rounds": 200, "patience": 12}
    straight = open_run(tmp_path / "straight")
    expected = fit(straight, **how)
    assert expected.rounds < expected.booster.num_boosted_rounds() + 12 < 200
    assert "no better validation score for 12 rounds" == expected.stop_reason
    assert expected.rounds == expected.booster.num_boosted_rounds()
    fitted, run = interrupted(fit, tmp_path / "stopped", open_run, chunks, **how)
    assert (expected.rounds, expected.stop_reason) == (fitted.rounds, fitted.stop_reason)
    assert raw(expected.booster) == raw(fitted.booster)
    assert without_time(straight.history) == without_time(run.history)
    scores = [row["validation_average_precision"] for row in run.history["rows"]]
    assert expected.rounds == 1 + int(np.argmax(scores)) == run.history["best_step"]
    assert expected.rounds + 12 == len(scores)


def test_the_scores_are_those_of_the_trees(
    fit: Fit, open_run: Callable[..., Run], tmp_path: Path, rows: tuple[xgboost.DMatrix, xgboost.DMatrix]
) -> None:
    """A round's score is the average precision of the trees up to it, on the rows it is named after."""
    from sklearn.metrics import average_precision_score

    run = open_run(tmp_path)
    fitted = fit(run, rounds=20)
    by_step = {row["step"]: row for row in run.history["rows"]}
    assert list(range(1, 21)) == list(by_step)
    spaced = [1, 2, 3, 5, 8, 12, 18, 20]  # further and further apart, and the last
    assert spaced == [step for step, row in by_step.items() if "train_average_precision" in row]
    seconds = [row["elapsed_seconds"] for row in run.history["rows"]]
    assert sorted(seconds) == seconds
    for step in (1, 12, 20):
        for part, data in zip(("train", "validation"), rows, strict=True):
            margins = fitted.booster.predict(data, iteration_range=(0, step), output_margin=True)
            expected = average_precision_score(data.get_label(), margins)  # the early trees have many ties
            assert pytest.approx(expected, abs=1e-9) == by_step[step][f"{part}_average_precision"]
    lines = [json.loads(line) for line in metrics(run)]
    assert list(range(1, 21)) == [line["step"] for line in lines]


@pytest.mark.parametrize(
    ("parameters", "weighted"), [({"eval_metric": "logloss"}, False), ({"eval_metric": "auc"}, False), ({}, True)]
)
def test_other_scores_are_those_of_xgboost(parameters: dict[str, str], weighted: bool) -> None:
    """Where the score is not average precision, or rows have weights, XGBoost's own evaluation is taken."""
    data = xgboost.DMatrix(np.eye(6, dtype=np.float32), [0, 1, 0, 1, 1, 0])
    if weighted:
        data.set_weight(np.arange(1.0, 7.0))
    parameters = {**PLAIN, **parameters}
    booster = xgboost.train(parameters, data, 2)
    expected = float(booster.eval(data).rpartition(":")[2])
    assert pytest.approx(expected, abs=1e-6) == fit_xgboost._Watched(data, parameters).score(booster, 2)


def test_without_a_positive_row_there_is_no_score() -> None:
    """Average precision over nothing is no number, which is never the best."""
    assert np.isnan(fit_xgboost.average_precision(np.zeros(4, np.float32), np.zeros(0, np.intp)))


def metrics(run: Run) -> list[str]:
    """Return the lines of metrics.jsonl once they are written."""
    run.save()
    return (run.folder / "metrics.jsonl").read_text().splitlines()


def test_without_validation_it_trains_without_watching(fit: Fit, open_run: Callable[..., Run], tmp_path: Path) -> None:
    """A refit goes through all rounds, leaves the history of the selection alone, and has no validation time."""
    run = open_run(tmp_path)
    run.history = {"stage": "earlier"}
    fitted = fit(run, patience=2, watch=False)
    assert (35, "all 35 rounds") == (fitted.rounds, fitted.stop_reason)
    assert {"stage": "earlier"} == run.history
    assert "validation" not in run.clock.phases()


def test_a_stage_that_is_over_is_not_trained_again(fit: Fit, open_run: Callable[..., Run], tmp_path: Path) -> None:
    """A run stopped in a later stage finds the earlier one done: the same model, no round."""
    expected = fit(open_run(tmp_path), rounds=200, patience=12)
    run = open_run(tmp_path)
    again = fit(run, rounds=200, patience=12)
    assert raw(expected.booster) == raw(again.booster)
    assert (expected.rounds, expected.stop_reason) == (again.rounds, again.stop_reason)
    assert expected.rounds == run.history["best_step"]
    assert run._metrics is None, "no round was trained"


def test_a_damaged_checkpoint_costs_an_interval_only(fit: Fit, open_run: Callable[..., Run], tmp_path: Path) -> None:
    """The earlier one is used, which the report says, and the model is the same."""
    expected = fit(open_run(tmp_path / "straight"))
    Signal.looks = 3
    with pytest.raises(Stopped, match=r"^SIGTERM ended it after 30 rounds\.$"):
        fit(open_run(tmp_path / "stopped"), checkpoint_seconds=0)
    folder = tmp_path / "stopped" / "checkpoints" / "select"
    assert ["00000020", "00000030"] == sorted(path.name for path in folder.iterdir())
    model = folder / "00000030" / "booster.ubj"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    run = open_run(tmp_path / "stopped")
    Signal.looks = 10**9
    fitted = fit(run)
    assert raw(expected.booster) == raw(fitted.booster)
    assert [
        "The checkpoint '00000030' is damaged: 'booster.ubj' does not match its checksum. It is passed over."
    ] == run.warnings
    assert 21 == json.loads(metrics(run)[-15])["step"]


def test_a_killed_process_goes_on_from_its_checkpoint(fit: Fit, open_run: Callable[..., Run], tmp_path: Path) -> None:
    """Nothing is saved at the end, the timed checkpoint is what is left: the same model again."""
    expected = fit(open_run(tmp_path / "straight"))

    class Killed(BaseException):
        pass

    class Dying(Progress):
        def step(self, step: int, note: str) -> None:
            super().step(step, note)
            if step == 30:
                raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "Progress", Dying)
        with pytest.raises(Killed):
            fit(open_run(tmp_path / "killed"), checkpoint_seconds=0)
    folder = tmp_path / "killed" / "checkpoints" / "select"
    assert ["00000010", "00000020"] == sorted(path.name for path in folder.iterdir())
    assert raw(expected.booster) == raw(fit(open_run(tmp_path / "killed")).booster)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_real_signal_stops_it_after_the_chunk(
    number: signal.Signals, fit: Fit, open_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal within a chunk lets it end, saves, and says how far it came; the record can be resumed."""
    from paceline.stop import Listener

    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(fit_xgboost, "Listener", Listener)
    update = xgboost.Booster.update

    def signalled(self: xgboost.Booster, data: xgboost.DMatrix, iteration: int) -> None:
        update(self, data, iteration)
        if iteration == 13:
            os.kill(os.getpid(), number)

    run = open_run(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(xgboost.Booster, "update", signalled)
        with pytest.raises(Stopped, match=rf"^{number.name} ended it after 20 rounds\.$"):
            fit(run)
    assert (tmp_path / "checkpoints" / "select" / "00000020" / "manifest.json").exists()
    assert 20 == len(metrics(run))


def test_an_overdue_stop_leaves_a_record(open_run: Callable[..., Run], rows: Rows, tmp_path: Path) -> None:
    """What the other thread writes before it ends the process says where training stood and what is saved."""
    run = open_run(tmp_path)
    boosting = fit_xgboost._Boosting(PLAIN, rows[0], None, 0, 0, tmp_path / "checkpoints", run)
    boosting.chunk(100)
    boosting.save()
    boosting.chunk(100)
    boosting.record_overdue()
    found = json.loads((tmp_path / "run.json").read_text())
    assert ("stopped", "A signal ended it in round 21; 10 rounds are saved.") == (found["status"], found["error"])


def test_the_ledger_has_its_phases(fit: Fit, open_run: Callable[..., Run], tmp_path: Path) -> None:
    """Build, training, validation and checkpoints are told apart, and add up."""
    run = open_run(tmp_path)
    fit(run, checkpoint_seconds=0)
    phases = run.clock.phases()
    assert {"build", "train", "validation", "checkpoint"} <= set(phases)
    assert all(phases[name] > 0 for name in ("build", "train", "validation", "checkpoint"))
    assert sum(phases.values()) == pytest.approx(run.clock.elapsed(), abs=0.01)


@pytest.mark.filterwarnings("ignore:.*Device is changed from GPU to CPU:UserWarning")
def test_a_silent_fallback_is_refused(fit: Fit, open_run: Callable[..., Run], tmp_path: Path) -> None:
    """XGBoost told to use a GPU that it cannot use only warns, and computes on the CPU."""
    if xgboost.build_info().get("USE_CUDA"):
        pytest.skip("this XGBoost is built with CUDA")
    with pytest.raises(PacelineError, match=r"^'cuda' was asked for, but XGBoost computed on 'cpu'\. Use --device cpu"):
        fit(open_run(tmp_path), {**PLAIN, "device": "cuda"}, rounds=2)


def test_the_device_that_was_used_is_accepted(
    open_run: Callable[..., Run], rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device with a number is of the kind that was asked for."""
    boosting = fit_xgboost._Boosting(PLAIN, rows[0], None, 0, 0, tmp_path, open_run(tmp_path))
    boosting.verify_device()
    boosting.parameters["device"] = "cuda"
    configuration = json.dumps({"learner": {"generic_param": {"device": "cuda:0"}}})
    monkeypatch.setattr(xgboost.Booster, "save_config", lambda _: configuration)
    boosting.verify_device()


@pytest.mark.parametrize(
    ("expected", "parameters"),
    [
        ("value -1 for Parameter max_depth should be greater equal to 0", {"max_depth": -1}),
        ("value 2 for Parameter subsample exceed bound [0,1]", {"subsample": 2.0}),
        ("Unknown objective function: `nope`", {"objective": "nope"}),
        ("Unknown metric function nope", {"eval_metric": "nope"}),
    ],
)
def test_refused_parameters_are_one_sentence(
    expected: str, parameters: dict[str, Any], fit: Fit, open_run: Callable[..., Run], tmp_path: Path
) -> None:
    """What XGBoost says, without its source line and stack, and where to mend it."""
    with pytest.raises(PacelineError) as refused:
        fit(open_run(tmp_path), {**PLAIN, **parameters}, rounds=2)
    assert f"XGBoost refused: {expected}. Check [model] and [train]." == str(refused.value)


def test_the_booster_gets_the_device_and_its_threads() -> None:
    """A GPU is called cuda there."""
    gpu = Device("gpu", "gpu", "a GPU", "it was asked for", "float32", 7)
    assert {"device": "cuda", "nthread": 7, "tree_method": "hist"} == fit_xgboost.engine_parameters(gpu)
    assert "cpu" == fit_xgboost.engine_parameters(CPU)["device"]


def test_a_saved_model_loads_and_a_changed_one_is_refused(
    fit: Fit, open_run: Callable[..., Run], tmp_path: Path
) -> None:
    """The checksum is verified before XGBoost parses, which a damaged file can crash."""
    booster = fit(open_run(tmp_path / "run"), rounds=3).booster
    path = tmp_path / "model.ubj"
    saved = fit_xgboost.save_model(booster, path)
    assert "model.ubj" == saved["file"]
    assert raw(booster) == raw(fit_xgboost.load_model(path, saved["sha256"]))
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[: len(whole) // 2], b"", bytes([whole[0] ^ 1]) + whole[1:]):
        path.write_bytes(broken)
        with pytest.raises(PacelineError, match=r"^'model.ubj' does not match its checksum\."):
            fit_xgboost.load_model(path, saved["sha256"])
    path.unlink()
    with pytest.raises(PacelineError, match=r"cannot be read: No such file or directory\. Name a run that finished\."):
        fit_xgboost.load_model(path, saved["sha256"])


def test_added_trees_continue_the_booster(fit: Fit, open_run: Callable[..., Run], tmp_path: Path, rows: Rows) -> None:
    """30 rounds on top of 20 are 50 trees, the first 20 unchanged, and as good as 50 in one go, if not the same."""
    first = fit(open_run(tmp_path / "a"), rounds=20)
    before = raw(first.booster)
    added = fit(open_run(tmp_path / "b"), rounds=30, start=first.booster)
    assert (30, 50) == (added.rounds, added.booster.num_boosted_rounds())
    assert first.booster.get_dump() == added.booster[:20].get_dump()
    assert before == raw(first.booster)
    in_one = fit(open_run(tmp_path / "c"), rounds=50)
    losses = [float(b.eval(rows[0]).rpartition(":")[2]) for b in (first.booster, added.booster, in_one.booster)]
    assert losses[0] < losses[1]
    assert pytest.approx(losses[2], abs=0.02) == losses[1]


def test_added_trees_stop_early_by_their_own_rounds(fit: Fit, open_run: Callable[..., Run], tmp_path: Path) -> None:
    """The best round counts the added trees; those before it are all kept."""
    first = fit(open_run(tmp_path / "a"), rounds=20)
    added = fit(open_run(tmp_path / "b"), rounds=200, patience=5, start=first.booster)
    assert added.rounds < 195
    assert 20 + added.rounds == added.booster.num_boosted_rounds()


def test_added_trees_resume_to_the_same_bytes(
    fit: Fit, open_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after a chunk and resumed, a continued booster ends as if it had not been stopped."""
    first = fit(open_run(tmp_path / "a"), rounds=20).booster
    straight = fit(open_run(tmp_path / "b"), start=first)
    monkeypatch.setattr(Signal, "looks", 2)
    with pytest.raises(Stopped):
        fit(open_run(tmp_path / "c"), start=first)
    monkeypatch.setattr(Signal, "looks", 10**9)
    assert raw(straight.booster) == raw(fit(open_run(tmp_path / "c"), start=first).booster)


def test_refresh_keeps_the_trees_and_learns_their_leaves(fit: Fit, open_run: Callable[..., Run]) -> None:
    """Splits stay where they are; on rows with the opposite labels the leaves turn around."""
    first = fit(open_run(), PLAIN, rounds=10).booster
    before = raw(first)
    rng = np.random.default_rng(5)
    X = rng.normal(size=(2000, 8)).astype(np.float32)
    turned = (X[:, 0] < 1).astype(np.float32)
    refreshed = fit_xgboost.refresh({**SAMPLED, "max_bin": 64}, first, xgboost.DMatrix(X, turned))

    def splits(booster: xgboost.Booster) -> list[str]:
        return [part for tree in booster.get_dump() for part in re.findall(r"\[.*?\]", tree)]

    assert splits(first) == splits(refreshed)
    assert before == raw(first)
    assert np.corrcoef(first.inplace_predict(X), turned)[0, 1] < -0.3
    assert np.corrcoef(refreshed.inplace_predict(X), turned)[0, 1] > 0.3


class CuPy(SimpleNamespace):
    """In the place of CuPy: a GPU with so much free memory, whose copies are noted."""

    def __init__(self, free_bytes: int) -> None:
        runtime = SimpleNamespace(memGetInfo=lambda: (free_bytes, free_bytes))
        super().__init__(cuda=SimpleNamespace(runtime=runtime), copied=[], __spec__=ModuleSpec("cupy", None))

    def asarray(self, X: Any) -> Any:
        """Note the copy."""
        self.copied.append(X.nbytes)
        return X


@pytest.mark.parametrize(("kind", "free_bytes", "copies"), [("gpu", 3840, 1), ("gpu", 3839, 0), ("cpu", 10**9, 0)])
def test_bins_are_made_on_the_gpu_where_the_rows_fit(
    kind: str, free_bytes: int, copies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the rows must be free there; else, and for a CPU, they are made on the host."""
    cupy = CuPy(free_bytes)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    X = np.arange(240, dtype=np.float32).reshape(60, 4)
    made = fit_xgboost.matrix(X, np.arange(60) % 2, replace(CPU, kind=kind), max_bin=16)
    assert (60, 4) == (made.num_row(), made.num_col())
    assert [X.nbytes] * copies == cupy.copied


def test_what_a_training_managed_is_in_the_record(fit: Fit, open_run: Callable[..., Run]) -> None:
    """Rounds, the size of the data and of a tree, rows a second, and memory, by the training's name."""
    run = open_run()
    fit(run, PLAIN, rounds=12)
    facts = run.training["select"]
    assert (12, 600, 8, 3) == tuple(facts[name] for name in ("steps", "rows", "features", "max_depth"))
    assert facts["examples_per_second"] > 600
    assert facts["peak_memory_bytes"] > 1e7
    again = open_run(run.folder)
    fit(again, PLAIN, rounds=12)
    assert {} == again.training, "a session that had nothing left to do managed nothing"
