"""One round of `traceml-agent sync`: it delivers what is waiting, and sends what was refused again.

Loads requests.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from traceml_agent.delivery import client as portal
from traceml_agent.delivery import retrying
from traceml_agent.delivery.backlog import Backlog, WaitingFile
from traceml_agent.delivery.delivery import Delivery
from traceml_agent.delivery.readdress import is_same, readdress
from traceml_agent.delivery.sent import Sent
from traceml_agent.host.private import bytes_of
from traceml_agent.spool import quarantine

#: How long another process may have a file without progress; a request takes at most 10 s.
STALLED_S = 15.0
LOOK_EVERY_S = 0.1
#: How long a portal may keep asking to wait, as it does above its limit per minute, before the rest is left.
PATIENCE_S, LEAST_WAIT_S = 120.0, 1.0
DISCARDED = "discarded"


class SyncRound:
    """One pass over the spool and the quarantine."""

    def __init__(self, settings, report, is_all: bool, is_discarding: bool):
        self._settings, self._client = settings, portal.Client(settings)
        self._report, self._is_all, self._is_discarding = report, is_all, is_discarding
        self._counts: Counter[str] = Counter()
        self._tried: set[str] = set()
        self._is_known = False  # whether the portal accepts the token

    def run(self) -> dict[str, int]:
        found = Backlog(self._settings)
        self._report.announce(found, self._is_all)
        self._counts["other portal"] = 0 if self._is_all else sum(map(len, found.elsewhere.values()))
        if self._deliver(self._wanted(found)):
            self._send_so_far(found.under_way)
            self._try_again(found.set_aside)
            # Another sync may have put files that were set aside back into the spool.
            self._deliver(self._wanted(Backlog(self._settings)))
        self._report.notice = self._client.notice
        return {outcome: count for outcome, count in self._counts.items() if count}

    def _wanted(self, found: Backlog) -> list[WaitingFile]:
        """The files to send that were not tried yet."""
        others = [each for files in found.elsewhere.values() for each in files] if self._is_all else []
        return [each for each in (*found.here, *found.nowhere, *others) if each.path not in self._tried]

    def _deliver(self, wanted: list[WaitingFile]) -> bool:
        """Deliver file by file; False if the portal accepts nothing now."""
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

    def _send(self, each: WaitingFile):
        """Deliver a file, after waiting for another process that has it."""
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
        """Send, and continue as long as a portal that asks to wait accepts some of the file now and then."""
        answer, waited_s, size = send(), 0.0, -1
        while answer.outcome == "retry" and answer.after_s is not None:
            wait_s = max(answer.after_s, LEAST_WAIT_S)
            if waited_s + wait_s > PATIENCE_S:
                break
            self._report.tell_wait(wait_s, answer)
            time.sleep(wait_s)
            waited_s += wait_s
            answer = send()
            if bytes_of(Sent(path).path) != size:
                size, waited_s = bytes_of(Sent(path).path), 0.0
        return answer

    def _send_once(self, path: str):
        try:
            if not readdress(path, self._client.url):
                return portal.Answer(portal.BUSY, "another process is delivering it")
        except FileNotFoundError:
            pass  # the delivery reports it
        except OSError as error:
            return portal.Answer(portal.BUSY, f"the file can't be used ({error.strerror or error})")
        delivery = Delivery(path)
        delivery.progress = self._report.progress
        answer = delivery.deliver(self._client)
        self._report.tell_refused(delivery)
        return answer

    def _refusal(self):
        """Why the portal accepts nothing now; None if it does. Called before a file is addressed to that portal."""
        answer = None if self._is_known else self._client.check_token()
        # An invalid body is refused only after the token was accepted.
        self._is_known = answer is None or answer.outcome == portal.QUARANTINE
        return None if self._is_known else answer

    def _send_so_far(self, under_way: list[WaitingFile]) -> None:
        """Send what living processes have recorded so far; their own uploaders send the rest."""
        for each in under_way:
            if not is_same(each.portal, self._client.url):
                continue
            if _is_over(self._patiently(partial(Delivery(each.path).deliver, self._client), each.path)):
                return

    def _try_again(self, items: list[quarantine.SetAside]) -> None:
        """Send what was set aside earlier, since the portal may accept it now."""

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
    """Whether the portal accepts nothing now."""
    return answer.outcome in ("retry", "stop")


def _wait_for_another(path: str) -> bool:
    """Wait while another process delivers a file; False if none does, or it makes no progress."""
    sent, size, until = Sent(path), -1, time.monotonic()
    has_waited = False
    while _is_held(sent):
        if bytes_of(sent.path) != size:
            size, until = bytes_of(sent.path), time.monotonic() + STALLED_S
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
