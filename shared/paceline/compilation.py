"""Compiled programs kept from run to run: a second run of a project compiles in a fifth of the time.

JAX keys a program by what it computes, its version and the device's kind, but not by the processor's instruction sets:
homes that several machines share would hand one machine's programs to another. So each processor has its own folder.
"""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from paceline import atomic, device

SHORTEST_SECONDS = 0.2  # compilations that take less are not worth a file, where `SHORTEST` does not say otherwise
COMPILED = "/jax/core/compile/backend_compile_duration"  # JAX's event, with the program's name as `fun_name`
SHORTEST = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"  # JAX's own variable, and in lower case its setting


def cache_folder() -> Path:
    """Return the folder for what Paceline keeps between runs: `PACELINE_CACHE`, or `paceline` in the user's cache."""
    if named := os.environ.get("PACELINE_CACHE"):
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "paceline"


def keep_programs(backend: str) -> str:
    """Let `backend` keep what it compiles, and return the folder; empty where it keeps nothing.

    JAX alone can. A folder that the user has set for JAX is left as it is, so is the time from which on a compilation
    is kept, and a folder that cannot be written costs nothing but the time it would have saved.
    """
    if backend != "jax":
        return ""
    import jax

    if already := jax.config.jax_compilation_cache_dir:
        return str(already)
    processor = atomic.sha256(f"{platform.machine()} {device.hardware()['cpu']}".encode())[:8]
    folder = cache_folder() / "jax" / processor
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        return ""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if SHORTEST not in os.environ:
        jax.config.update(SHORTEST.lower(), SHORTEST_SECONDS)
    return str(folder)


def training_steps_compiled(backend: str) -> int | None:
    """Return how many Keras training steps this process has compiled, or read from what is kept; None but for JAX.

    Counted from the first call on: two calls tell what was compiled between them.
    """
    if backend != "jax":
        return None
    return sum(times for name, times in _programs().items() if "train_step" in name)


@cache
def _programs() -> Counter[str]:
    """Count the compilations of each program from now on: JAX tells all that listen."""
    import jax

    found: Counter[str] = Counter()

    def count(event: str, seconds: float, **facts: Any) -> None:
        if event == COMPILED:
            found[str(facts.get("fun_name"))] += 1

    jax.monitoring.register_event_duration_secs_listener(count)
    return found
