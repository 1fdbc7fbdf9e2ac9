"""What the commands share: adding one to the command line, complaints, and a progress bar."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

BAR = 40
INTERRUPTED, BROKEN_PIPE = 130, 141


class Complaint(Exception):
    """Why a command can't do what it was asked to: a sentence with the remedy, and the exit status."""

    def __init__(self, text: str, status: int = 1):
        super().__init__(text)
        self.status = status


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, instead of repeating all of them."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def add(commands, name: str, command, text: str, example: str, statuses: str) -> argparse.ArgumentParser:
    """Add a command to the command line's parsers, with an example and its exit statuses under `--help`."""
    interrupted = "" if "Ctrl-C" in text else "; 130 after Ctrl-C"
    epilog = f"example:\n  {example}\n\nexit status:\n  {statuses}{interrupted}"
    layout = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=text, description=text, epilog=epilog, formatter_class=layout)
    parser.set_defaults(command=command)
    return parser


def add_textfile(parser: argparse.ArgumentParser) -> None:
    """Add the option to show the run to Prometheus while it is measured."""
    parser.add_argument(
        "--prometheus-textfile",
        action="append",
        default=[],
        type=_textfile,
        metavar="PATH",
        help="keep the run's metrics in this file, for node_exporter's textfile collector",
    )


def _textfile(path: str) -> str:
    if not path.endswith(".prom"):
        raise argparse.ArgumentTypeError(f"{path!r} must end in .prom, since node_exporter reads no other files")
    return path


def positive(text: str) -> float:
    """An argument that is a number above 0. Raises ArgumentTypeError for anything else."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


class Bar:
    """A progress bar on stderr if that is a terminal, else nothing. As a context manager it always ends its line."""

    def __init__(self):
        self.is_shown = sys.stderr.isatty()
        self._is_open = False

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exception) -> None:
        if self._is_open:
            self._write("\n")

    def show(self, done: float, total: float, text: str = "") -> None:
        """Draw how much is done."""
        if self.is_shown:
            length = int(min(done / total, 1.0) * BAR) if total > 0 else BAR
            self._is_open = True
            self._write(f"\r[{'#' * length}{'.' * (BAR - length)}] {text}\033[K")

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self.is_shown:
            self._write(f"\r{line}\033[K\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone, but the work continues
            sys.stderr.write(text)
            sys.stderr.flush()


def hold_standard_streams() -> None:
    """If a standard stream is closed, nothing opened later may take its number: a spool is not stdout.

    The replacement is not inherited, so for a command it is as closed as before.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal may not support `×`


def discard_stdout() -> None:
    """Discard unwritten output, so that Python does not complain about it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
