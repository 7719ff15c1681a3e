"""Where a study lives: SQLite in its folder for one machine, PostgreSQL for several; opened, checked, kept whole.

Heartbeats exist for these storages alone (no journal files, nothing in memory), and only while Optuna's own `optimize`
runs a trial. A trial whose worker is gone is found when another worker asks for its next trial: it counts as failed and
is put back in the queue (`requeue`).
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from paceline.errors import PacelineError
from paceline.redact import redact

Direction = Literal["maximize", "minimize"]

HEARTBEAT_SECONDS, GRACE_SECONDS = 10, 40
MOST_RETRIES = 2  # of one trial: it may be what kills its workers
CONNECT_SECONDS = 20
LOCK_SECONDS = 120  # a worker waits so long for the others to have written to the file
FILE = "study.db"  # in a study's folder, where no other storage is named
MADE_FOR = "made_for"  # the attribute that says what a study's trials are about

optuna.logging.disable_default_handler()  # it prints every trial; the progress line and the report say it better


def url_of(storage: str, folder: Path) -> str:
    """Return the address of the study's storage: `storage`, with a driver that is here, or a file in `folder`.

    Raises:
        PacelineError: the driver is not installed.
    """
    if not storage:
        folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{folder / FILE}"
    scheme, colon, rest = storage.partition("://")
    if not colon:
        raise PacelineError(f"The storage '{redact(storage)}' is no address.", "Write postgresql://user@host/database.")
    if scheme in ("postgresql", "postgres"):
        if importlib.util.find_spec("pg8000") is None:
            raise PacelineError(
                "The storage is PostgreSQL, but 'pg8000' is not installed.", "Install the extra: pip install '.[tune]'."
            )
        return f"postgresql+pg8000://{rest}"
    return storage


def connect(url: str) -> optuna.storages.RDBStorage:
    """Return the storage at `url`, with heartbeats.

    Raises:
        PacelineError: it cannot be reached; the message hides the address's password.
    """
    seconds = {"sqlite": LOCK_SECONDS, "postgresql+pg8000": CONNECT_SECONDS}.get(url.partition(":")[0])
    options: dict[str, Any] = {} if seconds is None else {"timeout": seconds}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            backend = optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": options},
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=GRACE_SECONDS,
                heartbeat_stale_trial_callback=_retry(),
            )
        if backend.engine.dialect.name == "sqlite":
            event.listen(backend.engine, "begin", _lock_at_once)
        return backend
    except (SQLAlchemyError, OSError, ImportError, RuntimeError, optuna.exceptions.StorageInternalError) as error:
        raise _unreachable(url, error) from None


@contextmanager
def connected(url: str) -> Iterator[optuna.storages.RDBStorage]:
    """Connect for the block; see `connect`."""
    backend = connect(url)
    try:
        yield backend
    finally:
        backend.scoped_session.remove()
        backend.engine.dispose()


def open_study(
    backend: optuna.storages.RDBStorage, name: str, directions: Sequence[Direction], made_for: Mapping[str, Any]
) -> optuna.Study:
    """Return the study called `name`, made now or gone on with.

    Args:
        backend: its storage.
        name: of the study; one storage may hold several.
        directions: `maximize` or `minimize`, for each objective.
        made_for: the search space and the settings that its trials share, as JSON types.

    Raises:
        PacelineError: the storage cannot be reached, or the study was made for something else.
    """
    try:
        study = optuna.create_study(storage=backend, study_name=name, directions=directions)
        study.set_user_attr(MADE_FOR, dict(made_for))
    except DuplicatedStudyError:
        study = optuna.load_study(storage=backend, study_name=name)
    except (SQLAlchemyError, OSError, optuna.exceptions.StorageInternalError) as error:
        raise _unreachable(backend.url, error) from None
    before = study.user_attrs.get(MADE_FOR)
    if before is not None and before != (now := json.loads(json.dumps(dict(made_for)))):
        raise PacelineError(
            f"The study '{name}' was made with {_difference(before, now)}.",
            "Take another name: --study NAME, or set it back.",
        )
    return study


def only_study(backend: optuna.storages.RDBStorage, name: str) -> optuna.Study:
    """Return the study called `name`; where there is none, the first, for a folder may have been renamed.

    Raises:
        PacelineError: there is no study, or the file is no storage.
    """
    names = optuna.get_all_study_names(backend)
    if not names:
        raise PacelineError(f"There is no study in the folder '{name}'.", "Name the folder of a search that has begun.")
    return optuna.load_study(storage=backend, study_name=name if name in names else names[0])


def requeue(study: optuna.Study, trial: FrozenTrial) -> None:
    """Put a running trial that will not end back in the queue: it fails, and another with its values waits."""
    study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    _retry()(study, study.trials[trial.number])


def requeue_missed(study: optuna.Study) -> None:
    """Put the trials whose worker's heartbeat has stopped back in the queue, as Optuna does before each trial."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def requeued(trials: list[FrozenTrial]) -> set[int]:
    """Return the numbers of trials that failed by no fault of theirs, and that others have taken the place of."""
    return {number for trial in trials for number in trial.system_attrs.get("retry_history", [])}


def _retry() -> optuna.storages.RetryHeartbeatStaleTrialCallback:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=MOST_RETRIES)


def _lock_at_once(connection: Connection) -> None:
    """Let no other process write between what a transaction of SQLite reads and what it writes.

    Optuna asks for the row to be locked, which SQLite cannot, and two workers would take the same waiting trial.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _unreachable(url: str, error: Exception) -> PacelineError:
    if isinstance(error, (ArgumentError, NoSuchModuleError)):
        return PacelineError(f"The storage '{redact(url)}' is no address.", "Write postgresql://user@host/database.")
    reason = str(getattr(error, "orig", None) or error.__cause__ or error).partition("\n")[0].rstrip(".")
    return PacelineError(
        f"The storage '{redact(url)}' cannot be reached: {redact(reason)}.", "See that it runs, and its address."
    )


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the first thing that differs, in words."""
    for part in now:
        old, new = before.get(part, {}), now[part]
        for key in dict.fromkeys([*old, *new]):
            if old.get(key) != new.get(key):
                if part == "space":
                    return f"another search space: {key} {old.get(key, 'fixed')}, now {new.get(key, 'fixed')}"
                return f"{key} = {old.get(key)!r}, now {new.get(key)!r}"
    return "other settings"
