"""A Dask cluster: found fit for use before anything is begun on it, and given work on files that all machines see.

What can be wrong with one is said in a sentence and within a minute: it is not there, has no worker, runs other
versions or other code, does not see the files, or is lost on the way.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from paceline import origin
from paceline.errors import PacelineError

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_SECONDS = 20  # for the scheduler to answer
WORKER_SECONDS = 20  # for a first worker to be there
ALIKE = ("python", "xgboost", "dask", "distributed", "polars", "numpy")


def connect(
    address: str,
    code: Sequence[str] = ("paceline",),
    *,
    connect_seconds: float = CONNECT_SECONDS,
    worker_seconds: float = WORKER_SECONDS,
) -> Any:
    """Return a client of the Dask scheduler at `address`, once a worker is there and all run our versions.

    Args:
        address: as the scheduler names itself, `tcp://host:port`.
        code: the packages whose files must be the same on every worker.
        connect_seconds: for the scheduler to answer.
        worker_seconds: for a first worker to be there.

    Raises:
        PacelineError: Dask is not installed, nothing answers in time, no worker comes, or a worker or the scheduler has
            other versions.
    """
    if importlib.util.find_spec("distributed") is None:
        raise PacelineError(
            f"A cluster is asked for ('{address}'), but Dask is not installed.",
            "Install the extra: pip install '.[dask]'.",
        )
    from distributed import Client

    client, reason = None, ""
    try:
        client = Client(address, timeout=connect_seconds)
    except (OSError, ValueError) as error:
        reason = type(error).__name__
    if client is None:
        gc.collect()  # the half-made client: collected while another one begins, its end waits for a lock of that one
        raise PacelineError(
            f"No Dask scheduler answers at '{address}' in {connect_seconds:g} s: {reason}.",
            "Start one with 'dask scheduler', and name it as it names itself, like tcp://10.0.0.1:8786.",
        )
    try:
        client.wait_for_workers(1, timeout=worker_seconds)
        here = versions(tuple(code))
        found = {f"worker {worker}": there for worker, there in sorted(client.run(versions, tuple(code)).items())}
        found["scheduler"] = client.run_on_scheduler(versions, tuple(code))  # it unpacks the tasks
        for place, there in found.items():
            for name, version in here.items():
                if there[name] != version:
                    raise PacelineError(
                        f"The {place} has {name} {there[name]}, this machine {version}.",
                        "Install the same lock and the same project everywhere, and start the workers again.",
                    )
    except TimeoutError:
        client.close()
        raise PacelineError(
            f"The Dask scheduler at '{address}' has no worker after {worker_seconds:g} s.",
            f"Start some with 'dask worker {address}'.",
        ) from None
    except PacelineError:
        client.close()
        raise
    except Exception as error:  # a worker that does not have this library, say: the class comes from there
        client.close()
        raise PacelineError(
            f"The cluster at '{address}' cannot run this project: {_first_line(error)}.",
            "Install the project by the same lock on every worker, and where the scheduler is.",
        ) from None
    return client


def versions(code: Sequence[str]) -> dict[str, str]:
    """Return the versions of what must be alike on all machines, as far as it is installed.

    Args:
        code: packages without a version that tells; of them it is `files` and the start of a checksum over them.
    """
    import platform
    from importlib import metadata

    found = dict.fromkeys(ALIKE, "none") | {"python": platform.python_version()}
    for name in ALIKE[1:]:
        for package in (name, f"{name}-cpu"):
            try:
                found[name] = metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
    for name in code:
        folder = Path(importlib.import_module(name).__file__ or "").parent
        found[name] = f"files {origin.fingerprint(folder)[:12]}"
    return found


def check_files(client: Any, files: Sequence[Path]) -> None:
    """See that every worker sees the files.

    Raises:
        PacelineError: one does not.
    """
    for worker, missing in client.run(_missing, [str(file.resolve()) for file in files]).items():
        if missing:
            raise PacelineError(
                f"The worker {worker} does not see {missing:,} of {len(files):,} files of rows.",
                "Put the runs on a disk that all machines share: --runs FOLDER.",
            )


def each(
    address: str, function: Callable[[Item], Result], items: Sequence[Item], files: Sequence[Path]
) -> Iterator[Result]:
    """Yield what `function` makes of each item on some worker of the cluster, whichever is ready first.

    Args:
        address: of the scheduler.
        function: of a module that is installed on every worker, as this project is.
        items: what travels to the workers.
        files: that the function reads, which must be on a disk that all machines share.

    Raises:
        PacelineError: the cluster cannot be used, does not see the files, or is lost; or what the function raised.
    """
    client = connect(address, ("paceline", function.__module__.partition(".")[0]))
    try:
        check_files(client, files)
        from distributed import as_completed

        for done in as_completed(client.map(function, items, pure=False)):
            yield done.result()  # which raises what it ended with; the loop's own results would be errors to look for
    except losses() as error:
        raise lost(address, error) from None
    finally:
        client.close()


def losses() -> tuple[type[BaseException], ...]:
    """Return the exceptions of a scheduler or a worker that went away."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    return (OSError, KilledWorker, FutureCancelledError)


def lost(address: str, error: BaseException) -> PacelineError:
    """Return the error of a cluster that went away."""
    return PacelineError(
        f"The cluster at '{address}' was lost at work: {_first_line(error)}.",
        "See its logs, then start again.",
    )


def _missing(files: list[str]) -> int:
    return sum(not Path(file).is_file() for file in files)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
