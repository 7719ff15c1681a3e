"""The models: a linear head on frozen features, the same fine-tuned, or a network from scratch.

All of them are a backbone that gives feature maps and one vector an image, and a head that takes that vector, linear in
it by default, so that what each place of an image adds to the answer can be told (see `explain`). Logits come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging import kernels, losses, resnet
from medical_imaging.augment import views
from medical_imaging.config import Config
from paceline import fit_keras, initializers, transfer
from paceline.recipe import Recipe
from paceline.record import Run

import keras  # isort: skip  # the backend is settled by the imports before

Floats = NDArray[np.float64]
VECTOR = "vector"  # what a backbone says of an image
MAPS = ("stride_8", "stride_16", "stride_32")  # mean and spread of these are its parts, and the mean of the last map
LAST = "last"
PREDICTED_IMAGES = 32  # at a time
LEAST_VARIANCE = 0.01  # of a feature, of the median over the features


@dataclass(frozen=True)
class Member:
    """One trained network: of several, the mean of the logits is taken.

    Attributes:
        backbone: gives maps and `VECTOR` of images.
        head: takes the vector, gives a logit a class.
        epochs: those that its weights took.
    """

    backbone: keras.Model
    head: keras.Model
    epochs: int


@dataclass(frozen=True)
class Trained:
    """A model in use.

    Attributes:
        members: of a frozen backbone they share it.
        frozen: whether features can be taken from the cache.
    """

    members: tuple[Member, ...]
    frozen: bool

    def logits(self, config: Config, images: NDArray[Any], run: Run | None = None) -> Floats:
        """Return the logits (images, classes), from cached features where the backbone is frozen.

        They are the mean over the members and over `report.views` versions of each image.
        """
        found = []
        for seen in views(images, config.report.views, flip=config.train.flip):
            if self.frozen:
                vectors = features(config, self.members[0].backbone, seen, run)
                found += [predict(member.head, vectors) for member in self.members]
            else:
                found += [predict(joined(member), seen) for member in self.members]
        mean: Floats = np.mean(found, axis=0)
        return mean

    def network(self) -> keras.Model:
        """Return one model from images to logits."""
        if len(self.members) == 1:
            return joined(self.members[0])
        if self.frozen:
            vector = keras.Input(self.members[0].head.input_shape[1:], name=VECTOR)
            mean = keras.layers.Average(dtype="float32")([member.head(vector) for member in self.members])
            head = keras.Model(vector, mean, name="heads")
            return transfer.attach(self.members[0].backbone, head, names=(VECTOR,))
        images = keras.Input(self.members[0].backbone.input_shape[1:], name="images")
        mean = keras.layers.Average(dtype="float32")([joined(member)(images) for member in self.members])
        return keras.Model(images, mean)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `model.keras` and return what the record keeps: the file, its checksum, sizes."""
        network = self.network()
        return {
            **fit_keras.save_model(network, folder / "model.keras"),
            "parameters": int(network.count_params()),
            "members": len(self.members),
            "epochs": [member.epochs for member in self.members],
        }


def joined(member: Member) -> keras.Model:
    """Return the member as one model from images to logits."""
    return transfer.attach(member.backbone, member.head, names=(VECTOR,))


def build_backbone(config: Config, channels: int) -> keras.Model:
    """Return the configured network without its head: images from 0 to 255 in, maps and `VECTOR` out."""
    size = config.data.image_size_px
    if config.model.name == "resnet18":
        images = keras.Input((size, size, channels), name="images")
        last = resnet.last_map(images, normalise=config.model.batch_normalisation)
        vector = keras.layers.GlobalAveragePooling2D(name="mean_last")(last)
        return keras.Model(images, {LAST: last, VECTOR: vector}, name="backbone")
    found = transfer.backbone(config.model.backbone, image_size_px=size, channels=channels)
    last = found.get_layer("mean_last").input
    maps = {name: found.output[name] for name in MAPS if name in found.output}
    parts = [keras.ops.mean(map_, axis=(1, 2)) for map_ in maps.values()]
    # How much a map varies tells of texture and of small findings, which its mean drowns.
    parts += [keras.ops.sqrt(keras.ops.var(map_, axis=(1, 2)) + 1e-6) for map_ in maps.values()]
    parts += [keras.ops.mean(last, axis=(1, 2))]
    vector = keras.layers.Concatenate(name=VECTOR)(parts)
    return keras.Model(found.input, {**maps, LAST: last, VECTOR: vector}, name="backbone")


def build_head(config: Config, width: int, classes: int, vectors: NDArray[np.float32] | None) -> keras.Model:
    """Return the head; `vectors`, where they are known before training, settle a standardisation in it."""
    penalty = keras.regularizers.L1L2(l1=config.train.l1, l2=config.train.l2)
    inputs = keras.Input((width,), name=VECTOR)
    x = inputs
    if vectors is not None:
        variance = vectors.var(axis=0)
        # A feature that hardly moved in training would shout when it moves a little in the test.
        variance = np.maximum(variance, LEAST_VARIANCE * np.median(variance))
        scale = keras.layers.Normalization(mean=vectors.mean(axis=0), variance=variance, dtype="float32")
        x = scale(x)
        if config.model.head == "kernel":
            x = kernels.around(np.asarray(scale(vectors)), seed=config.train.seed)(x)
    x = keras.layers.Dropout(config.model.dropout, seed=config.train.seed)(x)
    first = initializers.Uniform()
    answer = keras.layers.Dense(
        classes, kernel_initializer=first, kernel_regularizer=penalty, dtype="float32", name="logits"
    )(x)
    return keras.Model(inputs, answer)  # unnamed: an ensemble holds several


def compile_(model: keras.Model, config: Config, recipe: Recipe, weights: NDArray[np.float32]) -> None:
    """Give the model its optimizer, its loss, and what is watched while it trains."""
    exclusive = config.model.task == "multiclass"
    loss = losses.CrossEntropy(config.train.loss, weights, exclusive=exclusive)
    watched = [keras.metrics.MeanMetricWrapper(loss.call, name="cross_entropy"), losses.AUROC(len(weights))]
    model.compile(optimizer=fit_keras.optimizer(recipe), loss=loss, weighted_metrics=watched)


def features(config: Config, backbone: keras.Model, images: NDArray[Any], run: Run | None) -> NDArray[np.float32]:
    """Return the frozen backbone's vectors of all `images`, from the cache where it has given them before."""
    found = transfer.features(
        backbone,
        images,
        names=(VECTOR,),
        max_bytes=config.data.max_cache_bytes,
        setting="data.max_cache_bytes",
        run=run,
    )
    return found[VECTOR]


def predict(network: keras.Model, inputs: NDArray[Any]) -> Floats:
    """Return the network's outputs, computed in batches of one size so that one program serves all."""
    found = []
    for start in range(0, len(inputs), PREDICTED_IMAGES):
        rows = np.asarray(inputs[start : start + PREDICTED_IMAGES])
        filled = np.concatenate([rows, np.repeat(rows[-1:], PREDICTED_IMAGES - len(rows), axis=0)])
        found.append(np.asarray(network.predict_on_batch(filled), dtype=np.float64)[: len(rows)])
    return np.concatenate(found)


def predict_maps(backbone: keras.Model, images: NDArray[Any]) -> dict[str, Floats]:
    """Return the backbone's feature maps (images, height, width, channels) by name, and its `VECTOR`."""
    names = list(backbone.output)
    part = transfer.select(backbone, names)
    found: dict[str, list[Floats]] = {name: [] for name in names}
    for start in range(0, len(images), PREDICTED_IMAGES):
        rows = np.asarray(images[start : start + PREDICTED_IMAGES])
        filled = np.concatenate([rows, np.repeat(rows[-1:], PREDICTED_IMAGES - len(rows), axis=0)])
        answer = part.predict_on_batch(filled)
        for name in names:
            found[name].append(np.asarray(answer[name], dtype=np.float64)[: len(rows)])
    return {name: np.concatenate(parts) for name, parts in found.items()}
