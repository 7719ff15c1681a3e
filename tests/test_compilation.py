"""Compiled programs kept from run to run: where, and from what time on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from paceline import compilation

FOLDER, SHORTEST = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """JAX's settings as they are before anything was settled, and put back afterwards."""
    before = {name: getattr(jax.config, name) for name in (FOLDER, SHORTEST)}
    monkeypatch.setenv("PACELINE_CACHE", str(tmp_path))
    monkeypatch.delenv(compilation.SHORTEST, raising=False)
    jax.config.update(FOLDER, None)
    jax.config.update(SHORTEST, 7.0)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_programs_are_kept_below_the_cache_folder(tmp_path: Path) -> None:
    """What took a fifth of a second to compile, in a folder of this processor."""
    kept = Path(compilation.keep_programs("jax"))
    assert tmp_path / "jax" == kept.parent
    assert kept.is_dir()
    assert (str(kept), compilation.SHORTEST_SECONDS) == (getattr(jax.config, FOLDER), getattr(jax.config, SHORTEST))


def test_what_the_user_has_set_for_jax_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The time alone, by its environment variable; or the folder, and then nothing is changed."""
    monkeypatch.setenv(compilation.SHORTEST, "7")
    assert compilation.keep_programs("jax")
    assert 7.0 == getattr(jax.config, SHORTEST)
    monkeypatch.delenv(compilation.SHORTEST)
    jax.config.update(FOLDER, str(tmp_path / "own"))
    assert str(tmp_path / "own") == compilation.keep_programs("jax")
    assert 7.0 == getattr(jax.config, SHORTEST)


def test_where_nothing_can_be_kept_nothing_is_settled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another backend, or a file in the place of the folder."""
    assert "" == compilation.keep_programs("torch")
    (tmp_path / "file").touch()
    monkeypatch.setenv("PACELINE_CACHE", str(tmp_path / "file"))
    assert "" == compilation.keep_programs("jax")
    assert getattr(jax.config, FOLDER) is None


def test_training_steps_are_counted_by_their_name() -> None:
    """Each shape is compiled once; other programs do not count; other backends do not tell."""

    def train_step(x: jax.Array) -> jax.Array:
        return 2 * x

    before = compilation.training_steps_compiled("jax")
    assert before is not None
    step = jax.jit(train_step)
    for rows in (3, 3, 4):
        step(jax.numpy.ones(rows))
    jax.jit(lambda x: 3 * x)(jax.numpy.ones(5))
    assert before + 2 == compilation.training_steps_compiled("jax")
    assert compilation.training_steps_compiled("torch") is None
