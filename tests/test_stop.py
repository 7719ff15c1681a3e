"""Stopping: signals become a flag, a loop that cannot react is ended from another thread, handlers are put back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paceline import stop
from paceline.errors import Stopped
from paceline.stop import Listener

LOOP = """
import sys, time
from paceline.stop import Listener
with Listener(lambda: None) as listener:
    print("listening", flush=True)
    try:
        while True:
            if listener.requested:
                print("heard", listener.requested, flush=True)
                if "ignore" not in sys.argv:
                    break
            time.sleep(0.01)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
print("saved", flush=True)
sys.exit(75)
"""

# Key stretching holds the main thread in C for hours, where no handler of Python runs and no signal interrupts.
BUSY = """
import hashlib, sys
from paceline.stop import Listener
def overdue():
    print("overdue", flush=True)
    if "fail" in sys.argv:
        raise OSError("the disk is full")
with Listener(overdue, overdue_seconds=0.3):
    print("listening", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


def never() -> None:
    """Stand in for what must not be called."""
    raise AssertionError("overdue was called")


@contextmanager
def started(code: str, environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program and wait until it listens; it does not outlive the block."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert "listening\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_loop_save(number: signal.Signals, process_environment: dict[str, str]) -> None:
    """The loop reads the signal's name where it can save, and the program ends as it likes."""
    with started(LOOP, process_environment) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (f"heard {number.name}\nsaved\n", "", 75) == (out, err, process.returncode)


def test_a_second_ctrl_c_interrupts(process_environment: dict[str, str]) -> None:
    """Who asks twice does not wait for the loop."""
    with started(LOOP, process_environment, "ignore") as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGINT)
        assert "heard SIGINT\n" == process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert out.endswith("interrupted\nsaved\n")


def test_a_second_sigterm_does_not_interrupt(process_environment: dict[str, str]) -> None:
    """A scheduler that repeats itself must not cost what the loop is saving."""
    with started(LOOP, process_environment, "ignore") as process:
        assert process.stdout is not None
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            assert "heard SIGTERM\n" == process.stdout.readline()
        process.kill()
        out, _ = process.communicate(timeout=60)
    assert "interrupted" not in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("argument", ["", "fail"])
def test_a_loop_that_cannot_react_is_ended(
    number: signal.Signals, argument: str, process_environment: dict[str, str]
) -> None:
    """With the main thread deep in C, `overdue` runs and the process ends with 75, even where `overdue` fails."""
    with started(BUSY, process_environment, argument) as process:
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert ("overdue\n", stop.EXIT_STOPPED) == (out, process.returncode)


def test_signals_that_are_not_for_it_are_left_alone(process_environment: dict[str, str]) -> None:
    """Another handler of the program wakes the thread as well, and must not end anything."""
    code = BUSY.replace(
        "import hashlib", "import signal; signal.signal(signal.SIGUSR1, lambda *_: None)\nimport hashlib"
    )
    with started(code, process_environment) as process:
        process.send_signal(signal.SIGUSR1)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)
        process.send_signal(signal.SIGTERM)
        assert stop.EXIT_STOPPED == process.wait(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_handlers_are_put_back(number: signal.Signals) -> None:
    """While open it hears; afterwards everything is as it was, and nothing runs late."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    threads = threading.active_count()
    with Listener(never, overdue_seconds=0.2) as listener:
        assert "" == listener.requested
        os.kill(os.getpid(), number)
        assert number.name == listener.requested
    assert before == {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    assert -1 == descriptor
    for thread in threading.enumerate():
        if thread.daemon and thread is not threading.main_thread() and "_watch" in thread.name:
            thread.join(timeout=10)
    assert threads >= threading.active_count()


def test_handlers_are_put_back_after_an_error() -> None:
    """An exception in the loop does not leave the program deaf to Ctrl-C."""
    before = signal.getsignal(signal.SIGINT)

    def fail() -> None:
        with Listener(never):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert before is signal.getsignal(signal.SIGINT)


def test_it_opens_in_another_thread_and_hears_nothing() -> None:
    """Where Python takes no signals, training goes on without."""
    heard: list[str] = []

    def work() -> None:
        with Listener(never) as listener:
            heard.append(listener.requested)

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=10)
    assert [""] == heard
    assert before is signal.getsignal(signal.SIGTERM)


def test_many_can_be_opened_one_after_the_other(tmp_path: Path) -> None:
    """Each training of a run opens its own; no descriptor is left over."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("counts descriptors in /proc")
    with Listener(never):
        pass
    before = len(list(descriptors.iterdir()))
    for _ in range(50):
        with Listener(never):
            pass
    for thread in threading.enumerate():
        if "_watch" in thread.name:
            thread.join(timeout=10)
    assert before + 2 >= len(list(descriptors.iterdir()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_block_that_does_not_look_is_interrupted(number: signal.Signals) -> None:
    """Once, with `Stopped`; a loop within it that listens itself is asked instead."""

    def work() -> None:
        with Listener(never, interrupt=True):
            with Listener(never) as inner:
                os.kill(os.getpid(), number)
                assert number.name == inner.requested
            with pytest.raises(Stopped, match=f"^{number.name} ended it"):
                os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGTERM)  # it is ending already

    work()


def test_a_block_that_closes_is_not_interrupted() -> None:
    """What it writes last is whole."""
    with Listener(never, interrupt=True) as listener:
        listener.finish()
        os.kill(os.getpid(), signal.SIGTERM)
        assert "SIGTERM" == listener.requested
