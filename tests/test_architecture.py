"""What may import what, who may read the clock, and which test belongs to which module."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "shared" / "paceline"
PACKAGES = {file.parent.name: file.parent for file in ROOT.glob("templates/*/*/src/*/config.py")}
FRAMEWORKS = {
    "keras": {
        "fit_keras",
        "batches",  # a Keras PyDataset
        "keras_training",  # a model's variables: held, restored, saved
        "keras_watch",  # a Keras callback
        "optimizers",  # Keras optimizers from a configuration
        "schedules",  # a Keras LearningRateSchedule, and the functions it is made of
        "throughput",  # asks Keras for its backend, and JAX for the compiled step
        "transfer",
        "backbones",  # Keras models of several origins
        "suitability",  # what they say of a data set
        "efficientnet",  # a Keras model and its weights
        "convolution",  # Keras layers
        "initializers",  # a Keras initializer
        "export",  # describes a model's input to Keras's own export, inside a function
        "distribute",  # keras.distribution
        "device",
    },
    "xgboost": {
        "microbench",
        "fit_xgboost",
        "external_memory",  # a matrix of XGBoost's on disk
        "fit_dask",  # XGBoost's own training on a cluster
        "device",  # asks, inside a function, whether the build knows CUDA
    },
    "dask": {"fit_dask"},
    "distributed": {"cluster"},
}
# Tests of what is no module: a subject of the repository as a whole.
SUBJECTS = {"architecture", "readme", "resume"}


def imports(file: Path) -> set[str]:
    """Return the top-level packages that `file` imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def names(file: Path) -> set[str]:
    """Return every name and attribute that `file` mentions in code."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    found = {node.id for node in nodes if isinstance(node, ast.Name)}
    found |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return found | {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}


def module(file: Path) -> str:
    """Return the name of the library's module, or sub-package, that `file` belongs to."""
    return file.relative_to(LIBRARY).parts[0].removesuffix(".py")


def test_library_imports_no_template() -> None:
    """Templates know the library, never the other way round."""
    assert PACKAGES
    assert [] == [file.name for file in sorted(LIBRARY.rglob("*.py")) if imports(file) & set(PACKAGES)]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_no_template_imports_another(package: str) -> None:
    """Each generated project stands alone."""
    others = set(PACKAGES) - {package}
    assert [] == [file.name for file in sorted(PACKAGES[package].rglob("*.py")) if imports(file) & others]


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_only_its_own_modules_import_a_framework(framework: str) -> None:
    """A project without Keras never pays for it, and one without XGBoost neither."""
    importing = {module(file) for file in LIBRARY.rglob("*.py") if framework in imports(file)}
    assert importing <= FRAMEWORKS[framework]


def test_no_framework_is_loaded_before_it_is_needed() -> None:
    """Importing the library and all of its modules that belong to no framework loads none, so `--help` is quick."""
    own = {name for allowed in FRAMEWORKS.values() for name in allowed} - {"device"}
    modules = [f"paceline.{file.stem}" for file in sorted(LIBRARY.glob("*.py")) if file.stem not in own | {"__init__"}]
    modules += [f"paceline.{folder.parent.name}" for folder in sorted(LIBRARY.glob("*/__init__.py"))]
    assert "paceline.record" in modules
    code = (
        f"import sys; sys.path.insert(0, {str(LIBRARY.parent)!r})\n"
        + "".join(f"import {name}\n" for name in ["paceline", *modules])
        + "print(sorted({'keras', 'jax', 'xgboost', 'torch', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    assert "[]\n" == done.stdout


def test_the_clock_alone_reads_the_performance_counter() -> None:
    """One source of time: what is measured can be injected in a test."""
    files = [*LIBRARY.rglob("*.py"), *(file for package in PACKAGES.values() for file in package.rglob("*.py"))]
    reading = {file.relative_to(ROOT).as_posix() for file in files if names(file) & {"perf_counter", "perf_counter_ns"}}
    assert {"shared/paceline/clock.py"} == reading


@pytest.mark.parametrize(
    ("tests", "package"),
    [
        (ROOT / "tests", LIBRARY),
        *((folder.parents[1] / "tests", folder) for folder in PACKAGES.values()),
    ],
    ids=lambda folder: folder.relative_to(ROOT).as_posix(),
)
def test_tests_are_named_for_what_they_test(tests: Path, package: Path) -> None:
    """`tests/test_clock.py` tests `clock.py`: whoever changes a module knows where to look."""
    modules = {file.stem for file in package.glob("*.py")} | {
        file.parent.name for file in package.glob("*/__init__.py")
    }
    tested = {file.stem.removeprefix("test_") for file in tests.glob("test_*.py")}
    assert tested
    assert tested <= modules | SUBJECTS
