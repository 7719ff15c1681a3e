"""Export to ONNX: one file, any batch, proved equal to trained weights, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from paceline import convolution, export
from paceline.errors import PacelineError

import keras  # isort: skip  # the backend is settled by the import before

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:onnx_ir", "ignore::DeprecationWarning:jax2onnx")


def examples(count: int = 6) -> NDArray[np.uint8]:
    """Return images of noise."""
    return np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def trained(*layers: Any) -> keras.Model:
    """Return a model with `layers` in its middle, whose weights and statistics training has moved."""
    keras.utils.set_random_seed(0)
    images = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(images)
    for layer in layers:
        x = layer(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(2, dtype="float32")(x))
    model.compile("adam", "mse")
    model.fit(examples(), np.arange(12).reshape(6, 2), epochs=3, verbose=0)
    return model


def usual() -> list[Any]:
    """Return the layers that backbones are made of."""
    return [
        convolution.Conv2D(8, 1, use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(max_value=6),
        convolution.DepthwiseConv2D(3, strides=2, padding="same"),
        keras.layers.Dropout(0.5),
        keras.layers.Conv2D(4, 3, activation="gelu"),
    ]


def test_the_file_gives_the_trained_models_answers(tmp_path: Path) -> None:
    """For every batch size, from one self-contained file with names, metadata and native convolutions in it."""
    model = trained(*usual())
    done = export.to_onnx(model, tmp_path / "model.onnx", examples(), metadata={"run": "r1"})
    assert done.max_abs_difference < 1e-4
    assert (None, 6, ("output",), "model.onnx") == (done.batch, done.compared, done.outputs, done.file)
    assert ["model.onnx"] == [file.name for file in tmp_path.iterdir()]
    assert done.size_bytes == (tmp_path / "model.onnx").stat().st_size
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert "r1" == session.get_modelmeta().custom_metadata_map["run"]
    assert ["images"] == [value.name for value in session.get_inputs()]
    for count in (1, 4):
        rows = examples(count).astype("float32")
        expected = model.predict_on_batch(rows)
        np.testing.assert_allclose(expected, session.run(["output"], {"images": rows})[0], atol=1e-4)
    operations = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert 3 == operations.count("Conv")  # not nine products for the depthwise one


def test_several_outputs_keep_their_names(tmp_path: Path) -> None:
    """A dictionary of outputs comes out under its names."""
    images = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=4)(images)
    model = keras.Model(images, {"map": x, "mean": keras.layers.GlobalAveragePooling2D()(x)})
    done = export.to_onnx(model, tmp_path / "model.onnx", examples() / np.float32(255))
    assert ("map", "mean") == done.outputs
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    rows = examples(2).astype("float32") / 255
    expected = model.predict_on_batch(rows)
    for name, found in zip(done.outputs, session.run(list(done.outputs), {"images": rows}), strict=True):
        np.testing.assert_allclose(expected[name], found, atol=1e-4)


def test_a_difference_is_refused_and_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that answers otherwise, or with NaN, never appears; the message has the difference and the limit."""
    model, run = trained(*usual()), export._run
    for change, said in ((0.25, r"differs from the model by 0\.25 on 6 inputs; 0\.001"), (np.nan, "differs")):
        monkeypatch.setattr(export, "_run", lambda session, rows, by=change: [part + by for part in run(session, rows)])
        with pytest.raises(PacelineError, match=said):
            export.to_onnx(model, tmp_path / "model.onnx", examples())
    assert [] == list(tmp_path.iterdir())


def test_bilinear_resizing_fixes_the_batch(tmp_path: Path) -> None:
    """Where no file for any batch can be had, there is one for the batch size asked for."""
    model = trained(keras.layers.Conv2D(4, 3, strides=2), keras.layers.UpSampling2D(interpolation="bilinear"))
    done = export.to_onnx(model, tmp_path / "model.onnx", examples(), fixed_batch=2)
    assert (2, 6) == (done.batch, done.compared)
    assert [2, 2] == onnxruntime.InferenceSession(tmp_path / "model.onnx").get_outputs()[0].shape


def test_max_pooling_is_refused_with_what_to_use(tmp_path: Path) -> None:
    """JAX's max-pooling does not run in ONNX Runtime: found before a file is written."""
    with pytest.raises(PacelineError, match=r"cannot run the model.*average pooling"):
        export.to_onnx(trained(keras.layers.MaxPooling2D(2)), tmp_path / "model.onnx", examples())
    assert [] == list(tmp_path.iterdir())


def test_mixed_precision_is_exported_in_float32(tmp_path: Path) -> None:
    """A model that was trained in bfloat16 gives a float32 file, and computes in bfloat16 as before."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = trained(*usual())
    finally:
        keras.config.set_dtype_policy(policy)
    done = export.to_onnx(model, tmp_path / "model.onnx", examples(), tolerance=0.5)
    assert 1e-6 < done.max_abs_difference  # the model itself rounds to bfloat16
    assert "bfloat16" == model.layers[2].compute_dtype


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which package, and the extra that brings it."""
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None if name == "jax2onnx" else name)
    with pytest.raises(PacelineError, match=r"needs jax2onnx.*\[onnx\]"):
        export.to_onnx(None, tmp_path / "model.onnx", examples())
