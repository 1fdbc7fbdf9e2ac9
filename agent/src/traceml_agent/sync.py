"""`traceml-agent sync`: deliver what is left in the spool, now and in this process."""

from __future__ import annotations

import contextlib
import json
import os

from traceml_agent import config, terminal
from traceml_agent.spool_folder import folders, spool_files
from traceml_agent.terminal import Bar, Complaint
from traceml_agent.uploader import is_for

TEXT = "Deliver what is left in the spool to the portal."
EXAMPLE = "traceml-agent sync --json"
STATUSES = "0 all of it is delivered, or nothing waited; 1 something is left or was refused, or no portal is known"
#: A terminal shows a bar for several files, or for one of this many bytes.
LARGE_BYTES = 1_000_000


def add_command(commands) -> None:
    """Add `sync` to the command line's parsers."""
    parser = terminal.add(commands, "sync", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("--json", action="store_true", help="print how many files met which outcome as JSON")


def command(options) -> int:
    """Deliver every spool file; 0 when all of it arrived."""
    settings = config.load()
    if not (settings.url and settings.token):
        remedy = "set TRACEML_AGENT_URL and TRACEML_AGENT_TOKEN, or run traceml-agent login"
        raise Complaint(f"no portal is known: {remedy}")
    with Bar() as bar:
        counts = sync(settings, Report(bar, has_lines=not options.json))
    if options.json:
        print(json.dumps(counts))
    elif not counts:
        print("Nothing waits in the spool.")
    return 0 if set(counts) <= {"delivered", "gone", "other portal"} else 1


def sync(settings, report: Report | None = None) -> dict[str, int]:
    """Deliver every spool file once, until the portal fails; counts by outcome.

    Raises config.Refused for settings that can't be used.
    """
    from traceml_agent import client as portal
    from traceml_agent.delivery import Delivery

    client = portal.Client(settings)
    waiting = [path for place in folders(settings) for path in spool_files(place)]
    mine = [path for path in waiting if is_for(path, settings)]
    report = report or Report()
    report.begin(mine)
    counts = {"other portal": len(waiting) - len(mine)}
    for number, path in enumerate(mine, 1):
        delivery = Delivery(path)
        delivery.progress = report.progress
        answer = delivery.deliver(client)
        report.tell(path, answer)
        counts[answer.outcome] = counts.get(answer.outcome, 0) + 1
        if answer.outcome in (portal.RETRY, portal.STOP):
            counts["not tried"] = len(mine) - number
            break
    return {outcome: count for outcome, count in counts.items() if count}


class Report:
    """What is told while files are delivered: with a bar only what failed has a line, else each file."""

    def __init__(self, bar: Bar | None = None, has_lines: bool = False):
        self._bar, self._has_lines = bar, has_lines
        self._sizes: dict[str, int] = {}
        self._told = self._through_bytes = 0

    def begin(self, paths: list[str]) -> None:
        """Learn what is to be delivered, and whether that is worth a bar."""
        self._sizes = {path: _size_of(path) for path in paths}
        is_large = len(paths) > 1 or sum(self._sizes.values()) > LARGE_BYTES
        self._bar = self._bar if self._bar and self._bar.is_shown and is_large else None
        self.progress(0)

    def progress(self, read_bytes: int) -> None:
        """Show that so many bytes of the file in hand are through."""
        if self._bar:
            done, total = self._through_bytes + read_bytes, sum(self._sizes.values())
            self._bar.show(done, total, f"{self._told} of {len(self._sizes)}, {done / 1e6:.1f} MB")

    def tell(self, path: str, answer) -> None:
        """Tell what became of a file."""
        self._told += 1
        self._through_bytes += self._sizes[path]
        line = f"{_run_of(path)}  {answer.outcome}{f': {answer.reason}' if answer.reason else ''}"
        if self._bar and answer.outcome != "delivered":
            self._bar.say(line)
        elif self._has_lines and not self._bar:
            print(line, flush=True)
        self.progress(0)


def _run_of(path: str) -> str:
    return os.path.basename(path).partition(".")[0]


def _size_of(path: str) -> int:
    with contextlib.suppress(OSError):  # another process delivered it meanwhile
        return os.path.getsize(path)
    return 0
