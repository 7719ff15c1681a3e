"""The callback that tells a `Training` what Keras does, the clock which phase it is in, an observer how long it took.

It uses epoch hooks and the *begin* of steps: a callback on the end of a step makes the JAX and torch backends wait for
the device in every step. At the edge of a *block* of steps, two seconds long or more, it waits for the device once, so
that the block's time is that of its steps, and looks at the loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from paceline import budget, checkpoint, device, distribute, together
from paceline.errors import Stopped
from paceline.keras_training import Training
from paceline.progress import Progress
from paceline.recovery import Diverged
from paceline.stretch import Stretch

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend

FINISH_EPOCH_SECONDS = 5.0  # after a signal an epoch may go on this long to end where it can be resumed
BLOCK_SECONDS = 2.0


class Watch(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """See the module; one serves all calls of `model.fit` of a training.

    Args:
        training: what is told.
        end: is given the epochs done and returns the epoch, or part of one, at which training is to end.
        checkpoint_seconds: the most between two checkpoints, and the epoch under way; see `checkpoint.due_after`. With
            0 every epoch is on the disk before the next one begins.
        signal: returns the name of the signal that asked for the end, or an empty text.
        progress: the progress line.
        observe: is given every `Stretch`.
    """

    def __init__(
        self,
        training: Training,
        *,
        checkpoint_seconds: float,
        signal: Callable[[], str],
        progress: Progress,
        observe: Callable[[Stretch], None] | None,
        end: Callable[[float], float] | None,
    ) -> None:
        super().__init__()
        self.training, self.checkpoint_seconds = training, checkpoint_seconds
        self.signal, self.progress, self.observe, self.end = signal, progress, observe, end
        self.clock = training.run.clock
        self.signal_at: float | None = None
        self.open: int | None = None  # the span of the compilation, or of the validation, under way
        self.steps = self.compiled_steps = 0  # of training, in this session
        self.programs = 0  # of training steps, that are to be compiled in it
        self.step = -1  # of the epoch under way; -1 between epochs
        self.done = float(training.course.step)  # epochs; one that was cut counts as the part that it was
        self.ends_at = float(training.epochs)
        self.cut = False  # the epoch under way
        self.done_before = self.done  # it
        self.uncompiled()

    def uncompiled(self) -> None:
        """Say that the next step of each kind is compiled."""
        self.trained = self.validated = False
        self.programs += 1

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Put the batches in the epoch's order."""
        self.training.train.start_epoch(epoch)
        self.epoch_at = self.block_at = self.clock.elapsed()
        self.epoch_compiled = self.block_compiled = not self.trained
        self.block_step = self.step = 0
        self.cut, self.done_before = False, self.done
        self._settle_end()
        if not self.trained:
            self.open = self.clock.begin("compile")  # until the second step begins: the first traces and compiles

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """End a block when it is long enough; react to a signal when the epoch is too long."""
        self.step = batch
        if batch and not self.trained:
            self._first_step_done()
            self._block_ended(batch)
        elapsed = self.clock.elapsed()
        if batch > self.block_step and elapsed - self.block_at >= BLOCK_SECONDS:
            self._block_ended(batch)
            if self.end is not None:
                self.ends_at = self.end(self.done + batch / len(self.training.train))
                self.ends_at = max(self.ends_at, self.done)
                # A schedule can be compressed between epochs only: with few of them ahead, the first one is short.
                if self.ends_at < 2 and not self.done:
                    self._cut()
        if batch + 1 >= (self.ends_at - self.done) * len(self.training.train):
            self._cut()
        if name := self.signal():
            if self.signal_at is None:
                self.signal_at = elapsed
            elif elapsed - self.signal_at > FINISH_EPOCH_SECONDS:
                self.training.writer.wait()
                saved = self.training.writer.written
                raise Stopped(f"{name} ended it within an epoch; {saved} epochs are saved.", resumable=True)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Validate averaged weights, where there are any."""
        self._steps_ended()
        self.test_at, self.test_compiled, self.test_steps = self.clock.elapsed(), not self.validated, 0
        self.training.swap_averages()
        self.open = self.clock.begin("validation" if self.validated else "compile/validation")

    def on_test_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Tell the first validation step, which compiles, from the others."""
        self.test_steps += 1
        if batch and not self.validated:
            self.validated = True
            self._close()
            self.open = self.clock.begin("validation")

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Put the weights back that train on."""
        self.validated = True
        self._close()
        self.training.swap_averages()
        self._tell("validation", self.test_steps, self.clock.elapsed() - self.test_at, self.test_compiled)
        self.block_at = self.clock.elapsed()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Let the training take in the scores; save and stop where that is due."""
        self._steps_ended()
        training, course = self.training, self.training.course
        with self.clock.span("callbacks"):
            training.epoch_ended(logs or {})
            self.progress.step(course.step, course.note())
        seconds = self.clock.elapsed() - self.epoch_at
        self._tell("epoch", self.epoch_steps, seconds, self.epoch_compiled or self.cut)
        # Keras cannot begin another epoch over data that it has left in the middle: `fit` calls it again.
        self.model.stop_training = self.cut
        if not course.ended:
            self._settle_end()
        if self.end is not None and self.ends_at - self.done < 1 / len(training.train) and not course.ended:
            course.ended = f"{budget.ENDED}, after {self.done:.3g} epochs"
        name = distribute.any_host(self.signal())
        due = checkpoint.due_after(
            self.checkpoint_seconds, epoch_seconds=seconds, writing_seconds=training.writer.seconds_each()
        )
        if course.ended or name or self.clock.elapsed() - training.saved_at >= due:
            began = self.clock.elapsed()
            training.save(wait=bool(course.ended or name or not self.checkpoint_seconds))
            self._tell("checkpoint", 0, self.clock.elapsed() - began, False)
        if name:  # also after the last epoch: what follows may take long
            together.done()  # all end here
            raise Stopped(f"{name} ended it after {course.step} epochs.", resumable=True)
        if course.ended:
            self.model.stop_training = True

    def abandoned(self) -> None:
        """Close what an exception left open."""
        self._close()
        self.step, self.done = -1, self.done_before

    def _first_step_done(self) -> None:
        self.trained = True
        self.compiled_steps += 1
        self._close()

    def _steps_ended(self) -> None:
        """End the last block of an epoch, once, whether a validation follows or not."""
        if not self.trained:
            self._first_step_done()
        if self.step >= 0:
            self.epoch_steps = self.step + 1 if self.cut else len(self.training.train)
            # At the end of the first epoch Keras puts its scores together, operation by operation, each compiled.
            self.block_compiled = self.epoch_compiled
            self._block_ended(self.epoch_steps)
            self.steps += self.epoch_steps
            self.done += self.epoch_steps / len(self.training.train)
            self.step = -1

    def _cut(self) -> None:
        """End the epoch after the step that begins; what is left of its data is passed over."""
        if self.step + 1 < len(self.training.train):
            self.cut = self.model.stop_training = True

    def _settle_end(self) -> None:
        """Ask where training ends; stretch or compress the rest of the learning-rate schedule to it."""
        if self.end is None:
            return
        ends_at = self.end(self.done)
        if ends_at != self.ends_at or ends_at != self.training.epochs:
            self.training.end_after(ends_at - self.done)
            self.progress.expect(math.ceil(ends_at))
        self.ends_at = ends_at

    def _block_ended(self, step: int) -> None:
        loss, compiled = self._loss(), self.block_compiled
        seconds, steps = self.clock.elapsed() - self.block_at, step - self.block_step
        self._tell("steps", steps, seconds, self.block_compiled)
        self.block_at, self.block_step, self.block_compiled = self.clock.elapsed(), step, False
        share = step / len(self.training.train)
        if share < 1 and not self.cut:
            self.progress.step(self.training.course.step + share, self.training.course.note())
            if not math.isfinite(loss) and not compiled and self.training.spread.hosts == 1:
                raise Diverged(loss)  # no need to go through the rest of the epoch; hosts agree at its end

    def _loss(self) -> float:
        """Return the mean loss of the epoch so far, when the device has computed it."""
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        tracker = next((metric for metric in self.model.metrics if metric.name == "loss"), None)
        if tracker is None:
            return 0.0
        total, count = (keras.ops.convert_to_numpy(part) for part in (tracker.total, tracker.count))
        return float(np.divide(total, count)) if count else 0.0

    def _tell(self, kind: Any, steps: int, seconds: float, compiled: bool) -> None:
        if self.observe is not None:
            over = kind in ("checkpoint", "epoch")  # the course has counted the epoch
            self.observe(Stretch(kind, self.training.course.step + (not over), steps, seconds, compiled))

    def _close(self) -> None:
        if self.open is not None:
            self.clock.end(self.open)
            self.open = None
