"""`traceml-agent sync`: deliver what is left in the spool, now and in this process, and say what could not be."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from traceml_agent.commands import terminal
from traceml_agent.commands.terminal import Bar, Complaint
from traceml_agent.delivery.backlog import Backlog, Waiting
from traceml_agent.delivery.readdress import is_same, readdress
from traceml_agent.delivery.sent import Sent
from traceml_agent.figures import counted
from traceml_agent.inputs import config
from traceml_agent.spool import quarantine

TEXT = "Deliver what waits in the spool, and try again what the portal refused."
EXAMPLE = "traceml-agent sync --all"
STATUSES = (
    "0 nothing waits any more; 1 something does, for this portal or for another address, or is set aside as the portal "
    "refused it, or no portal is configured. Runs still under way don't count"
)
NO_PORTAL = "no portal is configured: set TRACEML_AGENT_URL and TRACEML_AGENT_TOKEN, or run `traceml-agent login`"
#: A terminal shows a bar for several files, or for one of this many bytes.
LARGE_BYTES = 1_000_000
#: So long a file may be in another process's hands without progress; a request takes no longer than 10 s.
STALLED_S = 15.0
LOOK_EVERY_S = 0.1
#: So long a portal may go on asking to wait, as it does with more than it takes in a minute, before the rest is left.
PATIENCE_S, LEAST_WAIT_S = 120.0, 1.0
DISCARDED = "discarded"
#: What an outcome means to people.
WORDS = {
    "retry": "waits",
    "stop": "waits, as the portal refuses uploads",
    "busy": "waits",
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
    parser.add_argument("--list", "--dry-run", action="store_true", help="only say what waits; send nothing")
    parser.add_argument("--discard", action="store_true", help="delete what was set aside and is refused again")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print counts by outcome, and lists of what is left, as JSON; empty ones are left out",
    )


def command(options) -> int:
    """Deliver what waits; 0 when nothing is left."""
    settings = config.load()
    found = Backlog(settings)
    if options.list or not (settings.url and settings.token):
        _tell(found, Report(), {}, options.json)
        if not options.list:
            raise Complaint(NO_PORTAL)
        return 0 if found.is_empty else 1
    with Bar() as bar:
        report = Report(bar, has_lines=not options.json)
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


def _tell(left: Backlog, report: Report, counts: dict[str, int], as_json: bool, is_idle: bool = True) -> None:
    """What is left, for people or as JSON."""
    if as_json:
        print(json.dumps(counts | _lists(left, report)))
        return
    for line in left.lines():
        print(line)
    if is_idle and left.is_empty:
        print("Nothing waits in the spool.")


def _lists(left: Backlog, report: Report) -> dict:
    waiting = [each._asdict() | {"reason": report.reasons.get(each.path, "")} for each in left.files]
    lists = {
        "waiting": waiting,
        "set aside": [each._asdict() for each in left.set_aside],
        "under way": [each._asdict() for each in left.under_way],
        "removed": left.removed,
    }
    return {name: value for name, value in lists.items() if value}


def sync(settings, report: Report | None = None, is_all: bool = False, is_discarding: bool = False) -> dict[str, int]:
    """Deliver what waits for this portal or for none, with `is_all` for any address, until the portal fails.

    What was set aside before is tried again. Counts by outcome. Raises config.Refused for settings that can't be used.
    """
    return _Round(settings, report or Report(), is_all, is_discarding).run()


class _Round:
    """One look at the spool and all that comes of it."""

    def __init__(self, settings, report: Report, is_all: bool, is_discarding: bool):
        from traceml_agent.delivery import client

        self._settings, self._client = settings, client.Client(settings)
        self._report, self._is_all, self._is_discarding = report, is_all, is_discarding
        self._counts: Counter[str] = Counter()
        self._tried: set[str] = set()
        self._is_known = False  # the token, to the portal

    def run(self) -> dict[str, int]:
        found = Backlog(self._settings)
        self._report.announce(found, self._is_all)
        self._counts["other portal"] = 0 if self._is_all else sum(map(len, found.elsewhere.values()))
        if self._deliver(self._wanted(found)):
            self._send_so_far(found.under_way)
            self._try_again(found.set_aside)
            # Another sync may have put files back into the spool that were set aside.
            self._deliver(self._wanted(Backlog(self._settings)))
        self._report.notice = self._client.notice
        return {outcome: count for outcome, count in self._counts.items() if count}

    def _wanted(self, found: Backlog) -> list[Waiting]:
        """What is to be sent and was not tried yet."""
        others = [each for files in found.elsewhere.values() for each in files] if self._is_all else []
        return [each for each in (*found.here, *found.nowhere, *others) if each.path not in self._tried]

    def _deliver(self, wanted: list[Waiting]) -> bool:
        """Deliver file by file; False where the portal takes nothing now."""
        self._report.begin(wanted)
        for number, each in enumerate(wanted, 1):
            self._tried.add(each.path)
            answer = self._send(each)
            self._report.tell(each, answer)
            self._counts[answer.outcome] += 1
            if _is_over(answer):
                self._counts["not tried"] = len(wanted) - number
                return False
        return True

    def _send(self, each: Waiting):
        """Deliver a file; one that another process has in hand is waited for."""
        if not is_same(each.portal, self._client.url) and (refusal := self._refusal()):
            return refusal
        return self._patiently(partial(self._send_in_turn, each.path), each.path)

    def _send_in_turn(self, path: str):
        answer, has_waited = self._send_once(path), True
        while answer.is_busy and has_waited:
            has_waited = _wait_for_another(path)
            answer = self._send_once(path)
        return answer

    def _patiently(self, send: Callable, path: str):
        """Send, and go on for as long as a portal that asks to wait takes something of the file now and then."""
        answer, waited_s, size = send(), 0.0, -1
        while answer.outcome == "retry" and answer.after_s is not None:
            wait_s = max(answer.after_s, LEAST_WAIT_S)
            if waited_s + wait_s > PATIENCE_S:
                break
            self._report.tell_wait(wait_s, answer)
            time.sleep(wait_s)
            waited_s += wait_s
            answer = send()
            if _size_of(Sent(path).path) != size:
                size, waited_s = _size_of(Sent(path).path), 0.0
        return answer

    def _send_once(self, path: str):
        from traceml_agent.delivery import client as portal
        from traceml_agent.delivery.delivery import Delivery

        try:
            if not readdress(path, self._client.url):
                return portal.Answer(portal.BUSY, "another process delivers it")
        except FileNotFoundError:
            pass  # the delivery says so
        except OSError as error:
            return portal.Answer(portal.BUSY, f"the file can't be used ({error.strerror or error})")
        delivery = Delivery(path)
        delivery.progress = self._report.progress
        answer = delivery.deliver(self._client)
        self._report.tell_refused(delivery)
        return answer

    def _refusal(self):
        """Why the portal takes nothing now; asked before a file becomes one of that portal."""
        from traceml_agent.delivery import client as portal

        answer = None if self._is_known else self._client.check_token()
        # A body that can't be right is refused only after the token was accepted.
        self._is_known = answer is None or answer.outcome == portal.QUARANTINE
        return None if self._is_known else answer

    def _send_so_far(self, under_way: list[Waiting]) -> None:
        """What living processes have recorded by now; the rest is for their own uploaders."""
        from traceml_agent.delivery.delivery import Delivery

        for each in under_way:
            if not is_same(each.portal, self._client.url):
                continue
            if _is_over(self._patiently(partial(Delivery(each.path).deliver, self._client), each.path)):
                return

    def _try_again(self, items: list[quarantine.SetAside]) -> None:
        """What was set aside earlier: the portal may take it now."""
        from traceml_agent.delivery import client as portal
        from traceml_agent.delivery import retrying

        for each in items:
            is_ours = not each.portal or is_same(each.portal, self._client.url)
            if not each.is_of_a_run or not (is_ours or self._is_all):
                continue
            answer = self._patiently(partial(retrying.retry, self._client, each), each.path)
            if answer.outcome == portal.QUARANTINE and self._is_discarding:
                quarantine.discard(each)
                answer = answer._replace(outcome=DISCARDED)
            self._report.tell_again(each, answer)
            self._counts[answer.outcome] += 1
            if _is_over(answer):
                return


def _is_over(answer) -> bool:
    """Whether the portal takes nothing now."""
    return answer.outcome in ("retry", "stop")


def _wait_for_another(path: str) -> bool:
    """Wait while another process delivers a file; False where none does, or where it gets no further."""
    sent, size, until = Sent(path), -1, time.monotonic()
    has_waited = False
    while _is_held(sent):
        if _size_of(sent.path) != size:
            size, until = _size_of(sent.path), time.monotonic() + STALLED_S
        if time.monotonic() > until:
            return False
        has_waited = True
        time.sleep(LOOK_EVERY_S)
    return has_waited


def _is_held(sent: Sent) -> bool:
    try:
        with sent.locked() as is_ours:
            return not is_ours
    except OSError:
        return False


class Report:
    """What is told while files are delivered: with a bar only what failed has a line, else each file."""

    def __init__(self, bar: Bar | None = None, has_lines: bool = False):
        self._bar, self._has_lines = bar, has_lines
        self._shown: Bar | None = None
        self._sizes: dict[str, int] = {}
        self._told = self._through_bytes = 0
        self._has_told_of_waiting = False
        #: What the portal has to say of this agent's release.
        self.notice = ""
        #: Why a file was not delivered.
        self.reasons: dict[str, str] = {}

    def announce(self, found: Backlog, is_all: bool) -> None:
        """Say which runs become runs of this portal, before they do."""
        if not self._has_lines:
            return
        if found.nowhere:
            print(f"Sending {_runs(found.nowhere)} recorded without a portal to {found.url}.")
        for address, files in found.elsewhere.items() if is_all else ():
            print(f"Sending {_runs(files)} recorded for {address} to {found.url}.")

    def begin(self, files: list[Waiting]) -> None:
        """Learn what is to be delivered, and whether that is worth a bar."""
        self._sizes = {each.path: _size_of(each.path) for each in files}
        self._told = self._through_bytes = 0
        is_large = len(files) > 1 or sum(self._sizes.values()) > LARGE_BYTES
        self._shown = self._bar if self._bar and self._bar.is_shown and is_large else None
        self.progress(0)

    def progress(self, read_bytes: int) -> None:
        """Show that so many bytes of the file in hand are through."""
        if self._shown:
            done, total = self._through_bytes + read_bytes, sum(self._sizes.values())
            self._shown.show(done, total, f"{self._told} of {len(self._sizes)}, {done / 1e6:.1f} MB")

    def tell(self, each: Waiting, answer) -> None:
        """Tell what became of a file."""
        self._told += 1
        self._through_bytes += self._sizes[each.path]
        self.reasons[each.path] = answer.reason
        self._say(f"{each.run_id}  {_words(answer)}", answer.outcome)
        self.progress(0)

    def tell_wait(self, wait_s: float, answer) -> None:
        """Tell once that, and why, the portal asks to wait."""
        if not self._has_told_of_waiting:
            self._has_told_of_waiting = True
            self._say(f"The portal asks to wait for {wait_s:.0f} s: {answer.reason}", "")

    def tell_refused(self, delivery) -> None:
        """Tell what of a run the portal did not take, in its own words."""
        for what, reason, count in delivery.refused:
            times = f" ({count} times)" if count > 1 else ""
            self._say(f"{delivery.run_id}  not taken: {what}{times}: {reason}", "")

    def tell_again(self, each: quarantine.SetAside, answer) -> None:
        """Tell what became of what was set aside."""
        self._say(f"{each.run_id}  {each.what}, set aside before: {_words(answer)}", answer.outcome)

    def _say(self, line: str, outcome: str) -> None:
        if self._shown and outcome != "delivered":
            self._shown.say(line)
        elif self._has_lines and not self._shown:
            print(line, flush=True)


def _words(answer) -> str:
    return f"{WORDS.get(answer.outcome, answer.outcome)}{f': {answer.reason}' if answer.reason else ''}"


def _runs(files: list[Waiting]) -> str:
    return counted(len({each.run_id for each in files}), "run")


def _size_of(path: str) -> int:
    with contextlib.suppress(OSError):  # another process delivered it meanwhile
        return os.path.getsize(path)
    return 0
