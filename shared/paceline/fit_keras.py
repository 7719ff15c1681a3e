"""`model.fit` with a ledger of its time, early stopping, checkpoints, and resume that is bit-identical on the CPU.

`fit` calls Keras's own `fit`; `_Training` is what survives an interruption, and `_Watch`, the callback around it, only
tells it what happened. The callback uses epoch hooks and the *begin* of steps: a callback on the end of a step makes
the JAX and torch backends wait for the device in every step.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paceline import atomic, checkpoint, device
from paceline.course import Course
from paceline.errors import PacelineError, Stopped
from paceline.progress import Progress
from paceline.record import Run
from paceline.stop import Listener

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend

FINISH_EPOCH_SECONDS = 5.0  # after a signal an epoch may go on this long to end where it can be resumed


@dataclass(frozen=True)
class Fitted:
    """How a training came about; the model itself holds the weights of its best epoch.

    Attributes:
        epochs: the epochs whose weights are kept: up to the best where stopping early was asked for, else all.
        stop_reason: why training ended, in a few words.
    """

    epochs: int
    stop_reason: str


def prepare(requested: str, *, seed: int) -> device.Device:
    """Choose the device, set the precision that suits it, and seed Keras; call before a model is built.

    Raises:
        PacelineError: the device asked for cannot be used; see `device.for_keras`.
    """
    chosen = device.for_keras(requested)
    keras.config.set_dtype_policy(chosen.precision)
    keras.utils.set_random_seed(seed)
    return chosen


class Batches(keras.utils.PyDataset):  # type: ignore[misc] # Keras publishes no types
    """Arrays in memory as batches of one fixed shape, in an order that depends on the seed and the epoch alone.

    The last batch is filled from the beginning of the order (training) or repeats its first row with weight 0
    (evaluation), so that nothing is compiled twice and no row counts more than once in a score: losses and
    `weighted_metrics` come out as without filling; `metrics`, to which Keras gives no weights, would not.

    Args:
        x: inputs, rows first.
        y: targets, rows first.
        batch_size: rows in a batch.
        seed: of the order; None keeps the rows in order and weights the filling 0, for evaluation.
        run: gets the time it takes to make batches, as the phase `input_wait`.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, *, batch_size: int, seed: int | None, run: Run) -> None:
        super().__init__()
        self.x, self.y, self.seed, self.run = x, y, seed, run
        self.rows = batch_size if seed is None else min(batch_size, len(x))
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Put the rows in the order of `epoch`; `fit` calls it, for Keras does not say which epoch it is in."""
        self.epoch = epoch
        rows = np.arange(len(self.x))
        if self.seed is not None:
            np.random.default_rng((self.seed, epoch)).shuffle(rows)
        missing = -len(rows) % self.rows
        self.order = np.concatenate([rows, np.resize(rows, missing)]) if missing else rows

    def __len__(self) -> int:
        return len(self.order) // self.rows

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        with self.run.phase("input_wait"):
            part = slice(index * self.rows, (index + 1) * self.rows)
            rows = self.order[part]
            if self.seed is not None:
                return self.x[rows], self.y[rows]
            counted = np.arange(part.start, part.stop) < len(self.x)
            # Keras divides a batch's loss by its rows, filling included; the factor makes that a mean over the others.
            weights = counted * (len(self.order) / len(self.x))
            return self.x[rows], self.y[rows], weights.astype("float32")


def fit(
    model: keras.Model,
    train: Batches,
    validation: Batches | None,
    *,
    epochs: int,
    early_stopping_epochs: int,
    monitor: str,
    larger_is_better: bool,
    checkpoint_seconds: float,
    stage: str,
    run: Run,
    progress: Progress,
) -> Fitted:
    """Train the compiled `model` until `epochs`, or until `early_stopping_epochs` brought no better validation score.

    The weights of the best epoch are put back at the end where stopping early was asked for. SIGTERM and Ctrl-C end
    it at the end of the epoch, or after 5 s within it; a later call in the same folder goes on from the last epoch
    saved, on a CPU to the same bits.

    Args:
        model: built and compiled, `prepare` called before.
        train: what an epoch goes through.
        validation: what `monitor` is computed on after each epoch; None trains without watching.
        epochs: the most passes over `train`.
        early_stopping_epochs: epochs without a better score that end training; 0 goes through all.
        monitor: the name of a compiled metric, or `loss`.
        larger_is_better: of `monitor`.
        checkpoint_seconds: a checkpoint at the end of the next epoch after that many seconds.
        stage: the name of this training below `checkpoints/` and in the progress line.
        run: gets the history, the time by phase and the warnings; its folder is where an earlier session's
            checkpoints are looked for.
        progress: the progress line.

    Raises:
        Stopped: a signal asked for the end.
        PacelineError: the loss is no number any more.
    """
    course = Course("epoch", f"validation_{monitor}", larger_is_better, early_stopping_epochs if validation else 0)
    training = _Training(model, course, stage, run)
    course = training.course
    progress.begin(stage, step=course.step)
    with Listener(training.record_overdue) as listener, run.phase("train"):
        watch = _Watch(training, train, epochs, checkpoint_seconds, lambda: listener.requested, progress)
        if not course.ended:
            model.fit(
                train,
                validation_data=validation,
                initial_epoch=course.step,
                epochs=epochs,
                callbacks=[watch],
                shuffle=False,  # Batches shuffles, by epoch, so that a resumed run sees the same order
                verbose=0,
            )
            training.save()
    if validation is not None:
        run.history = course.history(stage)
    if training.best:
        _assign(model.variables, training.best)
    return Fitted(course.kept(), course.ended)


class _Training:
    """A model on its way from the first epoch, or from the newest whole checkpoint of its stage, to the last."""

    def __init__(self, model: keras.Model, course: Course, stage: str, run: Run) -> None:
        self.model, self.course, self.run = model, course, run
        self.folder = run.folder / "checkpoints" / stage
        self.best: list[np.ndarray] = []
        model.optimizer.build(model.trainable_variables)  # so that there are variables to restore
        found, damaged = checkpoint.latest(self.folder)
        for sentence in damaged:
            run.warn(sentence)
        if found is not None:
            self.course = Course.load(found.files["course.json"])
            _assign(self._variables(), _unpack(found.files["variables.npz"]))
            if "best.npz" in found.files:
                self.best = _unpack(found.files["best.npz"])
        self.saved_at, self.saved_epoch = run.clock.elapsed(), self.course.step

    def epoch_ended(self, logs: dict[str, float], epochs: int) -> None:
        """Take in the scores of an epoch and decide whether it was the last."""
        course = self.course
        course.step += 1
        row: dict[str, Any] = {"step": course.step}
        for name, value in logs.items():
            part = "validation" if name.startswith("val_") else "train"
            row[f"{part}_{name.removeprefix('val_')}"] = float(value)
        self.run.log(row)
        course.rows.append(row | {"elapsed_seconds": round(self.run.clock.elapsed(), 3)})
        if not math.isfinite(row["train_loss"]):
            raise PacelineError(
                f"The loss became {row['train_loss']} in epoch {course.step}.",
                "Lower the learning rate, or check the inputs for missing values.",
            )
        if course.monitor in row and course.judge(row[course.monitor]) and course.patience:
            # A copy: the buffers are donated to the next step.
            self.best = [np.asarray(variable).copy() for variable in self.model.variables]
        if course.step == epochs and not course.ended:
            course.ended = f"all {epochs} epochs"

    def save(self) -> None:
        """Write a checkpoint and the run record as it stands."""
        with self.run.phase("checkpoint"):
            files = {
                "variables.npz": _pack([np.asarray(variable) for variable in self._variables()]),
                "course.json": self.course.dump(),
            }
            if self.best:
                files["best.npz"] = _pack(self.best)
            checkpoint.save(self.folder, self.course.step, files)
            self.run.save()
        self.saved_at, self.saved_epoch = self.run.clock.elapsed(), self.course.step

    def record_overdue(self) -> None:
        """Close the record from another thread while a step does not return."""
        self.run.status = "stopped"
        self.run.error = f"A signal ended it in epoch {self.course.step + 1}; {self.saved_epoch} epochs are saved."
        self.run.save()

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


class _Watch(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Tells `_Training` what Keras does, and the clock which phase it is in."""

    def __init__(
        self,
        training: _Training,
        train: Batches,
        epochs: int,
        checkpoint_seconds: float,
        signal: Callable[[], str],
        progress: Progress,
    ) -> None:
        super().__init__()
        self.training, self.train, self.epochs = training, train, epochs
        self.checkpoint_seconds, self.signal, self.progress = checkpoint_seconds, signal, progress
        self.clock = training.run.clock
        self.signal_at: float | None = None
        self.compiling: int | None = None
        self.validating: int | None = None
        self.validated = False

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.compiling = self.clock.begin("compile")  # until the second step begins: the first one traces and compiles

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.train.start_epoch(epoch)

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch and self.compiling is not None:
            self._compiled()
        if name := self.signal():
            if self.signal_at is None:
                self.signal_at = self.clock.elapsed()
            elif self.clock.elapsed() - self.signal_at > FINISH_EPOCH_SECONDS:
                saved = self.training.saved_epoch
                raise Stopped(f"{name} ended it within an epoch; {saved} epochs are saved.", resumable=True)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._compiled()
        self.validating = self.clock.begin("validation" if self.validated else "compile/validation")

    def on_test_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch and not self.validated and self.validating is not None:
            self.validated = True
            self.clock.end(self.validating)
            self.validating = self.clock.begin("validation")

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        self.validated = True
        if self.validating is not None:
            self.clock.end(self.validating)
            self.validating = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._compiled()
        training, course = self.training, self.training.course
        with self.clock.span("callbacks"):
            training.epoch_ended(logs or {}, self.epochs)
            self.progress.step(course.step, course.note())
        if course.ended:
            self.model.stop_training = True
        elif name := self.signal():
            training.save()
            raise Stopped(f"{name} ended it after {course.step} epochs.", resumable=True)
        elif self.clock.elapsed() - training.saved_at >= self.checkpoint_seconds:
            training.save()

    def _compiled(self) -> None:
        if self.compiling is not None:
            self.clock.end(self.compiling)
            self.compiling = None


def save_model(model: keras.Model, path: Path) -> dict[str, str]:
    """Write the model as `path` (`.keras`) and return `{"file", "sha256"}` for `load_model`."""
    temporary = path.with_name(f".{path.stem}.tmp.keras")
    model.save(temporary)
    data = temporary.read_bytes()
    temporary.unlink()
    atomic.write_bytes(path, data)
    return {"file": path.name, "sha256": atomic.sha256(data)}


def load_model(path: Path, sha256: str) -> keras.Model:
    """Return the model in `path`, for prediction, once its checksum is verified; code in it is never run.

    Raises:
        PacelineError: the file is missing or has other content.
    """
    try:
        checkpoint.read_verified(path, sha256)
    except OSError as error:
        raise PacelineError(f"'{path}' cannot be read: {error.strerror}.", "Name a run that finished.") from None
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _pack(arrays: list[np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, *arrays)
    return buffer.getvalue()


def _unpack(data: bytes) -> list[np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return [archive[f"arr_{index}"] for index in range(len(archive.files))]


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise PacelineError("The checkpoint is of another model.", "Resume with the configuration of its run.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
