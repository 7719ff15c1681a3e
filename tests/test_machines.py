"""Machines in files: measured ones, data sheets, prices."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from paceline import machines
from paceline.errors import PacelineError
from paceline.machines import BENCHMARKS, Machine


def test_a_machine_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Benchmarks that this version does not know are left out."""
    machine = Machine("a", "cpu", {"matmul_gflops": 100.0}, facts={"cores": 2})
    machines.write(machine, tmp_path / "a.json")
    assert machine == machines.read(tmp_path / "a.json")
    later = Machine("a", "cpu", {"matmul_gflops": 100.0, "teleport_per_second": 1.0})
    machines.write(later, tmp_path / "b.json")
    assert {"matmul_gflops": 100.0} == machines.read(tmp_path / "b.json").benchmarks


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"schema_version": 1}', "nonsense", '{"schema_version": 2, "name": "a"}']
)
def test_a_file_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    """With how to make the right one."""
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(PacelineError, match=r"describes no machine.*bench-machine"):
        machines.read(tmp_path / "a.json")


def test_the_table_that_comes_along_has_a_day_for_every_price() -> None:
    """And only benchmarks that are known."""
    found = machines.sheets(Path(machines.__file__).with_name("prices.toml"))
    assert 5 < len(found)
    for machine in found:
        assert machine.price_per_hour is not None
        assert date(2024, 1, 1) < date.fromisoformat(machine.prices_of)
        assert machine.benchmarks.keys() <= BENCHMARKS.keys()
        assert not machine.measured
        assert (machine.devices > 1) == (machine.link_gb_per_second is not None)
    names = " ".join(machine.name for machine in found)
    assert [] == [word for word in ("spot", "H100", "A100", "TPU", "AWS", "Azure", "Google") if word not in names]
    assert {"cpu", "gpu", "tpu"} == {machine.kind for machine in found}


def test_a_projects_own_table_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry may have prices of a day of its own; one that lacks something is named."""
    monkeypatch.chdir(tmp_path)
    entry = '[[machine]]\nname = "mine"\nkind = "gpu"\nprice_per_hour = 0\nprices_of = 2026-02-01\n'
    (tmp_path / "prices.toml").write_text(f'currency = "EUR"\nprices_of = 2026-01-01\n{entry}')
    assert [("mine", 0.0, "EUR", "2026-02-01")] == [
        (each.name, each.price_per_hour, each.currency, each.prices_of) for each in machines.sheets()
    ]
    (tmp_path / "prices.toml").write_text(f"prices_of = 2026-01-01\n{entry}")
    with pytest.raises(PacelineError, match="currency"):
        machines.sheets()
