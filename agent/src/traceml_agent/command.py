"""`traceml-agent run`: measure a command; to the command and to whoever waits for it, it is as if run by itself.

Its exit status, its signals, its descriptors and the bytes on them stay its own. Measuring ends with the command,
whatever it left in the background: `traceml-agent watch` measures that.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess

from traceml_agent import metadata, terminal
from traceml_agent.terminal import Complaint

TEXT = "Measure a command as one run; its exit status, signals, stdin and stdout stay its own."
EXAMPLE = "traceml-agent run --model resnet-50 -- python train.py --epochs 90"
STATUSES = "the command's own, or the signal that ended it; 126 where it can't be run, 127 where there is none"
NOT_FOUND, NOT_EXECUTABLE = 127, 126
#: Signals that are passed on to the command, and of these what a terminal sends to its whole foreground group.
FORWARDED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT", "SIGTSTP", "SIGCONT")
OF_TERMINAL = ("SIGINT", "SIGQUIT", "SIGTSTP", "SIGCONT")


def add_command(commands) -> None:
    """Add `run` to the command line's parsers."""
    parser = terminal.add(commands, "run", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("--model", help="the model's name (default: the command's)")
    parser.add_argument("--kind", choices=metadata.KINDS, default="training")
    parser.add_argument("--name", help="a name for this run")
    parser.add_argument("--tag", action="append", default=[], help="may be given several times")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments")


def command(options) -> int:
    """Measure the command; returns its exit status, or dies of the signal that it died of."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise Complaint(f"say what to run: {EXAMPLE}", 2)
    from traceml_agent.track import start

    tracked = start(options.model or model_of(words), kind=options.kind, name=options.name, tags=options.tag)
    try:
        status = status_of(words)
    except OSError as error:
        tracked.stop("failed", type(error).__name__)
        not_found = isinstance(error, FileNotFoundError)
        raise Complaint(f"{words[0]}: {error.strerror}", NOT_FOUND if not_found else NOT_EXECUTABLE) from None
    tracked.stop(*outcome(status))
    return status if status >= 0 else _die_of(-status)


def model_of(words: list[str]) -> str:
    """What a command's model is called that nobody named: its script or module, else the program."""
    script = next((word for word in words if word.endswith((".py", ".ipynb"))), None)
    if script is None and "-m" in words[1:-1]:
        return words[words.index("-m") + 1]
    return os.path.splitext(os.path.basename(script or words[0]))[0]


def status_of(words: list[str]) -> int:
    """Run the command and return its status, the negative of a signal that ended it. Raises OSError."""
    child = Child()
    for name in FORWARDED:
        number = getattr(signal, name, None)
        # What is ignored, as under nohup, stays ignored: a handler here would be the default in the command.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, child.pass_on)
    return child.run(words)


class Child:
    """The command's process: it gets the signals that this one gets, and a terminal stops both or none."""

    def __init__(self):
        self._process: subprocess.Popen | None = None
        self._early: list[int] = []

    def run(self, words: list[str]) -> int:
        """Start it and wait for its end. Raises OSError where it can't be started."""
        # Descriptors that a shell opened for the command (`cat <(…)`) stay open; the agent's own are not inherited.
        self._process = subprocess.Popen(words, close_fds=False)
        for number in self._early:
            self._send(number)
        if not hasattr(os, "WUNTRACED"):
            return self._process.wait()
        return self._wait(self._process)

    def _wait(self, process: subprocess.Popen) -> int:
        while process.returncode is None:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                process.returncode = os.waitstatus_to_exitcode(status)
            elif os.WSTOPSIG(status) == signal.SIGTSTP and _has_the_terminal():
                self._stop_as_well()
        return process.returncode

    def _stop_as_well(self) -> None:
        """Stop until the shell's `fg` or `bg`: it knows this process alone."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self.pass_on)

    def pass_on(self, number: int, frame) -> None:
        """Handle a signal. Ctrl-C, Ctrl-Z and their kin reach the command by themselves, and must not come twice."""
        if signal.Signals(number).name in OF_TERMINAL and _has_the_terminal():
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._send(number)

    def _send(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


def _has_the_terminal() -> bool:
    """Whether this process's group is in the foreground of its terminal."""
    if not hasattr(os, "tcgetpgrp"):
        return True  # Windows' console tells every process of it
    try:
        tty = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(tty) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(tty)


def outcome(status: int) -> tuple[str, str]:
    """How the run ended, by the command's status: a word and what it ended with."""
    if status == 0:
        return "completed", ""
    if status > 0:
        return "failed", f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # a real-time signal between the named ones
        name = f"signal {-status}"
    return ("cancelled" if name in ("SIGINT", "SIGTERM", "SIGHUP") else "failed"), name


def _die_of(number: int) -> int:
    """End as the command did, once the uploader had its time: a caller sees the same signal."""
    from traceml_agent.run import end_of_process

    end_of_process()
    _leave_the_core()
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def _leave_the_core() -> None:
    """The core file is the command's: this process must not write its own over it."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
