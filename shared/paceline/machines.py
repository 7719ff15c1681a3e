"""Machines by what they manage: measured here or elsewhere (`microbench`), or from a data sheet, with their price.

A measured machine is a small JSON file that can be carried to another one. Data sheets and prices are in `prices.toml`;
a file of that name in the project's folder takes its place.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from paceline import atomic
from paceline.errors import PacelineError

SCHEMA_VERSION = 1
PRICES = Path("prices.toml")  # of the project, before the library's own
# What is measured, and how it is called where people read it.
BENCHMARKS = {
    "matmul_gflops": "matrix product, GFLOP/s",
    "convolution_gflops": "convolution, GFLOP/s",
    "matmul_bf16_gflops": "matrix product in bfloat16, GFLOP/s",
    "convolution_bf16_gflops": "convolution in bfloat16, GFLOP/s",
    "memory_gb_per_second": "memory, GB/s",
    "launches_per_second": "launches of a small program, 1/s",
    "histogram_rows_per_second": "histogram of trees, rows/s",
    "decoded_images_per_second": "decoded JPEG images, 1/s",
    "disk_mb_per_second": "writing to disk, MB/s",
    "python_loops_per_second": "Python loops, 1/s",
}


@dataclass(frozen=True)
class Machine:
    """A machine.

    Attributes:
        name: for people.
        kind: what it computes networks on: cpu, gpu or tpu.
        benchmarks: by the names of `BENCHMARKS`, larger is faster; what is not known is left out.
        measured: whether they are measured, or from a data sheet.
        price_per_hour: None where it is not known.
        currency: of the price.
        prices_of: the day of the price, ISO 8601.
        devices: how many of its kind it has; `benchmarks` are of one.
        link_gb_per_second: each way between them; None where it is not known.
    """

    name: str
    kind: str
    benchmarks: Mapping[str, float]
    measured: bool = True
    price_per_hour: float | None = None
    currency: str = ""
    prices_of: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    devices: int = 1
    link_gb_per_second: float | None = None


def write(machine: Machine, path: Path) -> None:
    """Write a measured machine as JSON."""
    atomic.write_json(path, {"schema_version": SCHEMA_VERSION, **asdict(machine)})


def read(path: Path) -> Machine:
    """Return the machine that `write` left in `path`.

    Raises:
        PacelineError: there is none, or it is another kind of file.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("schema_version") != SCHEMA_VERSION:
            raise ValueError
        machine = Machine(**values)
        known = {name: float(value) for name, value in machine.benchmarks.items() if name in BENCHMARKS}
    except OSError as error:
        raise PacelineError(f"'{path}' cannot be read: {error.strerror}.", "Name a machine's JSON file.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PacelineError(
            f"'{path}' describes no machine.", "Make one there: python -m paceline bench-machine --output FILE."
        ) from None
    return Machine(**{**values, "benchmarks": known})


def sheets(path: Path | None = None) -> list[Machine]:
    """Return the machines of a table of data sheets and prices: `path`, the project's own, or the library's.

    Raises:
        PacelineError: the table cannot be read, or an entry lacks something.
    """
    path = path or (PRICES if PRICES.is_file() else Path(__file__).with_name("prices.toml"))
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return [
            Machine(
                str(each["name"]),
                str(each["kind"]),
                {name: float(each[name]) for name in BENCHMARKS if name in each},
                measured=False,
                price_per_hour=float(each["price_per_hour"]) if "price_per_hour" in each else None,
                currency=str(table["currency"]),
                prices_of=str(each.get("prices_of", table["prices_of"])),
                devices=int(each.get("devices", 1)),
                link_gb_per_second=float(each["link_gb_per_second"]) if "link_gb_per_second" in each else None,
            )
            for each in table["machine"]
        ]
    except OSError as error:
        raise PacelineError(f"'{path}' cannot be read: {error.strerror}.", "Mend it, or remove it.") from None
    except tomllib.TOMLDecodeError as error:
        raise PacelineError(f"'{path}' is no valid TOML: {error}.", "Correct that line.") from None
    except (KeyError, ValueError, TypeError) as error:
        raise PacelineError(
            f"'{path}' has an entry that lacks or misspells {error}.", "See the comments at the top of the table."
        ) from None
