"""Typed configuration: refusals that name the key, overrides, and a dump that loads again."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from paceline import atomic, config
from paceline.config import Section
from paceline.errors import PacelineError


class Inner(Section):
    """A table within a table."""

    column: str = Field("datetime", description="a column's name")


class Data(Section):
    """Where the data is."""

    path: str = Field("", description="a file", json_schema_extra=config.PRIVATE)
    start: str = Field("2025-01-01", description="a day")
    days: tuple[int, ...] = Field((1, 7), description="windows")
    columns: Inner = Inner()


class Train(Section):
    """How it is trained."""

    epochs: int = Field(10, ge=1, description="passes over the data")
    learning_rate: float = Field(0.1, gt=0)
    device: Literal["auto", "cpu"] = "auto"
    refit: bool = True


class Project(Section):
    """Every key.

    Change what you like.
    """

    name: str = "trial"
    data: Data = Data()
    train: Train = Train()

    @model_validator(mode="after")
    def _short(self) -> Project:
        if self.train.epochs > 1000:
            raise ValueError("train.epochs is above 1000. Set 1000 or fewer.")
        return self


class Demanding(Section):
    """A key without a default."""

    path: str


def write(folder: Path, text: str) -> Path:
    """Write a configuration file and return its path."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, *overrides: str) -> str:
    """Return what is said when the configuration is refused."""
    with pytest.raises(PacelineError) as refused:
        config.load(Project, path, overrides)
    return str(refused.value)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("[train] has no key 'epoch'. Did you mean 'epochs'? (config.toml)", "[train]\nepoch = 3"),
        (
            "[train] has no key 'zzz'. It knows epochs, learning_rate, device, refit. (config.toml)",
            "[train]\nzzz = 3",
        ),
        ("The configuration has no key 'trian'. Did you mean 'train'? (config.toml)", "[trian]\nepochs = 3"),
        ("[data.columns] has no key 'colum'. Did you mean 'column'? (config.toml)", '[data.columns]\ncolum = "a"'),
        (
            "[train] epochs is 0. It should be greater than or equal to 1. (config.toml)",
            "[train]\nepochs = 0",
        ),
        ("[train] device is 'gpux'. It should be 'auto' or 'cpu'. (config.toml)", '[train]\ndevice = "gpux"'),
        ("[train] learning_rate is nan. It should be a finite number. (config.toml)", "[train]\nlearning_rate = nan"),
        (
            "[data] days is 'x'. It should be a valid integer. (config.toml)",
            '[data]\ndays = [1, "x"]',
        ),
        ("train.epochs is above 1000. Set 1000 or fewer. (config.toml)", "[train]\nepochs = 1001"),
        # A misspelt key is named before a value that does not fit.
        ("[train] has no key 'epoch'. Did you mean 'epochs'? (config.toml)", "[train]\nepochs = 0\nepoch = 3"),
    ],
)
def test_a_refusal_names_section_key_value_and_remedy(expected: str, text: str, tmp_path: Path) -> None:
    """Each mistake gives one sentence of cause and one of remedy, with the file's name."""
    assert expected == refusal(write(tmp_path, text))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    """A key without a default has to be there."""
    with pytest.raises(PacelineError) as refused:
        config.load(Demanding, write(tmp_path, ""))
    assert "The configuration lacks the key 'path'. Add it. (config.toml)" == str(refused.value)


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """No key has to be written."""
    assert Project() == config.load(Project, write(tmp_path, ""))


def test_a_configuration_cannot_be_changed_later() -> None:
    """What the record says is what was used."""
    with pytest.raises(ValueError, match="frozen"):
        Project().train.epochs = 3


@pytest.mark.parametrize(
    ("override", "section", "key", "expected"),
    [
        ("train.epochs=3", "train", "epochs", 3),
        ("train.epochs = 3 ", "train", "epochs", 3),
        ("train.learning_rate=1e-3", "train", "learning_rate", 0.001),
        ("train.refit=false", "train", "refit", False),
        ("train.device=cpu", "train", "device", "cpu"),
        ('train.device="cpu"', "train", "device", "cpu"),
        ("data.days=[2, 3]", "data", "days", (2, 3)),
        ("data.path=", "data", "path", ""),
        ("data.path=a b=c.csv", "data", "path", "a b=c.csv"),
        ("data.path=C:\\cards", "data", "path", "C:\\cards"),
        ("data.path='C:\\cards'", "data", "path", "C:\\cards"),
        ('data.path="1"', "data", "path", "1"),
        ("data.path=two\nlines = 1", "data", "path", "two\nlines = 1"),
        ("data.path='a'\nb = 1", "data", "path", "'a'\nb = 1"),
        ("data.start=2025-03-01", "data", "start", "2025-03-01"),
        ("data.start=2025-03-01T10:00:00", "data", "start", "2025-03-01T10:00:00"),
    ],
)
def test_an_override_is_read_as_toml_or_as_text(
    override: str, section: str, key: str, expected: object, tmp_path: Path
) -> None:
    """Numbers, truth values and lists are what TOML says; everything else, dates included, is the text itself."""
    found = config.load(Project, write(tmp_path, '[train]\nepochs = 9\n[data]\npath = "old"'), [override])
    assert expected == getattr(getattr(found, section), key)


def test_overrides_reach_nested_sections_and_the_last_one_wins(tmp_path: Path) -> None:
    """Any depth can be reached, sections that the file lacks included; the rest stays as the file has it."""
    path = write(tmp_path, "[train]\nepochs = 9\nrefit = false")
    found = config.load(Project, path, ["data.columns.column=a", "train.epochs=5", "train.epochs=6"])
    assert ("a", 6, False) == (found.data.columns.column, found.train.epochs, found.train.refit)


@pytest.mark.parametrize("override", ["epochs=3", "train.epochs", "train.=3", ".epochs=3", "=3", ""])
def test_an_override_of_another_form_is_refused(override: str, tmp_path: Path) -> None:
    """The message shows what was given and how to write it."""
    expected = f"--set got '{override}'. Write it as section.key=value, for example train.seed=7."
    assert expected == refusal(write(tmp_path, ""), override)


def test_an_override_below_a_plain_value_is_refused(tmp_path: Path) -> None:
    """A key that holds a number is no section."""
    text = refusal(write(tmp_path, "[train]\nepochs = 3"), "train.epochs.more=1")
    assert "--set got 'train.epochs.more=1', but 'epochs' is no section. See config.toml for its keys." == text


def test_an_unknown_key_of_an_override_is_refused_like_one_of_the_file(tmp_path: Path) -> None:
    """A misspelt override must not pass."""
    expected = "[train] has no key 'epoch'. Did you mean 'epochs'? (config.toml, --set)"
    assert expected == refusal(write(tmp_path, ""), "train.epoch=3")


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, and a path through a file each get a sentence."""
    absent = tmp_path / "absent.toml"
    assert f"There is no configuration file '{absent}'." in refusal(absent)
    assert f"'{tmp_path}' is a folder, not a configuration." in refusal(tmp_path)
    assert "cannot be read: Not a directory." in refusal(write(tmp_path, "") / "below.toml")


@pytest.mark.parametrize("content", [b"[train\n", b"epochs = \n", b'name = "\xff"', b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    """Wrong syntax, wrong encoding and a key given twice are said to be so, with the file's name."""
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    assert refusal(path).startswith(f"'{path}' is no valid TOML: ")


def test_dump_writes_every_key_with_its_comment() -> None:
    """The docstring stands on top, comments are aligned, tables come after plain keys."""
    lines = config.dump(Project()).splitlines()
    assert ["# Every key.", "#", "# Change what you like.", 'name = "trial"'] == [
        line.rstrip() for line in lines[:5] if line
    ]
    assert "epochs = 10                         # passes over the data" in lines
    assert "[data.columns]" in lines


HOSTILE = st.text(max_size=30) | st.sampled_from(
    ['"', "\\", '"""', "'''", "\\u0041", "a\nb", "\r\n", "\r", "\t", "\x00", "\x07", "\x1b[31m", "\x7f", "🙂", "#", "]"]
)


@given(HOSTILE, HOSTILE, st.floats(min_value=1e-300, max_value=1e300), st.lists(st.integers(-(2**62), 2**62)))
@example('C:\\new "x"', "\u2028\u0085", 1e22, [0])
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_dump_writes_loads_as_the_same(
    tmp_path: Path, name: str, column: str, rate: float, days: list[int]
) -> None:
    """Whatever a text holds, quotes, backslashes, line ends, control characters, the round trip is exact."""
    project = Project(
        name=name,
        data=Data(path=column, days=tuple(days), columns=Inner(column=column)),
        train=Train(learning_rate=rate),
    )
    path = tmp_path / "config.toml"
    atomic.write_text(path, config.dump(project))
    assert project == config.load(Project, path)


def test_dump_is_plain_toml_of_the_values() -> None:
    """Another reader of TOML finds the values under the same names."""
    assert Project().model_dump(mode="json") == tomllib.loads(config.dump(Project()))


def test_private_texts_are_shown_nowhere_but_in_the_dump(tmp_path: Path) -> None:
    """A path that may name a person is hidden in what is passed on; empty it tells that none is given."""
    named = config.replace(Project(), {"data.path": "Smith", "name": "Smith"}, source="test")
    assert ["data.path"] == config.private(named)
    found = config.shown(named)
    assert ("(hidden)", "Smith", 10) == (found["data"]["path"], found["name"], found["train"]["epochs"])
    assert "" == config.shown(Project())["data"]["path"]
    (tmp_path / "config.toml").write_text(config.dump(named), encoding="utf-8")
    assert named == config.load(Project, tmp_path / "config.toml")
