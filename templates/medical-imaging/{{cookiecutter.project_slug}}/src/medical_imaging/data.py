"""Real formats to one cohort: files listed, decoded once, named by salted ids; what cannot be used is quarantined.

Nothing that leaves this module holds the name of a file, a folder or a patient: see `privacy`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medical_imaging import audits, fitness, formats, lesions, medmnist, pictures, privacy, synthetic
from medical_imaging.cohort import Cohort, Split, Task
from medical_imaging.config import Columns, Data
from medical_imaging.dicom import Shades
from paceline import cache
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine
from paceline.record import Run

PEEKED = 5  # files looked at to learn whether a data set has colours
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}


def load(config: Data, task: Task, quarantine: Quarantine, *, run: Run | None = None) -> Cohort:
    """Return the configured images with labels.

    Blank images are left out, and of equal ones all but the first; where the data bring a split, the test's stays.

    Args:
        config: what to read.
        task: `multiclass` wants one class an image, `segmentation` masks.
        quarantine: counts what is read and kept, and receives the rest by salted ids.
        run: gets the time of decoding.

    Raises:
        PacelineError: there is nothing to read, a column is missing, more than `max_quarantined_share` cannot be
            used, or a class is always or never present.
    """
    if config.source == "medmnist":
        cohort, refused, read = _arrays(config, task)
    else:
        cohort, refused, read = _from_files(config, task, run)
    if not len(cohort.items):
        for item, reason in refused:
            quarantine.add(item, "", reason)
        quarantine.count(read=read)
        quarantine.refuse_above(0.0, setting="data.max_quarantined_share")
    good, unfit = fitness.of(cohort)
    quarantine.count(read=read, kept=int(good.sum()))
    for item, reason in (*refused, *unfit):
        quarantine.add(item, "", reason)
    quarantine.refuse_above(config.max_quarantined_share, setting="data.max_quarantined_share")
    cohort = cohort if good.all() else fitness.kept(cohort, good, config)
    fitness.refuse_one_class(cohort)
    return cohort


def load_unlabelled(
    path: Path, config: Data, quarantine: Quarantine, *, channels: int, ids: privacy.Ids
) -> tuple[NDArray[Any], list[str]]:
    """Return new images, as a trained model wants them, and their names relative to `path`, which may hold a patient's.

    None may be left, where nothing of it can be read.

    Args:
        path: a file, or a folder of them, of the configured source's kind.
        config: `source, frame, image_size_px, max_cache_bytes`.
        quarantine: counts them; refused ones are listed by salted id.
        channels: of the images that the model was trained on.
        ids: of the files at `path`.

    Raises:
        PacelineError: there is nothing to read.
    """
    if config.source == "medmnist":
        raise PacelineError("New images are files, and data.source is 'medmnist'.", "Set data.source = 'images'.")
    files = formats.new_files(path, config)
    root = path if path.is_dir() else path.parent
    names = [file.relative_to(root).as_posix() for file in files]
    found = _decoded(files, formats.reader(config), config, channels, None)
    quarantine.count(read=len(files), kept=len(found.kept))
    for place, reason in found.refused.items():
        quarantine.add(ids.item(names[place]), "", reason)
    return found.array, [names[place] for place in found.kept]


def shape(file: Path, config: Data) -> tuple[int, int]:
    """Return the rows and columns of an image that could be read."""
    with warnings.catch_warnings():  # see `_decoded`
        warnings.simplefilter("ignore")
        rows, columns = formats.reader(config)(file).shape[:2]
    return rows, columns


def listing(config: Data, task: Task) -> tuple[formats.Listing, privacy.Ids, Path]:
    """Return the configured files with labels, what makes their ids, and the private folder for the map of them.

    Raises:
        PacelineError: see `load`.
    """
    if config.source == "synthetic":
        usual = {"labels_csv": "labels.csv", "columns": Columns(), "classes": config.classes or synthetic.CLASSES}
        root = synthetic.folder(config)
        ids = privacy.Ids(f"phantom {config.seed}".encode())  # nobody to protect, and the same ids on every machine
        return formats.listing(config.model_copy(update=usual), task, root), ids, privacy.folder(root)
    root = _path(config)
    listed = formats.listing(config, task, root)
    private = privacy.folder(root)
    return listed, privacy.ids_of(private), private


def audit(cohort: Cohort, split: Split | None, quarantine: Quarantine) -> dict[str, Any]:
    """Return what the cohort holds and what is wrong with it, for the sheet and the record; see `audits.of_cohort`."""
    return audits.of_cohort(cohort, split, quarantine)


def headers(config: Data, task: Task) -> dict[str, Any] | None:
    """Return what the headers of DICOM files say, see `audits.of_headers`; None for other sources."""
    if config.source not in ("synthetic", "dicom"):
        return None
    listed, _, _ = listing(config, task)
    return audits.of_headers([listed.root / name for name in listed.rows["file"]], listed.rows["patient"].to_list())


def _from_files(config: Data, task: Task, run: Run | None) -> tuple[Cohort, list[tuple[str, str]], int]:
    """Return what can be decoded, what was refused by salted id, and how many items there were."""
    listed, ids, private = listing(config, task)
    root = listed.root
    names = listed.rows["file"].to_list()
    files = [root / name for name in names]
    found = _decoded(files, listed.read, config, _channels(files, listed.read), run)
    refused = [(ids.item(name), reason) for name, reason in listed.refused]
    refused += [(ids.item(names[place]), reason) for place, reason in found.refused.items()]
    rows = listed.rows[found.kept]
    cohort = Cohort(
        images=found.array,
        labels=listed.labels[found.kept],
        classes=listed.classes,
        patients=_numbered(rows["patient"]),
        items=tuple(ids.item(name) for name in rows["file"]),
        task=task,
        sites=_texts(rows["site"]),
        sex=_texts(rows["sex"].str.to_lowercase().replace_strict(SEXES, default="")),
        age_years=_ages(rows["age"]),
        view=_texts(rows["view"].str.to_uppercase()),
        official=_texts(rows["split"]),
    )
    known = [(ids.item(name), name, patient) for name, patient in zip(names, listed.rows["patient"], strict=True)]
    known += [(ids.item(name), name, "") for name, _ in listed.refused]
    with_masks = [row for row in listed.rows.select("mask", "patient").rows() if row[0]]
    privacy.extend_map(private, known + [(ids.item(name), name, patient) for name, patient in with_masks])
    masks, bad_masks = lesions.attach(rows["mask"].to_list(), root, cohort, config, ids)
    read = len(names) + len(listed.refused) + len(bad_masks)
    if task == "segmentation" and (masks.has_mask is None or not masks.has_mask.any()):
        raise PacelineError("There is no mask to learn from.", "Name the column of mask files: data.columns.mask.")
    return masks, refused + bad_masks, read


def _arrays(config: Data, task: Task) -> tuple[Cohort, list[tuple[str, str]], int]:
    """Return MedMNIST's images, resized where they are of another size than is asked for."""
    path = _path(config)
    pixels, labels, classes, parts = medmnist.read(path, config, task)
    size, channels = config.image_size_px, pixels.shape[3]
    if pixels.shape[1:3] != (size, size):
        squares = (pictures.squared(_shades(image), size, channels) for image in pixels)
        pixels = np.stack(list(squares))
    rows = len(pixels)
    cohort = Cohort(
        images=pixels,
        labels=labels,
        classes=classes,
        patients=np.arange(rows, dtype=np.int64),
        items=tuple(f"{part}-{number}" for number, part in enumerate(parts)),
        task=task,
        official=parts,
    )
    return cohort, [], rows


def _shades(image: NDArray[np.uint8]) -> Shades:
    shades = np.asarray(image / np.float32(255), np.float32)
    return shades[..., 0] if image.shape[2] == 1 else shades


def _path(config: Data) -> Path:
    if not config.path:
        raise PacelineError("data.path is empty.", "Name a folder, or set data.source = 'synthetic'.")
    return Path(config.path).expanduser()


def _decoded(
    files: Sequence[Path], read: Callable[[Path], Shades], config: Data, channels: int, run: Run | None
) -> cache.Cached:
    size = config.image_size_px
    with warnings.catch_warnings():  # pydicom warns of much that is refused or harmless here, with names in it
        warnings.simplefilter("ignore")
        return cache.images(
            files,
            functools.partial(_square, read=read, size_px=size, channels=channels),
            shape=(size, size, channels),
            dtype=np.uint8,
            parameters={"readers": formats.READERS, "source": config.source, "frame": config.frame},
            max_bytes=config.max_cache_bytes,
            setting="data.max_cache_bytes",
            run=run,
        )


def _square(path: Path, *, read: Callable[[Path], Shades], size_px: int, channels: int) -> NDArray[np.uint8]:
    return pictures.squared(read(path), size_px, channels)


def _channels(files: Sequence[Path], read: Callable[[Path], Shades]) -> int:
    """Return 3 if one of the first images has colours, else 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in files[:PEEKED]:
            with suppress(cache.Refused, OSError):
                if pictures.is_colour(read(file)):
                    return 3
    return 1


def _numbered(identities: pl.Series) -> NDArray[np.int64]:
    """Return dense numbers in the order of first appearance, the same on every machine whatever its salt is."""
    order = {identity: number for number, identity in enumerate(identities.unique(maintain_order=True))}
    return np.array([order[identity] for identity in identities], np.int64)


def _texts(column: pl.Series) -> NDArray[np.object_] | None:
    """Return a column of text; None where none is given."""
    return column.to_numpy().astype(object) if (column != "").any() else None


def _ages(column: pl.Series) -> NDArray[np.float64] | None:
    """Return years; text such as `058Y`, `006M` or `014D` is DICOM's."""
    unit = column.str.extract(r"^\d{1,3}([YMWDymwd])$").str.to_uppercase()
    per_year = unit.replace_strict({"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}, default=1.0)
    number = column.str.strip_chars("YMWDymwd ").cast(pl.Float64, strict=False)
    years = (number / per_year).fill_null(float("nan")).to_numpy()
    return years if np.isfinite(years).any() else None
