"""Keras training with a ledger of its time, early stopping, and resume to the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from paceline import fit_keras, keras_watch, throughput
from paceline.errors import PacelineError, Stopped
from paceline.fit_keras import Batches
from paceline.keras_training import Training
from paceline.progress import Progress
from paceline.record import Run

ROWS, BATCH = 200, 32


class Signal:
    """In the place of a listener: asks for the end once `epochs` epochs have ended in this session."""

    epochs = 10**9

    def __init__(self, overdue: Callable[[], None]) -> None:
        self.looks = 0

    def __enter__(self) -> Signal:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def requested(self) -> str:
        """The signal's name once it has come: looked at in each step and at the end of each epoch."""
        self.looks += 1
        return "SIGTERM" if self.looks >= Signal.epochs * (-(-ROWS // BATCH) + 1) else ""


@pytest.fixture(autouse=True)
def no_real_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals come when a test says so."""
    monkeypatch.setattr(fit_keras, "Listener", Signal)
    monkeypatch.setattr(Signal, "epochs", 10**9)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Rows that are learnt slowly, and overfitted."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS + 70, 5)).astype("float32")
    return x, (x[:, 0] + rng.normal(0, 1.0, len(x)) > 0).astype("float32")


@pytest.fixture(scope="module", autouse=True)
def on_the_cpu() -> None:
    """Choose the device before anything is computed; the same network is compiled once for all tests."""
    chosen = fit_keras.prepare("cpu", seed=0)
    assert ("cpu", "float32") == (chosen.kind, keras.config.dtype_policy().name)


def build(learning_rate: float = 0.05) -> keras.Model:
    """Return a small network with all that has state: batch norm, dropout, an optimizer with moments."""
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((5,)),
        keras.layers.Dense(16, activation="relu", kernel_regularizer="l2"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3, seed=2),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential(layers)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.AUC(from_logits=True, num_thresholds=200, name="auc_roc")],
    )
    return model


Data = tuple[np.ndarray, np.ndarray]


def train_on(data: Data, run: Run) -> Batches:
    """Return the training rows."""
    return Batches(data[0][:ROWS], data[1][:ROWS], batch_size=BATCH, seed=4, run=run)


def watch(data: Data, run: Run) -> Batches:
    """Return the validation rows, which do not fill their last batch."""
    return Batches(data[0][ROWS:], data[1][ROWS:], batch_size=BATCH, seed=None, run=run)


def fit(
    model: keras.Model,
    data: Data,
    run: Run,
    *,
    epochs: int = 5,
    patience: int = 0,
    monitor: str = "auc_roc",
    validate: bool = True,
    checkpoint_seconds: float = 1e9,
) -> fit_keras.Fitted:
    """Train in a run's folder, or go on there."""
    with Progress({"select": epochs}, unit="epoch") as progress:
        return fit_keras.fit(
            model,
            train_on(data, run),
            watch(data, run) if validate else None,
            epochs=epochs,
            early_stopping_epochs=patience,
            monitor=monitor,
            larger_is_better=monitor != "loss",
            checkpoint_seconds=checkpoint_seconds,
            stage="select",
            run=run,
            progress=progress,
        )


def state(model: keras.Model) -> list[np.ndarray]:
    """Return everything that training moves: weights, running means, random states, the optimizer's moments."""
    return [np.array(variable) for variable in (*model.variables, *model.optimizer.variables)]


def assert_same(expected: list[np.ndarray], found: list[np.ndarray]) -> None:
    """Assert that two states have the same bits."""
    assert len(expected) == len(found)
    assert all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(expected, found, strict=True))


def without_time(history: dict[str, Any]) -> dict[str, Any]:
    """Return a history less its seconds, which differ from run to run."""
    rows = [{key: value for key, value in row.items() if key != "elapsed_seconds"} for row in history["rows"]]
    return {**history, "rows": rows}


@pytest.fixture(scope="module")
def straight(data: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[np.ndarray], Any, Run]:
    """A run of five epochs that nothing disturbed: its state, its result, its record."""
    from paceline.clock import Clock
    from paceline.config import Section

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_keras, "Listener", Signal)
        run = Run(tmp_path_factory.mktemp("straight"), Section(), Clock())
        model = build()
        fitted = fit(model, data, run)
        run.close()
    return state(model), fitted, run


def test_training_changes_what_has_state(straight: tuple[list[np.ndarray], Any, Run]) -> None:
    """Otherwise equal states would show nothing: dropout's seed and the running means are among them."""
    model = build()
    model.optimizer.build(model.trainable_variables)
    names = [variable.path for variable in (*model.variables, *model.optimizer.variables)]
    changed = [name for name, a, b in zip(names, state(model), straight[0], strict=True) if not np.array_equal(a, b)]
    for part in ("kernel", "moving_mean", "seed_generator_state", "iteration", "velocity"):
        assert any(part in name for name in changed), part


@pytest.mark.parametrize("epochs", [[1], [2, 2], [5]])
def test_a_stopped_run_ends_with_the_same_bits(
    epochs: list[int],
    straight: tuple[list[np.ndarray], Any, Run],
    data: Data,
    open_run: Callable[..., Run],
) -> None:
    """Stopped after any epoch, the last too, and gone on in a model built anew, weights and optimizer are the same."""
    for count in epochs:
        Signal.epochs = count
        with pytest.raises(Stopped, match=r"^SIGTERM ended it after \d epochs\.$") as stopped:
            fit(build(), data, open_run())
        assert stopped.value.resumable
    Signal.epochs = 10**9
    keras.utils.set_random_seed(99)  # another process begins with other random states
    run, model = open_run(), build()
    fitted = fit(model, data, run)
    assert_same(straight[0], state(model))
    assert straight[1] == fitted
    assert without_time(straight[2].history) == without_time(run.history)


def test_a_killed_run_goes_on_from_its_checkpoint_and_a_damaged_one_is_passed_over(
    straight: tuple[list[np.ndarray], Any, Run], data: Data, open_run: Callable[..., Run], tmp_path: Path
) -> None:
    """Timed checkpoints are what a killed process leaves; of two the newest whole one is used."""
    Signal.epochs = 3
    with pytest.raises(Stopped):
        fit(build(), data, open_run(), checkpoint_seconds=0)
    Signal.epochs = 10**9
    folder = tmp_path / "checkpoints" / "select"
    assert ["00000002", "00000003"] == sorted(path.name for path in folder.iterdir())
    variables = folder / "00000003" / "variables.npz"
    variables.write_bytes(variables.read_bytes()[:-9])
    run, model = open_run(), build()
    fit(model, data, run)
    assert_same(straight[0], state(model))
    assert [
        "The checkpoint '00000003' is damaged: 'variables.npz' does not match its checksum. It is passed over."
    ] == run.warnings


def test_a_stage_that_is_over_is_not_trained_again(
    straight: tuple[list[np.ndarray], Any, Run], data: Data, open_run: Callable[..., Run]
) -> None:
    """A run stopped in a later stage finds the earlier one done: the same weights, no epoch."""
    run = open_run(straight[2].folder)
    model = build()
    assert straight[1] == fit(model, data, run)
    assert_same(straight[0], state(model))
    assert run._metrics is None, "no epoch was trained"


def test_a_checkpoint_of_another_model_is_refused(
    straight: tuple[list[np.ndarray], Any, Run], data: Data, open_run: Callable[..., Run]
) -> None:
    """Weights of other shapes are not squeezed in."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("adam", "binary_crossentropy")
    with pytest.raises(PacelineError, match=r"^The checkpoint is of another model\."):
        fit(model, data, open_run(straight[2].folder))


def test_the_ledger_tells_the_phases_apart(straight: tuple[list[np.ndarray], Any, Run]) -> None:
    """Compilation, steps, input, validation, checkpoints and callbacks each have their time, and all add up."""
    found = json.loads((straight[2].folder / "run.json").read_text())
    phases = found["phases"]
    expected = {"compile", "train", "input_wait", "validation", "checkpoint", "callbacks"}
    assert expected <= set(phases)
    assert all(phases[name] > 0 for name in expected)
    assert found["wall_seconds"] == pytest.approx(sum(phases.values()), rel=1e-9)
    assert phases["compile"] > phases["train"], "a small network compiles longer than it trains"
    assert "compile/validation" in found["spans"]


def test_the_history_has_a_row_an_epoch(straight: tuple[list[np.ndarray], Any, Run]) -> None:
    """Scores of training and of validation under the names the report knows."""
    history = straight[2].history
    assert ("epoch", "validation_auc_roc", "max") == (history["step_unit"], history["monitor"], history["mode"])
    assert [1, 2, 3, 4, 5] == [row["step"] for row in history["rows"]]
    parts = {f"{part}_{name}" for part in ("train", "validation") for name in ("loss", "auc_roc")}
    assert {"step", "elapsed_seconds", *parts} == set(history["rows"][0])
    lines = (straight[2].folder / "metrics.jsonl").read_text().splitlines()
    assert [row["train_loss"] for row in history["rows"]] == [json.loads(line)["train_loss"] for line in lines]
    assert (5, "all 5 epochs") == (straight[1].epochs, straight[1].stop_reason)


def test_early_stopping_puts_the_best_weights_back(data: Data, open_run: Callable[..., Run]) -> None:
    """The model that is handed over scores what its best epoch scored, across a stop too."""
    how: dict[str, Any] = {"epochs": 40, "patience": 3, "monitor": "loss"}
    run, model = open_run(), build(0.1)
    Signal.epochs = 2
    with pytest.raises(Stopped):
        fit(model, data, run, **how)
    Signal.epochs = 10**9
    run, model = open_run(), build(0.1)
    fitted = fit(model, data, run, **how)
    losses = [row["validation_loss"] for row in run.history["rows"]]
    best = int(np.argmin(losses))
    assert "no better validation score for 3 epochs" == fitted.stop_reason
    assert (best + 1, best + 1, best + 4) == (fitted.epochs, run.history["best_step"], len(losses))
    assert "min" == run.history["mode"]
    assert losses[best] == pytest.approx(model.evaluate(watch(data, run), verbose=0)[0], rel=1e-6)
    assert losses[-1] != pytest.approx(losses[best], rel=1e-3)


def test_a_refit_without_validation_goes_through_all_epochs(data: Data, open_run: Callable[..., Run]) -> None:
    """The history of the selection stays, and nothing is validated."""
    run = open_run()
    run.history = {"stage": "earlier"}
    fitted = fit(build(), data, run, epochs=2, patience=1, validate=False)
    assert (2, "all 2 epochs") == (fitted.epochs, fitted.stop_reason)
    assert {"stage": "earlier"} == run.history
    assert "validation" not in run.clock.phases()


def test_a_loss_that_is_no_number_ends_training(data: Data, open_run: Callable[..., Run]) -> None:
    """After three times with a smaller learning rate, with what to do; metrics.jsonl is still valid JSON."""
    run = open_run()
    broken = (np.where(np.arange(len(data[0]))[:, None] == 7, np.nan, data[0]), data[1])
    with pytest.raises(
        PacelineError, match=r"^The loss became nan in epoch 1, also after going back 3 times with half"
    ):
        fit(build(), broken, run)
    run.save()
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    assert [None] * 4 == [json.loads(line)["train_loss"] for line in lines]
    assert 3 == len(run.warnings)


def test_a_signal_within_a_long_epoch_does_not_wait_for_its_end(
    data: Data, open_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five seconds the epoch is given up; what an earlier epoch saved is kept."""
    monkeypatch.setattr(keras_watch, "FINISH_EPOCH_SECONDS", -1.0)
    monkeypatch.setattr(Signal, "epochs", 0)
    run = open_run()
    with pytest.raises(Stopped, match=r"^SIGTERM ended it within an epoch; 0 epochs are saved\.$"):
        fit(build(), data, run)
    assert not (run.folder / "checkpoints" / "select").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_real_signal_stops_it_after_the_epoch(
    number: signal.Signals, data: Data, open_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch under way is finished and saved."""
    from paceline.stop import Listener

    monkeypatch.setattr(fit_keras, "Listener", Listener)
    getitem = Batches.__getitem__

    def signalled(self: Batches, index: int) -> tuple[np.ndarray, ...]:
        if self.seed is not None and (self.epoch, index) == (1, 2):
            os.kill(os.getpid(), number)
        return getitem(self, index)

    monkeypatch.setattr(Batches, "__getitem__", signalled)
    run = open_run()
    with pytest.raises(Stopped, match=rf"^{number.name} ended it after 2 epochs\.$"):
        fit(build(), data, run)
    assert (run.folder / "checkpoints" / "select" / "00000002" / "manifest.json").exists()


def test_an_overdue_stop_leaves_a_record(data: Data, open_run: Callable[..., Run]) -> None:
    """What the other thread writes before it ends the process says where training stood and what is saved."""
    from paceline.course import Course

    run = open_run()
    course = Course("epoch", "validation_loss", False, 0, step=7)
    training = Training(build(), course, train_on(data, run), None, epochs=9, stage="select", run=run)
    training.save()
    training.course.step = 9
    training.record_overdue()
    found = json.loads((run.folder / "run.json").read_text())
    assert ("stopped", "A signal ended it in epoch 10; 7 epochs are saved.") == (found["status"], found["error"])


@pytest.mark.parametrize("batch_size", [7, 32, 70, 100])
def test_filling_does_not_change_a_score(batch_size: int, data: Data, open_run: Callable[..., Run]) -> None:
    """Loss, its penalties included, and weighted metrics are those of the rows in one batch, whatever the filling."""
    model = build()
    expected = model.evaluate(data[0][ROWS:], data[1][ROWS:], batch_size=70, verbose=0, return_dict=True)
    batches = Batches(data[0][ROWS:], data[1][ROWS:], batch_size=batch_size, seed=None, run=open_run())
    found = model.evaluate(batches, verbose=0, return_dict=True)
    assert expected == pytest.approx(found, rel=1e-5)


def test_a_saved_model_loads_and_a_changed_one_is_refused(data: Data, tmp_path: Path) -> None:
    """The weights come back, and a file that was touched is not even opened."""
    model = build()
    path = tmp_path / "model.keras"
    saved = fit_keras.save_model(model, path)
    assert ["model.keras"] == [file.name for file in tmp_path.iterdir()]
    loaded = fit_keras.load_model(path, saved["sha256"])
    assert_same([np.array(each) for each in model.variables], [np.array(each) for each in loaded.variables])
    expected = model.predict_on_batch(data[0][:9])
    assert np.array_equal(np.asarray(expected), np.asarray(loaded.predict_on_batch(data[0][:9])))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more", b"content")
    with pytest.raises(PacelineError, match=r"^'model.keras' does not match its checksum\."):
        fit_keras.load_model(path, saved["sha256"])
    path.unlink()
    with pytest.raises(PacelineError, match=r"cannot be read: No such file or directory\. Name a run that finished\."):
        fit_keras.load_model(path, saved["sha256"])


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ("jax", "from paceline import fit_keras; print(fit_keras.keras.backend.backend())"),
        (
            "KERAS_BACKEND is 'abacus', which is not installed. Install it, or unset KERAS_BACKEND for JAX.",
            "import os; os.environ['KERAS_BACKEND'] = 'abacus'\n"
            "from paceline.errors import PacelineError\n"
            "try:\n    from paceline import fit_keras\nexcept PacelineError as error:\n    print(error)",
        ),
    ],
)
def test_jax_is_the_backend_where_none_is_named(
    expected: str, code: str, process_environment: dict[str, str], tmp_path: Path
) -> None:
    """Keras itself would take TensorFlow, which is not installed; a backend that is not here is one sentence."""
    kept = {name: value for name, value in process_environment.items() if name != "KERAS_BACKEND"}
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True,
        env={**kept, "KERAS_HOME": str(tmp_path)},
    )  # fmt: skip
    assert expected == answer.stdout.strip()


def test_each_epoch_goes_through_its_own_order(
    data: Data, open_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often Keras resets its iterators, an epoch's batches are those of its number, each once."""
    made: list[tuple[int, int]] = []
    getitem = Batches.__getitem__

    def note(self: Batches, index: int) -> tuple[np.ndarray, ...]:
        if self.seed is not None:
            made.append((self.epoch, index))
        return getitem(self, index)

    monkeypatch.setattr(Batches, "__getitem__", note)
    fit(build(), data, open_run(), epochs=2)
    *first_look, _ = made[:-13]  # Keras looks at a batch before the first epoch, to know its shape
    assert [(0, 0)] == first_look
    assert [(epoch, index) for epoch in range(2) for index in range(7)] == made[-14:]


def test_a_model_around_a_compiled_one_is_read_without_its_loss(tmp_path: Path) -> None:
    """A head trained with a loss of the caller's own and then joined: whoever predicts need not know that loss."""

    class OwnLoss(keras.losses.Loss):  # type: ignore[misc] # Keras publishes no types
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)

    inputs = keras.Input((3,))
    head = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    head.compile("sgd", OwnLoss())
    outer = keras.Input((3,))
    model = keras.Model(outer, head(outer))
    saved = fit_keras.save_model(model, tmp_path / "model.keras")
    assert head.compiled
    rows = np.ones((2, 3), np.float32)
    loaded = fit_keras.load_model(tmp_path / "model.keras", saved["sha256"])
    np.testing.assert_array_equal(np.asarray(model(rows)), np.asarray(loaded(rows)))


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_the_step_is_lowered_for_a_tpu(precision: str, data: Data, open_run: Callable[..., Run]) -> None:
    """As far as that goes without one: static shapes, no call back to the host, bfloat16 where it is asked for."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = build()
        model.optimizer.build(model.trainable_variables)
        text = throughput.lowered_step(model, train_on(data, open_run()), platform="tpu").as_text()
    finally:
        keras.config.set_dtype_policy(before)
    assert "stablehlo" in text
    assert not [word for word in ("tensor<?", "x?x", "callback", "infeed", "outfeed") if word in text]
    assert ("bf16" in text) == (precision == "mixed_bfloat16")


def test_a_network_trains_in_mixed_bfloat16_where_it_is_asked_for(data: Data, open_run: Callable[..., Run]) -> None:
    """`train.precision` settles what is computed in; weights, their updates and the loss stay float32."""
    before = keras.config.dtype_policy()
    try:
        chosen = fit_keras.prepare("cpu", seed=0, precision="mixed_bfloat16")
        assert ("mixed_bfloat16", "mixed_bfloat16") == (chosen.precision, keras.config.dtype_policy().name)
        model = build()
        run = open_run()
        fit(model, data, run, epochs=3)
    finally:
        keras.config.set_dtype_policy(before)
    assert {"bfloat16"} == {layer.compute_dtype for layer in model.layers}
    assert {"float32"} == {variable.dtype for variable in model.weights if "seed" not in variable.path}
    losses = [row["train_loss"] for row in run.history["rows"]]
    assert np.all(np.isfinite(losses))
    assert losses[-1] < losses[0]
