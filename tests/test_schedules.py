"""Learning-rate schedules: their shapes, and that their length changes while a training runs without compiling anew."""

from __future__ import annotations

from typing import get_args

import keras
import numpy as np
import pytest

from paceline import optimizers, recipe, schedules
from paceline.recipe import Recipe


def rates(name: recipe.Schedule, *, warmup_share: float = 0.0, count: int = 101) -> np.ndarray:
    """Return the factors along the way."""
    found = schedules.factor(name, np.linspace(0, 1, count), warmup_share=warmup_share)
    return np.asarray(found, dtype=np.float64)


@pytest.mark.parametrize("name", get_args(recipe.Schedule))
@pytest.mark.parametrize("warmup_share", [0.0, 0.1, 0.5])
def test_a_factor_rises_to_one_and_never_jumps(name: recipe.Schedule, warmup_share: float) -> None:
    """The rise takes its share; the highest is 1, the lowest not negative, and neighbours are near each other."""
    found = rates(name, warmup_share=warmup_share, count=1001)
    assert found.max() == pytest.approx(1.0, abs=1e-4)
    assert found.min() >= 0
    assert np.abs(np.diff(found)).max() < 0.016
    if warmup_share:
        rise = found[: int(1000 * warmup_share)]
        assert (np.diff(rise) > 0).all()


@pytest.mark.parametrize("name", ["cosine", "polynomial", "one_cycle", "constant", "plateau"])
def test_the_end_is_a_number_whatever_the_warm_up(name: recipe.Schedule) -> None:
    """Rounding lets the way through the rest come out above 1, of which a power is none."""
    for percent in range(100):
        rate = float(schedules.factor(name, 1.0, warmup_share=percent / 100))
        assert 0 <= rate <= 1, percent


def test_the_ends_are_those_of_the_sources() -> None:
    """Cosine and polynomial end at 0, one-cycle begins at 1/25 and ends at 1/250,000, the others stay at 1."""
    ends = {name: (rates(name)[0], rates(name)[-1]) for name in get_args(recipe.Schedule)}
    assert ends["cosine"] == pytest.approx((1, 0), abs=1e-6)
    assert ends["polynomial"] == pytest.approx((1, 0), abs=1e-6)
    assert ends["one_cycle"] == pytest.approx((1 / 25, 4e-6), abs=1e-6)
    assert ends["constant"] == ends["plateau"] == (1, 1)
    assert rates("polynomial")[50] == pytest.approx(0.5**0.9)
    assert rates("cosine")[25] == pytest.approx(0.5 + 0.5 * np.cos(np.pi / 4))
    assert 30 == rates("one_cycle").argmax()


@pytest.mark.parametrize(
    ("expected", "scores", "larger"),
    [
        (1.0, [], True),
        (1.0, [0.1, 0.2, 0.2], True),
        (0.1, [0.1, 0.2, 0.2, 0.15], True),
        (0.1, [0.3, 0.4, 0.5, 0.2, 0.3], False),
        (0.01, [1.0, 1.0, 1.0, 1.0, 1.0], False),
        (1.0, [float("nan"), 0.3, 0.2, 0.1], False),
    ],
)
def test_a_plateau_lowers_the_rate_each_time_patience_runs_out(
    expected: float, scores: list[float], larger: bool
) -> None:
    """Two epochs without a better score, counted anew after each lowering."""
    found = schedules.plateau_scale(scores, larger_is_better=larger, patience_epochs=2, lower_by=0.1)
    assert expected == pytest.approx(found)


def schedule(**settings: object) -> schedules.Schedule:
    """Return an attached schedule of rate 1 without a rise."""
    optimizer = optimizers.build(Recipe(learning_rate=1.0, warmup_share=0.0, **settings))  # type: ignore[arg-type] # of the recipe
    found = schedules.of(optimizer)
    assert found is not None
    return found


def at(found: schedules.Schedule, steps: list[int]) -> list[float]:
    """Return the rates of these steps."""
    return [float(np.asarray(found(np.int32(step)))) for step in steps]


def test_a_rate_is_that_of_the_updates_middle() -> None:
    """So that neither the first update nor the last is one that does nothing, however few there are."""
    found = schedule(schedule="polynomial")
    found.end_at(4)
    assert at(found, [0, 1, 2, 3]) == pytest.approx([(1 - (step + 0.5) / 4) ** 0.9 for step in range(4)])
    found.end_at(1)
    assert at(found, [0]) == pytest.approx([0.5**0.9])


def test_several_micro_batches_are_one_update() -> None:
    """The optimizer counts its steps, the schedule the updates that come of them."""
    found = schedule(schedule="cosine", micro_batches=3)
    found.end_at(4)
    single = schedule(schedule="cosine")
    single.end_at(4)
    assert at(found, list(range(12))) == pytest.approx([rate for rate in at(single, [0, 1, 2, 3]) for _ in range(3)])


@pytest.mark.parametrize("name", get_args(recipe.Schedule))
def test_the_rate_that_is_logged_is_the_one_of_the_last_update(name: recipe.Schedule) -> None:
    """NumPy computes what the compiled step did, on the way and where the schedule was compressed."""
    found = schedule(schedule=name, micro_batches=2)
    found.end_at(100)
    found.scale.assign(0.5)
    for done, end in ((1, 100), (40, 100), (41, 60), (120, 60)):
        if end == 60 and done == 41:
            found.end_at(60, now=20)
        found.optimizer._iterations.assign(done)
        assert at(found, [done - 1])[0] == pytest.approx(found.last_rate(), rel=1e-5, abs=1e-7)


def test_a_schedule_compressed_on_the_way_goes_on_from_where_it_is_and_ends_on_time() -> None:
    """No jump at the change, and the same end; a second change as well."""
    found = schedule(schedule="cosine")
    found.end_at(1000)
    before = at(found, [399, 400])
    found.end_at(600, now=400)
    assert at(found, [400])[0] == pytest.approx(before[1], abs=0.003)
    assert at(found, [599])[0] == pytest.approx(0, abs=1e-4)
    middle = at(found, [500])
    found.end_at(2000, now=500)
    assert at(found, [500])[0] == pytest.approx(middle[0], abs=0.003)
    assert at(found, [1999])[0] == pytest.approx(0, abs=1e-4)
    assert at(found, [600])[0] > 0.1


def test_a_schedule_of_a_saved_model_loads(tmp_path: object) -> None:
    """Its settings are in the file."""
    found = schedule(schedule="one_cycle", plateau_epochs=7)
    again = schedules.Schedule.from_config(found.get_config())
    assert found.get_config() == again.get_config()
    assert {"name": "one_cycle", "plateau_epochs": 7}.items() <= again.get_config().items()


def test_a_length_changed_between_epochs_is_state_of_the_compiled_step() -> None:
    """The step sees the new end, and is the program it was: nothing is compiled."""
    import jax

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    settings = Recipe(optimizer="sgd", learning_rate=1.0, warmup_share=0.0, weight_decay=0.0, clip_norm=0.0, momentum=0)
    optimizer = optimizers.build(settings)
    model.compile(optimizer=optimizer, loss="mse")
    found = schedules.of(optimizer)
    assert found is not None
    found.end_at(8)
    x, y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    compiled: list[str] = []

    def note(name: str, seconds: float, **_: object) -> None:
        if name == "/jax/core/compile/backend_compile_duration":
            compiled.append(name)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        found.end_at(2, now=2)  # over: the rate is 0 from here on
        found.to_update.assign(2.5)
        weights = np.array(model.trainable_variables[0])
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert [] == compiled
    assert np.array_equal(weights, np.array(model.trainable_variables[0]))


def test_trainings_that_differ_in_their_highest_rate_share_a_program() -> None:
    """So a search over it compiles once; each has its own rate for all that, and another shape is another program."""
    import jax

    def step(**settings: object) -> tuple[str, float]:
        """Return the program of an update, and what it takes off a weight whose gradient is 1."""
        optimizer = optimizers.build(Recipe(warmup_share=0.0, optimizer="sgd", momentum=0.0, **settings))  # type: ignore[arg-type] # of the recipe
        weight = keras.Variable(np.ones(1, np.float32), name="weight")
        optimizer.build([weight])
        state = [variable.value for variable in optimizer.variables]
        lowered = jax.jit(optimizer.stateless_apply).lower(state, [np.ones(1, np.float32)], [weight.value])
        (after,), _ = lowered.compile()(state, [np.ones(1, np.float32)], [weight.value])
        return lowered.as_text(), 1.0 - float(after[0])

    slow, fast = (step(learning_rate=rate, schedule="constant", weight_decay=0.0) for rate in (0.1, 0.2))
    assert slow[0] == fast[0]
    assert (0.1, 0.2) == (pytest.approx(slow[1]), pytest.approx(fast[1]))
    assert slow[0] != step(learning_rate=0.1, schedule="cosine", weight_decay=0.0)[0]
