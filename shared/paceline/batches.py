"""Arrays as batches of one fixed shape, made ahead of the training step by threads where making one is work.

What is in a batch depends on the seed, the epoch and its number alone: however many threads make it, and whether the
run was interrupted, it is the same. A batch is asked for by `model.fit` in its own thread; `input_wait` is the time
which that thread then waits, or makes the batch itself where there are no other threads.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np

from paceline import device
from paceline.clock import now
from paceline.errors import PacelineError
from paceline.record import Run

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend

# An array with rows first, a memory map included, or several by name or place, as the model takes or gives them.
Arrays: TypeAlias = np.ndarray | dict[str, np.ndarray] | tuple[np.ndarray, ...]
Augment: TypeAlias = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]

LARGE_BATCH_BYTES = 1 << 20  # copying less than that takes less time than waking a thread for it
AHEAD_PER_THREAD = 2
FINGERPRINT_BYTES, FINGERPRINT_ROWS = 16 << 20, 64  # at most, of each array
THREADS = 4  # at most; NumPy and OpenCV let several work at once, Python between their calls does not


class Batches(keras.utils.PyDataset):  # type: ignore[misc] # Keras publishes no types
    """Arrays as batches of one fixed shape, in an order that depends on the seed and the epoch alone.

    The last batch is filled from the beginning of the order (training) or repeats its first row with weight 0
    (evaluation), so that nothing is compiled twice and no row counts more than once in a score: losses and
    `weighted_metrics` come out as without filling; `metrics`, to which Keras gives no weights, would not.

    Args:
        x: inputs, rows first: an array, a memory map, or a dictionary or tuple of them. Types are left as they are,
            so that images of uint8 travel to the device as such.
        y: targets, likewise.
        batch_size: rows that an update of the weights sees.
        seed: of the order and of `augment`; None keeps the rows in order and weights the filling 0, for evaluation.
        run: gets the time that training waits for batches, as the phase `input_wait`.
        augment: takes `(x, y, generator)` of a batch, arrays of its own to change, and returns `(x, y)` of the same
            shapes; for training only. It is called from several threads: draw from `generator` alone.
        weights: of the rows in the loss and in `weighted_metrics`; all 1 by default.
        workers: threads that make batches ahead; by default as many as there are cores, 4 at most, where there is
            something to do (`augment`, a memory map, a megabyte or more), else none.
    """

    def __init__(
        self,
        x: Arrays,
        y: Arrays,
        *,
        batch_size: int,
        seed: int | None,
        run: Run,
        augment: Augment | None = None,
        weights: np.ndarray | None = None,
        workers: int | None = None,
    ) -> None:
        super().__init__()
        self.x, self.y, self.seed, self.run = x, y, seed, run
        self.augment, self.weights = augment, weights
        self.examples = len(_first(x))
        self.batch_size = batch_size if seed is None else min(batch_size, self.examples)
        self.threads = _threads(x, self.batch_size, augment) if workers is None else workers
        self.making_seconds, self.made_examples = 0.0, 0
        self._lock = threading.Lock()
        self._thread = threading.get_ident()
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[tuple[int, int], Future[tuple[Any, ...]]] = {}
        self._orders: dict[int, np.ndarray] = {}
        self.divide(1)

    def divide(self, micro_batches: int, *, devices: int = 1, host: int = 0, hosts: int = 1) -> None:
        """Give each batch in so many parts, one after the other, each a share for every device; `fit` calls it.

        An epoch stays a whole number of batches; a batch size that does not divide is rounded up. Of several hosts
        each makes its own rows of a batch, in the order of their numbers: together they go through every row.

        Raises:
            PacelineError: there are more devices than rows in a batch.
        """
        if self.batch_size < devices:
            raise PacelineError(
                f"A batch of {self.batch_size} cannot be divided over {devices} devices.",
                f"Raise train.batch_size to {devices} or more, or use fewer devices: train.devices.",
            )
        self._orders.clear()
        self.micro_batches = micro_batches
        self.rows = -(-self.batch_size // (micro_batches * devices)) * devices
        self.host, self.hosts = host, hosts
        self._own = (host,) if hosts > 1 else ()  # what `augment` draws differs from host to host
        self._forget()
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Put the rows in the order of `epoch`; `fit` calls it, for Keras does not say which epoch it is in."""
        self.epoch, self.order = epoch, self._order(epoch)
        self._orders = {epoch: self.order}

    def __len__(self) -> int:
        return len(self.order) // self.rows

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if threading.get_ident() != self._thread:  # TensorFlow asks from a thread of its own, which waits for nobody
            return self._make(self.epoch, index, self.order)
        with self.run.phase("input_wait"):
            return self._from_threads(index) if self.threads else self._make(self.epoch, index, self.order)

    def example(self) -> tuple[Any, ...]:
        """Return a batch for its shapes and types; it is not counted."""
        made, seconds = self.made_examples, self.making_seconds
        batch = self._make(self.epoch, 0, self.order)
        self.made_examples, self.making_seconds = made, seconds
        return batch

    def fingerprint(self) -> tuple[dict[str, Any], dict[str, float]]:
        """Return what tells these rows from others, for little work: facts, and figures that hold but for rounding.

        The facts are how many rows there are, of which shapes, and a hash of some whole numbers among them. Of
        fractions, which another processor may compute with another last digit, there is a figure for each array.
        """
        facts: dict[str, Any] = {"rows": self.examples}
        figures: dict[str, float] = {}
        for name, array in _arrays({"inputs": self.x, "targets": self.y}):
            row_bytes = array.nbytes // max(1, len(array))
            some = int(np.clip(FINGERPRINT_BYTES // max(1, row_bytes), 4, FINGERPRINT_ROWS))
            taken = take(array, np.linspace(0, len(array) - 1, min(some, len(array))).astype(np.intp))
            facts[f"{name} of a row"] = f"{taken.dtype}{list(taken.shape[1:])}"
            if np.issubdtype(taken.dtype, np.inexact):
                size = np.abs(np.nan_to_num(taken.astype(np.float64))).reshape(len(taken), -1).mean(axis=1)
                figures[name] = float(size @ np.linspace(1.0, 2.0, len(size)))  # the order of rows counts
            else:
                facts[name] = hashlib.sha256(taken.tobytes()).hexdigest()[:16]
        return facts, figures

    def examples_per_second(self) -> float | None:
        """Return how many examples the batches' making gives in a second at most; None before the first."""
        if not self.made_examples:
            return None
        return self.made_examples / self.making_seconds * max(1, self.threads)

    def close(self) -> None:
        """Let go of what is made ahead; `fit` calls it at its end. The batches can be used again."""
        self._forget()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _order(self, epoch: int) -> np.ndarray:
        if epoch in self._orders:
            return self._orders[epoch]
        rows = np.arange(self.examples)
        if self.seed is not None:
            np.random.default_rng((self.seed, epoch)).shuffle(rows)
        missing = -len(rows) % (self.rows * self.micro_batches)
        self._orders[epoch] = np.concatenate([rows, np.resize(rows, missing)]) if missing else rows
        return self._orders[epoch]

    def _from_threads(self, index: int) -> tuple[Any, ...]:
        """Return the batch `index` of this epoch, after asking for those that come next."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="batches")
        wanted = self._coming(index)
        for key in self._ahead.keys() - set(wanted):  # of an epoch that was left
            self._ahead.pop(key).cancel()
        for key in wanted:
            if key not in self._ahead:
                self._ahead[key] = self._pool.submit(self._make, *key, self._order(key[0]))
        return self._ahead.pop(wanted[0]).result()

    def _coming(self, index: int) -> list[tuple[int, int]]:
        """Return epoch and number of the next batches; training goes on into the next epoch, while one is validated."""
        count, batches = 1 + AHEAD_PER_THREAD * self.threads, len(self)
        places = range(index, index + count if self.seed is not None else min(index + count, batches))
        return [(self.epoch + place // batches, place % batches) for place in places]

    def _make(self, epoch: int, index: int, order: np.ndarray) -> tuple[Any, ...]:
        began = now()
        part = slice(index * self.rows, (index + 1) * self.rows)
        of_host = slice(self.host * self.rows // self.hosts, (self.host + 1) * self.rows // self.hosts)
        rows = order[part][of_host]
        x, y = take(self.x, rows), take(self.y, rows)
        if self.augment is not None:
            x, y = self.augment(x, y, np.random.default_rng((self.seed or 0, epoch, index, *self._own)))
        made: tuple[Any, ...] = (x, y)
        if self.seed is None:
            counted = np.arange(part.start, part.stop) < self.examples
            # Keras divides a batch's loss by its rows, filling included; the factor makes that a mean over the others.
            weights = counted[of_host] * (len(order) / self.examples)
            made = (x, y, (weights if self.weights is None else weights * self.weights[rows]).astype("float32"))
        elif self.weights is not None:
            made = (x, y, self.weights[rows].astype("float32"))
        with self._lock:
            self.making_seconds += now() - began
            self.made_examples += len(rows)
        return made

    def _forget(self) -> None:
        for future in self._ahead.values():
            future.cancel()
        self._ahead.clear()


def take(arrays: Any, rows: np.ndarray) -> Any:
    """Return rows of an array, or of each of a dictionary or tuple of them, as copies."""
    if isinstance(arrays, dict):
        return {name: take(array, rows) for name, array in arrays.items()}
    if isinstance(arrays, tuple):
        return tuple(take(array, rows) for array in arrays)
    if arrays.flags.c_contiguous:  # `take` is up to four times as fast as indexing; of others it would copy all
        return np.asarray(arrays.take(rows, axis=0))
    return np.asarray(arrays[rows])


def _arrays(arrays: Any, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Give each array with its name."""
    if isinstance(arrays, np.ndarray):
        yield name, arrays
        return
    for key, each in arrays.items() if isinstance(arrays, dict) else enumerate(arrays):
        yield from _arrays(each, f"{name} {key}".strip())


def _first(arrays: Arrays) -> np.ndarray:
    while not isinstance(arrays, np.ndarray):
        arrays = next(iter(arrays.values() if isinstance(arrays, dict) else arrays))
    return arrays


def _threads(x: Arrays, batch_size: int, augment: Augment | None) -> int:
    first = _first(x)
    row_bytes = first.nbytes // max(1, len(first))
    work = augment is not None or isinstance(first, np.memmap) or row_bytes * batch_size >= LARGE_BATCH_BYTES
    return min(THREADS, device.usable_cores()) if work else 0
