"""What survives: averages, schedules, micro-batches and smaller rates through stops; rollbacks; too little memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import keras
import numpy as np
import pytest

from paceline import checkpoint, fit_keras, keras_watch
from paceline.batches import Batches
from paceline.budget import Ceiling
from paceline.clock import Clock
from paceline.errors import PacelineError
from paceline.fit_keras import Recipe, Stretch
from paceline.pace import Pace, Training
from paceline.progress import Progress
from paceline.record import Run
from paceline.terms import After, Measured
from paceline.writer import Writer

ROWS, BATCH, EPOCHS = 96, 16, 5
SEED = 4  # of the order of the rows
X = np.random.default_rng(0).normal(size=(ROWS + 40, 6)).astype("float32")
Y = (X[:, 0] - X[:, 1] > 0).astype("float32")[:, None]


class Killed(BaseException):
    """In the place of a SIGKILL: nothing is cleaned up or saved."""


@pytest.fixture(scope="module", autouse=True)
def on_the_cpu() -> None:
    """Choose the device before anything is computed; the same network is compiled once for all tests."""
    fit_keras.prepare("cpu", seed=0)


def build(recipe: Recipe, *, random: bool = True) -> keras.Model:
    """Return a small network, with batch norm and dropout where it may be random."""
    keras.utils.set_random_seed(1)
    layers: list[Any] = [keras.Input((6,)), keras.layers.Dense(8, activation="relu", name="first")]
    if random:
        layers += [keras.layers.BatchNormalization(), keras.layers.Dropout(0.3, seed=2)]
    model = keras.Sequential([*layers, keras.layers.Dense(1, dtype="float32")])
    model.compile(
        optimizer=fit_keras.optimizer(recipe),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.AUC(from_logits=True, num_thresholds=50, name="auc_roc")],
    )
    return model


def noise(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs with noise."""
    return x + generator.normal(0, 0.1, x.shape).astype(x.dtype), y


def fit(
    model: keras.Model, run: Run, *, patience: int = 0, augment: Any = noise, checkpoints: float = 0, **more: Any
) -> fit_keras.Fitted:
    """Train in a run's folder, with a checkpoint after every epoch, or every so many seconds."""
    train = Batches(X[:ROWS], Y[:ROWS], batch_size=BATCH, seed=SEED, run=run, augment=augment)
    with Progress({"select": EPOCHS}, unit="epoch") as progress:
        return fit_keras.fit(
            model,
            train,
            Batches(X[ROWS:], Y[ROWS:], batch_size=BATCH, seed=None, run=run),
            epochs=EPOCHS,
            early_stopping_epochs=patience,
            monitor="loss",
            larger_is_better=False,
            checkpoint_seconds=checkpoints,
            stage="select",
            run=run,
            progress=progress,
            **more,
        )


def killed_after(kind: str, epoch: int) -> Callable[[Stretch], None]:
    """Return an observer that ends the process, as it were, when the first such stretch of `epoch` is over."""

    def observe(stretch: Stretch) -> None:
        if (stretch.kind, stretch.epoch) == (kind, epoch):
            raise Killed

    return observe


def state(model: keras.Model) -> list[np.ndarray]:
    """Return weights, running means, random states, moments, averages, accumulators, schedule."""
    return [np.array(variable) for variable in (*model.variables, *model.optimizer.variables)]


def assert_same(expected: list[np.ndarray], found: list[np.ndarray]) -> None:
    """Assert that two states have the same bits."""
    assert [value.tobytes() for value in expected] == [value.tobytes() for value in found]


def losses(run: Run, part: str = "validation") -> list[float]:
    """Return the losses by epoch."""
    return [row[f"{part}_loss"] for row in run.history["rows"]]


RECIPES = {
    "averaged": Recipe(ema=0.9, learning_rate=0.05, schedule="one_cycle"),
    "in parts": Recipe(ema=0.8, learning_rate=0.05, micro_batches=2),
    "plateau": Recipe(optimizer="sgd", learning_rate=0.5, schedule="plateau", plateau_epochs=1),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(("kind", "patience"), [("checkpoint", 0), ("validation", 0), ("epoch", 1)])
def test_a_killed_training_ends_with_the_same_bits(
    name: str, kind: str, patience: int, open_run: Callable[..., Run], tmp_path: Any
) -> None:
    """After a checkpoint, before one, within a validation, where averages stand in the weights' place."""
    run, straight = open_run(tmp_path / "straight"), build(RECIPES[name])
    expected = fit(straight, run, patience=patience)
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        fit(build(RECIPES[name]), open_run(folder), patience=patience, observe=killed_after(kind, 2))
    keras.utils.set_random_seed(99)
    again, resumed = open_run(folder), build(RECIPES[name])
    assert expected == fit(resumed, again, patience=patience)
    assert_same(state(straight), state(resumed))
    assert losses(run) == losses(again)


@pytest.mark.parametrize(
    ("epoch_seconds", "writing_seconds", "saved"),
    [
        pytest.param(1.0, 3.0, [1, 2, 3, 4, 5], id="epochs of a second, each"),
        pytest.param(0.3, 0.002, [1, 2, 3, 4, 5], id="short ones, each where that takes no hundredth of them"),
        pytest.param(0.3, 0.005, [1, 3, 5], id="shorter than a hundred times the writing, after that"),
        pytest.param(0.3, 3.0, [1, 5], id="dear checkpoints, after a second and at the end"),
    ],
)
def test_when_the_end_of_an_epoch_is_saved(
    epoch_seconds: float,
    writing_seconds: float,
    saved: list[int],
    open_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kill costs one epoch, or a second of shorter ones where saving takes much, by a clock that the test moves."""
    time, found = [0.0], []

    def observe(stretch: Stretch) -> None:
        if stretch.kind == "validation":
            time[0] += epoch_seconds
        if stretch.kind == "checkpoint":
            found.append(stretch.epoch)

    monkeypatch.setattr(Writer, "seconds_each", lambda writer: writing_seconds if found else None)
    run = open_run()
    run.clock = Clock(read=lambda: time[0])
    fit(build(Recipe()), run, checkpoints=30.0, observe=observe)
    assert saved == found


def test_a_snapshot_is_not_changed_by_later_steps(
    open_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """What is written while the training goes on, here after its end, is the state when the epoch ended, to the bit."""
    recipe, written, over = RECIPES["averaged"], {}, threading.Event()

    def save(folder: Any, step: int, files: Mapping[str, bytes]) -> None:
        written[step] = files

    monkeypatch.setattr(checkpoint, "save", save)
    monkeypatch.setattr(checkpoint, "due_after", lambda *_, **__: 0.0)
    fit(build(recipe), open_run(tmp_path / "at once"), patience=1)
    expected, put = dict(written), Writer.put
    written.clear()

    def held(writer: Writer, step: int, files: Any) -> None:
        put(writer, step, lambda: over.wait(60) and files())
        if step == EPOCHS:
            over.set()

    monkeypatch.setattr(Writer, "put", held)
    fit(build(recipe), open_run(tmp_path / "held"), patience=1, checkpoints=30)
    assert {1, EPOCHS} == set(written), "the first was in the thread's hands, and the last replaced those that waited"
    for step, files in written.items():
        for name in ("variables.npz", "best.npz"):
            assert expected[step][name] == files[name]


def test_a_checkpoint_that_cannot_be_written_ends_the_training(
    open_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A full disk is met in the thread; the error is the training's, and what was saved before is resumed from."""
    recipe, save = RECIPES["averaged"], checkpoint.save
    straight = build(recipe)
    fit(straight, open_run(tmp_path / "straight"))

    def full(folder: Any, step: int, files: Any) -> Any:
        if step == 3:
            raise OSError(28, "No space left on device")
        return save(folder, step, files)

    monkeypatch.setattr(checkpoint, "due_after", lambda *_, **__: 0.0)
    monkeypatch.setattr(checkpoint, "save", full)
    run, put = open_run(tmp_path / "full"), Writer.put

    def settled(writer: Writer, step: int, files: Any) -> None:
        put(writer, step, files)
        with writer._changed:  # so that no snapshot is replaced, however short the epochs
            writer._changed.wait_for(lambda: not writer._busy and writer._waiting is None)

    monkeypatch.setattr(Writer, "put", settled)
    with pytest.raises(OSError, match="No space left on device"):
        fit(build(recipe), run, checkpoints=30)
    assert "00000002" == max(path.name for path in (run.folder / "checkpoints" / "select").iterdir())
    monkeypatch.setattr(checkpoint, "save", save)
    resumed = build(recipe)
    fit(resumed, open_run(tmp_path / "full"), checkpoints=30)
    assert_same(state(straight), state(resumed))


def test_averaged_weights_are_what_is_validated_and_kept(open_run: Callable[..., Run], tmp_path: Any) -> None:
    """The last validation is of the model that is handed over, and it is not that of the weights themselves."""
    run, model = open_run(tmp_path / "averaged"), build(RECIPES["averaged"])
    fit(model, run)
    validation = Batches(X[ROWS:], Y[ROWS:], batch_size=BATCH, seed=None, run=run)
    assert losses(run)[-1] == pytest.approx(model.evaluate(validation, verbose=0)[0], rel=1e-6)
    plain = open_run(tmp_path / "plain")
    fit(build(RECIPES["averaged"].model_copy(update={"ema": 0.0})), plain)
    assert losses(run, "train") == losses(plain, "train"), "averaging does not change the training"
    assert losses(run) != losses(plain)


def test_early_stopping_keeps_the_averages_of_the_best_epoch(open_run: Callable[..., Run]) -> None:
    """Not the weights of it."""
    run, model = open_run(), build(Recipe(ema=0.5, learning_rate=2.0, schedule="constant", warmup_share=0.0))
    fitted = fit(model, run, patience=2)
    validation = Batches(X[ROWS:], Y[ROWS:], batch_size=BATCH, seed=None, run=run)
    assert min(losses(run)) == pytest.approx(model.evaluate(validation, verbose=0)[0], rel=1e-6)
    assert int(np.argmin(losses(run))) + 1 == fitted.epochs < len(losses(run))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_parts_of_a_batch_train_like_the_whole(optimizer: Any, open_run: Callable[..., Run], tmp_path: Any) -> None:
    """Rates, decay and clipping count updates, however many parts make one."""
    found = []
    for parts in (1, 4):
        recipe = Recipe(optimizer=optimizer, learning_rate=0.1, clip_norm=0.1, micro_batches=parts)
        model = build(recipe, random=False)
        fit(model, open_run(tmp_path / str(parts)), augment=None)
        found.append([np.array(variable) for variable in model.trainable_variables])
    for whole, divided in zip(*found, strict=True):
        assert whole == pytest.approx(divided, rel=1e-3, abs=1e-5)


def out_of_memory_over(rows: int, model: keras.Model, *, epoch: int) -> list[int]:
    """Let steps of more than `rows` rows fail from `epoch` on, state consumed; return where rows are noted."""
    make, noted = model.make_train_function, []

    def make_failing(force: bool = False) -> None:
        if model.train_function is not None:
            return
        make(force)
        step = model.train_function

        def train_function(state: Any, iterator: Any) -> Any:
            batch = next(iterator)
            done = step(state, iter([batch]))  # the state is donated: a failure leaves none
            noted.append(len(batch[0]))
            if len(noted) > (epoch - 1) * ROWS // BATCH and len(batch[0]) > rows:
                raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")
            return done

        model.train_function = train_function

    model.make_train_function = make_failing
    return noted


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("epoch", [1, 3])
def test_too_little_memory_divides_the_batch(
    epoch: int, ema: float, open_run: Callable[..., Run], tmp_path: Any
) -> None:
    """Twice here, to a quarter; the result is that of whole batches, and a warning says what was done."""
    recipe = Recipe(ema=ema, learning_rate=0.05)
    whole = build(recipe, random=False)
    expected = open_run(tmp_path / "whole")
    fit(whole, expected, augment=None)
    model, run = build(recipe, random=False), open_run(tmp_path / "divided")
    noted = out_of_memory_over(4, model, epoch=epoch)
    fit(model, run, augment=None)
    assert {16, 8, 4} == set(noted)
    assert 4 == noted[-1]
    # Averages lag by less than an update, for Keras averages after every part; weights do not.
    tolerance = {"rel": 1e-3, "abs": 1e-5} if not ema else {"rel": 0.05, "abs": 0.02}
    for a, b in zip(whole.variables, model.variables, strict=True):
        assert np.array(a) == pytest.approx(np.array(b), **tolerance)
    assert losses(expected, "train") == pytest.approx(losses(run, "train"), rel=1e-3)
    assert losses(expected) == pytest.approx(losses(run), **tolerance)
    assert [
        f"Memory did not suffice: batches of 16 are computed in {parts} parts of {rows} from epoch {epoch} on."
        for parts, rows in ((2, 8), (4, 4))
    ] == run.warnings
    assert 4 == run.training["select"]["micro_batches"]


def test_a_resumed_training_divides_its_batches_at_once(open_run: Callable[..., Run], tmp_path: Any) -> None:
    """It does not have to run out of memory again, and comes to the same bits."""
    recipe = RECIPES["averaged"]
    straight = build(recipe)
    out_of_memory_over(8, straight, epoch=2)
    fit(straight, open_run(tmp_path / "straight"))
    model = build(recipe)
    out_of_memory_over(8, model, epoch=2)
    with pytest.raises(Killed):
        fit(model, open_run(tmp_path / "killed"), observe=killed_after("checkpoint", 3))
    resumed = build(recipe)
    noted = out_of_memory_over(8, resumed, epoch=1)
    fit(resumed, open_run(tmp_path / "killed"))
    assert {8} == set(noted)
    assert_same(state(straight), state(resumed))


def test_memory_too_little_for_one_example_is_an_error(open_run: Callable[..., Run]) -> None:
    """There is nothing left to divide."""
    model = build(Recipe())
    out_of_memory_over(0, model, epoch=1)
    with pytest.raises(PacelineError, match=r"^Memory does not suffice for a single example\. Take a smaller model"):
        fit(model, open_run())


def test_other_errors_are_not_taken_for_too_little_memory(open_run: Callable[..., Run]) -> None:
    """They come through as they are."""

    def fail(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(build(Recipe()), open_run(), augment=fail)


class Poison:
    """Gives inputs that are no numbers, or far too large: once for a batch of an epoch (from 1), or from it on.

    Batches are made ahead by threads, so their calls have no order; what is drawn for a batch says which one it is.
    """

    def __init__(self, epoch: int, batch: int = 0, *, once: bool = True, factor: float = np.nan) -> None:
        self.first, self.once, self.factor, self.given = (epoch - 1, batch), once, factor, False
        places = product(range(EPOCHS), range(ROWS // BATCH))
        self.places = {np.random.default_rng((SEED, *place)).random(): place for place in places}

    def __call__(self, x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the batch."""
        place = self.places.get(generator.random())
        if place is None:  # made ahead for an epoch after the last
            return x, y
        if (place == self.first and not self.given) if self.once else place >= self.first:
            self.given = True
            return x * np.float32(self.factor), y
        return x, y


@pytest.mark.parametrize("factor", [np.nan, 1e4])
@pytest.mark.parametrize("compiled_optimizer", [False, True])
def test_a_diverged_loss_goes_back_with_half_the_rate(
    compiled_optimizer: bool, factor: float, open_run: Callable[..., Run]
) -> None:
    """To the end of the last good epoch; the rest is trained as usual, and a warning says so."""
    model, run = build(Recipe(learning_rate=0.01, schedule="constant", warmup_share=0.0), random=False), open_run()
    if compiled_optimizer:  # one of Keras's own, with a rate that is a number
        model.compile(keras.optimizers.Adam(0.01), loss=model.loss)
    fitted = fit(model, run, augment=Poison(4, 2, factor=factor))
    assert (EPOCHS, f"all {EPOCHS} epochs") == (fitted.epochs, fitted.stop_reason)
    assert list(range(1, EPOCHS + 1)) == [row["step"] for row in run.history["rows"]]
    assert all(np.isfinite(value).all() for value in state(model))
    assert 1 == len(run.warnings)
    assert run.warnings[0].endswith("with half the learning rate (1 of at most 3 times).")
    assert 1 == run.training["select"]["rollbacks"]
    optimizer = model.optimizer
    rate = optimizer.learning_rate
    assert 0.005 == pytest.approx(float(np.asarray(rate)))
    assert EPOCHS + 1 == len((run.folder / "metrics.jsonl").read_text().splitlines()) or run.save() is None


def test_the_smaller_rate_survives_a_kill(open_run: Callable[..., Run], tmp_path: Any) -> None:
    """Right after the rollback, before another epoch is saved: the resumed run is the one that was left alone."""
    recipe = Recipe(learning_rate=0.05)
    straight, run = build(recipe), open_run(tmp_path / "straight")
    fit(straight, run, augment=Poison(3, 2))
    folder, back = tmp_path / "killed", []

    def observe(stretch: Stretch) -> None:
        if killed.warnings and stretch.kind == "steps":
            back.append(stretch)
            raise Killed

    killed = open_run(folder)
    with pytest.raises(Killed):
        fit(build(recipe), killed, augment=Poison(3, 2), observe=observe)
    assert 1 == len(back)
    resumed, again = build(recipe), open_run(folder)
    fit(resumed, again, augment=None)
    assert_same(state(straight), state(resumed))
    assert losses(run) == losses(again)


def test_every_stretch_names_its_epoch(open_run: Callable[..., Run]) -> None:
    """The parts of an epoch bear its number, and take no longer than it: what is left is its overhead."""
    found: list[Stretch] = []
    fit(build(Recipe()), open_run(), observe=found.append)
    for number in range(1, EPOCHS + 1):
        parts = [each for each in found if each.epoch == number and each.kind in ("steps", "validation")]
        (whole,) = [each for each in found if each.epoch == number and each.kind == "epoch"]
        assert ROWS // BATCH == sum(each.steps for each in parts if each.kind == "steps")
        assert 0 <= whole.seconds - sum(each.seconds for each in parts) < whole.seconds


def test_the_end_of_the_first_epoch_tells_nothing_of_the_others(open_run: Callable[..., Run]) -> None:
    """Keras compiles the scores there, operation by operation; later blocks of steps are measured as they are."""
    found: list[Stretch] = []
    fit(build(Recipe()), open_run(), observe=found.append)
    blocks = [each for each in found if each.kind == "steps"]
    assert {1} == {each.epoch for each in blocks if each.compiled}
    assert set(range(2, EPOCHS + 1)) == {each.epoch for each in blocks if not each.compiled}


def test_a_rollback_that_helps_nothing_ends_it(open_run: Callable[..., Run]) -> None:
    """The fourth time in one training, with the loss and what to do."""
    run = open_run()
    with pytest.raises(
        PacelineError, match=r"^The loss became nan in epoch 2, also after going back 3 times with half"
    ):
        fit(build(Recipe()), run, augment=Poison(2, 1, once=False))
    assert 3 == len(run.warnings)


@keras.saving.register_keras_serializable(package="tests")
class LastStepNaN(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that is no number at the last step of the first epoch."""

    def __call__(self, step: Any) -> Any:
        """Return the rate."""
        return keras.ops.where(keras.ops.equal(step, ROWS // BATCH - 1), float("nan"), 1e-3)


def test_a_last_update_that_breaks_the_weights_is_noticed(open_run: Callable[..., Run]) -> None:
    """No loss of the epoch shows it: the losses are of the weights before."""
    model = build(Recipe())
    model.compile(keras.optimizers.Adam(LastStepNaN()), loss=model.loss)
    with pytest.raises(PacelineError, match=r"^The loss became nan in epoch 1, and a schedule of your own"):
        fit(model, open_run())


def test_a_schedule_of_ones_own_cannot_be_lowered(open_run: Callable[..., Run]) -> None:
    """Then the first diverged loss ends training, and the sentence says why."""
    model = build(Recipe())
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 30)), loss=model.loss)
    with pytest.raises(PacelineError, match=r"and a schedule of your own sets the rate\. Lower its learning rate, or"):
        fit(model, open_run(), augment=Poison(2, 1))


def test_a_loss_that_is_no_number_does_not_wait_for_the_end_of_a_long_epoch(
    open_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is seen at the next block's edge."""
    monkeypatch.setattr(keras_watch, "BLOCK_SECONDS", 0.0)
    poison = Poison(1, once=False)
    run = open_run()
    with pytest.raises(PacelineError, match=r"^The loss became nan in epoch 1"):
        fit(build(Recipe()), run, augment=poison)
    run.save()
    assert not (run.folder / "metrics.jsonl").exists(), "no epoch came to its end"


def test_the_rate_of_a_plateau_falls(open_run: Callable[..., Run]) -> None:
    """By its factor after each epoch without a better score; the history has the rate of each epoch."""
    run = open_run()
    fit(build(RECIPES["plateau"]), run)
    found = [row["learning_rate"] for row in run.history["rows"]]
    scores = losses(run)
    expected = [0.5]
    for epoch in range(1, EPOCHS):
        worse = epoch > 1 and scores[epoch - 1] >= min(scores[: epoch - 1])
        expected.append(expected[-1] * (0.3 if worse else 1.0))
    assert found == pytest.approx(expected)
    assert found[-1] < found[0], "otherwise this shows nothing"


def test_the_schedule_is_stretched_over_the_training(open_run: Callable[..., Run]) -> None:
    """Its end is the last update's, whatever the length of an epoch."""
    run = open_run()
    fit(build(Recipe(learning_rate=1e-3, schedule="polynomial", warmup_share=0.0)), run)
    updates = -(-ROWS // BATCH)
    expected = [1e-3 * (1 - (epoch * updates - 0.5) / (EPOCHS * updates)) ** 0.9 for epoch in range(1, EPOCHS + 1)]
    assert expected == pytest.approx([row["learning_rate"] for row in run.history["rows"]], rel=1e-4)


def test_curves_are_written_as_events(open_run: Callable[..., Run]) -> None:
    """Below the run's folder, where that is asked for."""
    run = open_run()
    fit(build(Recipe()), run, tensorboard=True)
    assert 1 == len(list((run.folder / "tensorboard" / "select").glob("events.out.tfevents.*")))


def test_the_facts_are_in_the_record(open_run: Callable[..., Run]) -> None:
    """Counted where they can be, measured where they must."""
    run = open_run()
    model = build(Recipe(micro_batches=2))
    fit(model, run)
    run.save()
    facts = json.loads((run.folder / "run.json").read_text())["training"]["select"]
    kernels = 6 * 8 + 8 + 2 * 8 + 8 + 1
    assert (EPOCHS * 12, BATCH, 2, 0) == (
        facts["steps"],
        facts["batch_size"],
        facts["micro_batches"],
        facts["rollbacks"],
    )
    assert (kernels, kernels + 16) == (facts["trainable_parameters"], facts["parameters"])
    assert facts["examples_per_second"] > 0
    assert facts["input_examples_per_second"] > 0
    assert facts["compile_seconds"] > 0
    assert facts["flops_per_step"] > 2 * 3 * 8 * (6 * 8 + 8)  # forward and backward of the products, 8 rows
    assert facts["convolutions"] is False
    assert 0 == facts["recompilations"]
    assert facts["peak_memory_bytes"] > 1e8
    assert facts["peak_device_memory_bytes"] is None


def test_a_step_that_is_compiled_again_is_a_warning(open_run: Callable[..., Run]) -> None:
    """Here by batches of two types; the warning names the training and what does it."""

    def of_two_types(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return (x.astype("int32") if generator.random() < 0.5 else x), y

    run = open_run()
    fit(build(Recipe()), run, augment=of_two_types)
    assert 1 == run.training["select"]["recompilations"]
    (warning,) = run.warnings
    assert "training 'select' was compiled 1 time more than expected: batches" in warning


def test_a_time_budget_shortens_training_and_its_schedule(open_run: Callable[..., Run]) -> None:
    """Two and a half epochs fit: the third is cut, the learning rate is at its end, and the reason is given."""
    run = open_run()
    run.pace = Pace(
        run, [Training("select", EPOCHS)], after=After(Measured()), ceiling=Ceiling(1e9, "--time-budget 1000000000s")
    )
    run.pace.end = lambda done: 2.5  # type: ignore[method-assign]
    model = build(Recipe(learning_rate=0.05, schedule="cosine", warmup_share=0.0))
    fitted = fit(model, run)
    assert (3, "the time budget, after 2.") == (len(run.history["rows"]), fitted.stop_reason[:25])
    assert run.budget["changed"]
    assert 0.004 > run.history["rows"][-1]["learning_rate"]
    steps = -(-ROWS // BATCH)
    assert run.training["select"]["steps"] == 2 * steps + round(0.5 * steps + 0.4)


def test_training_goes_on_after_a_first_epoch_that_was_cut(
    open_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With less than two epochs ahead the first one is short, so that the schedule can be compressed; more follow."""
    monkeypatch.setattr("paceline.keras_watch.BLOCK_SECONDS", 0.0)
    run = open_run()
    run.pace = Pace(
        run, [Training("select", EPOCHS)], after=After(Measured()), ceiling=Ceiling(1e9, "--time-budget 1000000000s")
    )
    run.pace.end = lambda done: 1.5  # type: ignore[method-assign]
    fitted = fit(build(Recipe(learning_rate=0.05, schedule="cosine", warmup_share=0.0)), run)
    assert len(run.history["rows"]) > 1
    assert "the time budget, after 1.5 epochs" == fitted.stop_reason
    steps = -(-ROWS // BATCH)
    assert round(1.5 * steps) == run.training["select"]["steps"]
