"""`traceml-agent run`: measure a command, which runs as it would by itself.

Its exit status, signals and descriptors stay its own. Measuring ends with the command, even if it left something in the
background, which `traceml-agent watch` can measure.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import shutil
import signal
import subprocess

from traceml_agent.commands import terminal
from traceml_agent.commands.program import model_of
from traceml_agent.commands.terminal import Complaint
from traceml_agent.host import endings
from traceml_agent.inputs import config, metadata
from traceml_agent.integrations import reporting
from traceml_agent.tracking.inert import InertRun
from traceml_agent.tracking.run import ABOUT, Run

TEXT = "Measure a command as one run. Its exit status, signals, stdin and stdout are left alone."
EXAMPLE = "traceml-agent run --model resnet-50 -- python train.py --epochs 90"
STATUSES = "the command's own, or the signal that ended it; 126 not executable, 127 not found (no run is recorded)"
NOT_FOUND, NOT_EXECUTABLE = 127, 126
#: Signals that are passed on to the command, and those that a terminal sends to its whole foreground group.
FORWARDED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT", "SIGTSTP", "SIGCONT")
OF_TERMINAL = ("SIGINT", "SIGQUIT", "SIGTSTP", "SIGCONT")


def add_command(commands) -> None:
    """Add `run` to the command line's parsers."""
    parser = terminal.add(commands, "run", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("--model", help="the model's name (default: taken from the command)")
    parser.add_argument("--kind", choices=metadata.KINDS, help="default: training")
    parser.add_argument("--name", help="a name for this run")
    parser.add_argument(
        "--device", action="append", metavar="NAME", help='an accelerator that can\'t be measured: "8x TPU v5e"'
    )
    parser.add_argument("--tag", action="append", default=[], help="a tag of the run; may be given several times")
    terminal.add_textfile(parser)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments")


def command(options) -> int:
    """Measure the command. Returns its exit status, or dies of the signal that ended it."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise Complaint(f"no command given; for example: {EXAMPLE}", 2)
    refuse_what_cannot_run(words[0])
    tracked = measured(options, words)
    try:
        status = status_of(words)
    except OSError as error:  # a format that the kernel does not know, or too many arguments
        tracked.stop("failed", type(error).__name__)
        raise Complaint(f"{words[0]}: {error.strerror}", NOT_EXECUTABLE) from None
    tracked.stop(*_ended(tracked, status))
    return status if status >= 0 else _die_of(-status)


def _ended(tracked: Run, status: int) -> tuple[str, str]:
    """How the command ended: from its status, or from the first exception of its own blocks if that says more."""
    ended, exception = endings.of_exit_code(status, tracked.kind)
    told = tracked.board.first_error() if tracked.board and ended == "failed" and status > 0 else ""
    return ended, told or exception


def measured(options, words: list[str]) -> Run:
    """The command's run. What the options leave open, a `track` in the script may set: it means this run."""
    settings = config.load(devices=options.device)
    if settings.disabled:
        return InertRun(options.model)
    open_to = [word for word in ABOUT if word in ("params", "tags", "environment") or not getattr(options, word)]
    model, kind = options.model or model_of(words), options.kind or "training"
    run = Run(model, kind, options.name, options.tag, None, settings, about=open_to).begin()
    reporting.report(run, options.prometheus_textfile)
    return run


def refuse_what_cannot_run(program: str) -> None:
    """Raise Complaint, with a shell's status, for a program that does not exist or can't be executed."""
    if shutil.which(program):
        return
    places = [""] if os.path.dirname(program) else os.get_exec_path()
    found = next(filter(os.path.lexists, (os.path.join(place, program) for place in places)), None)
    if found is None or not program:
        known = (
            f"{program}: {os.strerror(errno.ENOENT)}" if os.path.dirname(program) else f"{program}: command not found"
        )
        raise Complaint(f"{known}{_hint(program)}", NOT_FOUND)
    if os.path.isdir(found):
        raise Complaint(f"{program}: {os.strerror(errno.EISDIR)}", NOT_EXECUTABLE)
    if not os.path.exists(found):
        raise Complaint(f"{program}: link to a file that does not exist", NOT_FOUND)
    raise Complaint(f"{program}: {os.strerror(errno.EACCES)}{_hint(program)}", NOT_EXECUTABLE)


def _hint(program: str) -> str:
    """A hint for a file that exists but is not a command."""
    if not os.path.isfile(program):
        return ""
    if program.endswith(".py"):
        return f"; to run a Python script: python {program}"
    is_meant = os.access(program, os.X_OK) and not os.path.dirname(program)
    return f"; to run the file in this folder: ./{program}" if is_meant else ""


def status_of(words: list[str]) -> int:
    """Run the command and return its status; negative for a signal that ended it. Raises OSError."""
    child = Child()
    for name in FORWARDED:
        number = getattr(signal, name, None)
        # A signal that is ignored, as under nohup, stays ignored: with a handler here, the command would get the
        # default.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, child.pass_on)
    return child.run(words)


class Child:
    """The command's process. It gets the signals that this one gets, and a terminal stops both or none."""

    def __init__(self):
        self._process: subprocess.Popen | None = None
        self._early: list[int] = []

    def run(self, words: list[str]) -> int:
        """Start it and wait for its end. Raises OSError if it can't be started."""
        bell = _bell_of_signals() if hasattr(os, "WUNTRACED") else -1
        # Descriptors that a shell opened for the command (`cat <(…)`) stay open; the agent's own are not inherited.
        self._process = subprocess.Popen(words, close_fds=False)
        for number in self._early:
            self._send(number)
        return self._wait(self._process, bell) if bell >= 0 else self._process.wait()

    def _wait(self, process: subprocess.Popen, bell: int) -> int:
        # Launchers such as srun and mpirun start their tasks with this signal blocked, as the command keeps it.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        while process.returncode is None:
            pid, status = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
            if pid == 0:
                os.read(bell, 4096)
            elif not os.WIFSTOPPED(status):
                process.returncode = os.waitstatus_to_exitcode(status)
            elif os.WSTOPSIG(status) == signal.SIGTSTP and _has_the_terminal():
                self._stop_as_well()
        return process.returncode

    def _stop_as_well(self) -> None:
        """Stop until the shell's `fg` or `bg`, since the shell only knows this process."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self.pass_on)

    def pass_on(self, number: int, frame) -> None:
        """Handle a signal. Ctrl-C, Ctrl-Z and the like reach the command directly, and must not arrive twice."""
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


def _bell_of_signals() -> int:
    """A descriptor that can be read after each signal, among them the end and the stop of a child.

    A handler of Python's runs between two steps of it: a signal that arrives just before `waitpid` blocks would be
    passed on only when the command has ended. The system writes here at once, so that reading it never waits for that.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader


def _has_the_terminal() -> bool:
    """Whether this process's group is in the foreground of its terminal."""
    if not hasattr(os, "tcgetpgrp"):
        return True  # Windows' console signals every process
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


def _die_of(number: int) -> int:
    """End like the command, after giving the uploader its time, so that the caller sees the same signal."""
    from traceml_agent.tracking.current import end_of_process

    end_of_process()
    _leave_the_core()
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def _leave_the_core() -> None:
    """Write no core file, which would overwrite the command's."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
