"""What of a Keras training survives an interruption: all its variables, its course, what it had to give up.

A `Training` holds the state at the end of the last good epoch in memory, as arrays of its own (a backend reuses the
buffers of variables). No array is changed once it is there: the next epoch's state is other arrays. So checkpoints are
written from it while training goes on (see `writer`), and a rollback goes back to it.
"""

from __future__ import annotations

import gc
import io
import math
from dataclasses import asdict
from typing import Any

import numpy as np

from paceline import checkpoint, device, distribute, optimizers, recovery, schedules
from paceline.batches import Batches
from paceline.course import Course
from paceline.distribute import Spread
from paceline.errors import PacelineError
from paceline.record import Run
from paceline.recovery import Diverged, Recovery
from paceline.tensorboard import Events
from paceline.writer import Writer

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend

RECORD_SECONDS = 5.0  # between two writings of the run record while a training goes on
FILES = ("course.json", "recovery.json", "variables.npz", "best.npz")  # of a checkpoint


class Training:
    """A model on its way from the first epoch, or from the newest whole checkpoint of its stage, to the last."""

    def __init__(
        self,
        model: keras.Model,
        course: Course,
        train: Batches,
        validation: Batches | None,
        *,
        epochs: int,
        stage: str,
        run: Run,
        spread: Spread = Spread(),  # noqa: B008 -- frozen
    ) -> None:
        self.spread = spread
        self.model, self.course, self.train, self.validation = model, course, train, validation
        self.epochs, self.run = epochs, run
        self.folder = run.folder / "checkpoints" / stage
        self.events: Events | None = None
        self.best: list[np.ndarray] = []
        model.optimizer.build(model.trainable_variables)  # so that there are variables to restore
        self.schedule = schedules.of(model.optimizer)
        self.recovery = Recovery(micro_batches=model.optimizer.gradient_accumulation_steps or 1)
        self._averages = self._pair_averages()
        found, damaged = checkpoint.latest(self.folder)
        for sentence in damaged:
            run.warn(sentence)
        files = {} if found is None else found.files
        files = {name: data for name in FILES if (data := distribute.agreed(files.get(name))) is not None}
        if files:
            self.course = Course.load(files["course.json"])
            self.recovery = Recovery.load(files["recovery.json"])
        self._divide()
        if files:
            _assign(self._variables(), _unpack(files["variables.npz"]))
            if "best.npz" in files:
                self.best = _unpack(files["best.npz"])
        elif self.schedule is not None:
            self.schedule.end_at(epochs * len(train) // self.recovery.micro_batches)
        run.forget(stage, self.course.step)
        self.state = _copies(self._variables())
        self.writer = Writer(self.folder, written=self.course.step)
        self.saved_at = self.recorded_at = run.clock.elapsed()

    def epoch_ended(self, logs: dict[str, float]) -> None:
        """Take in the scores of an epoch and decide whether it was the last.

        Raises:
            Diverged: the loss or a weight is no number, or the loss a spike; the epoch counts as not done.
        """
        course = self.course
        row: dict[str, Any] = {"step": course.step + 1}
        for name, value in logs.items():
            part = "validation" if name.startswith("val_") else "train"
            row[f"{part}_{name.removeprefix('val_')}"] = float(value)
        if self.schedule is not None:
            row["learning_rate"] = self.schedule.last_rate()
        reason = self.run.log({"stage": self.folder.name, **row})
        if recovery.diverged([earlier["train_loss"] for earlier in course.rows], row["train_loss"]):
            raise Diverged(row["train_loss"])
        self._scale_rate([*course.rows, row])
        variables = self._variables()
        state = _copies(variables)
        trainable = {id(variable) for variable in self.model.trainable_variables}
        if not _finite([value for each, value in zip(variables, state, strict=True) if id(each) in trainable]):
            raise Diverged(math.nan)  # the last update is in no loss yet
        course.step += 1
        course.rows.append(row | {"elapsed_seconds": round(self.run.clock.elapsed(), 3)})
        if self.events is not None:
            self.events.write(course.rows)
        self.state = state
        if course.monitor in row and course.judge(row[course.monitor]) and course.patience:
            self.best = self._kept_of_state()
        if course.step == self.epochs and not course.ended:
            course.ended = f"all {self.epochs} epochs"
        course.ended = course.ended or reason

    def end_after(self, epochs: float) -> None:
        """Let the learning-rate schedule come to its end `epochs` epochs, or parts of one, from now."""
        if self.schedule is not None and epochs > 0:
            now = int(keras.ops.convert_to_numpy(self.model.optimizer._iterations)) // self.recovery.micro_batches
            self.schedule.end_at(now + max(1, round(epochs * self.updates())), now=now)
            self.state = _copies(self._variables())

    def roll_back(self, found: Diverged) -> None:
        """Go back to the end of the last good epoch, with half the learning rate.

        Raises:
            PacelineError: it happened too often.
        """
        epoch = self.course.step + 1
        if self.recovery.rollbacks == recovery.MOST_ROLLBACKS:
            raise PacelineError(
                f"The loss became {found.loss:.4g} in epoch {epoch}, "
                f"also after going back {recovery.MOST_ROLLBACKS} times with half the learning rate.",
                "Lower the learning rate, or check the inputs for missing values.",
            )
        self.recovery.rollbacks += 1
        _assign(self._variables(), self.state)
        rate = self.model.optimizer._learning_rate
        if self.schedule is not None:
            self._scale_rate(self.course.rows)
        elif isinstance(rate, keras.Variable):
            rate.assign(rate * recovery.RATE_AFTER_ROLLBACK)
        else:
            raise PacelineError(
                f"The loss became {found.loss:.4g} in epoch {epoch}, and a schedule of your own sets the rate.",
                "Lower its learning rate, or take the optimizer from fit_keras.optimizer.",
            )
        self.state = _copies(self._variables())
        self.run.warn(
            f"The loss became {found.loss:.4g} in epoch {epoch}: training went back to the end of epoch {epoch - 1}, "
            f"with half the learning rate ({self.recovery.rollbacks} of at most {recovery.MOST_ROLLBACKS} times)."
        )
        self.save()  # so that the smaller rate survives

    def halve_micro_batch(self) -> None:
        """Go back to the end of the last good epoch, computing each batch in twice as many parts.

        Raises:
            PacelineError: a part is one example already.
        """
        if self.train.rows == 1:
            raise PacelineError(
                "Memory does not suffice for a single example.", "Take a smaller model, smaller inputs, or more memory."
            )
        gc.collect()  # what the failed step held
        _assign(self._variables(), self.state)
        self.recovery.micro_batches *= 2
        self.recovery.validation_parts *= 2
        self._divide()
        self.state = _copies(self._variables())
        self.run.warn(
            f"Memory did not suffice: batches of {self.train.batch_size} are computed in {self.recovery.micro_batches} "
            f"parts of {self.train.rows} from epoch {self.course.step + 1} on."
        )
        self.save()

    def save(self, *, wait: bool = True) -> None:
        """Write a checkpoint of the last good epoch, and what the run has logged; of several hosts, the first.

        Args:
            wait: whether it is on the disk when this returns, and the run record too; else it is written while
                training goes on, and the record every few seconds.

        Raises:
            OSError: this checkpoint, or one before it, could not be written.
        """
        if self.spread.host == 0:
            with self.run.phase("checkpoint"):
                self._hand_over()
                if wait:
                    self.writer.wait()
                if wait or self.run.clock.elapsed() - self.recorded_at >= RECORD_SECONDS:
                    self.run.save()
                    self.recorded_at = self.run.clock.elapsed()
        else:
            self.writer.written = self.course.step  # by the first
        self.saved_at = self.run.clock.elapsed()

    def _hand_over(self) -> None:
        self.run.write_metrics()  # first: what is logged of steps beyond a checkpoint is dropped, what is not, lost
        state, best = self.state, self.best
        texts = {"course.json": self.course.dump(), "recovery.json": self.recovery.dump()}

        def files() -> dict[str, bytes]:
            return {"variables.npz": _pack(state), **texts} | ({"best.npz": _pack(best)} if best else {})

        self.writer.put(self.course.step, files)

    def finish_writing(self) -> None:
        """Let the last checkpoint come to its end, also where training ended in an error; say so where it failed."""
        with self.run.phase("checkpoint"):
            if failure := self.writer.close():
                self.run.warn(f"The last checkpoint could not be written: {failure}.")

    def record_overdue(self) -> None:
        """Close the record from another thread while a step does not return."""
        self.run.status = "stopped"
        self.run.error = f"A signal ended it in epoch {self.course.step + 1}; {self.writer.written} epochs are saved."
        self.run.save()

    def swap_averages(self) -> None:
        """Exchange the weights with their averages, where there are any: before a validation, and after it."""
        for variable, average in self._averages:
            weights, averaged = _copies([variable, average])
            variable.assign(averaged)
            average.assign(weights)

    def put_kept_weights(self) -> None:
        """Give the model the weights it is kept with: those of the best epoch, or the last; averaged where asked."""
        _assign(self.model.variables, self.best or self._kept_of_state())

    def updates(self) -> int:
        """Return how many updates an epoch has."""
        return len(self.train) // self.recovery.micro_batches

    def _kept_of_state(self) -> list[np.ndarray]:
        variables = self._variables()
        places = {id(variable): place for place, variable in enumerate(variables)}
        averages = {id(variable): average for variable, average in self._averages}
        kept = [averages.get(id(variable), variable) for variable in self.model.variables]
        return [self.state[places[id(variable)]] for variable in kept]

    def _scale_rate(self, rows: list[dict[str, Any]]) -> None:
        if self.schedule is None:
            return
        scale = recovery.RATE_AFTER_ROLLBACK**self.recovery.rollbacks
        if self.schedule.name == "plateau":
            scale *= schedules.plateau_scale(
                [row[self.course.monitor] for row in rows if self.course.monitor in row],
                larger_is_better=self.course.larger_is_better,
                patience_epochs=self.schedule.plateau_epochs,
                lower_by=self.schedule.plateau_factor,
            )
        self.schedule.scale.assign(scale)

    def _divide(self) -> None:
        over = asdict(self.spread)
        self.train.divide(self.recovery.micro_batches, **over)
        if self.validation is not None:
            self.validation.divide(self.recovery.validation_parts, **over)
        if self.recovery.micro_batches != (self.model.optimizer.gradient_accumulation_steps or 1):
            optimizers.accumulate(self.model.optimizer, self.recovery.micro_batches)
            self.model.train_function = None  # to be compiled anew

    def _pair_averages(self) -> list[tuple[Any, Any]]:
        optimizer = self.model.optimizer
        if not optimizer.use_ema:
            return []
        pairs = zip(self.model.trainable_variables, optimizer._model_variables_moving_average, strict=True)
        return [(variable, average) for variable, average in pairs if average is not None]

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


def _copies(variables: list[Any]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _finite(arrays: list[np.ndarray]) -> bool:
    return all(bool(np.isfinite(array).all()) for array in arrays)


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
