"""The uploader, from the training's side: a separate process delivers the spool, so that TLS and imports delay nothing.

It gets messages from the training through a socket (first the settings with the token, which is never in argv; then one
for each spool file and wake-up) and answers through it. It is nobody's child, so `os.wait()` in the user's code never
sees it. It leads its own session, so Ctrl-C in a terminal does not end it. It outlives the training, sees how that
ended, and delivers the rest.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from traceml_agent.delivery import detached
from traceml_agent.delivery.channel import Channel
from traceml_agent.host import endings, forks
from traceml_agent.host.descriptors import above_standard
from traceml_agent.messages import warn

#: How often an uploader that exits at once is started.
MOST_STILLBORN = 3
#: The uploaders of this process, by portal, token and folder. One serves all of its runs.
_uploaders: dict[tuple, Uploader | None] = {}
#: A signal handler may start a run while the code that it interrupted does so.
_launching = threading.RLock()


class Uploader:
    """The training's view of its uploader process."""

    def __init__(self, line: Channel, flush_s: float):
        self._line = line
        self.flush_s = flush_s
        self.pid = 0  # once it has sent it
        self.stillborn = 0  # how many before this one exited at once
        self._pid = os.getpid()
        self._flushes = 0
        #: Every run's sampler reads answers, and a signal handler may do so at the same time.
        self._hearing = threading.Lock()
        self.refused: list[dict] = []  # what the portal refused of this process's runs

    @property
    def is_gone(self) -> bool:
        """Whether it can no longer be reached."""
        return self._line.ended

    def own(self, path: str) -> None:
        """Tell it about a spool file of this process with its header, so that the run is announced at once."""
        self._say({"own": path})

    def wake(self) -> None:
        """Ask it to deliver now."""
        self._say({"wake": 1})

    def _say(self, message: dict) -> None:
        if os.getpid() == self._pid:
            self._line.send(message)

    def hear(self, wait_s: float = 0.0) -> list[dict]:
        """Log warnings that have arrived, and keep what was refused. Returns the answers to `_flush`."""
        if os.getpid() != self._pid or not self._hearing.acquire(timeout=wait_s):
            return []
        try:
            answers = self._line.receive(wait_s)
            self.refused += [answer for answer in answers if "refused" in answer]
        finally:
            self._hearing.release()
        for answer in answers:
            self.pid = answer.get("hello", self.pid)
            if "warning" in answer:
                warn(answer["warning"])
        return [answer for answer in answers if "flush" in answer]

    def refused_of(self, run_id: str) -> list[tuple[str, str, int]]:
        """What the portal refused of a run since the last call: what, why, how many."""
        mine = [each for each in self.refused if each["run"] == run_id]
        for each in mine:
            self.refused.remove(each)  # from a list that other threads may add to
        return [tuple(each["refused"]) for each in mine]

    def finish(self, budget_s: float) -> bool:
        """Wait until all files of this process are delivered, at most `budget_s`; return at once if nobody answers."""
        if os.getpid() != self._pid:
            return False
        answer = self._flush(time.monotonic() + budget_s)
        is_delivered = bool(answer.get("flushed"))
        reason = answer.get("reason", "no answer yet")  # empty if a warning said it before
        if budget_s > 0 and reason and not is_delivered:
            remedy = "The spool keeps the rest for the next run or `traceml-agent sync`."
            warn(f"not everything is delivered yet ({reason}). {remedy}")
        return is_delivered

    def _flush(self, deadline: float) -> dict:
        """Ask for everything to be delivered. Returns the answer, or nothing if none came in time."""
        self._flushes += 1
        self._say({"flush": self._flushes})
        while not self._line.ended and (left_s := deadline - time.monotonic()) > 0:
            for answer in self.hear(left_s):
                if answer.get("flush") == self._flushes:
                    return answer
        return {}

    def close(self) -> None:
        """Say goodbye: the process delivers the rest and ends by itself.

        The channel stays open until this process ends, so that the uploader sees the end.
        """
        if os.getpid() == self._pid:
            self._say({"bye": 1})
            self._line.ended = True


def of(settings) -> Uploader | None:
    """This process's uploader for a portal, started if there is none or it is gone; None if that fails."""
    place = (settings.url, settings.token, settings.spool_dir, os.getpid())
    with _launching:
        known = _uploaders.get(place)
        if place not in _uploaders:
            _uploaders[place] = launch(settings)
        elif known and known.is_gone:
            _uploaders[place] = _launch_again(known, settings)
        return _uploaders[place]


def _launch_again(former: Uploader, settings) -> Uploader | None:
    """Replace an uploader that is gone; None if that would repeat for ever."""
    stillborn = 0 if former.pid else former.stillborn + 1
    if stillborn >= MOST_STILLBORN:
        warn("the uploader exits as soon as it starts. Deliver later with `traceml-agent sync`.")
        return None
    if launched := launch(settings):
        launched.stillborn = stillborn
    return launched


def all_of_this_process() -> list[Uploader]:
    """The uploaders that this process started; a forked child has none."""
    return [each for place, each in list(_uploaders.items()) if each and place[-1] == os.getpid()]


def launch(settings) -> Uploader | None:
    """Start the uploader's process; None, and a warning with the remedy, if that is not possible."""
    with forks.loading():
        import _socket

    if getattr(sys, "frozen", False):  # its executable is the application, which would start a second time
        warn("a frozen application can't start the uploader. Deliver with `traceml-agent sync`.")
        return None
    try:
        with above_standard():
            ours, theirs = _socket.socketpair()
        if detached.adopts_orphans():
            life = -1
            _start_thread(theirs)
        else:
            life = detached.start(theirs.fileno())
            theirs.close()
    except (OSError, ValueError, AttributeError, NotImplementedError) as error:
        warn(f"the uploader did not start ({error}). Deliver later with `traceml-agent sync`.")
        return None
    line = Channel(ours)
    parent = {"parent": os.getpid(), "began": endings.own_beginning(), "life": life}
    line.send(parent | {"settings": settings.as_dict()})
    return Uploader(line, settings.flush_s)


def _start_thread(theirs) -> None:
    """Upload from a thread, where `os.wait()` would see any process of ours. What it can't deliver stays."""
    with forks.loading():
        from traceml_agent.delivery.uploader_process import serve

    line = Channel(theirs)
    threading.Thread(target=serve, args=(line,), name="traceml-uploader", daemon=True).start()


def _forget_the_parents() -> None:
    """Make a new lock in a forked child: another thread of the parent may have held the old one."""
    global _launching
    _launching = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents)
