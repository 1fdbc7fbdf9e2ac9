"""The uploader's process: delivers its parent's spool files and those of dead processes, politely, until it is done."""

from __future__ import annotations

import math
import os
import time
from typing import Any

from traceml_agent import config
from traceml_agent.spool_folder import QUARANTINE, folders, has_living_writer, spool_files
from traceml_agent.uploader import Line, is_for

#: How long it goes on trying, in an outage, for a parent that is gone; after that the next start or `sync` delivers.
LINGER_S = 60.0
#: How often it looks whether a portal that refuses uploads still does.
LOOK_AGAIN_S = 900.0
MAX_BACKOFF_S = 300.0
#: How soon it asks again for a file that another process is just delivering; doubles each time.
BUSY_S = 0.1
CONNECT_S = 3.0
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
#: A portal takes a run for lost that is silent for three upload intervals; after this many it hears that the run lives.
SILENT_INTERVALS = 1.5
#: So many warnings of so many characters fit in the socket even if the parent never reads one.
MAX_WARNINGS, MAX_WARNING = 20, 400


def main() -> None:
    """The process: settings from the first line, then deliver until the parent is gone and nothing is left."""
    import socket

    line = Line(socket.socket(fileno=0))
    messages = line.receive(10.0)
    if messages:
        settings = config.Settings()
        for name, value in messages[0]["settings"].items():
            settings.take(name, value, "parent")
        _Work(settings, line, messages[0]["parent"]).run(messages[1:])


class _Work:
    """What the process knows: its parent's files, those of dead processes, when to try again, and until when."""

    def __init__(self, settings, line: Line, parent: int):
        self.settings, self.line, self.parent = settings, line, parent
        self.client: Any = None
        self.files: dict = {}  # path: its Delivery, once it has one
        self.fresh: list[str] = []  # files whose run the portal has not been told of
        self.orphans: list[str] = []
        self.has_looked = False  # for orphans
        self.is_delivered = False  # all of `files`, when it was last tried
        self.is_busy, self.busy_rounds = False, 0  # another process has one of them, or the disk refuses
        self.is_refused = False
        self.flush = 0  # the number of the answer that the parent waits for
        self.failures = 0
        self.next_round = time.monotonic() + settings.upload_s
        self.not_before = 0.0
        self.give_up_at = math.inf
        self.warned: set[str] = set()
        self.trouble = ""  # what failed last, if it was not told: only a parent that is left with it hears it

    def run(self, messages: list[dict]) -> None:
        """Work through messages and what is due, until the parent is gone and nothing is left to do."""
        while True:
            self._take(messages)
            self._work()
            if self.flush and not self.is_busy:
                self._answer()
            if self.line.ended and (self._is_through() or time.monotonic() > self.give_up_at):
                return
            messages = self._wait()

    def _take(self, messages: list[dict]) -> None:
        for message in messages:
            if "own" in message:
                self.files[message["own"]] = None
                self.fresh.append(message["own"])
            if "wake" in message or "flush" in message:
                self.next_round, self.busy_rounds = time.monotonic(), 0
            self.flush = message.get("flush", self.flush)

    def _answer(self) -> None:
        """Tell the parent, which waits for it, whether all is delivered."""
        reason = "" if self.is_delivered else self.trouble
        self.line.send({"flush": self.flush, "flushed": self.is_delivered, "reason": reason}, wait_s=1.0)
        self.flush = 0

    def _is_through(self) -> bool:
        return self.is_refused or (self.is_delivered and not self.orphans)

    def _wait(self) -> list[dict]:
        """Wait for messages, or until something is due."""
        due_at = 0.0 if self.fresh or self.orphans else self.next_round
        seconds = max(due_at, self.not_before) - time.monotonic()
        if self.line.ended:
            time.sleep(max(0.0, min(seconds, 5.0)))
            return []
        messages = self.line.receive(min(seconds, self.settings.upload_s))
        # A forked child of the parent may hold the socket open after it.
        self.line.ended |= os.getppid() != self.parent
        if self.line.ended:
            self.give_up_at = time.monotonic() + LINGER_S
            self.next_round, self.not_before, self.has_looked, self.is_refused = 0.0, 0.0, False, False
        return messages

    def _work(self) -> None:
        """Do one thing that is due. The second of the agent's two broad borders: what fails here is tried again."""
        now = time.monotonic()
        if now < self.not_before and not self.flush:
            return
        try:
            if not (self.client or self._connect()):
                self.is_delivered = self.is_busy = False
            elif now >= self.next_round:
                self._deliver_all()
            elif self.fresh:
                self._announce(self.fresh[0])
            elif self.orphans:
                self._deliver_orphan()
        except Exception as error:  # noqa: BLE001
            self.is_delivered = self.is_busy = False
            self._back_off(None, f"uploading failed with {type(error).__name__}")

    def _connect(self) -> bool:
        """Load the client once somebody listens: that nobody does is known in milliseconds, and loading takes 0.2 s."""
        try:
            config.check_url(self.settings.url, self.settings.allow_http)
            if not _answers(self.settings.url):
                self._back_off(None, f"{self.settings.url} does not answer")
                return False
            from traceml_agent.client import Client

            self.client = Client(self.settings)
        except config.Refused as refusal:
            self._stop(str(refusal))
        return self.client is not None

    def _deliver_all(self) -> None:
        """Deliver the parent's files. What fails stays due, for as soon as the back-off allows."""
        self.is_delivered = self.is_busy = False
        self.next_round = time.monotonic()
        alive = False if self.line.ended else None
        for path in list(self.files):
            answer = self._deliver(path, silence_s=SILENT_INTERVALS * self.settings.upload_s, alive=alive)
            if answer is None:
                return
            self.is_busy |= answer.is_busy
        self.fresh.clear()
        self.is_delivered = not self.is_busy
        self.next_round += self._pause_s()
        self._succeed()

    def _pause_s(self) -> float:
        """Until the next round: an upload interval, or soon where another process has a file, or the disk refuses."""
        self.busy_rounds = self.busy_rounds + 1 if self.is_busy else 0
        whole_s = self.settings.upload_s * _jitter(0.9, 1.1)
        return min(whole_s, BUSY_S * 2.0 ** min(self.busy_rounds, 20)) if self.is_busy else whole_s

    def _announce(self, path: str) -> None:
        if self._deliver(path, header_only=True):
            self.fresh.remove(path)
            self._succeed()

    def _deliver_orphan(self) -> None:
        path = self.orphans.pop(0)
        if self._deliver(path):
            self._succeed()
        else:
            self.orphans.append(path)

    def _deliver(self, path: str, **how):
        """Deliver a file; the answer, or None where it is not worth trying another file now."""
        from traceml_agent import client as portal
        from traceml_agent.delivery import Delivery

        delivery = self.files.get(path) or Delivery(path)
        if path in self.files:
            self.files[path] = delivery
        answer = delivery.deliver(self.client, **how)
        if delivery.done:
            self.files.pop(path, None)
        if answer.outcome == portal.RETRY:
            return self._back_off(answer.after_s, answer.reason)
        if answer.outcome == portal.STOP:
            return self._stop(f"the portal refuses uploads: {answer.reason}")
        if answer.outcome == portal.QUARANTINE:
            self._warn(f"not all was taken ({answer.reason}); see {os.path.join(os.path.dirname(path), QUARANTINE)}")
        return answer

    def _succeed(self) -> None:
        self.failures, self.not_before, self.is_refused = 0, 0.0, False
        self._look_for_orphans()

    def _look_for_orphans(self) -> None:
        """Find files of dead processes: once when the portal first answers, and once at the end of the parent."""
        if not self.has_looked:
            self.has_looked = True
            found = [path for place in folders(self.settings) for path in spool_files(place)]
            self.orphans = [path for path in found if path not in self.files and self._is_orphan(path)]

    def _is_orphan(self, path: str) -> bool:
        return not has_living_writer(path) and is_for(path, self.settings)

    def _stop(self, reason: str) -> None:
        """Leave a portal alone that refuses uploads, but for a look from time to time."""
        self._warn(f"{reason.rstrip('.')}. The spool keeps everything.")
        self.is_refused, self.trouble = True, ""
        self.not_before = time.monotonic() + LOOK_AGAIN_S

    def _back_off(self, after_s: float | None, reason: str) -> None:
        """Wait 1 s, doubling to 5 min, with full jitter; or longer where the portal asks for it.

        From 5 min on the jitter adds: nine tries fall into the first minutes, and then one in five.
        """
        wait_s = 2.0 ** min(self.failures, 9)
        jittered_s = _jitter(0.0, wait_s) if wait_s < MAX_BACKOFF_S else MAX_BACKOFF_S + _jitter(0.0, 30.0)
        self.failures += 1
        self.trouble = reason[:MAX_WARNING]
        self.not_before = time.monotonic() + max(jittered_s, after_s or 0.0)

    def _warn(self, message: str) -> None:
        if message not in self.warned and len(self.warned) < MAX_WARNINGS:
            self.warned.add(message)
            self.line.send({"warning": message[:MAX_WARNING]})


def _jitter(low: float, high: float) -> float:
    import random

    return random.uniform(low, high)  # noqa: S311


def _answers(url: str) -> bool:
    """Whether somebody listens there. Behind a proxy, assume so."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    host = parts.hostname or ""
    if not config.is_loopback(host) and any(os.environ.get(name) for name in PROXIES):
        return True
    try:
        socket.create_connection((host, parts.port or config.PORTS[parts.scheme]), CONNECT_S).close()
    except (OSError, ValueError):
        return False
    return True
