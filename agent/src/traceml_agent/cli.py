"""The command line `traceml-agent`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys

from traceml_agent import attach, config, estimate, export, metadata
from traceml_agent.version import __version__

NOT_FOUND, NOT_EXECUTABLE = 127, 126
INTERRUPTED, BROKEN_PIPE = 130, 141
BAR = 40
FORWARDED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit status: 130 after Ctrl-C, as a shell would."""
    options = _parser().parse_args(arguments)
    try:
        status = options.command(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough; stdout is closed here, lest Python complains at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="traceml-agent", description="Measures the energy and emissions of training and using AI models."
    )
    parser.add_argument("--version", action="version", version=f"traceml-agent {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_sync(commands)
    _add_doctor(commands)
    _add_login(commands)
    for module in (attach, estimate, export):
        module.add_command(commands)
    return parser


def _command(commands, name: str, command, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def _add_run(commands) -> None:
    text = "Measure a command as one run: traceml-agent run -- python train.py"
    parser = _command(commands, "run", run, text)
    parser.add_argument("--model", help="the model's name (default: the command's)")
    parser.add_argument("--kind", choices=metadata.KINDS, default="training")
    parser.add_argument("--name", help="a name for this run")
    parser.add_argument("--tag", action="append", default=[], help="may be given several times")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments")


def _add_sync(commands) -> None:
    parser = _command(commands, "sync", sync, "Deliver what is left in the spool to the portal.")
    parser.add_argument("--json", action="store_true", help="print counts as JSON")


def _add_doctor(commands) -> None:
    text = "Show what can be measured here, how well and why, and what would make it better."
    parser = _command(commands, "doctor", doctor, text)
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument("--quick", action="store_true", help="leave out the self-test of 5 s")


def _add_login(commands) -> None:
    text = "Keep a portal's address and token for all runs of this user."
    parser = _command(commands, "login", login, text)
    parser.add_argument("url", nargs="?", help="the portal's address")


def run(options) -> int:
    """Measure a command: its exit status, signals and bytes on stdin and stdout stay its own."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        return _complain("say what to run: traceml-agent run -- python train.py", 2)
    from traceml_agent.track import start

    tracked = start(options.model or _model_of(words), kind=options.kind, name=options.name, tags=options.tag)
    try:
        status = _status_of(words)
    except OSError as error:
        tracked.stop("failed", type(error).__name__)
        not_found = isinstance(error, FileNotFoundError)
        return _complain(f"{words[0]}: {error.strerror}", NOT_FOUND if not_found else NOT_EXECUTABLE)
    tracked.stop(*_outcome(status))
    return status if status >= 0 else _die_of(-status)


def _model_of(words: list[str]) -> str:
    """What a command's model is called that nobody named: its script or module, else the program."""
    script = next((word for word in words if word.endswith((".py", ".ipynb"))), None)
    if script is None and "-m" in words[1:-1]:
        return words[words.index("-m") + 1]
    return os.path.splitext(os.path.basename(script or words[0]))[0]


def _status_of(words: list[str]) -> int:
    """Run the command and return its status, passing on the signals that this process gets. Raises OSError."""
    processes: list[subprocess.Popen] = []
    early: list[int] = []

    def forward(number, frame):
        if processes:
            processes[0].send_signal(number)
        else:
            early.append(number)

    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    for name in FORWARDED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), forward)
    # A terminal's Ctrl-C reaches the command by itself. No SIG_IGN: the command would inherit it.
    signal.signal(signal.SIGINT, (lambda *_: None) if at_terminal else forward)
    processes.append(subprocess.Popen(words))
    for number in early:
        processes[0].send_signal(number)
    return processes[0].wait()


def _outcome(status: int) -> tuple[str, str]:
    if status == 0:
        return "completed", ""
    if status > 0:
        return "failed", f"exit status {status}"
    name = signal.Signals(-status).name
    return ("cancelled" if name in ("SIGINT", "SIGTERM", "SIGHUP") else "failed"), name


def _die_of(number: int) -> int:
    """End as the command did, once the uploader had its time: a caller sees the same signal."""
    from traceml_agent.run import end_of_process

    end_of_process()
    signal.signal(number, signal.SIG_DFL) if number not in (signal.SIGKILL, signal.SIGSTOP) else None
    os.kill(os.getpid(), number)
    return 128 + number


def sync(options) -> int:
    """Deliver every spool file; 0 when all of it arrived."""
    from traceml_agent import client, uploader

    settings = config.load()
    if not (settings.url and settings.token):
        return _complain(
            "no portal is known: set TRACEML_AGENT_URL and TRACEML_AGENT_TOKEN, or run traceml-agent login"
        )
    try:
        counts = uploader.sync(settings, report=None if options.json else _report)
    except client.Refused as refusal:
        return _complain(str(refusal))
    if options.json:
        print(json.dumps(counts))
    elif not counts:
        print("Nothing waits in the spool.")
    return 0 if set(counts) <= {client.DELIVERED, client.GONE, "other portal"} else 1


def _report(path: str, answer, number: int, total: int) -> None:
    """A bar on a terminal, where only what failed has a line; a line each elsewhere."""
    run_id = os.path.basename(path).partition(".")[0]
    line = f"{run_id}  {answer.outcome}{f': {answer.reason}' if answer.reason else ''}"
    if total == 1 or not sys.stderr.isatty():
        print(line)
        return
    done = number * BAR // total
    if answer.outcome != "delivered":
        print(f"\r{line}\033[K", file=sys.stderr)
    print(f"\r[{'#' * done}{'.' * (BAR - done)}] {number} of {total}\033[K", end="", file=sys.stderr, flush=True)
    if number == total:
        print(file=sys.stderr)


def doctor(options) -> int:
    """Print the examination; 0 when nothing is wrong."""
    from traceml_agent.doctor import examine

    found = examine(config.load(), options.quick)
    print(json.dumps(found.as_dict(), indent=2) if options.json else found.text())
    return 0 if found.is_well else 1


def login(options) -> int:
    """Ask for address and token, try them, and keep them in a file that only this user may read."""
    import getpass

    from traceml_agent import client

    settings = config.load(url=options.url or input("Address of the portal: "))
    settings.take("token", getpass.getpass("Token (not shown): "), "login")
    try:
        answer = client.Client(settings).check_token()
    except client.Refused as refusal:
        return _complain(str(refusal))
    if answer.outcome == client.STOP:
        return _complain(f"the portal refuses the token: {answer.reason}")
    path = config.keep_login(settings.url, settings.token)
    print(f"Kept in {path}" + ("." if answer.outcome == client.QUARANTINE else f", though {answer.reason}."))
    return 0


def _complain(text: str, status: int = 1) -> int:
    print(f"traceml-agent: {text}", file=sys.stderr)
    return status
