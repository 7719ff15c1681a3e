"""The commands' common frame: arguments, the last line of JSON, one line of error, exit codes.

A template's `cli.py` names its commands; everything here is the same for all of them. Nothing is imported before the
arguments are parsed but the standard library, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from paceline import threads
from paceline.errors import PacelineError, Stopped

if TYPE_CHECKING:  # pydantic takes 0.15 s to load
    from pydantic import BaseModel

    from paceline.budget import Ceiling

Model = TypeVar("Model", bound="BaseModel")

RUNS = Path("runs")
EXIT_DONE, EXIT_FAILED, EXIT_STOPPED = 0, 1, 75  # 2, wrong arguments, is argparse's; 75 is EX_TEMPFAIL of sysexits.h


@dataclass(frozen=True)
class Command:
    """One command of a project.

    Attributes:
        name: what the user types.
        help: one line, as `--help` shows it.
        run: does it and returns what `--json` prints; imports what it needs when it is called.
        arguments: adds the command's own arguments to those that every command takes.
        of_a_run: it uses a run's own configuration, so there is no --config.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], dict[str, Any]]
    arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None
    of_a_run: bool = False


def main(program: str, description: str, commands: Sequence[Command], argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names and return the exit code.

    0: done. 1: failed, with one line on standard error. 2: wrong arguments. 75: stopped by a signal or a deadline with
    everything saved. With `--json` the last line of standard output is one JSON object, also when the command failed.
    An answer's `warnings` go to standard error.
    """
    arguments = parser(program, description, commands).parse_args(argv)
    threads.settle()
    try:
        with _told_of_loss(arguments):
            answer = arguments.run(arguments)
        for sentence in answer.get("warnings", ()):
            print(f"warning: {sentence}", file=sys.stderr)
        if arguments.json:
            from paceline import atomic

            print(json.dumps(atomic.plain(answer), ensure_ascii=False, allow_nan=False), flush=True)
        else:
            from paceline import show

            print(show.answer(answer), flush=True)
    except Stopped as stop:
        run = {} if stop.folder is None else {"run": str(stop.folder)}
        resumed = shlex.join([program, "train", "--resume", str(stop.folder or "RUN")])
        line = f"{stop.reason} Go on with: {resumed}" if stop.resumable else stop.reason
        return _end(arguments, EXIT_STOPPED, line, {"status": "stopped", "error": stop.reason, **run})
    except PacelineError as error:
        from paceline import together

        together.leave(error)
        return _end(arguments, EXIT_FAILED, f"error: {error}", {"status": "failed", "error": str(error)})
    except KeyboardInterrupt:
        return _end(
            arguments,
            EXIT_FAILED,
            "Interrupted; nothing was left to save.",
            {"status": "failed", "error": "interrupted"},
        )
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has somewhere to go
        return EXIT_DONE
    except OSError as error:  # a full disk, a folder that may not be written to
        about = "" if error.filename is None else f"'{error.filename}': "
        cause = f"{about}{error.strerror or error}. See that it is there, may be used and has room."
        return _end(arguments, EXIT_FAILED, f"error: {cause}", {"status": "failed", "error": cause})
    return EXIT_DONE


def parser(program: str, description: str, commands: Sequence[Command]) -> argparse.ArgumentParser:
    """Return the parser of all commands; each takes --config, --set and --json beside its own arguments."""
    root = argparse.ArgumentParser(prog=program, description=description, allow_abbrev=False)
    root.add_argument("--version", action=_Version, nargs=0, help="show the versions and exit")
    below = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        sub = below.add_parser(command.name, help=command.help, description=command.help, allow_abbrev=False)
        command.arguments(sub)
        if not command.of_a_run:
            sub.add_argument(
                "--config", type=Path, default=None, metavar="FILE", help="the configuration (default: config.toml)"
            )
        sub.add_argument(
            "--set",
            action="append",
            default=[],
            dest="overrides",
            metavar="SECTION.KEY=VALUE",
            help="override one key; may be repeated",
        )
        sub.add_argument("--json", action="store_true", help="end with one line of JSON on standard output")
        sub.set_defaults(run=command.run)
    return root


def load_config(model: type[Model], arguments: argparse.Namespace) -> Model:
    """Return the configuration that the arguments name, with their overrides; a run to resume brings its own.

    Of several hosts that train together the first decides which run is gone on with, and its configuration is
    everybody's then: the others may not see that run yet, or see another one.
    """
    from paceline import hosts

    if hosts.place().count == 1 or not hasattr(arguments, "resume"):
        return _own_config(model, arguments)
    return _config_of_all(model, arguments)


def _own_config(model: type[Model], arguments: argparse.Namespace) -> Model:
    from paceline import config, record

    resume, device = getattr(arguments, "resume", None), getattr(arguments, "device", None)
    if resume is not None:
        record.read(resume)  # refuses what is no run
        if arguments.overrides or arguments.config or device:
            raise PacelineError(
                "--resume got a configuration, but a run goes on with its own.",
                "Leave out --config, --set and --device.",
            )
        return config.load(model, resume / "config.toml")
    overrides = [*arguments.overrides, *([f"train.device={device}"] if device else [])]
    overrides += [
        f"tune.{name}={json.dumps(value)}"
        for name in ("study", "sampler", "workers", "vary")
        if (value := getattr(arguments, name, None)) is not None
    ]
    return config.load(model, arguments.config or Path("config.toml"), overrides)


def _config_of_all(model: type[Model], arguments: argparse.Namespace) -> Model:
    """Meet the other hosts and settle with them what is trained."""
    from paceline import config, hosts, record, together

    together.check_alike(record.software())
    own, refused = None, None
    try:
        own = _own_config(model, arguments)
    except PacelineError as error:
        refused = error
    first, *others = together.gather(
        {
            "resumes": arguments.resume is not None,
            "values": None if own is None else own.model_dump(mode="json"),
            "refused": None if refused is None else [refused.cause, refused.remedy],
        }
    )
    if first["values"] is not None and any(each["resumes"] for each in (first, *others)):
        return (
            own if hosts.place().writes and own is not None else config.check(model, first["values"], source="host 0")
        )
    if refused is not None:
        raise refused
    for number, each in enumerate((first, *others)):
        if each["refused"] is not None:
            raise PacelineError(f"Host {number}: {each['refused'][0]}", each["refused"][1])
    assert own is not None  # noqa: S101 -- nobody refused
    return own


def command_line(program: str) -> str:
    """Return the command line as a reader could type it again, secrets hidden."""
    from paceline.redact import redact

    return str(redact(shlex.join([program, *sys.argv[1:]])))


def train_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `train`."""
    parser.add_argument("--device", choices=("auto", "cpu", "gpu", "tpu"), help="the same as --set train.device=...")
    parser.add_argument(
        "--time-budget", metavar="SPAN", help="the most wall time, like 10m: what does not fit is shortened"
    )
    parser.add_argument("--finish-by", metavar="TIME", help="the same as a time, like 17:00")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped or killed")
    parser.add_argument(
        "--runs", type=Path, default=RUNS, metavar="FOLDER", help="where runs are kept (default: %(default)s)"
    )


def tune_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tune`."""
    parser.add_argument(
        "--study", metavar="NAME", help="the same as --set tune.study=NAME; a known one is gone on with"
    )
    parser.add_argument(
        "--sampler",
        choices=("tpe", "random", "grid", "gp", "cmaes", "qmc"),
        help="the same as --set tune.sampler=...",
    )
    parser.add_argument(
        "--vary",
        action="append",
        metavar="KEY[=VALUE,VALUE]",
        help="vary this key alone, among these values; may be repeated (default: all of tune.py)",
    )
    parser.add_argument(
        "--from",
        dest="begin_with",
        type=Path,
        metavar="STUDY_FOLDER",
        help="try the best settings of an earlier search first, such as one of other data: tune/study",
    )
    parser.add_argument("--trials", type=int, metavar="N", help="trials in all (default: tune.trials, or what fits)")
    parser.add_argument(
        "--time-budget", metavar="TIME", help="everything ends within it, the final run included: 30m, 1h30m"
    )
    parser.add_argument("--finish-by", metavar="TIME", help="the same as a time of day: 17:00")
    parser.add_argument("--workers", type=int, metavar="N", help="the same as --set tune.workers=N")
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="a database that several machines share, postgresql://user@host/name; also from PACELINE_STORAGE, "
        "which keeps a password out of the list of processes (default: a file below tune/)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "gpu", "tpu"), help="the same as --set train.device=...")
    parser.add_argument(
        "--runs", type=Path, default=RUNS, metavar="FOLDER", help="where runs are kept (default: %(default)s)"
    )


def levers_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `levers`."""
    parser.add_argument(
        "--time-budget", metavar="SPAN", default="3m", help="for all measurements, like 10m (default: %(default)s)"
    )
    parser.add_argument(
        "--only", action="append", metavar="LEVER", help="measure this lever alone; may be repeated (default: all)"
    )
    parser.add_argument(
        "--apply",
        nargs="*",
        metavar="LEVER",
        help="write these to the configuration; without names, those that gain for sure and cost no quality",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "gpu", "tpu"), help="the same as --set train.device=...")
    parser.add_argument(
        "--data-sizes",
        action="store_true",
        help="instead, train on shares of the data: what more brings and costs",
    )
    parser.add_argument("--output", type=Path, help="the page (default: levers.html, or data-sizes.html)")
    parser.add_argument(
        "--runs", type=Path, default=RUNS, metavar="FOLDER", help="whose reports show the result (default: %(default)s)"
    )


def estimate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `estimate`."""
    parser.add_argument("--device", choices=("auto", "cpu", "gpu", "tpu"), help="the same as --set train.device=...")
    parser.add_argument("--target", type=float, metavar="SCORE", help="also say when the watched score gets there")
    parser.add_argument(
        "--what-if",
        nargs="*",
        metavar="CHANGE",
        help="also under other conditions and on other machines, with cost: rows=10, rows=2,epochs=0.5, devices=8, "
        "train.batch_size=64 (measured by its first steps); without CHANGE, the usual ones",
    )
    parser.add_argument(
        "--machine",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a machine measured by `python -m paceline bench-machine` there; may be repeated",
    )
    parser.add_argument(
        "--runs", type=Path, default=RUNS, metavar="FOLDER", help="earlier runs to learn from (default: %(default)s)"
    )


def ceiling(arguments: argparse.Namespace, started: float) -> Ceiling | None:
    """Return the most wall time that `train` was given, None where it may take what it takes.

    Args:
        arguments: with those of `train_arguments`.
        started: the performance counter's reading at the start of the process.
    """
    from datetime import datetime

    from paceline import budget, clock

    return budget.ceiling(
        arguments.time_budget,
        arguments.finish_by,
        elapsed=clock.now() - started,
        now=datetime.now().astimezone(),
    )


def _report(arguments: argparse.Namespace) -> dict[str, Any]:
    from paceline import report

    # `report runs/*` is natural to type, and the pages that this command has written lie there too.
    folders = [path for path in arguments.run_folders if path.suffix != ".html"]
    return report.write(folders, arguments.runs)


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_folders", metavar="RUN", type=Path, nargs="*", help="one run; several, side by side; none, an index of all"
    )
    parser.add_argument(
        "--runs", type=Path, default=RUNS, metavar="FOLDER", help="where runs are kept (default: %(default)s)"
    )


REPORT = Command(
    "report",
    "write the HTML report of a run, several runs side by side, or an index of all",
    _report,
    _report_arguments,
)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from paceline import origin

        print(f"{parser.prog}, {origin.describe()}")
        parser.exit()


@contextmanager
def _told_of_loss(arguments: argparse.Namespace) -> Iterator[None]:
    """Have the error said as any other where a host's loss ends the process from another thread."""
    from paceline import together

    def say(error: PacelineError) -> None:
        _end(arguments, EXIT_FAILED, f"error: {error}", {"status": "failed", "error": str(error)})

    with together.watched(say):
        yield


def _end(arguments: argparse.Namespace, code: int, line: str, answer: dict[str, Any]) -> int:
    print(" ".join(line.split()), file=sys.stderr)  # one line, whatever a library's message holds
    if arguments.json:
        print(json.dumps(answer, ensure_ascii=False))
    return code
