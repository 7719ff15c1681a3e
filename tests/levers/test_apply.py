"""Levers written to a configuration."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from paceline.errors import PacelineError
from paceline.levers import apply

TOML = """# A project.

[model]
max_bin = 1024    # histogram bins

[train]
seed = 3
"""


def found(name: str, value: float, *, key: str = "model.max_bin", **other: Any) -> dict[str, Any]:
    """Return what was found of a lever that sets `key` to 256."""
    gain = {"value": value, "low": 0.95 * value, "high": 1.05 * value, "pairs": 9}
    return {
        "lever": name,
        "kind": "throughput",
        "in_use": False,
        "risk": "",
        "settings": {key: 256},
        "gain": gain,
        **other,
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration."""
    path = tmp_path / "config.toml"
    path.write_text(TOML)
    return path


def test_only_the_keys_change_and_a_comment_says_why(path: Path) -> None:
    """Everything else stays as it was typed, other comments too; a missing key is added to its section."""
    levers = [found("bins", 1.5), found("threads", 1.2, key="train.threads")]
    assert ["model.max_bin = 256", "train.threads = 256"] == apply.apply(path, levers, [], today=date(2026, 3, 1))
    expected = TOML.replace(
        "max_bin = 1024    # histogram bins",
        "max_bin = 256  # histogram bins; levers: bins, 1.50 times as fast (1.42 to 1.58), measured on 2026-03-01",
    )
    expected += "threads = 256  # levers: threads, 1.20 times as fast (1.14 to 1.26), measured on 2026-03-01\n"
    assert expected == path.read_text()
    apply.apply(path, levers, [], today=date(2026, 3, 2))
    assert expected.replace("03-01", "03-02") == path.read_text()


def test_without_names_only_what_gains_for_sure_and_costs_nothing_is_written(path: Path) -> None:
    """A risk, a gain that may be none, one in use, one of convergence and one not measured stay out."""
    levers = [
        found("risky", 2.0, risk="rare amounts"),
        found("unsure", 1.01),
        found("used", 2.0, in_use=True),
        found("slow learner", 2.0, kind="convergence"),
        found("unknown", 1.0, gain=None),
    ]
    assert [] == apply.apply(path, levers, [])
    assert TOML == path.read_text()


def test_of_two_levers_of_a_key_the_better_one_is_taken(path: Path) -> None:
    """The order in which they were measured does not matter."""
    levers = [found("a", 1.2, settings={"model.max_bin": 512}), found("b", 1.5, settings={"model.max_bin": 256})]
    assert ["model.max_bin = 256"] == apply.apply(path, levers, [])


def test_a_named_lever_is_written_whatever_its_risk(path: Path) -> None:
    """Who names it has decided; a name that was not measured is refused."""
    assert ["model.max_bin = 256"] == apply.apply(path, [found("risky", 2.0, risk="rare amounts")], ["risky"])
    with pytest.raises(PacelineError, match="'rsky' was not measured"):
        apply.apply(path, [found("risky", 2.0)], ["rsky"])
