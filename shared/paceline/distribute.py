"""A training spread over devices and hosts by `keras.distribution`, each device with a part of every batch.

The variables are the same everywhere and the batch is one: its mean gradient, its batch statistics and so the curve of
the loss are those of one device with the whole batch, but for sums taken in another order (a test holds both to a
thousandth of each other). Keep `batch_size` and `learning_rate` for the same curve; for a larger batch, multiply the
rate by the batch's factor with SGD (Goyal et al. 2017), by its square root with Adam (Malladi et al. 2022). Only the
fitting is spread: `over` puts the variables on all devices and takes them back, so that features, scores and files are
made as on one device. `join` connects the engines of hosts that have met (see `together`), `agreed` and `any_host` are
what they must decide alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from paceline import company, device, hosts, together
from paceline.errors import PacelineError

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend

JOIN_SECONDS = 50  # for the others to be there
SILENCE_SECONDS = 40  # after which a host that does not answer counts as gone
LEAVE_SECONDS = 300  # that a host waits at its end for others, which score and report as well
LOST = ("connection", "gloo", "nccl", "coordination", "unavailable", "deadline", "heartbeat", "aborted", "peer")


@dataclass(frozen=True)
class Spread:
    """Over what a batch is divided.

    Attributes:
        devices: of all hosts together.
        host: this one's number, from 0.
        hosts: how many there are; each gives its own part of every batch.
    """

    devices: int = 1
    host: int = 0
    hosts: int = 1


def join() -> hosts.Place:
    """Connect this process with the others that the environment names; alone it does nothing. Call before JAX is used.

    Raises:
        PacelineError: a host is not there in time, or has gone, or the backend is not JAX.
    """
    place = hosts.place()
    if place.count == 1 or _joined():
        return place
    backend = keras.backend.backend()
    if backend != "jax":
        raise PacelineError(f"Several hosts train with JAX only, and KERAS_BACKEND is '{backend}'.", "Unset it.")
    # All come here before any goes on: they may have read data at different speeds, and JAX ends who waits too long.
    together.check_alike({"its number of GPUs": len(device.gpus())})
    import jax

    try:
        jax.distributed.initialize(  # what keras.distribution.initialize calls, which leaves no choice of times
            place.coordinator,
            place.count,
            place.number,
            initialization_timeout=JOIN_SECONDS,
            heartbeat_timeout_seconds=SILENCE_SECONDS,
            shutdown_timeout_seconds=LEAVE_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        raise PacelineError(
            f"Host {place.number} of {place.count} found no meeting at {place.coordinator} in {JOIN_SECONDS} s: "
            f"{str(error).splitlines()[0][:200]}.",
            "Start the same command on every host, and see that the port of host 0 can be reached.",
        ) from None
    together.engines_joined()
    return place


def spread(most: int | None = None) -> Spread:
    """Return what a training is divided over: every device of the kind in use, on every host, or `most` of one host.

    Raises:
        PacelineError: there are not so many, or there are several hosts.
    """
    place = hosts.place()
    here = 1 if keras.backend.backend() != "jax" else len(keras.distribution.list_devices(_kind()))
    if most is not None and place.count > 1:
        raise PacelineError(
            f"train.devices is {most}, and {place.count} hosts train together, with all their devices.",
            "Set train.devices = 'auto', or train on one host.",
        )
    if most is not None and most > here:
        raise PacelineError(
            f"train.devices is {most}, and there {'are' if here > 1 else 'is'} {here}.", "Set train.devices = 'auto'."
        )
    return Spread() if keras.backend.backend() != "jax" else Spread(most or here, place.number, place.count)


@contextmanager
def over(model: keras.Model, spread: Spread) -> Iterator[None]:
    """Put the variables of the built `model` and of its optimizer on all devices; take them back at the end."""
    if spread.devices == 1:
        yield
        return
    parallel = keras.distribution.DataParallel(
        devices=keras.distribution.list_devices(_kind())[: spread.devices], auto_shard_dataset=False
    )
    for variable in _variables(model):
        variable._layout = parallel.get_variable_layout(variable)
        variable.assign(np.array(variable.value))
    try:
        with parallel.scope():
            yield
    finally:
        import jax

        for variable in _variables(model):
            variable._layout = None
            if variable._value is not None:  # it was given to a step that failed, whose error is the one to see
                variable._value = jax.device_put(np.array(variable.value))
        model.train_function = model.test_function = model.predict_function = None  # compiled for all devices


def agreed(data: bytes | None) -> bytes | None:
    """Return what host 0 gave: the state that all go on from.

    Raises:
        PacelineError: another host has gone.
    """
    if hosts.place().count == 1:
        return data
    size = together.gather(None if data is None else len(data))[0]
    if size is None:
        return None
    from jax.experimental import multihost_utils

    mine = np.frombuffer(data, np.uint8) if hosts.place().writes and data is not None else np.zeros(size, np.uint8)
    try:
        return bytes(np.asarray(multihost_utils.broadcast_one_to_all(mine)).tobytes())
    except Exception as error:
        if lost_host(error):
            raise gone() from error
        raise


def any_host(word: str) -> str:
    """Return the word of the first host that has one, on every host alike: a signal reaches one of them first.

    Raises:
        PacelineError: another host has gone.
    """
    return next((str(each) for each in together.gather(word) if each), "")


def lost_host(error: Exception) -> bool:
    """Return whether `error` is what the backend says when another host has gone."""
    text = str(error).lower()
    return hosts.place().count > 1 and isinstance(error, (RuntimeError, ValueError)) and any(w in text for w in LOST)


def gone() -> PacelineError:
    """Return the error of a training whose other host has gone, as the backend noticed."""
    return company.lost("Another host has gone, and a training goes on with all or none.")


def _joined() -> bool:
    import jax

    return bool(jax.distributed.is_initialized())


def _kind() -> str:
    import jax

    return str(jax.default_backend())


def _variables(model: keras.Model) -> Sequence[Any]:
    """Return all that a training changes; Keras names the variables of its metrics only after the first batch."""
    held = model._compile_metrics
    given = [] if held is None else keras.tree.flatten([held._user_metrics, held._user_weighted_metrics])
    metrics = [each for each in given if isinstance(each, keras.metrics.Metric)]
    of_metrics = [*model.metrics_variables, *(variable for each in metrics for variable in each.variables)]
    return list({id(each): each for each in (*model.variables, *model.optimizer.variables, *of_metrics)}.values())
