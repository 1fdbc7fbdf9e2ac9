"""The uploader's process: delivers the spool files of the training that started it and of dead processes, without
overloading the portal, and records how the training ended if the training can't."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from typing import Any

from traceml_agent.delivery.channel import Channel
from traceml_agent.delivery.family import Family
from traceml_agent.delivery.readdress import is_for
from traceml_agent.host import forks
from traceml_agent.host.endings import Life
from traceml_agent.inputs import config
from traceml_agent.spool import aftermath, board
from traceml_agent.spool.files import has_living_writer, spool_files
from traceml_agent.spool.folder import folders

#: The first samples are sent this soon, later ones further apart, up to the upload interval.
FIRST_S = 2.5
#: How long it keeps trying during an outage after the training has ended. Then the next run or `sync` delivers.
LINGER_S = 60.0
#: The same after it was told to stop, like all processes of a service.
LINGER_TOLD_S = 5.0
#: How long it waits for the exit code of a process that said goodbye.
GOODBYE_S = 5.0
#: How often it checks whether a portal that refuses uploads still does.
LOOK_AGAIN_S = 900.0
MAX_BACKOFF_S = 300.0
#: How soon it retries a file that another process is delivering; doubles each time.
BUSY_S = 0.1
CONNECT_S = 3.0
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
#: A portal thinks that a run is lost after three silent upload intervals. After this many, it is told that the run
#: lives.
SILENT_INTERVALS = 1.5
#: As many warnings of this length fit in the socket even if the training never reads one.
MAX_WARNINGS, MAX_WARNING = 20, 400


def main() -> None:
    """Run the process until the training has ended and nothing is left."""
    import socket

    serve(Channel(socket.socket(fileno=0)))


def serve(line: Channel) -> None:
    """Read the settings from the first line, then deliver until the training has ended and nothing is left."""
    messages = line.receive(10.0)
    if not messages:
        return
    settings = config.Settings()
    for name, value in messages[0]["settings"].items():
        settings.take(name, value, "parent")
    line.send({"hello": os.getpid()})
    life = Life(messages[0]["parent"], messages[0]["began"], messages[0]["life"])
    work = _UploaderLoop(settings, line, life)
    if os.getpid() != messages[0]["parent"]:
        # Stopping a service stops all of its processes; the records are delivered first.
        for name in ("SIGTERM", "SIGHUP", "SIGINT"):
            signal.signal(getattr(signal, name), work.told_to_stop)
    work.run(messages[1:])


class _UploaderLoop:
    """The state of the process: the training's files, those of dead processes, when to try again, and until when."""

    def __init__(self, settings, line: Channel, life: Life):
        self.settings, self.line, self.life = settings, line, life
        self.family = Family(settings, life.pid, life.began)
        self.client: Any = None
        self.files: dict = {}  # path: its Delivery, if it has one
        self.unsure: dict[str, tuple[dict, dict]] = {}  # path: header and finish of runs that ended with the process
        self.fresh: list[str] = []  # files whose run is not announced yet
        self.orphans: list[str] = []
        self.has_looked = False  # for orphans
        self.is_over = self.has_said_goodbye = False
        self.told_at: float | None = None
        self.is_delivered = False  # all of `files`, when it was last tried
        self.is_busy, self.busy_rounds = False, 0  # another process has one of them, or the disk refuses
        self.is_refused = False
        self.flush = 0  # the number of the answer that the training waits for
        self.failures = 0
        self.youngest_at = time.monotonic()
        self.next_round = self.youngest_at + self._pause_s()
        self.not_before = 0.0
        self.give_up_at = math.inf
        self.warned: set[str] = set()
        self.trouble = ""  # the last failure, unless a warning reported it; sent only to a training that waits

    def told_to_stop(self, *_) -> None:
        """Handle a signal to stop."""
        self.told_at = time.monotonic()
        self.give_up_at = min(self.give_up_at, self.told_at + LINGER_TOLD_S) if self.is_over else self.give_up_at

    def run(self, messages: list[dict]) -> None:
        """Handle messages and what is due, until the training has ended and nothing is left to do."""
        while True:
            self._take(messages)
            self._work()
            if self.flush and not self.is_busy:
                self._answer()
            if self._may_go():
                return
            messages = self._wait()

    def _take(self, messages: list[dict]) -> None:
        for message in messages:
            if "own" in message:
                self._own(message["own"])
            if "wake" in message or "flush" in message:
                self.next_round, self.busy_rounds = time.monotonic(), 0
            self.flush = message.get("flush", self.flush)
            if "bye" in message:
                self._end_soon(GOODBYE_S)
                self.has_said_goodbye = True

    def _own(self, path: str) -> None:
        self.family.add(path)
        self.files[path] = None
        self.fresh.append(path)
        self.youngest_at = time.monotonic()
        self.next_round = min(self.next_round, self.youngest_at + self._pause_s())

    def _answer(self) -> None:
        """Tell the waiting training whether everything is delivered."""
        reason = "" if self.is_delivered else self.trouble
        self.line.send({"flush": self.flush, "flushed": self.is_delivered, "reason": reason}, wait_s=1.0)
        self.flush = 0

    def _may_go(self) -> bool:
        if not (self.is_over or self.has_said_goodbye):
            return False
        is_through = self.is_refused or (self.is_delivered and not self.orphans)
        is_sure = self.is_over or not self.unsure
        return (is_through and is_sure) or time.monotonic() > self.give_up_at

    def _wait(self) -> list[dict]:
        """Wait for messages, for the end of the training, or until something is due."""
        due_at = 0.0 if self.fresh or self.orphans else self.next_round
        seconds = min(max(due_at, self.not_before), self.give_up_at) - time.monotonic()
        if self.is_over:
            time.sleep(max(0.0, min(seconds, 5.0)))
            return []
        others = [] if self.line.ended else [self.line.number]
        is_over = self.life.wait(others, min(seconds, self.settings.upload_s), closely=self.has_said_goodbye)
        messages = [] if self.line.ended else self.line.receive(0.0)
        if is_over:
            self._take(messages)
            self._see_the_end()
            return []
        return messages

    def _see_the_end(self) -> None:
        """The training's process has ended: write into its runs how it ended, then deliver."""
        self.is_over = True
        code, word = self.life.exit_code(), ""
        if code is None and self.told_at is not None:
            code = -signal.SIGTERM
        if code in (None, -signal.SIGKILL) and self.life.was_out_of_memory():
            code, word = -signal.SIGKILL, "SIGKILL (out of memory)"
        for path in {*self.family.own, *self.family.found()}:
            with contextlib.suppress(OSError):
                if self.family.is_written_here(path):
                    aftermath.conclude(path, code, word, is_known=True)
        for path, (header, finish) in self.unsure.items():
            if code:
                with contextlib.suppress(OSError):
                    aftermath.correct(path, header, finish, code)
                    self.files[path] = None
        self.unsure.clear()
        self._end_soon(LINGER_TOLD_S if self.told_at is not None else LINGER_S)

    def _end_soon(self, most_s: float) -> None:
        """Deliver the rest now, for at most `most_s`. A portal that refused is not asked again."""
        self.give_up_at = time.monotonic() + most_s
        self.next_round, self.has_looked, self.is_delivered = 0.0, False, False
        if not self.is_refused:
            self.not_before = 0.0

    def _work(self) -> None:
        """Do one thing that is due. Catches every exception, since what fails is tried again."""
        now = time.monotonic()
        if now < self.not_before and (self.is_refused or not self.flush):
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
        """Load the client if somebody listens: finding that out takes milliseconds, loading takes 0.2 s."""
        try:
            config.check_url(self.settings.url, self.settings.allow_http)
            if not _listens(self.settings.url):
                self._back_off(None, f"{self.settings.url} does not answer")
                return False
            with forks.undivided():
                from traceml_agent.delivery.client import Client

            self.client = Client(self.settings)
        except config.Refused as refusal:
            self._stop(str(refusal))
        return self.client is not None

    def _deliver_all(self) -> None:
        """Deliver the training's files. What fails stays due, as soon as the backoff allows."""
        self.is_delivered = self.is_busy = False
        self.next_round = time.monotonic()
        self.files = dict.fromkeys(self.family.found()) | self.files
        for path in list(self.files):
            answer = self._deliver(path, silence_s=SILENT_INTERVALS * self.settings.upload_s)
            if answer is None:
                return
            self.is_busy |= answer.is_busy
        self.fresh.clear()
        self.is_delivered = not self.is_busy
        self.next_round += self._pause_s()
        self._succeed()

    def _pause_s(self) -> float:
        """Seconds until the next round: few for a young run, later an upload interval; at once if a file is busy."""
        self.busy_rounds = self.busy_rounds + 1 if self.is_busy else 0
        age_s = time.monotonic() - self.youngest_at
        whole_s = min(self.settings.upload_s, max(FIRST_S, age_s)) * _jitter(0.9, 1.1)
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
        """Deliver a file. Returns the answer, or None if trying another file now is no use."""
        from traceml_agent.delivery import client as portal
        from traceml_agent.delivery.delivery import Delivery

        delivery = self.files.get(path) or Delivery(path)
        if path in self.files:
            self.files[path] = delivery
        answer = delivery.deliver(self.client, **how)
        self._tell(delivery)
        if delivery.unsure and not self.is_over:
            self.unsure[path] = delivery.unsure
        if delivery.done:
            self.files.pop(path, None)
        if answer.outcome == portal.RETRY:
            return self._back_off(answer.after_s, answer.reason)
        if answer.outcome == portal.STOP:
            return self._stop(f"the portal refuses uploads: {answer.reason}")
        if answer.outcome in (portal.QUARANTINE, portal.HELD):
            self._warn(f"the portal refused part of a run: {answer.reason}. `traceml-agent sync` lists it.")
        if answer.outcome == portal.GONE:
            self._warn(f"run {delivery.run_id} was deleted on the portal, so its measurements are not uploaded")
        if delivery.trouble:
            self._warn(f"{delivery.trouble}. It stays in the spool and is tried again.")
        if self.client.notice:
            self._warn(self.client.notice)
        return answer

    def _tell(self, delivery) -> None:
        """Tell the training what the portal refused, so that its run counts it."""
        for what, reason, count in delivery.refused:
            self.line.send({"refused": [what, reason[:MAX_WARNING], count], "run": delivery.run_id})
        delivery.refused.clear()

    def _succeed(self) -> None:
        self.failures, self.not_before, self.is_refused = 0, 0.0, False
        self._look_for_orphans()

    def _look_for_orphans(self) -> None:
        """Find files of dead processes, once when the portal first answers and once at the end of the training."""
        if not self.has_looked:
            self.has_looked = True
            found = [path for place in folders(self.settings) for path in spool_files(place)]
            board.sweep(found)
            self.orphans = [path for path in found if path not in self.files and self._is_orphan(path)]

    def _is_orphan(self, path: str) -> bool:
        return not has_living_writer(path) and is_for(path, self.settings)

    def _stop(self, reason: str) -> None:
        """Stop uploading to a portal that refuses, except for an occasional check."""
        self._warn(f"{reason.rstrip('.')}. Everything stays in the spool.")
        self.is_refused, self.trouble = True, ""
        self.not_before = time.monotonic() + LOOK_AGAIN_S

    def _back_off(self, after_s: float | None, reason: str) -> None:
        """Wait 1 s, doubling up to 5 min, with full jitter, or longer if the portal asks for it.

        From 5 min on, jitter is added. So there are nine tries in the first minutes, then one every five minutes.
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


def _listens(url: str) -> bool:
    """Whether somebody listens at a URL; assumed so behind a proxy."""
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
