"""What several tests start from: a trained run; DICOM files as scanners and broken archives write them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"  # before any test imports Keras
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands settle it: see paceline.threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PACELINE_CACHE", str(Path(tempfile.gettempdir()) / "paceline-tests"))  # not the user's
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

import medical_imaging
import paceline
from medical_imaging import train
from medical_imaging.config import Config, Data, Model, Report, Train

SMALL = Config(
    data=Data(patients=24, image_size_px=32, max_quarantined_share=0.2),
    model=Model(name="fine_tuned", backbone="none"),
    train=Train(epochs=2, device="cpu", checkpoint_seconds=0, l2=0),
    report=Report(resamples=10),
)


@pytest.fixture(scope="session")
def small() -> Config:
    """The configuration of `run_folder`: seconds to train."""
    return SMALL


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run trained by `small`; tests read it and do not write to it."""
    answer = train.train(SMALL, runs_folder=tmp_path_factory.mktemp("runs"), command="medical-imaging train")
    return Path(answer["run"])


def dicom_dataset(
    pixels: NDArray[Any], *, bits: int | None = None, syntax: UID = ExplicitVRLittleEndian, **tags: Any
) -> Dataset:
    """Return an image of shape (rows, columns), (frames, rows, columns) or (rows, columns, 3) with further tags."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4.5")
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3.4.5"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    data.PatientID, data.PatientName, data.Modality = "MRN123", "Nightingale^Florence", "DX"
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    data.SamplesPerPixel, data.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    if colour:
        data.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    data.Rows, data.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    data.BitsAllocated = 8 * pixels.itemsize
    data.BitsStored = bits or data.BitsAllocated
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(np.issubdtype(pixels.dtype, np.signedinteger))
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    data["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    for name, value in tags.items():
        setattr(data, name, value)
    return data


@pytest.fixture
def dicom_file(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes pixels with tags as a DICOM file and returns its path."""

    def write(pixels: NDArray[Any], name: str = "image.dcm", **tags: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dicom_dataset(pixels, **tags).save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def process_environment() -> dict[str, str]:
    """Environment variables for a started Python that imports the library and the template as this one does."""
    folders = [str(Path(package.__file__ or "").parents[1]) for package in (paceline, medical_imaging)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONDONTWRITEBYTECODE": "1"}
