"""The locks: pinned by hash, complete, of one tested set of versions, and free of addresses."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(file.parent.relative_to(ROOT) for file in ROOT.glob("templates/*/*/pyproject.toml"))
PAIRS = [(folder, lock.stem) for folder in (Path(), *PROJECTS) for lock in sorted((ROOT / folder / "locks").iterdir())]
BASES = {"cpu": ["cpu"], "cuda13": ["cuda13"], "onnx": ["cpu", "onnx"]}  # by lock, the extras that it holds
LOCKS = [
    Path("ci", "uv.txt"),
    Path("ci", "cookiecutter.txt"),
    *(folder / "locks" / f"{extra}.txt" for folder, extra in PAIRS),
]
PLATFORMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}


def requirements(lock: Path) -> list[tuple[Requirement, list[str]]]:
    """Return each requirement of a lock file with its options."""
    lines = re.sub(r"\\\n\s*", "", lock.read_text(encoding="utf-8")).splitlines()
    pairs = [line.split("--hash=", 1) for line in lines if line and not line.startswith("#")]
    return [(Requirement(text), [f"--hash={part}" for part in rest[0].split("--hash=")]) for text, *rest in pairs]


def declared(project: Path, lock: str) -> list[Requirement]:
    """Return what pyproject.toml asks for: dependencies, the lock's extras, development tools, build backend."""
    content = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    texts = [
        *content["project"]["dependencies"],
        *(text for extra in BASES[lock] for text in content["project"]["optional-dependencies"][extra]),
        *content["dependency-groups"]["dev"],
        *content["build-system"]["requires"],
    ]
    return [Requirement(text) for text in texts]


def pinned(lock: Path, environment: dict[str, str]) -> dict[str, str]:
    """Return the version of each package that the lock installs in `environment`."""
    active = [line for line, _ in requirements(lock) if line.marker is None or line.marker.evaluate(environment)]
    return {canonicalize_name(line.name): str(line.specifier).removeprefix("==") for line in active}


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_every_requirement_is_pinned_by_hash(repository: Path, lock: Path) -> None:
    """One version each, with at least one SHA-256, no address, no folder, nothing editable."""
    lines = requirements(repository / lock)
    assert lines
    for requirement, hashes in lines:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert requirement.url is None
        assert hashes, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}\s*", text) for text in hashes), requirement


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_no_lock_names_a_registry_or_a_project(repository: Path, lock: Path) -> None:
    """Any index or mirror serves, the user's choice; and a project may be renamed without a new lock."""
    text = (repository / lock).read_text(encoding="utf-8")
    assert not re.search(
        r"://|--(extra-)?index|--find-links|--trusted|pypi|\bsimple\b|fraud|driving|medical|paceline|@ ", text
    )


@pytest.mark.parametrize(("folder", "extra"), PAIRS, ids=str)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_lock_satisfies_what_the_project_asks_for(
    repository: Path, folder: Path, extra: str, python: str, platform: str
) -> None:
    """Every declared dependency is there, in a version that fits, on each platform and Python."""
    environment = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": platform,
        "platform_system": PLATFORMS[platform],
    }
    versions = pinned(repository / folder / "locks" / f"{extra}.txt", environment)
    for requirement in declared(repository / folder, extra):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert canonicalize_name(requirement.name) in versions, requirement
            version = versions[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version, prereleases=True), (requirement, version)
    assert not {"xgboost", "xgboost-cpu"} <= set(versions)  # two builds of one import name
    assert ("jax-cuda13-plugin" in versions) == (extra == "cuda13" and platform == "linux")


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.stem in ("cpu", "onnx")], ids=str)
def test_lock_is_complete(repository: Path, lock: Path) -> None:
    """What a pinned package needs is pinned too, by the metadata of the packages installed here."""
    environment = {name: str(value) for name, value in default_environment().items()} | {"extra": ""}
    versions = pinned(repository / lock, environment)
    checked = 0
    for name in versions:
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        checked += 1
        for requirement in map(Requirement, needs):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                assert canonicalize_name(requirement.name) in versions, f"{name} needs {requirement}"
    assert checked > 30


@pytest.mark.parametrize(("folder", "extra"), [pair for pair in PAIRS if pair[0] != Path()], ids=str)
def test_projects_get_the_versions_the_repository_is_tested_with(repository: Path, folder: Path, extra: str) -> None:
    """One stack: a project's lock holds no version that the root's does not."""
    own, root = (
        {(canonicalize_name(line.name), str(line.specifier)) for line, _ in requirements(repository / file)}
        for file in (folder / "locks" / f"{extra}.txt", Path("locks", f"{BASES[extra][0]}.txt"))
    )
    assert own <= root


def test_a_renamed_project_keeps_its_locks(
    repository: Path, source: Path, generate: Callable[..., Path], tmp_path: Path
) -> None:
    """The name stands in pyproject.toml alone."""
    made = generate(tmp_path, {"project_slug": "renamed-2"}, template=repository / source.parent)
    locks = [lock.relative_to(repository / source) for lock in (repository / source / "locks").iterdir()]
    assert len(locks) >= 2
    for lock in locks:
        assert (repository / source / lock).read_bytes() == (made / lock).read_bytes()


@pytest.mark.slow
def test_one_command_renews_every_lock(
    repository: Path, copy_repository: Callable[[Path], Path], clean_environment: dict[str, str], tmp_path: Path
) -> None:
    """`sh ci/lock` restores a missing line, and changes no version where nothing is missing (needs the index)."""
    if shutil.which("uv") is None:
        pytest.skip("needs uv on PATH, so that nothing has to be installed for this test")
    copy = copy_repository(tmp_path / "copy")
    broken = copy / PROJECTS[0] / "locks" / "cpu.txt"
    text = broken.read_text(encoding="utf-8")
    broken.write_text(re.sub(r"^polars==.*\\\n(    --hash.*\n)+", "", text, flags=re.MULTILINE), encoding="utf-8")
    assert "\npolars==" not in broken.read_text(encoding="utf-8")
    done = subprocess.run(
        ["sh", "ci/lock"], cwd=copy, env=clean_environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    for lock in LOCKS:
        expected, actual = ({str(line) for line, _ in requirements(root / lock)} for root in (repository, copy))
        assert expected == actual
