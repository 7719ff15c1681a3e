"""Batches of one shape in an order of their own, the same however many threads make them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paceline.batches import Batches
from paceline.record import Run


@pytest.mark.parametrize(("rows", "batch_size"), [(10, 4), (12, 4), (3, 8), (1, 1), (9, 8)])
def test_training_batches_have_one_shape_and_every_row(
    rows: int, batch_size: int, open_run: Callable[..., Run]
) -> None:
    """Every row once an epoch, the last batch filled with others, no batch larger than the data."""
    x = np.arange(rows, dtype="float32")[:, None]
    batches = Batches(x, x[:, 0], batch_size=batch_size, seed=0, run=open_run())
    for epoch in range(3):
        batches.start_epoch(epoch)
        made = [batches[index] for index in range(len(batches))]
        assert {(min(rows, batch_size), 1)} == {part[0].shape for part in made}
        assert all(np.array_equal(inputs[:, 0], targets) for inputs, targets in made)
        order = np.concatenate([targets for _, targets in made])
        assert set(range(rows)) == set(order[:rows].astype(int))
        assert len(order) - rows < min(rows, batch_size)


def test_the_order_depends_on_seed_and_epoch_alone(open_run: Callable[..., Run]) -> None:
    """A run that comes to an epoch, and a resumed one that begins there, find the same order; no two are alike."""
    x = np.arange(40, dtype="float32")[:, None]
    orders: dict[tuple[int, int], list[int]] = {}
    for seed in (0, 1):
        going_on = Batches(x, x, batch_size=8, seed=seed, run=open_run())
        for epoch in range(3):
            resumed = Batches(x, x, batch_size=8, seed=seed, run=open_run())
            resumed.start_epoch(epoch)
            assert going_on.order.tolist() == resumed.order.tolist()
            orders[seed, epoch] = resumed.order.tolist()
            going_on.start_epoch(epoch + 1)
    assert 6 == len({tuple(order) for order in orders.values()})


def test_evaluation_batches_keep_the_order_and_weigh_the_filling_zero(open_run: Callable[..., Run]) -> None:
    """One shape, rows as they come, nothing shuffled between epochs."""
    x = np.arange(10, dtype="float32")[:, None]
    batches = Batches(x, x[:, 0], batch_size=4, seed=None, run=open_run())
    batches.on_epoch_end()
    made = [batches[index] for index in range(len(batches))]
    assert [(4, 1)] * 3 == [inputs.shape for inputs, _, _ in made]
    weights = np.concatenate([weight for _, _, weight in made])
    counted = np.concatenate([targets for _, targets, _ in made])[weights > 0]
    assert list(range(10)) == counted.tolist()
    assert 1 == len(set(weights[weights > 0].tolist()))
    assert [0.0, 0.0] == weights[10:].tolist()


ROWS = 50


def flip(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs with noise, the targets shifted by the draw."""
    return x + generator.integers(1000, size=x.shape), y + generator.integers(1000)


def epochs(batches: Batches, start: int = 0, count: int = 3) -> list[list[np.ndarray]]:
    """Return all inputs and targets of epochs, as Keras would ask for them."""
    found = []
    for epoch in range(start, start + count):
        batches.start_epoch(epoch)
        found.append([part for index in range(len(batches)) for part in batches[index]])
    batches.close()
    return found


def same(expected: list[list[np.ndarray]], found: list[list[np.ndarray]]) -> bool:
    """Whether all arrays are equal."""
    return all(
        np.array_equal(a, b)
        for one, other in zip(expected, found, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def numbered(run: Run, **more: Any) -> Batches:
    """Return rows of which each is known by its number."""
    x = np.arange(ROWS)[:, None].repeat(3, 1)
    return Batches(x, np.arange(ROWS), batch_size=8, seed=3, run=run, **more)


def test_threads_give_what_one_would(open_run: Callable[..., Run]) -> None:
    """Order and augmentation depend on seed, epoch and number alone; an epoch in the middle begins like any other."""
    alone = epochs(numbered(open_run(), augment=flip, workers=0))
    for workers in (1, 3):
        assert same(alone, epochs(numbered(open_run(), augment=flip, workers=workers)))
        assert same(alone[2:], epochs(numbered(open_run(), augment=flip, workers=workers), start=2, count=1))
    assert not same(alone[:1], alone[1:2])


def test_an_epoch_can_be_left_and_begun_again(open_run: Callable[..., Run]) -> None:
    """After a rollback, or the look that Keras takes before the first epoch, nothing of the old plan is left."""
    expected = epochs(numbered(open_run(), augment=flip, workers=0), count=2)
    batches = numbered(open_run(), augment=flip, workers=2)
    batches.start_epoch(1)
    for index in (0, 1, 2):
        batches[index]
    assert same(expected, epochs(batches, count=2))


def test_batches_are_made_ahead_also_over_the_end_of_an_epoch(open_run: Callable[..., Run]) -> None:
    """While the device is busy, and while one validates; never more than a bounded number."""
    made: list[int] = []
    enough = threading.Event()

    def note(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        made.append(len(x))
        if len(made) == 7 + 2:
            enough.set()
        return x, y

    batches = numbered(open_run(), augment=note, workers=1)
    for index in range(7):
        batches[index]
    assert enough.wait(20), "the next epoch's first batches are made without being asked for"
    batches.close()
    assert 7 + 2 == len(made)


def test_waiting_is_what_the_training_thread_waits(open_run: Callable[..., Run]) -> None:
    """Not the time that threads work; how much they could give is known beside it."""
    run = open_run()
    batches = numbered(run, augment=flip, workers=2)
    epochs(batches, count=2)
    assert 0 < run.clock.phases()["input_wait"] < run.clock.elapsed()
    rate = batches.examples_per_second()
    assert rate is not None
    assert batches.made_examples / batches.making_seconds * 2 == rate
    assert batches.made_examples >= 2 * 56


def test_an_error_in_a_thread_reaches_the_training(open_run: Callable[..., Run]) -> None:
    """As if it had been raised there."""

    def fail(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        raise ValueError("no such flip")

    batches = numbered(open_run(), augment=fail, workers=2)
    with pytest.raises(ValueError, match="no such flip"):
        batches[0]
    batches.close()


def test_threads_work_only_where_there_is_something_to_do(open_run: Callable[..., Run], tmp_path: Path) -> None:
    """A small gather is quicker than a handover between threads."""
    x = np.zeros((64, 300), "float32")
    mapped = np.memmap(tmp_path / "x", "uint8", "w+", shape=(64, 4))

    def threads(x: Any, **more: Any) -> int:
        return Batches(x, np.zeros(64), batch_size=64, seed=0, run=open_run(), **more).threads

    assert 0 == threads(x)
    assert threads(x, augment=flip) > 0
    assert threads(mapped) > 0
    assert threads(np.zeros((64, 5000), "float32")) > 0
    assert 2 == threads(x, workers=2)


def test_several_inputs_and_targets_are_batched_together(open_run: Callable[..., Run], tmp_path: Path) -> None:
    """By name or by place; types are kept, and a memory map gives arrays of the batch's own."""
    images = np.memmap(tmp_path / "images", "uint8", "w+", shape=(20, 2, 2))
    images[:] = np.arange(20)[:, None, None]
    x = {"image": images, "age": np.arange(20.0)}
    y = (np.arange(20), np.arange(20, dtype="int8"))
    batches = Batches(x, y, batch_size=6, seed=1, run=open_run())
    inputs, targets = batches[0]
    batches.close()
    assert ("uint8", "float64", "int8") == (inputs["image"].dtype, inputs["age"].dtype, targets[1].dtype)
    assert inputs["image"][:, 0, 0].tolist() == inputs["age"].tolist() == targets[0].tolist() == targets[1].tolist()
    assert type(inputs["image"]) is np.ndarray


@pytest.mark.parametrize("seed", [None, 0])
def test_weights_go_with_their_rows(seed: int | None, open_run: Callable[..., Run]) -> None:
    """In training as they are, in evaluation beside those of the filling."""
    x = np.arange(10)
    batches = Batches(x, x, batch_size=4, seed=seed, run=open_run(), weights=x.astype("float64"))
    made = [batches[index] for index in range(3)]
    weights = np.concatenate([weight for _, _, weight in made])
    targets = np.concatenate([target for _, target, _ in made])
    assert "float32" == weights.dtype
    if seed is None:
        assert weights[:10] == pytest.approx(x * 12 / 10)
        assert [0, 0] == weights[10:].tolist()
    else:
        assert targets.tolist() == weights.tolist()


@pytest.mark.parametrize(("parts", "rows", "batches"), [(1, 8, 7), (2, 4, 14), (3, 3, 18), (8, 1, 56)])
def test_divided_batches_make_whole_ones(parts: int, rows: int, batches: int, open_run: Callable[..., Run]) -> None:
    """An epoch ends with an update; what divides gives the same rows in the same order."""
    divided = numbered(open_run())
    whole = [divided[index][1] for index in range(7)]
    divided.divide(parts)
    assert (rows, batches) == (divided.rows, len(divided))
    assert 0 == len(divided) % parts
    found = np.concatenate([divided[index][1] for index in range(len(divided))])
    if 8 % parts == 0:
        assert np.concatenate(whole).tolist() == found.tolist()
    assert set(range(ROWS)) == set(found.tolist())


def test_the_fingerprint_tells_other_rows_and_forgives_a_last_digit(open_run: Callable[..., Run]) -> None:
    """Whole numbers by their hash, fractions by a figure that the order of the rows changes; inputs by name."""
    rng = np.random.default_rng(0)
    images, values = rng.integers(0, 255, (30, 4, 4, 3), np.uint8), rng.normal(size=(30, 5)).astype("float32")

    def made(images: np.ndarray, values: np.ndarray, rows: int = 30) -> tuple[dict[str, Any], dict[str, float]]:
        inputs = {"image": images[:rows], "values": values[:rows]}
        return Batches(inputs, values[:rows, 0], batch_size=4, seed=0, run=open_run()).fingerprint()

    facts, figures = made(images, values)
    assert {"inputs values", "targets"} == set(figures)
    assert ("uint8[4, 4, 3]", "float32[]") == (facts["inputs image of a row"], facts["targets of a row"])
    other = images.copy()
    other[3, 0, 0, 0] ^= 1
    assert facts["inputs image"] != made(other, values)[0]["inputs image"]
    assert facts != made(images, values, rows=29)[0]
    near = made(images, np.nextafter(values, np.float32(9)))
    assert facts == near[0]
    assert pytest.approx(figures, rel=1e-5) == near[1]
    assert figures["inputs values"] != pytest.approx(made(images, values[::-1])[1]["inputs values"], rel=1e-3)
