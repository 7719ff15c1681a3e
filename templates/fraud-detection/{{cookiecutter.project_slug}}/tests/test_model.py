"""Each model: trains, saves, loads to the same logits, refuses a file that was changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fraud_detection import model, network
from fraud_detection.config import Config, Model, Train
from fraud_detection.examples import Examples
from paceline import device
from paceline.clock import Clock
from paceline.errors import PacelineError
from paceline.progress import Progress
from paceline.record import Run

NAMES = ("xgboost", "logistic_regression", "mlp")
FILES = {"xgboost": "model.ubj", "logistic_regression": "model.json", "mlp": "model.keras"}


def configuration(name: str) -> Config:
    """Return settings that train a small model in a moment."""
    return Config(
        model=Model(name=name, hidden_units=(8,)),  # type: ignore[arg-type] # one of the names
        train=Train(rounds=12, epochs=4, batch_size=64, mlp_learning_rate=0.02, device="cpu", early_stopping_rounds=0),
    )


def train(config: Config, run: Run, examples: Examples) -> model.Trained:
    """Train on `examples`, watching them too."""
    run.device = model.choose_device(config, rows=len(examples.y), run=run).state()
    with Progress(model.stages(config), unit=model.unit(config)) as progress:
        return model.fit(config, examples, examples, stage="select", run=run, progress=progress)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run's record."""
    run = Run(tmp_path, Config(), Clock())
    yield run
    if run._metrics is not None:
        run._metrics.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_learns_saves_and_loads(name: str, run: Run, examples: Examples, tmp_path: Path) -> None:
    """Loaded it gives the same logits, they tell fraud from honest, and a changed or missing file is refused."""
    trained = train(configuration(name), run, examples)
    logits = trained.logits(examples.X)
    assert ((len(examples.y),), np.float64) == (logits.shape, logits.dtype)
    assert roc_auc_score(examples.y, logits) > 0.8
    saved = trained.save(tmp_path)
    assert FILES[name] == saved["file"]
    loaded = model.load(name, tmp_path, saved)
    assert logits.tolist() == loaded.logits(examples.X).tolist()
    assert trained.steps == loaded.steps == saved["steps"]
    assert trained.state() == loaded.state()
    path = tmp_path / saved["file"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(PacelineError, match=r"does not match its checksum\."):
        model.load(name, tmp_path, saved)
    path.unlink()
    with pytest.raises(PacelineError, match=r"cannot be read: No such file or directory\."):
        model.load(name, tmp_path, saved)


def test_a_record_cannot_lead_out_of_its_folder(run: Run, examples: Examples, tmp_path: Path) -> None:
    """A file name with a path in it, as a record from elsewhere may hold, is looked for in the run's folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    saved = train(configuration("logistic_regression"), run, examples).save(tmp_path / "elsewhere")
    with pytest.raises(PacelineError, match="cannot be read"):
        model.load("logistic_regression", tmp_path / "run", {**saved, "file": "../elsewhere/model.json"})


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_counted(name: str, run: Run, examples: Examples) -> None:
    """The record tells how large the model is."""
    trained = train(configuration(name), run, examples)
    expected = {
        "xgboost": {"trees": 12},
        "logistic_regression": {"parameters": 7},
        # mean, variance and count of 6 inputs; 6 × 8 weights; 4 × 8 of the batch norm; 8 weights and a bias
        "mlp": {"parameters": 13 + 48 + 32 + 9},
    }[name]
    assert expected.items() <= trained.state().items()


@pytest.mark.parametrize(("schedule", "last"), [("constant", 1.0), ("cosine", 0.01), ("polynomial", 0.05)])
def test_a_schedule_ends_with_the_epochs(schedule: str, last: float, run: Run, examples: Examples) -> None:
    """By default the rate stays what it is; a schedule has taken it to next to nothing at the last update."""
    config = configuration("mlp")
    settings = config.train.model_copy(update={"mlp_schedule": schedule, "early_stopping_epochs": 0})
    train(config.model_copy(update={"train": settings}), run, examples)
    rates = [row["learning_rate"] / 0.02 for row in run.history["rows"]]
    assert 4 == len(rates)
    assert last == pytest.approx(rates[-1], abs=0.04)
    assert (schedule == "constant") == (rates[0] == pytest.approx(rates[-1]))


def test_gradients_of_a_network_are_clipped_where_asked_for(examples: Examples) -> None:
    """Not by default."""
    clipped = Config(train=Train(mlp_clip_norm=0.5))
    norms = [network.build(config, examples).optimizer.global_clipnorm for config in (Config(), clipped)]
    assert [None, 0.5] == norms


def test_a_network_without_batch_normalisation_has_biases_instead(run: Run, examples: Examples, tmp_path: Path) -> None:
    """It trains, and gives the same logits once loaded."""
    config = configuration("mlp")
    config = config.model_copy(update={"model": config.model.model_copy(update={"batch_normalisation": False})})
    trained = train(config, run, examples)
    assert {"parameters": 13 + 48 + 8 + 9} == trained.state()
    logits = trained.logits(examples.X)
    assert roc_auc_score(examples.y, logits) > 0.8
    assert logits.tolist() == model.load("mlp", tmp_path, trained.save(tmp_path)).logits(examples.X).tolist()


def test_stages_are_the_most_that_a_run_can_take() -> None:
    """The progress line knows both trainings, or the one without a refit."""
    for name, steps in (("xgboost", 12), ("logistic_regression", 1), ("mlp", 4)):
        config = configuration(name)
        assert {"select": steps, "refit": steps} == model.stages(config)
        once = config.model_copy(update={"train": config.train.model_copy(update={"refit": False})})
        assert {"select": steps} == model.stages(once)


def test_the_same_seed_trains_the_same_trees(run: Run, examples: Examples, tmp_path: Path) -> None:
    """Another seed samples other rows and columns."""
    found = []
    for place, seed in enumerate((0, 0, 1)):
        config = configuration("xgboost")
        config = config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})
        run.folder = tmp_path / str(place)
        run.folder.mkdir()
        found.append(train(config, run, examples).save(run.folder)["sha256"])
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_monotone_trees_rise_with_the_risk_and_are_free_elsewhere(run: Run, tmp_path: Path) -> None:
    """The constraint goes to the column of the risk, wherever the data's columns put it, and to no other."""
    rng = np.random.default_rng(1)
    # The risk lowers the odds at first and raises them later; a component, in another column, lowers them throughout.
    X = rng.uniform(-1, 1, (4_000, 3)).astype(np.float32)
    names = ("amount", "extra_V14", "terminal_risk_7d")
    y = (X[:, 2] ** 2 - 2 * X[:, 1] + rng.normal(0, 0.3, 4_000) > 0.5).astype(np.int8)
    many = Examples(X, y, X[:, 0].astype(float), pl.Series(np.zeros(4_000)), np.arange(4_000), names)
    config = configuration("xgboost")
    rising = config.model_copy(update={"model": config.model.model_copy(update={"monotone": True})})
    grid = np.zeros((50, 3), np.float32)
    lines = {column: grid.copy() for column in (1, 2)}
    steps: dict[int, list[np.ndarray]] = {1: [], 2: []}
    for place, each in enumerate((config, rising)):
        run.folder = tmp_path / str(place)
        run.folder.mkdir()
        trained = train(each, run, many)
        for column, line in lines.items():
            line[:, column] = np.linspace(-1, 1, 50)
            steps[column].append(np.diff(trained.logits(line)))
    free, held = steps[2]
    assert free.min() < 0
    assert held.min() >= 0
    assert held.max() > 0
    assert all(np.sum(each) < -1 for each in steps[1])


@pytest.mark.parametrize("requested", ["gpu", "tpu"])
def test_logistic_regression_refuses_an_accelerator(requested: str) -> None:
    """It runs on the CPU only, and what is asked for is used or refused."""
    with pytest.raises(PacelineError, match=f"A {requested.upper()} was asked for, but logistic regression runs on"):
        device.cpu_only(requested, "logistic regression")
    assert "logistic regression runs on the CPU" == device.cpu_only("auto", "logistic regression").reason
