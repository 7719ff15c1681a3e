"""The one typed configuration of the project; `config.toml` holds these defaults, with these comments."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from paceline.config import PRIVATE, CountOrAuto, Section
from paceline.recipe import Recipe
from paceline.tune.settings import Tune

LEAST_PX = 16  # of an image's side
OF_CLASSIFIERS = ("model.head", "train.folds", "train.loss", "train.l1", "train.l2", "report.views")


class Columns(Section):
    """What the columns of `data.labels_csv` are called, for `dicom`, `nifti` and `images`."""

    file: str = Field("file", description="path of the image, below data.path")
    patient: str = Field("patient_id", description="who it is of; empty: each image is of somebody else")
    site: str = Field("site", description="where it was taken; absent: none")
    sex: str = Field("sex", description="for slices of the scores; absent: none")
    age: str = Field("age", description="in years, for slices; absent: none")
    view: str = Field("view", description="PA, AP, lateral or the like, for slices; absent: none")
    mask: str = Field("mask", description="path of a mask of the lesion, below data.path; absent: none")
    label: str = Field(
        "finding", description="multiclass: name of the class; absent: the one column of classes that is 1"
    )
    split: str = Field("split", description="train, validation or test, kept as they are; absent: split here")


class Data(Section):
    """Which images, and how patients are divided."""

    source: Literal["synthetic", "dicom", "nifti", "images", "nih", "chexpert", "medmnist"] = Field(
        "synthetic", description="synthetic | dicom | nifti | images (PNG, JPEG) | nih | chexpert | medmnist"
    )
    path: str = Field("", description="a folder, or the .npz of medmnist; not for synthetic", json_schema_extra=PRIVATE)
    labels_csv: str = Field(
        "labels.csv",
        description="dicom, nifti, images: the table of labels, below data.path; "
        "empty, for segmentation: images/ and masks/ alone",
        json_schema_extra=PRIVATE,
    )
    classes: tuple[str, ...] = Field((), description="columns of labels to use; empty: all the format has")
    image_size_px: int = Field(128, ge=LEAST_PX, le=2048, description="side of the square that a network sees")
    frame: Literal["middle", "first", "refuse"] = Field(
        "middle", description="dicom, nifti: which image of several, middle | first | refuse (all such files)"
    )
    patients: int = Field(200, ge=6, description="synthetic: people; three files each")
    seed: int = Field(0, ge=0, description="synthetic: the same seed makes the same files")
    external_site: str = Field("C", description="a site kept out of training and scored apart; empty: none")
    validation_share: float = Field(0.2, gt=0, lt=0.5, description="share of the patients for validation")
    test_share: float = Field(0.2, gt=0, lt=0.5, description="share of the patients for the test")
    max_quarantined_share: float = Field(0.05, ge=0, le=1, description="more bad files than this share stop the run")
    max_cache_bytes: int = Field(8_589_934_592, ge=1, description="of decoded images and frozen features, each")
    columns: Columns = Columns()


class Model(Section):
    """What is predicted, by what."""

    task: Literal["multiclass", "multilabel", "segmentation"] = Field(
        "multilabel", description="multilabel | multiclass | segmentation (of the lesion masks)"
    )
    name: Literal["frozen", "fine_tuned", "resnet18"] = Field(
        "frozen",
        description="frozen (head on cached features) | fine_tuned (then unfrozen from the top) | resnet18 (scratch)",
    )
    backbone: str = Field(
        "efficientnet-lite0",
        description="efficientnet-lite0 | none | of keras.applications | hub:PRESET | a .keras file",
    )
    head: Literal["linear", "kernel"] = Field(
        "linear", description="frozen: linear | kernel (Gaussian, as in a support vector machine)"
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="share of the features dropped before the head; of a decoder: of its coarsest map"
    )
    batch_normalisation: bool = Field(True, description="of resnet18 and of decoders; a backbone keeps its own")


class Train(Recipe):
    """How it is trained."""

    seed: int = Field(0, ge=0, description="of every random choice in training")
    device: Literal["auto", "cpu", "gpu", "tpu"] = Field(
        "auto", description="auto | cpu | gpu | tpu; what is asked for is used or refused"
    )
    epochs: CountOrAuto = Field(
        40, description="passes over the training images at most; auto: as many as fit into --time-budget"
    )
    batch_size: int = Field(32, ge=1, description="images in a step")
    early_stopping_epochs: int = Field(10, ge=0, description="epochs without a better score; 0: never stop early")
    folds: int = Field(1, ge=1, description="models, each watched on its part of the patients; their mean answers")
    loss: Literal["weighted", "focal", "plain"] = Field(
        "weighted", description="weighted (classes by how rare they are) | focal | plain; cross-entropy all"
    )
    uncertain: Literal["ignore", "zeros", "ones", "smooth"] = Field(
        "ignore", description="multilabel: uncertain labels are ignored, taken as 0 or 1, or as .55 to .85 at random"
    )
    l1: float = Field(0.0, ge=0, description="L1 penalty of a classifier's head")
    l2: float = Field(0.03, ge=0, description="L2 penalty of a classifier's head")
    network_l1: float = Field(
        0.0, ge=0, description="L1 penalty of all other kernels that are trained: from scratch, fine-tuned, a decoder's"
    )
    network_l2: float = Field(0.0, ge=0, description="L2 penalty of these; where it helps, 0.0001 or so")
    augment: float = Field(
        0.5, ge=0, le=1, description="strength of shifts, turns, zoom, contrast; 0: none; not before frozen features"
    )
    progressive_resizing: float = Field(
        0.0, ge=0, lt=1, description="from scratch: share of the epochs, the first, on images of half the side; 0: none"
    )
    flip: bool = Field(False, description="mirror left and right; wrong for the chest, whose heart lies left")
    checkpoint_seconds: float = Field(30.0, ge=0, description="each epoch is saved; of short ones at least this often")
    tensorboard: bool = Field(False, description="write curves for TensorBoard too; needs the extra tensorboard")


class Transfer(Section):
    """How a pretrained backbone is taken over."""

    unfreeze_share: float = Field(0.3, gt=0, le=1, description="fine_tuned: share of the layers, from the top")
    learning_rate: float = Field(1e-4, gt=0, description="fine_tuned: of the unfrozen layers")
    epochs: CountOrAuto = Field(
        10, description="fine_tuned: passes after the head is trained, at most; auto: as many as fit into --time-budget"
    )


class Report(Section):
    """How scores become decisions, and what is reported of them."""

    operating_point: Literal["youden", "sensitivity", "specificity"] = Field(
        "sensitivity",
        description="sensitivity (at least so much) | specificity (so much) | youden (both); of validation",
    )
    at_least: float = Field(0.9, gt=0, lt=1, description="what the operating point must reach on validation")
    resamples: int = Field(300, ge=0, description="of the bootstrap over patients; 0: no intervals")
    views: int = Field(1, ge=1, le=5, description="mean over so many versions of each image, shifted a little")
    heatmaps: int = Field(6, ge=0, description="heat maps (Grad-CAM's, exactly) in the report")


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

    @property
    def from_scratch(self) -> bool:
        """Whether a classifier begins without pretrained weights."""
        return self.model.name == "resnet18" or self.model.backbone == "none"

    @model_validator(mode="after")
    def _a_backbone_to_freeze(self) -> Config:
        if self.model.name == "frozen" and self.model.backbone == "none":
            raise ValueError(
                "model.name = 'frozen' wants a backbone with weights, and model.backbone is 'none'. "
                "Set model.name = 'fine_tuned', or name a backbone."
            )
        if self.train.epochs == "auto" and self.model.name == "fine_tuned" and self.model.backbone != "none":
            raise ValueError(
                "train.epochs = 'auto' fills the time with what takes little of it, and model.name is 'fine_tuned'. "
                "Set transfer.epochs = 'auto'."
            )
        if self.model.head == "kernel" and self.model.name != "frozen":
            raise ValueError(
                f"model.head = 'kernel' wants features that stay, and model.name is '{self.model.name}'. "
                "Set model.name = 'frozen', or model.head = 'linear'."
            )
        return self

    @model_validator(mode="after")
    def _images_to_begin_with(self) -> Config:
        share, smallest_px = self.train.progressive_resizing, 2 * LEAST_PX
        if share and (self.model.task == "segmentation" or not self.from_scratch):
            raise ValueError(
                "train.progressive_resizing is of classifiers from scratch. Set it to 0, or model.name = 'resnet18'."
            )
        if share and self.data.image_size_px < smallest_px:
            raise ValueError(
                f"train.progressive_resizing halves images, and data.image_size_px is {self.data.image_size_px}. "
                f"Set it to 0, or data.image_size_px to {smallest_px} or more."
            )
        if share and self.train.epochs == "auto":
            raise ValueError(
                "train.progressive_resizing divides the epochs, and train.epochs is 'auto'. "
                "Set train.epochs to a number: below --time-budget both parts get fewer."
            )
        return self

    @model_validator(mode="after")
    def _nothing_that_would_be_ignored(self) -> Config:
        outlines = self.model.task == "segmentation"
        if not self.model.batch_normalisation and self.model.name != "resnet18" and not outlines:
            raise ValueError(
                "model.batch_normalisation = false is of resnet18 and of decoders, and model.name is "
                f"'{self.model.name}'. Leave it true, or set model.name = 'resnet18'."
            )
        if self.model.name == "frozen" and not outlines and (self.train.network_l1 or self.train.network_l2):
            raise ValueError(
                "train.network_l1 and train.network_l2 are of kernels below the head, and model.name = 'frozen' trains "
                "none. Set train.l1 or train.l2, or model.name = 'fine_tuned'."
            )
        for key in OF_CLASSIFIERS if outlines else ():
            section, name = key.split(".")
            value, usual = getattr(getattr(self, section), name), getattr(getattr(Config(), section), name)
            if value not in (usual, 0):
                other = ", or train.network_" + name if name in ("l1", "l2") else ""
                raise ValueError(
                    f"{key} = {value!r} is of classifiers, and model.task is 'segmentation'. "
                    f"Leave it at {usual!r}{other}."
                )
        return self
