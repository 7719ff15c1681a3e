"""The one typed configuration of the project; `config.toml` holds these defaults, with these comments."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from paceline.config import CountOrAuto, Section
from paceline.recipe import Optimizer, Recipe, Schedule
from paceline.tune.settings import Tune


class Data(Section):
    """Which frames, and how sequences divide them."""

    source: Literal[
        "synthetic", "cityscapes", "bdd100k", "camvid", "comma10k", "folders", "kitti", "coco", "tusimple"
    ] = Field(
        "synthetic",
        description="synthetic | cityscapes | bdd100k | camvid | comma10k | folders | kitti | coco | tusimple",
    )
    path: str = Field("", description="the data set's folder; not for synthetic")
    image_height_px: int = Field(
        180, ge=32, le=2048, multiple_of=4, description="of what a network sees; a multiple of 4"
    )
    image_width_px: int = Field(
        240, ge=32, le=4096, multiple_of=4, description="of what a network sees; a multiple of 4"
    )
    frames: int = Field(400, ge=8, description="synthetic: how many are rendered")
    seed: int = Field(0, ge=0, description="synthetic: the same seed makes the same frames")
    images: str = Field("images", description="folders: where images lie, below data.path")
    masks: str = Field("masks", description="folders: where masks lie, below data.path, under the images' names")
    labels: dict[str, int | str | tuple[int | str, ...]] = Field(
        {},
        description='folders: {road = [0, 1], ignore = 9}, or "#804080": what masks hold, by class; ignore is no class',
    )
    sequence_pattern: str = Field(
        "", description="folders, kitti, coco: what of a name is its sequence, a regular expression; empty: the folder"
    )
    validation_share: float = Field(0.15, gt=0, lt=0.5, description="share of the sequences, unless the data says")
    test_share: float = Field(0.2, gt=0, lt=0.5, description="share of the sequences, unless the data says")
    test_sequence: str = Field("", description="this sequence is the test, the others train; empty: by share")
    max_quarantined_share: float = Field(0.02, ge=0, le=1, description="more bad frames than this share stop the run")
    max_cache_bytes: int = Field(8_589_934_592, ge=1, description="of decoded frames and frozen features, each")


class Model(Section):
    """What is predicted, by what."""

    task: Literal["segmentation", "detection", "lanes"] = Field(
        "segmentation", description="segmentation | detection (boxes) | lanes"
    )
    name: Literal["frozen", "small", "base", "large"] = Field(
        "frozen", description="frozen (decoder on cached features) | small | base | large (trained end to end)"
    )
    backbone: str = Field(
        "efficientnet-lite0",
        description="frozen: efficientnet-lite0 | of keras.applications | hub:PRESET | a .keras file",
    )
    decoder_channels: int = Field(64, ge=8, description="width of the decoder")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of the channels dropped before the head")
    batch_normalisation: bool = Field(True, description="of what is trained; a frozen backbone keeps its own")


class Train(Recipe):
    """How it is trained."""

    seed: int = Field(0, ge=0, description="of every random choice in training")
    device: Literal["auto", "cpu", "gpu", "tpu"] = Field(
        "auto", description="auto | cpu | gpu | tpu; what is asked for is used or refused"
    )
    optimizer: Optimizer = Field("adamw", description="adam | adamw | sgd (Nesterov)")
    learning_rate: float = Field(3e-3, gt=0, description="the highest that the schedule reaches")
    schedule: Schedule = Field("polynomial", description="constant | cosine | one_cycle | polynomial | plateau")
    epochs: CountOrAuto = Field(
        10, description="passes over the training frames at most; auto: as many as fit into --time-budget"
    )
    batch_size: int = Field(8, ge=1, description="frames in a step")
    early_stopping_epochs: int = Field(0, ge=0, description="epochs without a better score; 0: never stop early")
    loss: Literal["cross_entropy", "dice", "ohem", "focal"] = Field(
        "dice", description="dice (with cross-entropy) | cross_entropy | ohem (hardest pixels) | focal"
    )
    class_weights: Literal["sqrt_median_frequency", "median_frequency", "none"] = Field(
        "sqrt_median_frequency", description="sqrt_median_frequency | median_frequency | none"
    )
    augment: float = Field(0.5, ge=0, le=1, description="strength of scale, crop and light; frozen: only flips")
    flip: bool = Field(True, description="mirror left and right at random")
    class_mix: float = Field(0.0, ge=0, le=1, description="share of the frames that get classes of another pasted in")
    progressive_resizing: float = Field(
        0.0, ge=0, lt=1, description="not frozen: share of the epochs, the first, on frames of half the side; 0: none"
    )
    l2: float = Field(0.0, ge=0, description="L2 penalty of kernels, beside weight_decay")
    checkpoint_seconds: float = Field(30.0, ge=0, description="each epoch is saved; of short ones at least this often")
    tensorboard: bool = Field(False, description="write curves for TensorBoard too; needs the extra tensorboard")


class Transfer(Section):
    """What an earlier run passes on."""

    from_run: str = Field("", description="folder of an earlier run whose weights are taken over; empty: none")


class Report(Section):
    """What is reported, and what must hold."""

    resamples: int = Field(300, ge=0, description="of the bootstrap over sequences; 0: no intervals")
    gate_class: str = Field(
        "person", description="the safety gate: recall of this class, people by either name; empty: none"
    )
    gate_recall: float = Field(0.0, ge=0, le=1, description="the least recall in every slice; below it evaluate fails")
    worst_frames: int = Field(6, ge=0, description="shown as overlays")
    robustness_frames: int = Field(24, ge=0, description="that `evaluate` looks at in fog, noise, blur and dark")
    latency_budget_ms: float = Field(33.0, gt=0, description="what `benchmark` holds the p99 against")


class Config(Section):
    """Every key of the project with its default; unknown keys are refused.

    Override one for a single run: --set train.epochs=20
    """

    data: Data = Data()
    model: Model = Model()
    train: Train = Train()
    transfer: Transfer = Transfer()
    tune: Tune = Tune()
    report: Report = Report()

    @model_validator(mode="after")
    def _frames_to_begin_with(self) -> Config:
        if self.train.progressive_resizing and self.model.name == "frozen":
            raise ValueError(
                "train.progressive_resizing is of networks trained on frames, and model.name is 'frozen'. "
                "Set it to 0, or model.name = 'small'."
            )
        if self.train.progressive_resizing and self.train.epochs == "auto":
            raise ValueError(
                "train.progressive_resizing divides the epochs, and train.epochs is 'auto'. "
                "Set train.epochs to a number: below --time-budget both parts get fewer."
            )
        return self
