"""Tests of `formats`, `tables` and `medmnist`: small folders in exactly the layout of each source."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import pytest

import paceline.config
from medical_imaging import data, formats, privacy, splits
from medical_imaging.cohort import Cohort, Task
from medical_imaging.config import Columns, Config, Data
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_picture(path: Path, seed: int, shape: tuple[int, ...] = (24, 32)) -> None:
    """Write noise that differs by `seed`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def load(root: Path, source: str, task: Task = "multilabel", **settings: Any) -> tuple[Cohort, dict[str, Any]]:
    """Return the cohort and the quarantine's state; any share may be bad."""
    quarantine = Quarantine()
    config = Data(source=source, path=str(root), image_size_px=16, max_quarantined_share=1.0, **settings)  # type: ignore[arg-type] # from a table of tests
    return data.load(config, task, quarantine), quarantine.state()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Eight pictures of four patients with two columns of labels."""
    root = tmp_path / "pictures"
    for number in range(8):
        write_picture(root / "scans" / f"{number}.png", number)
    rows = [
        [f"scans/{number}.png", f"P{number // 2}", "N", "F", 40 + number, "pa", number % 2, int(number > 3)]
        for number in range(8)
    ]
    write_csv(root / "labels.csv", ["file", "patient_id", "site", "sex", "age", "view", "mass", "fluid"], rows)
    return root


def rewritten(root: Path, change: Callable[[list[list[str]]], None]) -> Path:
    """Apply `change` to the rows of the table, header included."""
    with (root / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    write_csv(root / "labels.csv", rows[0], rows[1:])
    return root


def test_pictures_with_a_table(pictures: Path) -> None:
    """Labels, patients and what is known of them come from the table; pictures are padded to squares."""
    cohort, state = load(pictures, "images")
    assert ("mass", "fluid") == cohort.classes
    assert [0, 0, 1, 1, 2, 2, 3, 3] == cohort.patients.tolist()
    assert [0, 1] * 4 == cohort.labels[:, 0].tolist()
    assert cohort.age_years is not None
    assert 40 == cohort.age_years[0]
    assert cohort.view is not None
    assert "PA" == cohort.view[0]
    assert 0 == cohort.images[0, 0].max()  # black above a picture wider than high
    assert 0 == state["quarantined"]


def test_jpeg_and_colour(tmp_path: Path) -> None:
    """A data set with colours has three channels, in the order red, green, blue."""
    for number in range(4):
        image = np.zeros((16, 16, 3), np.uint8)
        image[..., 2] = 200 + 10 * number  # OpenCV writes blue first
        image[:4] = 0
        (tmp_path / "c").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "c" / f"{number}.jpg"), image)
    write_csv(tmp_path / "c" / "labels.csv", ["file", "patient_id", "x"], [[f"{n}.jpg", n, n % 2] for n in range(4)])
    cohort, _ = load(tmp_path / "c", "images")
    assert (4, 16, 16, 3) == cohort.images.shape
    assert cohort.images[0, 10, 8, 0] > 150 > 60 > cohort.images[0, 10, 8, 2]


def test_what_does_not_fit_together_is_counted_and_listed(pictures: Path) -> None:
    """Rows without image, images without row, bad labels and repeated rows are quarantined, each with its reason."""

    def change(rows: list[list[str]]) -> None:
        rows[1][0] = "scans/none.png"
        rows[2][6] = "2"
        rows[3][1] = ""
        rows[4][0] = "../secret.png"
        rows[0].append("mask")
        for row in rows[1:]:
            row.append("/etc/passwd" if row is rows[6] else "")
        rows.append(rows[5])

    for number in range(8, 40):  # enough for the column to be one of labels still
        write_picture(pictures / "scans" / f"{number}.png", number)
    rewritten(pictures, change)
    rewritten(
        pictures,
        lambda rows: rows.extend(
            [f"scans/{n}.png", f"P{n}", "N", "F", "40", "pa", "0", str(n % 2), ""] for n in range(8, 39)
        ),
    )
    _, state = load(pictures, "images")
    assert {
        "there is no image for the row": 1,
        "a label is none of 1, 0 and -1": 1,
        "the row has no patient": 1,
        "the path leads out of data.path": 2,
        "an earlier row is of this file": 1,
        "there is no row of labels for the image": 3,
    } == state["by_reason"]
    assert state["read"] == state["kept"] + state["quarantined"]


def test_bad_pictures_are_quarantined(pictures: Path) -> None:
    """Empty, cut, mislabelled, blank and huge files are refused from their headers on."""
    scans = pictures / "scans"
    (scans / "0.png").write_bytes(b"")
    (scans / "1.png").write_bytes((scans / "1.png").read_bytes()[:-60])
    (scans / "4.png").write_bytes(b"BM" + b"\0" * 80)
    cv2.imwrite(str(scans / "5.png"), np.full((9, 9), 7, np.uint8))
    cv2.imwrite(str(scans / "6.png"), np.zeros((7200, 7200), np.uint8))
    _, state = load(pictures, "images")
    assert {
        "the file is empty": 1,
        "the file is damaged or cut short": 1,
        "it is no PNG or JPEG": 1,
        "the image is blank": 1,
        "it has more than 50 megapixels": 1,
    } == state["by_reason"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": Columns(file="files")}, r"no column 'files'\. Set data\.columns\.file\. Did you mean 'file'"),
        ({"columns": Columns(file="scan_path")}, r"no column 'scan_path'.*first row should name its 8 columns"),
        ({"columns": Columns(patient="who")}, "no column 'who'. Set data.columns.patient"),
        ({"classes": ("mass", "tumour")}, "no column 'tumour'"),
        ({"labels_csv": "none.csv"}, "no table of labels where data.labels_csv says"),
        ({"labels_csv": "scans/0.png"}, "is no CSV"),
    ],
)
def test_missing_columns_and_tables_are_named(pictures: Path, settings: dict[str, Any], message: str) -> None:
    """What the configuration asks for and the folder lacks is said with what there is."""
    with pytest.raises(PacelineError, match=message):
        load(pictures, "images", **settings)


def test_one_class_only_is_refused(pictures: Path) -> None:
    """Of a class that is always absent nothing can be learned."""

    def change(rows: list[list[str]]) -> None:
        for row in rows[1:]:
            row[6] = "0"

    with pytest.raises(PacelineError, match="class 'mass' is present in 0 and absent in 8 images"):
        load(rewritten(pictures, change), "images")


def test_no_folder_and_no_image_are_refused(tmp_path: Path) -> None:
    """Neither message holds the folder's name."""
    with pytest.raises(PacelineError, match=r"There is no folder where data\.path says") as refused:
        load(tmp_path / "Nightingale", "images")
    assert "Nightingale" not in str(refused.value)
    write_csv(tmp_path / "Nightingale" / "labels.csv", ["file", "patient_id", "x"], [["Jones.png", 1, 1]])
    with pytest.raises(PacelineError, match="None of the 1 rows") as refused:
        load(tmp_path / "Nightingale", "images")
    assert "Jones" not in str(refused.value)


def test_too_many_bad_files_stop_the_run(pictures: Path) -> None:
    """More than `max_quarantined_share` is an error that names an item by its salted id alone."""
    for number in range(4):
        (pictures / "scans" / f"{number}.png").write_bytes(b"")
    with pytest.raises(PacelineError, match="4 of 8 items are quarantined") as refused:
        data.load(Data(source="images", path=str(pictures), image_size_px=16), "multilabel", Quarantine())
    assert "png" not in str(refused.value)


def test_masks_are_of_the_class_that_is_present(pictures: Path) -> None:
    """A mask of 0 and 255 gets the number of the image's one class; without a finding none is needed."""

    def change(rows: list[list[str]]) -> None:
        rows[0].append("mask")
        for row in rows[1:]:
            row.append("")
        rows[6][8] = "masks/5.png"  # of picture 5: mass and fluid
        rows[2][8] = "masks/1.png"  # of picture 1: mass

    mask = np.zeros((24, 32), np.uint8)
    mask[8:16, 8:16] = 255
    (pictures / "masks").mkdir()
    for name in ("1", "5"):
        cv2.imwrite(str(pictures / "masks" / f"{name}.png"), mask)
    cohort, state = load(rewritten(pictures, change), "images", "segmentation")
    assert cohort.lesions is not None
    assert cohort.has_mask is not None
    assert {0, 1} == set(np.unique(cohort.lesions[1]))
    assert {0, 255} == set(np.unique(cohort.lesions[5]))
    assert [True, True, True, False, False, True, False, False] == cohort.has_mask.tolist()
    assert 0 == state["quarantined"]


def write_mask(path: Path, side: int) -> None:
    """Write a mask of 0 and 255 with a square lesion of this side, for the pictures' shape; 0 draws none."""
    mask = np.zeros((24, 32), np.uint8)
    mask[8 : 8 + side, 8 : 8 + side] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), mask)


def test_masks_need_no_class_beside_them(pictures: Path) -> None:
    """Without a column of labels the one class is the lesion, present where a mask has one, unknown without a mask."""

    def change(rows: list[list[str]]) -> None:
        for row in rows:
            del row[6:]
        rows[0].append("mask")
        for number, row in enumerate(rows[1:]):
            row.append(f"masks/{number}.png" if number != 7 else "")

    for number in range(7):
        write_mask(pictures / "masks" / f"{number}.png", 0 if number == 6 else 8)
    cohort, state = load(rewritten(pictures, change), "images", "segmentation")
    assert ("lesion",) == cohort.classes
    np.testing.assert_array_equal([[1]] * 6 + [[0], [np.nan]], cohort.labels)
    assert cohort.lesions is not None
    assert cohort.has_mask is not None
    assert {0, 1} == set(np.unique(cohort.lesions))
    assert [True] * 7 + [False] == cohort.has_mask.tolist()
    assert 0 == state["quarantined"]
    with pytest.raises(PacelineError, match="no column that holds 1, 0, -1"):
        load(pictures, "images")


def test_a_lesion_in_every_image_can_be_outlined(pictures: Path) -> None:
    """A class that is always present separates no images; its masks separate pixels."""

    def change(rows: list[list[str]]) -> None:
        rows[0][6:] = ["mass", "mask"]
        for number, row in enumerate(rows[1:]):
            row[6:] = ["1", f"masks/{number}.png"]

    for number in range(8):
        write_mask(pictures / "masks" / f"{number}.png", 8)
    cohort, _ = load(rewritten(pictures, change), "images", "segmentation")
    assert (("mass",), {1}) == (cohort.classes, set(cohort.labels.ravel().tolist()))
    with pytest.raises(PacelineError, match="class 'mass' is present in 8 and absent in 0 images"):
        load(pictures, "images")


@pytest.mark.parametrize("ending", ["", "_mask"])
def test_images_and_masks_need_no_table(ending: str, tmp_path: Path) -> None:
    """Two folders with the same names; an image without a mask comes along, a mask without an image is quarantined."""
    for number in range(6):
        write_picture(tmp_path / "images" / "ward" / f"{number}.jpg", number)
    for number in (0, 1, 2, 3, 4, 9):
        write_mask(tmp_path / "masks" / "ward" / f"{number}{ending}.png", 8)
    columns = Columns(patient="")
    cohort, state = load(tmp_path, "images", "segmentation", labels_csv="", columns=columns)
    assert cohort.has_mask is not None
    assert [True] * 5 + [False] == cohort.has_mask.tolist()
    assert list(range(6)) == cohort.patients.tolist()
    assert {"there is no row of labels for the image": 1} == state["by_reason"]
    with pytest.raises(PacelineError, match="nothing tells which images are of one patient"):
        load(tmp_path, "images", "segmentation", labels_csv="")
    with pytest.raises(PacelineError, match="nothing else tells what an image shows"):
        load(tmp_path, "images", labels_csv="", columns=columns)
    (tmp_path / "masks").rename(tmp_path / "truth")
    with pytest.raises(PacelineError, match="no images/ with masks of the same names below masks/"):
        load(tmp_path, "images", "segmentation", labels_csv="", columns=columns)


def test_without_patients_each_image_is_of_somebody_else(pictures: Path) -> None:
    """An empty `columns.patient` says so; that a column is missing does not."""
    cohort, _ = load(pictures, "images", columns=Columns(patient=""))
    assert list(range(8)) == cohort.patients.tolist()


def test_a_split_of_the_table_is_kept_or_refused(pictures: Path) -> None:
    """The column `split` divides the images; where it puts a patient into two parts, nothing is trained."""

    def change(rows: list[list[str]]) -> None:
        rows[0].append("split")
        for row, part in zip(rows[1:], ["train"] * 4 + ["val"] * 2 + ["test"] * 2, strict=True):
            row.append(part)

    cohort, _ = load(rewritten(pictures, change), "images")
    split = splits.divide(cohort, Data(external_site=""), 0)
    assert [[0, 1, 2, 3], [4, 5], [6, 7]] == [part.tolist() for part in (split.train, split.validation, split.test)]
    rewritten(pictures, lambda rows: rows[2].__setitem__(8, "test"))
    cohort, _ = load(pictures, "images")
    with pytest.raises(PacelineError, match="1 patient is in both train and test"):
        splits.divide(cohort, Data(external_site=""), 0)


def test_segmentation_without_masks_is_refused(pictures: Path) -> None:
    """The message names the column."""
    with pytest.raises(PacelineError, match=r"no mask to learn from\. Name the column of mask files: data\.columns"):
        load(pictures, "images", "segmentation")


def test_several_classes_from_columns_or_from_a_name(pictures: Path) -> None:
    """One column that is 1, or a column with the class's name, make a multi-class label."""
    cohort, state = load(pictures, "images", "multiclass")
    assert {"not exactly one class is 1": 4} == state["by_reason"]
    assert [1.0] * 4 == cohort.labels.sum(axis=1).tolist()

    def change(rows: list[list[str]]) -> None:
        rows[0].append("finding")
        for number, row in enumerate(rows[1:]):
            row.append("cyst" if number % 3 else "mass")

    cohort, _ = load(rewritten(pictures, change), "images", "multiclass")
    assert ("cyst", "mass") == cohort.classes
    assert [1, 0, 0, 1, 0, 0, 1, 0] == cohort.labels[:, 1].tolist()


def test_nifti_volumes_give_a_slice(tmp_path: Path) -> None:
    """The middle axial slice is taken, with the patient's front up and right to the left."""
    root = tmp_path / "volumes"
    root.mkdir()
    for number in range(4):
        volume = np.random.default_rng(number).normal(0, 1, (16, 16, 5)).astype(np.float32)
        volume[12:, 12:, 2] = 50  # right and front
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), root / f"{number}.nii.gz")
    (root / "4.nii.gz").write_bytes((root / "3.nii.gz").read_bytes()[:2500])
    write_csv(root / "labels.csv", ["file", "patient_id", "x"], [[f"{n}.nii.gz", n, n % 2] for n in range(5)])
    cohort, state = load(root, "nifti")
    assert 255 == cohort.images[0, 1, 1, 0]
    assert 255 > cohort.images[0, 14, 14, 0]
    assert {"the file is damaged or cut short": 1} == state["by_reason"]
    with pytest.raises(PacelineError, match="several frames"):
        load(root, "nifti", frame="refuse")


def test_nih_chest_xray14(tmp_path: Path) -> None:
    """Findings joined by bars, images in numbered folders, the official lists of both parts."""
    root = tmp_path / "nih"
    findings = ["Cardiomegaly|Effusion", "No Finding", "Effusion", "No Finding", "Cardiomegaly", "No Finding"]
    names = [f"0000000{number // 2}_00{number % 2}.png" for number in range(6)]
    for number, name in enumerate(names):
        write_picture(root / f"images_00{1 + number // 4}" / "images" / name, number)
    header = ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender",
              "View Position", "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]"]  # fmt: skip
    rows = [
        [name, finding, number % 2, number // 2, 57, "M", "AP", 2682, 2749, 0.143, 0.143]
        for number, (name, finding) in enumerate(zip(names, findings, strict=True))
    ]
    write_csv(root / "Data_Entry_2017.csv", header, rows)
    (root / "train_val_list.txt").write_text("\n".join(names[:4]), encoding="utf-8")
    (root / "test_list.txt").write_text("\n".join(names[4:]), encoding="utf-8")
    cohort, state = load(root, "nih", classes=("Cardiomegaly", "Effusion", "No Finding"))
    assert [[1, 1, 0], [0, 0, 1], [0, 1, 0]] == cohort.labels[:3].tolist()
    assert cohort.official is not None
    assert ["train"] * 4 + ["test"] * 2 == cohort.official.tolist()
    assert [0, 0, 1, 1, 2, 2] == cohort.patients.tolist()
    assert 0 == state["quarantined"]
    with pytest.raises(PacelineError, match="class 'Atelectasis' is present in 0"):
        load(root, "nih")


def test_chexpert(tmp_path: Path) -> None:
    """Paths that begin with the data set's folder, uncertain labels as -1, blank ones as not given."""
    root = tmp_path / "CheXpert-v1.0-small"
    header = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding", "Cardiomegaly", "Pleural Effusion"]
    for part, patients in (("train", range(1, 5)), ("valid", range(5, 7))):
        rows = []
        for number in patients:
            below = f"{part}/patient0000{number}/study1/view1_frontal.jpg"
            write_picture(root / below, number, (32, 32))
            lateral = number % 2
            rows.append(
                [
                    f"CheXpert-v1.0-small/{below}",
                    "Female",
                    60,
                    "Lateral" if lateral else "Frontal",
                    "" if lateral else "AP",
                    "1.0" if number % 2 else "0.0",
                    "-1.0" if number == 2 else str(number % 2),
                    "" if number == 1 else str(float(number % 2)),
                ]
            )
        write_csv(root / f"{part}.csv", header, rows)
    cohort, state = load(root, "chexpert")
    assert ("No Finding", "Cardiomegaly", "Pleural Effusion") == cohort.classes
    assert -1 == cohort.labels[1, 1]
    assert np.isnan(cohort.labels[0, 2])
    assert cohort.view is not None
    assert ["LATERAL", "AP"] == cohort.view[:2].tolist()
    assert cohort.sex is not None
    assert "F" == cohort.sex[0]
    assert cohort.official is not None
    assert ["train"] * 4 + ["test"] * 2 == cohort.official.tolist()
    assert 0 == state["quarantined"]


def test_dicom_headers_fill_what_the_table_lacks(dicom_file: Callable[..., Path], tmp_path: Path) -> None:
    """Patient, sex, age and view are read from the files where the table has no such columns."""
    rows = []
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 4096, (20, 20), dtype=np.uint16)
        name = f"d/IM{number}"
        dicom_file(pixels, name, PatientID=f"P{number // 2}", PatientSex="M", PatientAge="018M", ViewPosition="LL")
        rows.append([f"IM{number}", number % 2])
    write_csv(tmp_path / "d" / "labels.csv", ["file", "x"], rows)
    cohort, _ = load(tmp_path / "d", "dicom")
    assert [0, 0, 1, 1] == cohort.patients.tolist()
    assert cohort.age_years is not None
    assert 1.5 == cohort.age_years[0]
    assert cohort.view is not None
    assert "LL" == cohort.view[0]


def test_files_named_by_their_uid_are_found(dicom_file: Callable[..., Path], tmp_path: Path) -> None:
    """Archives often name files by their UID, without a suffix: they are predicted on, and missed in no table."""
    rng = np.random.default_rng(0)
    names = ["1.2.840.113619.2.1", "1.2.840.113619.2.2", "IM0003", "d.dcm"]
    for name in names:
        dicom_file(rng.integers(0, 4096, (20, 30), dtype=np.uint16), f"d/{name}")
    (tmp_path / "d" / "notes.txt").write_text("none", encoding="utf-8")
    (tmp_path / "d" / "DICOMDIR").write_bytes(b"none")
    quarantine = Quarantine()
    config = Data(source="dicom", image_size_px=16)
    images, found = data.load_unlabelled(tmp_path / "d", config, quarantine, channels=1, ids=privacy.Ids(b"salt"))
    assert names == found
    assert (4, 16, 16, 1) == images.shape
    write_csv(tmp_path / "d" / "labels.csv", ["file", "x"], [[name, place % 2] for place, name in enumerate(names[:2])])
    _, state = load(tmp_path / "d", "dicom")
    assert {"there is no row of labels for the image": 2} == state["by_reason"]


def test_new_images_that_cannot_be_read_are_listed_by_salted_id(tmp_path: Path) -> None:
    """A folder with one bad file gives the others; with bad ones only, none."""
    write_picture(tmp_path / "new" / "a.png", 0)
    (tmp_path / "new" / "b.png").write_bytes(b"")
    quarantine = Quarantine()
    config, ids = Data(source="images", image_size_px=16), privacy.Ids(b"salt")
    images, names = data.load_unlabelled(tmp_path / "new", config, quarantine, channels=3, ids=ids)
    assert ["a.png"] == names
    assert (1, 16, 16, 3) == images.shape
    assert ids.item("b.png") == quarantine.state()["examples"][0]["source"]
    _, none = data.load_unlabelled(tmp_path / "new" / "b.png", config, quarantine, channels=1, ids=ids)
    assert [] == none


def test_the_map_of_ids_inside_the_data_is_no_image(dicom_file: Callable[..., Path], tmp_path: Path) -> None:
    """Predicting on a folder leaves its private map beside it, below the data it is part of, and no ending tells it."""
    files = [dicom_file(np.full((16, 16), shade, np.uint8), f"site/{shade}.dcm") for shade in (3, 5)]
    config, ids = Data(source="dicom", image_size_px=16), privacy.Ids(b"salt")
    data.load_unlabelled(files[0].parent, config, Quarantine(), channels=1, ids=ids)
    privacy.ids_of(privacy.folder(files[0].parent))
    assert (tmp_path / f"site{privacy.SUFFIX}" / "salt").is_file()
    assert files == formats.new_files(tmp_path, Data(source="dicom"))


def test_free_text_is_no_class(pictures: Path) -> None:
    """A column of reports is not taken for a hundred classes, nor printed."""

    def change(rows: list[list[str]]) -> None:
        rows[0].append("finding")
        for number, row in enumerate(rows[1:]):
            row.append(f"report {number}")
        rows.extend([f"x{n}.png", "P", "", "", "", "", "0", "0", f"Nightingale {n}"] for n in range(100))

    with pytest.raises(PacelineError, match="holds 108 different values") as refused:
        load(rewritten(pictures, change), "images", "multiclass")
    assert "Nightingale" not in str(refused.value)


@pytest.mark.parametrize("name", ["breastmnist", "chexpert", "dicom", "nih"])
def test_the_configurations_that_come_along_load(name: str) -> None:
    """Each file in `configs/` is complete for its source, but for the path."""
    found = paceline.config.load(Config, Path(__file__).parent.parent / "configs" / f"{name}.toml")
    assert {"breastmnist": "medmnist"}.get(name, name) == found.data.source


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("multilabel", np.array([[0], [1], [2], [1]]), "one label of 3 classes"),
        ("multiclass", np.array([[0, 1], [1, 1], [1, 0], [0, 0]]), "has 2 labels an image"),
        ("segmentation", np.array([[0], [1], [0], [1]]), "holds no masks"),
        ("multiclass", np.array([[0], [1], [0]]), "has 3 rows and 'train_images' 4"),
    ],
)
def test_medmnist_labels_that_do_not_fit(tmp_path: Path, task: Task, labels: Any, message: str) -> None:
    """The kind of label must be that of the task."""
    images = np.random.default_rng(0).integers(0, 255, (4, 28, 28), dtype=np.uint8)
    arrays = {f"{part}_{what}": value for part in ("train", "val", "test")
              for what, value in (("images", images), ("labels", labels))}  # fmt: skip
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(PacelineError, match=message):
        data.load(Data(source="medmnist", path=str(tmp_path / "m.npz")), task, Quarantine())


def test_medmnist_refuses_pickles_and_other_files(tmp_path: Path) -> None:
    """An array of objects could run code when it is read; other files are no archive."""
    path = tmp_path / "m.npz"
    np.savez(path, train_images=np.array([{}], object))
    for content in (None, b"", b"text", path.read_bytes()[:40]):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(PacelineError, match=r"no readable \.npz"):
            data.load(Data(source="medmnist", path=str(path)), "multiclass", Quarantine())
    with pytest.raises(PacelineError, match=r"no file where data\.path says"):
        data.load(Data(source="medmnist", path=str(tmp_path / "none.npz")), "multiclass", Quarantine())
