"""Typed configuration: TOML → one pydantic model, overrides from the command line, refusals that name the key.

The model is the single source: its defaults are the values in the `config.toml` of a template and its field
descriptions are the comments there (`dump` writes both; a test holds the file equal).
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError
from pydantic.config import JsonDict

from paceline.errors import PacelineError
from paceline.redact import HIDDEN

COMMENT_COLUMN = 36  # where `dump` aligns the comments

# `json_schema_extra` of a text that may name a person, such as the path of a folder: no record or page shows it.
PRIVATE: JsonDict = {"private": True}

Model = TypeVar("Model", bound=BaseModel)


def _count_or_auto(value: Any) -> Any:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError("It should be a whole number from 1 on, or 'auto' to fill --time-budget")


CountOrAuto = Annotated[int | Literal["auto"], PlainValidator(_count_or_auto)]


class Section(BaseModel):
    """A table of the configuration: unknown keys are refused, values are checked and cannot be changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def load(model: type[Model], path: Path, overrides: Sequence[str] = ()) -> Model:
    """Read `path`, apply `section.key=value` overrides in order, and check the whole.

    A value of an override is read as TOML (`3`, `0.1`, `true`, `"text"`, `[1, 7]`) and as plain text where it is none,
    or where it is a date: configurations hold dates as text.

    Raises:
        PacelineError: the file is missing or no TOML, an override has another form, a key is unknown, a value does
            not fit. The message names the section, the key and the value, and suggests the nearest key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PacelineError(
            f"There is no configuration file '{path}'.",
            "Run the command in the project's folder, or name it: --config.",
        ) from None
    except IsADirectoryError:
        raise PacelineError(f"'{path}' is a folder, not a configuration.", "Name the TOML file in it.") from None
    except OSError as error:
        raise PacelineError(f"'{path}' cannot be read: {error.strerror}.", "Name another file: --config.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PacelineError(f"'{path}' is no valid TOML: {error}.", "Correct that line.") from None
    for override in overrides:
        _apply(values, override)
    return check(model, values, source=f"{path.name}, --set" if overrides else path.name)


def check(model: type[Model], values: dict[str, Any], *, source: str) -> Model:
    """Return `values` as a `model`, or raise a `PacelineError` that names the first misfit and `source`."""
    try:
        # As JSON, strictly: a list may be a tuple and a whole number a fraction, but a number in quotes is a text.
        return model.model_validate_json(json.dumps(values, default=_iso), strict=True)
    except ValidationError as error:
        raise _refusal(model, error.errors(), source) from None


def _iso(value: Any) -> str:
    """Return a date or a time, which TOML has and JSON has not, as text."""
    text: str = value.isoformat()
    return text


def replace(config: Model, values: Mapping[str, Any], *, source: str) -> Model:
    """Return `config` with other `values`, by `section.key`; a text is read as after `--set`.

    Raises:
        PacelineError: a key is unknown or a value does not fit; `source` is named as where they come from.
    """
    changed = config.model_dump(mode="json")
    for key, value in values.items():
        _put(changed, key, key.split("."), _value(value) if isinstance(value, str) else value)
    return check(type(config), changed, source=source)


def dump(config: BaseModel) -> str:
    """Return `config` as TOML with every key, in the model's order, each with its description as a comment.

    `load` of the result gives an equal configuration.
    """
    import tomlkit  # 30 ms that only a command which writes a run has to pay

    document = tomlkit.document()
    for line in (type(config).__doc__ or "").strip().splitlines():
        document.add(tomlkit.comment(line.strip()))
    _fill(document, config)
    return tomlkit.dumps(document)


def shown(config: BaseModel) -> dict[str, Any]:
    """Return `config` as JSON types, as records and pages show it: texts marked `PRIVATE` are hidden, defaults stay.

    `dump` holds them: a run's own config.toml must train again.
    """
    values: dict[str, Any] = config.model_dump(mode="json")
    for key in private(config):
        *sections, name = key.split(".")
        table = values
        for section in sections:
            table = table[section]
        table[name] = HIDDEN
    return values


def private(config: BaseModel) -> list[str]:
    """Return the keys of `config` that are marked `PRIVATE` and hold no default, as `section.key`."""
    found = []
    for name, field in type(config).model_fields.items():
        if isinstance(value := getattr(config, name), BaseModel):
            found += [f"{name}.{key}" for key in private(value)]
        elif isinstance(extra := field.json_schema_extra, dict) and extra.get("private") and value != field.default:
            found.append(name)
    return found


def _fill(container: Any, section: BaseModel) -> None:
    import tomlkit

    fields = type(section).model_fields
    nested = [name for name in fields if isinstance(getattr(section, name), BaseModel)]
    for name in [name for name in fields if name not in nested] + nested:  # TOML wants plain keys before tables
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            table = tomlkit.table()
            _fill(table, value)
            container.add(tomlkit.nl())
            container.add(name, table)
        else:
            item = tomlkit.item(list(value) if isinstance(value, tuple) else value)
            if description := fields[name].description:
                item.comment(description)
                item.trivia.comment_ws = " " * max(2, COMMENT_COLUMN - len(f"{name} = {item.as_string()}"))
            container.add(name, item)


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    names = key.strip().split(".")
    if not equals or len(names) < 2 or not all(names):
        raise PacelineError(f"--set got '{override}'.", "Write it as section.key=value, for example train.seed=7.")
    _put(values, override, names, _value(text.strip()))


def _put(values: dict[str, Any], given: str, names: Sequence[str], value: Any) -> None:
    for name in names[:-1]:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise PacelineError(f"--set got '{given}', but '{name}' is no section.", "See config.toml for its keys.")
    values[names[-1]] = value


def _value(text: str) -> Any:
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    more_than_one = len(found) > 1  # a line break in the text began another key
    return text if more_than_one or isinstance(found["value"], (date, time)) else found["value"]


def _refusal(model: type[BaseModel], errors: Sequence[Any], source: str) -> PacelineError:
    # An unknown key first: a misspelt one usually causes the other complaints.
    error = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    *sections, key = [part for part in error["loc"] if isinstance(part, str)] or [""]  # less the places in lists
    where = f"[{'.'.join(sections)}]" if sections else "The configuration"
    if error["type"] == "extra_forbidden":
        known = _keys(model, sections)
        near = difflib.get_close_matches(key, known, n=1)
        remedy = f"Did you mean '{near[0]}'?" if near else f"It knows {', '.join(known)}."
        return PacelineError(f"{where} has no key '{key}'.", f"{remedy} ({source})")
    if error["type"] == "missing":
        return PacelineError(f"{where} lacks the key '{key}'.", f"Add it. ({source})")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error" and not error["loc"]:  # a rule over several keys, already cause and remedy
        cause, stop, remedy = message.partition(". ")
        return PacelineError(cause + stop.strip(), f"{remedy} ({source})")
    expected = message.replace("Input should be", "It should be", 1)
    return PacelineError(f"{where} {key} is {error['input']!r}.", f"{expected}. ({source})")


def _keys(model: type[BaseModel], sections: Sequence[str]) -> list[str]:
    for section in sections:
        annotation = model.model_fields[section].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
