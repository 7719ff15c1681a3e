"""Images with masks and no table: two folders, `images` and `masks`, whose files have the same names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import polars as pl

from medical_imaging.config import Columns
from paceline.errors import PacelineError

IMAGES, MASKS = "images", "masks"
ENDS = re.compile(r"\.(png|jpe?g|dcm|dicom|ima|nii(\.gz)?)$", re.IGNORECASE)  # a UID has dots of its own
ENDINGS = ("_mask", "_segmentation", "_seg")  # of a mask's name beyond the image's


def table(images: Iterable[str], masks: Iterable[str], columns: Columns) -> pl.DataFrame:
    """Return a row for each image, with its mask where there is one, under the names of the configured columns.

    Args:
        images: paths below the data's folder; those in `images/` count.
        masks: likewise; those in `masks/` count.
        columns: `file` and `mask`.

    Raises:
        PacelineError: no image has a mask.
    """
    mask_of: dict[str, str] = {}
    for path in sorted(masks):
        if (name := _name(path, MASKS)) is not None:
            mask_of.setdefault(next((name.removesuffix(end) for end in ENDINGS if name.endswith(end)), name), path)
    files = sorted(path for path in images if _name(path, IMAGES) is not None)
    paired = [mask_of.get(str(_name(path, IMAGES)), "") for path in files]
    if not any(paired):
        raise PacelineError(
            "data.labels_csv is empty, and data.path has no images/ with masks of the same names below masks/.",
            "Lay them out so, or name the table that says which mask is whose: data.labels_csv.",
        )
    return pl.DataFrame({columns.file: files, columns.mask: paired})


def _name(path: str, folder: str) -> str | None:
    """Return a path below `folder` without the endings of its type; None where it lies elsewhere.

    >>> _name("images/ward/7.nii.gz", "images"), _name("masks/7.png", "images")
    ('ward/7', None)
    """
    parts = PurePosixPath(path).parts
    if len(parts) < 2 or parts[0] != folder:
        return None
    return ENDS.sub("", "/".join(parts[1:]))
