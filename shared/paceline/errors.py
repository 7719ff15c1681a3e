"""The one form of error that a user sees: a sentence of cause, a sentence of remedy, no traceback."""

from __future__ import annotations

from pathlib import Path


class PacelineError(Exception):
    """A mistake or a condition that the user can mend; the command line prints it as one line and exits with 1.

    Args:
        cause: one sentence that says what is wrong and holds the value received.
        remedy: one sentence that says what to do.

    >>> str(PacelineError("[train] has no key 'epoch'.", "Did you mean 'epochs'?"))
    "[train] has no key 'epoch'. Did you mean 'epochs'?"
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}"


class Stopped(Exception):  # noqa: N818 -- not an error: the run was asked to end and has saved everything
    """Training ended early by a signal or a deadline, with everything saved; the command line exits with 75.

    Args:
        reason: a sentence that says what ended it.
        resumable: whether `--resume` continues the run from a checkpoint.

    Attributes:
        folder: of the run that was stopped, once its record is closed.
    """

    def __init__(self, reason: str, *, resumable: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.resumable = resumable
        self.folder: Path | None = None

    def settle(self, reason: str) -> None:
        """Take back that anything was saved: the run had not come to anything when it was ended."""
        self.reason, self.resumable, self.folder = reason, False, None
