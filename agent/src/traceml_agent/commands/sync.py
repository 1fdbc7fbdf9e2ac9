"""`traceml-agent sync`: deliver what is left in the spool, in this process, and report what could not be delivered."""

from __future__ import annotations

import json
import sys

from traceml_agent.commands import terminal
from traceml_agent.commands.terminal import Bar, Complaint
from traceml_agent.delivery.backlog import Backlog, WaitingFile
from traceml_agent.figures import counted
from traceml_agent.host.private import bytes_of
from traceml_agent.inputs import config
from traceml_agent.spool import quarantine

TEXT = "Deliver the runs in the spool, and try again what the portal refused."
EXAMPLE = "traceml-agent sync --all"
STATUSES = (
    "0 nothing is left to deliver; 1 something is: for this portal or another address, or set aside because the portal "
    "refused it, or no portal is configured. Runs in progress don't count"
)
NO_PORTAL = "no portal is configured: set TRACEML_AGENT_URL and TRACEML_AGENT_TOKEN, or run `traceml-agent login`"
#: A terminal shows a bar for several files, or for one with this many bytes.
LARGE_BYTES = 1_000_000
#: Outcomes in words.
WORDS = {
    "retry": "waiting",
    "stop": "waiting, because the portal refuses uploads",
    "busy": "waiting",
    "quarantine": "refused and set aside",
    "gone": "deleted on the portal",
}


def add_command(commands) -> None:
    """Add `sync` to the command line's parsers."""
    parser = terminal.add(commands, "sync", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument(
        "--all",
        action="store_true",
        help="also send runs recorded for another address: they then belong to this portal",
    )
    parser.add_argument("--list", "--dry-run", action="store_true", help="list what is waiting, and send nothing")
    parser.add_argument("--discard", action="store_true", help="delete what is refused again")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print counts by outcome and lists of what is left as JSON",
    )


def command(options) -> int:
    """Deliver what is waiting. Returns 0 if nothing is left."""
    settings = config.load()
    found = Backlog(settings)
    if options.list or not (settings.url and settings.token):
        _tell(found, SyncReport(), {}, options.json)
        if not options.list:
            raise Complaint(NO_PORTAL)
        return 0 if found.is_empty else 1
    with Bar() as bar:
        report = SyncReport(bar, has_lines=not options.json)
        try:
            counts = sync(settings, report, options.all, options.discard)
        except config.Refused:
            _tell(found, report, {}, options.json)
            raise
    if report.notice:
        print(report.notice, file=sys.stderr)
    left = Backlog(settings)
    is_idle = not counts.keys() - {"other portal"}
    _tell(left, report, counts, options.json, is_idle)
    return 0 if left.is_empty else 1


def _tell(left: Backlog, report: SyncReport, counts: dict[str, int], as_json: bool, is_idle: bool = True) -> None:
    """Print what is left, as text or JSON."""
    if as_json:
        print(json.dumps(counts | _lists(left, report)))
        return
    for line in left.lines():
        print(line)
    if is_idle and left.is_empty:
        print("Nothing is waiting in the spool.")


def _lists(left: Backlog, report: SyncReport) -> dict:
    waiting = [each._asdict() | {"reason": report.reasons.get(each.path, "")} for each in left.files]
    lists = {
        "waiting": waiting,
        "set aside": [each._asdict() for each in left.set_aside],
        "under way": [each._asdict() for each in left.under_way],
        "removed": left.removed,
    }
    return {name: value for name, value in lists.items() if value}


def sync(
    settings, report: SyncReport | None = None, is_all: bool = False, is_discarding: bool = False
) -> dict[str, int]:
    """Deliver what is waiting for this portal or for none, with `is_all` for any address, until the portal fails.

    What was set aside is tried again. Returns counts by outcome. Raises config.Refused for settings that can't be used.
    """
    from traceml_agent.delivery.sync_round import SyncRound

    return SyncRound(settings, report or SyncReport(), is_all, is_discarding).run()


class SyncReport:
    """Reports progress while files are delivered: with a bar, only failures get a line, else each file."""

    def __init__(self, bar: Bar | None = None, has_lines: bool = False):
        self._bar, self._has_lines = bar, has_lines
        self._shown: Bar | None = None
        self._sizes: dict[str, int] = {}
        self._told = self._through_bytes = 0
        self._has_told_of_waiting = False
        #: The portal's notice about this agent's version.
        self.notice = ""
        #: Why files were not delivered.
        self.reasons: dict[str, str] = {}

    def announce(self, found: Backlog, is_all: bool) -> None:
        """Say which runs will belong to this portal, before they are sent."""
        if not self._has_lines:
            return
        if found.nowhere:
            print(f"Sending {_runs(found.nowhere)} recorded without a portal to {found.url}.")
        for address, files in found.elsewhere.items() if is_all else ():
            print(f"Sending {_runs(files)} recorded for {address} to {found.url}.")

    def begin(self, files: list[WaitingFile]) -> None:
        """Take the files to deliver, and decide whether to show a bar."""
        self._sizes = {each.path: bytes_of(each.path) for each in files}
        self._told = self._through_bytes = 0
        is_large = len(files) > 1 or sum(self._sizes.values()) > LARGE_BYTES
        self._shown = self._bar if self._bar and self._bar.is_shown and is_large else None
        self.progress(0)

    def progress(self, read_bytes: int) -> None:
        """Show how many bytes of the current file are done."""
        if self._shown:
            done, total = self._through_bytes + read_bytes, sum(self._sizes.values())
            self._shown.show(done, total, f"{self._told} of {len(self._sizes)}, {done / 1e6:.1f} MB")

    def tell(self, each: WaitingFile, answer) -> None:
        """Report the outcome for a file."""
        self._told += 1
        self._through_bytes += self._sizes[each.path]
        self.reasons[each.path] = answer.reason
        self._say(f"{each.run_id}  {_words(answer)}", answer.outcome)
        self.progress(0)

    def tell_wait(self, wait_s: float, answer) -> None:
        """Report once that the portal asks to wait, and why."""
        if not self._has_told_of_waiting:
            self._has_told_of_waiting = True
            self._say(f"The portal asks to wait {wait_s:.0f} s: {answer.reason}", "")

    def tell_refused(self, delivery) -> None:
        """Report what the portal refused of a run, in its own words."""
        for what, reason, count in delivery.refused:
            times = f" ({count} times)" if count > 1 else ""
            self._say(f"{delivery.run_id}  refused: {what}{times}: {reason}", "")

    def tell_again(self, each: quarantine.SetAside, answer) -> None:
        """Report the outcome for an item that was set aside."""
        self._say(f"{each.run_id}  {each.what}, set aside earlier: {_words(answer)}", answer.outcome)

    def _say(self, line: str, outcome: str) -> None:
        if self._shown and outcome != "delivered":
            self._shown.say(line)
        elif self._has_lines and not self._shown:
            print(line, flush=True)


def _words(answer) -> str:
    return f"{WORDS.get(answer.outcome, answer.outcome)}{f': {answer.reason}' if answer.reason else ''}"


def _runs(files: list[WaitingFile]) -> str:
    return counted(len({each.run_id for each in files}), "run")
