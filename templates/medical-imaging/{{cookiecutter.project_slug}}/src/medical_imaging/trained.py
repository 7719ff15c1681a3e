"""A trained run taken up again: its configuration and network, the data it was judged on, new images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medical_imaging import data, formats, privacy, splits
from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Config
from paceline import config as configuration
from paceline import fit_keras, record
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

# What acts on a trained model. The rest shaped the model or its operating points, and would be ignored.
USED = ("data.source", "data.path", "data.labels_csv", "data.columns.", "data.max_", "report.resamples")
OF_CLASSIFIERS = ("report.views",)


@dataclass(frozen=True)
class TrainedRun:
    """A run's configuration, its network from images to logits, and what its record says of the model."""

    config: Config
    network: Any
    model: dict[str, Any]

    @property
    def outlines(self) -> bool:
        """Whether it outlines lesions, a logit a pixel, instead of giving a logit a class."""
        return self.config.model.task == "segmentation"

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of its training."""
        return tuple(self.model["classes"])


def load(folder: Path, overrides: Sequence[str] = ()) -> TrainedRun:
    """Return the trained run in `folder`, the configuration overridden by `section.key=value` texts.

    Raises:
        PacelineError: it is no run, did not finish, or its model is damaged.
    """
    found = record.read(folder)
    used = USED if found["config"]["model"]["task"] == "segmentation" else (*USED, *OF_CLASSIFIERS)
    for override in overrides:
        if not override.startswith(used):
            raise PacelineError(
                f"--set got '{override}', which is settled in a trained run.", f"Set one of {', '.join(used)} only."
            )
    if found["status"] != "done":
        raise PacelineError(
            f"The run '{folder.name}' is {found['status']}, not done.", "Finish it: train --resume RUN."
        )
    config, saved = configuration.load(Config, folder / "config.toml", overrides), found["model"]
    fit_keras.prepare("cpu" if config.train.device == "cpu" else "auto", seed=config.train.seed, precision="float32")
    # The file's name comes from a record that may be somebody else's: it must not lead out of the run's folder.
    network = fit_keras.load_model(folder / Path(saved["file"]).name, saved["sha256"])
    return TrainedRun(config, network, saved)


def cohort(run: TrainedRun) -> tuple[Cohort, Split, Quarantine]:
    """Return the configured images, divided as in training, and what was left out.

    Raises:
        PacelineError: they have other classes than the model.
    """
    quarantine = Quarantine()
    found = data.load(run.config.data, run.config.model.task, quarantine)
    if found.classes != run.classes:
        raise PacelineError(
            f"The model knows the classes {', '.join(run.classes)}, the data {', '.join(found.classes)}.",
            "Set data.classes as it was in training.",
        )
    return found, splits.divide(found, run.config.data, run.config.train.seed), quarantine


def new_images(run: TrainedRun, path: Path, quarantine: Quarantine) -> tuple[NDArray[Any], list[str], list[Path]]:
    """Return the images at `path`, a file or a folder, their salted ids, and their files.

    The map from ids to files is kept beside `path`, see `privacy`.
    """
    kind = files_of(run)
    root = path if path.is_dir() else path.parent
    place = privacy.folder(root)
    ids = privacy.ids_of(place)
    everything = [file.relative_to(root).as_posix() for file in formats.new_files(path, kind)]
    privacy.extend_map(place, [(ids.item(name), name, "") for name in everything])
    channels = int(run.network.input_shape[-1])
    images, names = data.load_unlabelled(path, kind, quarantine, channels=channels, ids=ids)
    return images, [ids.item(name) for name in names], [root / name for name in names]


def files_of(run: TrainedRun) -> Any:
    """Return the `[data]` by which new files are read: those of the phantom cohort are DICOM as others are."""
    kind = run.config.data
    return kind.model_copy(update={"source": "dicom"}) if kind.source == "synthetic" else kind
