"""Transfer learning: features once, a head on them, the same answer joined, and the right layers unfrozen."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from paceline import transfer
from paceline.errors import PacelineError

import keras  # isort: skip  # the backend is settled by the import before


def grey(count: int) -> NDArray[np.uint8]:
    """Return grey images of noise."""
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 1), dtype=np.uint8)


def backbone(seed: int = 0) -> keras.Model:
    """Return the small network with weights that depend on `seed`."""
    keras.utils.set_random_seed(seed)
    return transfer.backbone("none", image_size_px=32, channels=1)


def counted(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the size of every batch that any model computes from now on."""
    sizes: list[int] = []
    compute = keras.Model.predict_on_batch

    def predict_on_batch(self: keras.Model, x: Any) -> Any:
        sizes.append(len(x))
        return compute(self, x)

    monkeypatch.setattr(keras.Model, "predict_on_batch", predict_on_batch)
    return sizes


def test_features_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a backbone built again; other weights, images or outputs are other features; batches have one size."""
    model, images = backbone(), grey(10)
    expected = model.predict(images, verbose=0)["pooled"]
    sizes = counted(model, monkeypatch)
    found = transfer.features(model, images, batch_size=4, folder=tmp_path)["pooled"]
    np.testing.assert_allclose(expected, found, rtol=1e-4, atol=1e-5)
    assert [4, 4, 4] == sizes
    transfer.features(backbone(), images, batch_size=4, folder=tmp_path)
    assert [4, 4, 4] == sizes
    transfer.features(backbone(seed=1), images, batch_size=4, folder=tmp_path)
    transfer.features(model, images[::-1], batch_size=4, folder=tmp_path)
    transfer.features(model, images, names=("stride_8",), batch_size=4, folder=tmp_path)
    assert 12 == len(sizes)


def test_a_part_of_a_backbone_is_compiled_once() -> None:
    """The splits of a data set share one compiled network; another backbone has its own, and is let go when unused."""
    model, other = backbone(), backbone()
    assert transfer.select(model, ("pooled",)) is transfer.select(model, ["pooled"])
    assert transfer.select(model, ("pooled",)) is not transfer.select(other, ("pooled",))
    assert transfer.select(model, ("pooled",)) is not transfer.select(model, ("stride_8",))
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None


def test_features_may_be_maps_of_half_precision(tmp_path: Path) -> None:
    """Several outputs at once, under their names, in the type asked for; one that is not there is refused."""
    found = transfer.features(backbone(), grey(3), names=("stride_4", "pooled"), dtype="float16", folder=tmp_path)
    assert {"stride_4": (3, 8, 8, 24), "pooled": (3, 224)} == {name: values.shape for name, values in found.items()}
    assert all(np.float16 == values.dtype for values in found.values())
    with pytest.raises(PacelineError, match=r"no output 'stride_2'.*stride_4"):
        transfer.features(backbone(), grey(3), names=("stride_2",), folder=tmp_path)


def test_the_joined_model_answers_as_the_head_did(tmp_path: Path) -> None:
    """A head on cached features and the same head on the backbone's give the same; one output or several."""
    model, images = backbone(), grey(5)
    known = transfer.features(model, images, names=("pooled", "stride_16"), folder=tmp_path)
    vector = keras.Input((224,))
    head = keras.Model(vector, keras.layers.Dense(2)(vector))
    joined = transfer.attach(model, head).predict(images, verbose=0)
    np.testing.assert_allclose(head.predict(known["pooled"], verbose=0), joined, rtol=1e-4, atol=1e-4)
    several = {"pooled": keras.Input((224,), name="pooled"), "stride_16": keras.Input((2, 2, 96), name="stride_16")}
    flat = keras.layers.Concatenate()([several["pooled"], keras.layers.Flatten()(several["stride_16"])])
    head = keras.Model(several, keras.layers.Dense(2)(flat))
    joined = transfer.attach(model, head, names=("pooled", "stride_16")).predict(images, verbose=0)
    expected = head.predict({name: np.asarray(values) for name, values in known.items()}, verbose=0)
    np.testing.assert_allclose(expected, joined, rtol=1e-4, atol=1e-4)


def test_a_head_of_one_named_output_is_joined() -> None:
    """A head that takes its outputs by name does so where there is one alone."""
    named = {"stride_16": keras.Input((2, 2, 96), name="stride_16")}
    head = keras.Model(named, keras.layers.Flatten()(named["stride_16"]))
    assert (None, 2 * 2 * 96) == transfer.attach(backbone(), head, names=("stride_16",)).output_shape


def test_unfreezing_goes_from_the_top_and_leaves_batch_norm_frozen() -> None:
    """The lower layers and every statistic of batch norm stay as they are through training; the upper ones move."""
    model = transfer.backbone("efficientnet-lite0", image_size_px=32)
    assert [] == model.trainable_weights
    vector = keras.Input(model.output["pooled"].shape[1:])
    joined = transfer.attach(model, keras.Model(vector, keras.layers.Dense(1)(vector)))
    assert 2 == len(joined.trainable_weights)
    free = transfer.unfreeze(model, share=0.1)
    before = {weight.path: np.array(weight) for weight in model.weights}
    joined.compile(keras.optimizers.SGD(0.1), "mse")
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype("float32")
    joined.fit(images, np.arange(8.0), batch_size=8, verbose=0)
    moved = {weight.path: weight for weight in model.weights if not np.array_equal(before[weight.path], weight)}
    assert {"head/kernel", "block_15_project/kernel"} <= set(moved)
    assert not [path for path in moved if "norm" in path or "stem" in path or "block_1_" in path]
    assert free == sum(int(np.prod(weight.shape)) for weight in moved.values())
    assert 0 == transfer.unfreeze(model, share=0.0)
    with pytest.raises(PacelineError, match=r"from 0 to 1, not 1\.5"):
        transfer.unfreeze(model, share=1.5)
