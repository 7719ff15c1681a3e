"""The kinds of models: frozen with either head, several members, fine-tuned; what each leaves can be used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medical_imaging import model, predict, resnet, segmentation, train, trained
from medical_imaging.config import Config, Model
from paceline import config as configuration
from paceline import fit_keras
from paceline.errors import PacelineError

import keras  # isort: skip  # the backend is settled by the import before


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network with maps of strides 8 and 16, saved as a user's own."""
    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(6, 3, strides=8, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    path = tmp_path_factory.mktemp("backbone") / "tiny.keras"
    fit_keras.save_model(keras.Model(images, x), path)
    return path


@pytest.mark.parametrize(("head", "folds", "stages"), [("linear", 2, {"head_1", "head_2"}), ("kernel", 1, {"head"})])
def test_a_frozen_backbone(
    head: str, folds: int, stages: set[str], backbone_file: Path, small: Config, tmp_path: Path
) -> None:
    """Its saved network, read again, gives the scores that cached features gave."""
    chosen = small.model_copy(
        update={
            "model": Model(name="frozen", head=head, backbone=str(backbone_file)),
            "train": small.train.model_copy(update={"folds": folds}),
        }
    )
    answer = train.train(chosen, runs_folder=tmp_path)
    folder = Path(answer["run"])
    record = json.loads((folder / "run.json").read_text())
    assert (folds, stages) == (record["model"]["members"], set(record["training"]))
    evaluated = predict.evaluate(folder)
    for name, score in evaluated["scores"].items():
        assert record["scores"][name]["value"] == pytest.approx(score["value"], abs=1e-4), name


def test_fine_tuning_follows_the_head(backbone_file: Path, small: Config, tmp_path: Path) -> None:
    """Two stages; the upper part of the backbone has moved, the lower has not."""
    chosen = small.model_copy(
        update={
            "model": Model(name="fine_tuned", backbone=str(backbone_file)),
            "transfer": small.transfer.model_copy(update={"epochs": 1, "unfreeze_share": 0.5}),
        }
    )
    answer = train.train(chosen, runs_folder=tmp_path)
    record = json.loads((Path(answer["run"]) / "run.json").read_text())
    assert {"head", "fine_tune"} == set(record["training"])
    before = fit_keras.load_model(backbone_file, _sha256(backbone_file)).get_weights()
    after = trained.load(Path(answer["run"])).network.get_weights()
    kernels = [next(each for each in after if each.shape == weights.shape) for weights in before if weights.ndim == 4]
    first, second = (weights for weights in before if weights.ndim == 4)
    np.testing.assert_array_equal(first, kernels[0])
    assert (second != kernels[1]).any()


def test_penalties_below_the_head_enter_the_loss(
    backbone_file: Path, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From scratch, fine-tuned, and of a decoder: the loss is what is watched, and the penalty of what is trained."""
    found: dict[str, tuple[float, float]] = {}

    def fit(network: keras.Model, train: fit_keras.Batches, *arguments: Any, **named: Any) -> fit_keras.Fitted:
        answer = network.evaluate(train, return_dict=True, verbose=0)
        kernels = [np.asarray(each) for each in network.trainable_variables if "kernel" in each.name]
        expected = sum(0.01 * np.abs(kernel).sum() + 0.02 * np.square(kernel).sum() for kernel in kernels)
        found[named["stage"]] = (float(expected), answer["loss"] - answer[named["monitor"]])
        return fit_keras.Fitted(1, "seen")

    monkeypatch.setattr(fit_keras, "fit", fit)
    for trained_as, settings in (
        (train.train, {}),
        (train.train, {"model.backbone": str(backbone_file), "transfer.unfreeze_share": 0.5}),
        (segmentation.train, {"model.backbone": str(backbone_file), "model.name": "frozen"}),
    ):
        penalties = {"train.network_l1": 0.01, "train.network_l2": 0.02}
        if trained_as is train.train:
            penalties |= {"train.l1": 0.01, "train.l2": 0.02}
        else:
            penalties["model.task"] = "segmentation"
        trained_as(configuration.replace(small, {**settings, **penalties}, source="test"), runs_folder=tmp_path)
    assert {"train", "head", "fine_tune", "decoder"} == set(found)
    for stage, (expected, penalty) in found.items():
        assert expected > 0.1, stage
        assert expected == pytest.approx(penalty, rel=1e-3), stage


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"train.network_l2": 0.1}, "'frozen' trains none. Set train.l1"),
        ({"model.batch_normalisation": False}, "Leave it true, or set model.name = 'resnet18'."),
        ({"train.l2": 0.1, "model.task": "segmentation"}, "train.l2 = 0.1 is of classifiers"),
        ({"train.folds": 3, "model.task": "segmentation"}, "train.folds = 3 is of classifiers"),
        ({"model.head": "kernel", "model.task": "segmentation"}, "model.head = 'kernel' is of classifiers"),
    ],
)
def test_a_setting_that_would_act_on_nothing_is_refused(settings: dict[str, Any], cause: str) -> None:
    """Each names the key that does."""
    with pytest.raises(PacelineError, match=re.escape(cause)):
        configuration.replace(Config(), settings, source="test")


def test_resnet18_is_the_published_one() -> None:
    """Its parameters, with three channels and ten classes, are as many as those of the 32-pixel ResNet-18 in torch."""
    images = keras.Input((28, 28, 3))
    last = resnet.last_map(images, normalise=True)
    pooled = keras.layers.GlobalAveragePooling2D()(last)
    network = keras.Model(images, keras.layers.Dense(10)(pooled))
    assert (4, 4, 512) == last.shape[1:]
    assert 11_173_962 == sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multilabel", "segmentation"])
def test_a_network_without_batch_normalisation_trains_and_is_used(task: str, small: Config, tmp_path: Path) -> None:
    """A ResNet from scratch and a decoder: with biases instead, the saved network has the scores of the run."""
    name = "resnet18" if task == "multilabel" else "fine_tuned"
    chosen = {"model.task": task, "model.name": name, "model.batch_normalisation": False}
    plain = configuration.replace(small, chosen, source="test")
    of_task = train if task == "multilabel" else segmentation
    folder = Path(of_task.train(plain, runs_folder=tmp_path)["run"])
    layers = {each.name: type(each).__name__ for each in trained.load(folder).network._flatten_layers()}
    own = [kind for each, kind in layers.items() if task == "multilabel" or each.startswith(("conv2d", "batch_norm"))]
    assert ("Conv2D" in own, "BatchNormalization" in own) == (True, False)
    found = json.loads((folder / "run.json").read_text())["scores"]
    for score, value in predict.evaluate(folder)["scores"].items():
        assert found[score]["value"] == pytest.approx(value["value"], abs=1e-4), score


def test_predictions_of_any_number_of_images() -> None:
    """The last batch is filled up and its filling taken off again."""
    inputs = keras.Input((2,))
    network = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    rows = np.random.default_rng(0).normal(size=(model.PREDICTED_IMAGES + 3, 2)).astype(np.float32)
    np.testing.assert_allclose(rows @ network.get_weights()[0], model.predict(network, rows), atol=1e-5)


def _sha256(path: Path) -> str:
    from paceline import atomic

    return atomic.sha256(path.read_bytes())
