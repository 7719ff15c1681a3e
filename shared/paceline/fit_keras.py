"""`model.fit` with a ledger of its time, early stopping, checkpoints, and resume that is bit-identical on the CPU.

`fit` calls Keras's own `fit`, again where training has to go back. `keras_training` is what survives an interruption,
`keras_watch` the callback that tells it what happened, `batches` what goes in, `optimizers` and `schedules` what a step
does, `recovery` when to go back.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paceline import (
    atomic,
    checkpoint,
    compilation,
    device,
    distribute,
    hosts,
    optimizers,
    recovery,
    throughput,
    together,
)
from paceline.batches import Batches
from paceline.course import Course
from paceline.errors import PacelineError
from paceline.keras_training import Training
from paceline.keras_watch import Watch
from paceline.progress import Progress
from paceline.recipe import Precision, Recipe
from paceline.record import Run
from paceline.recovery import Diverged
from paceline.stop import Listener
from paceline.stretch import Stretch
from paceline.tensorboard import Events

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend

__all__ = ["Batches", "Fitted", "Recipe", "Stretch", "fit", "load_model", "optimizer", "prepare", "save_model"]

STEADY = 0.1  # a step takes as long as the one before; see `probe.Probe`

optimizer = optimizers.build  # of a `Recipe`


@dataclass(frozen=True)
class Fitted:
    """How a training came about; the model itself holds the weights of its best epoch.

    Attributes:
        epochs: the epochs whose weights are kept: up to the best where stopping early was asked for, else all.
        stop_reason: why training ended, in a few words.
    """

    epochs: int
    stop_reason: str


def prepare(requested: str, *, seed: int, precision: Precision = "auto") -> device.Device:
    """Choose the device, set the precision, keep compiled programs, and seed Keras; call before a model is built.

    Give the last layer `dtype="float32"`, so that a loss is exact where the rest is bfloat16.

    Raises:
        PacelineError: the device asked for cannot be used; see `device.for_keras`.
    """
    distribute.join()
    chosen = device.for_keras(requested, precision=precision)
    keras.config.set_dtype_policy(chosen.precision)
    keras.utils.set_random_seed(seed)
    kept = compilation.keep_programs(keras.backend.backend())
    return replace(chosen, compilation_cache=kept, devices=distribute.spread().devices)


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
    tensorboard: bool = False,
    devices: int | None = None,
    observe: Callable[[Stretch], None] | None = None,
) -> Fitted:
    """Train the compiled `model` until `epochs`, or until `early_stopping_epochs` brought no better validation score.

    The weights of the best epoch are put back at the end where stopping early was asked for; with an EMA, averaged
    weights are what is validated and kept. SIGTERM and Ctrl-C end it at the end of the epoch, or after 5 s within it; a
    later call in the same folder goes on from the last epoch saved, on a CPU to the same bits. Every epoch is saved
    as it ends, by a thread while the next one goes on, so that a SIGKILL costs the epoch under way and at most one that
    had ended, or those that ended while two checkpoints were written. Where writing takes more than a hundredth of a
    processor, epochs of less than a second are saved less often: see `checkpoint.due_after`.

    Where `run.pace` holds the run below a ceiling, training may end sooner, within an epoch too, with its schedule
    compressed to that end.

    A loss that is no number, or a spike (see `recovery.diverged`), sends training back to the end of the last good
    epoch with half the learning rate, three times at most. When memory does not suffice, each batch is computed in
    twice as many parts whose gradients are averaged, so an update sees as many examples as before, from the last good
    epoch on. Batch normalisation then takes its statistics from the smaller parts. Both are warnings in the record.

    Args:
        model: built and compiled, `prepare` called before; with `optimizer`, its schedule is stretched over `epochs`.
        train: what an epoch goes through.
        validation: what `monitor` is computed on after each epoch; None trains without watching.
        epochs: the most passes over `train`.
        early_stopping_epochs: epochs without a better score that end training; 0 goes through all.
        monitor: the name of a compiled metric, or `loss`.
        larger_is_better: of `monitor`.
        checkpoint_seconds: the most between two checkpoints, and the epoch under way; see `checkpoint.due_after`. With
            0 every epoch is on the disk before the next one begins.
        stage: the name of this training below `checkpoints/` and in the progress line.
        run: gets the history, the time by phase and the warnings; its folder is where an earlier session's
            checkpoints are looked for.
        progress: the progress line.
        tensorboard: whether the curves are also written as events, to `tensorboard/` in the run's folder.
        devices: how many share each batch; None for all of the kind in use.
        observe: is given the time of every block of steps, validation, checkpoint and epoch as it ends; between
            epochs it may call `schedules.of(model.optimizer).end_at`.

    Raises:
        Stopped: a signal asked for the end.
        OSError: a checkpoint could not be written.
        PacelineError: there are fewer `devices`, the loss diverged too often, memory does not suffice for one example,
            or `tensorboard` asks for an extra that is not installed; of several hosts one has other data, has gone, or
            its memory does not suffice.
    """
    course = Course("epoch", f"validation_{monitor}", larger_is_better, early_stopping_epochs if validation else 0)
    spread = distribute.spread(devices)
    if "devices" in run.device:
        run.device["devices"] = spread.devices
    _check_alike(epochs, {"training": train, "validation": validation})
    training = Training(model, course, train, validation, epochs=epochs, stage=stage, run=run, spread=spread)
    course, pace = training.course, run.pace
    if run.examine is not None:
        with distribute.over(model, spread):
            run.examine(epochs, model, train)
    if pace is not None and pace.ceiling is not None and spread.hosts > 1:
        raise PacelineError(
            f"{pace.ceiling.asked} was given to {spread.hosts} hosts, which would not end at the same step.",
            "Leave it out, or train on one host.",
        )
    if pace is not None and not course.ended:
        validation_steps = 0 if validation is None else len(validation)
        pace.begin(stage, course, most=epochs, steps=len(train), validation_steps=validation_steps, trend=STEADY)
    run.training.setdefault(stage, {"trainable_parameters": throughput.trainable_parameters(model)})  # for a prediction
    progress.begin(stage, step=course.step)
    before, compiled_before = run.clock.spans(), compilation.training_steps_compiled(keras.backend.backend()) or 0
    with contextlib.ExitStack() as stack:
        if tensorboard and not course.ended:
            training.events = stack.enter_context(contextlib.closing(Events(run.folder, stage)))
        for batches in (train, validation) if validation is not None else (train,):
            stack.callback(batches.close)
        listener = stack.enter_context(Listener(training.record_overdue))
        stack.callback(training.finish_writing)
        stack.enter_context(run.phase("train"))
        watch = Watch(
            training,
            checkpoint_seconds=checkpoint_seconds,
            signal=lambda: listener.requested,
            progress=progress,
            observe=_observers(observe, None if pace is None else pace.observe),
            end=None if pace is None else pace.end,
        )
        while not course.ended:
            train.start_epoch(course.step)  # Keras looks at a batch before it begins
            try:
                with distribute.over(model, spread):
                    model.fit(
                        train,
                        validation_data=validation,
                        initial_epoch=course.step,
                        epochs=epochs,
                        callbacks=[watch],
                        shuffle=False,  # Batches shuffles, by epoch, so that a resumed run sees the same order
                        verbose=0,
                    )
            except Diverged as found:
                watch.abandoned()
                training.roll_back(found)
            except Exception as error:
                short = recovery.out_of_memory(error)
                if short and spread.hosts > 1:  # to halve the parts here alone would part this host from the others
                    raise PacelineError(
                        f"Memory did not suffice on host {spread.host} of {spread.hosts}, for batches of "
                        f"{train.batch_size} over {spread.devices} devices.",
                        "Lower train.batch_size: several hosts do not halve their parts by themselves.",
                    ) from error
                if not short and distribute.lost_host(error):
                    raise distribute.gone() from error
                if not short:
                    raise
                watch.abandoned()
                watch.uncompiled()
                training.halve_micro_batch()
    if pace is not None and watch.steps:
        pace.ended()
    if validation is not None:
        run.history = course.history(stage)
    if watch.steps:
        with run.phase("callbacks"):
            spans = {name: seconds - before.get(name, 0.0) for name, seconds in run.clock.spans().items()}
            compiled = compilation.training_steps_compiled(keras.backend.backend())
            again = None if compiled is None else max(0, compiled - compiled_before - watch.programs)
            run.training[stage] = throughput.facts(
                model,
                train,
                steps=watch.steps,
                compiled_steps=watch.compiled_steps,
                recompilations=again,
                spans=spans,
                given_up=training.recovery,
            )
        if again:
            run.warn(
                f"The step of training '{stage}' was compiled {again} {'time' if again == 1 else 'times'} more than "
                "expected: batches of several shapes or types do that. Give all the same."
            )
    training.put_kept_weights()
    return Fitted(course.kept(), course.ended)


def _check_alike(epochs: int, parts: Mapping[str, Batches | None]) -> None:
    """See that every host trains as long, in the same batches, on the same rows."""
    if hosts.place().count == 1:
        return
    facts: dict[str, Any] = {"epochs": epochs}
    figures: dict[str, float] = {}
    for part, batches in parts.items():
        if batches is not None:
            own_facts, own_figures = batches.fingerprint()
            facts[f"the {part} data's batches"] = batches.batch_size
            facts |= {f"the {part} data's {name}": value for name, value in own_facts.items()}
            figures |= {f"the {part} data's {name}": value for name, value in own_figures.items()}
    together.check_alike(facts, figures)


def _observers(*given: Callable[[Stretch], None] | None) -> Callable[[Stretch], None] | None:
    """Return what hands each stretch to all of `given`; None where there are none."""
    observers = [each for each in given if each is not None]

    def observe(stretch: Stretch) -> None:
        for each in observers:
            each(stretch)

    return observe if observers else None


def save_model(model: keras.Model, path: Path) -> dict[str, str]:
    """Write the model as `path` (`.keras`) and return `{"file", "sha256"}` for `load_model`.

    How it was compiled is left out, of models within it as well: a loss of the caller's own would have to be known to
    whoever reads the file for prediction.
    """
    temporary = path.with_name(f".{path.stem}.tmp.keras")
    compiled = [each for each in (model, *model._flatten_layers()) if getattr(each, "compiled", False)]
    try:
        for each in compiled:
            each.compiled = False
        model.save(temporary)
    finally:
        for each in compiled:
            each.compiled = True
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
    for name in ("convolution", "initializers"):  # registers what a backbone's file may hold
        importlib.import_module(f"paceline.{name}")
    return keras.saving.load_model(path, compile=False, safe_mode=True)
