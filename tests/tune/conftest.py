"""What the tests of the search share: a task whose best settings are known."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def quadratic(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the task, made new, importable by worker processes too."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    sys.modules.pop("quadratic", None)
    return importlib.import_module("quadratic")
