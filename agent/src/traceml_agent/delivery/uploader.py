"""The uploader, seen from the training: a process of its own delivers the spool, so that TLS and imports stall nothing.

It hears from the training through a socket (first line: settings, the token among them, never argv; then a line for
each spool file and wake-up) and answers through the same. It is nobody's child, so that no `os.wait()` of the user's
code meets it, leads a session of its own, so that a terminal's Ctrl-C does not end it, and outlives the training: it
sees how that ended, and delivers the rest.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from traceml_agent.delivery import detached
from traceml_agent.delivery.channel import Channel
from traceml_agent.host import endings
from traceml_agent.host.descriptors import above_standard
from traceml_agent.messages import warn

#: So many that end before they say a word are started.
MOST_STILLBORN = 3
#: The uploaders of this process by portal, token and folder: one serves all of its runs.
_uploaders: dict[tuple, Uploader | None] = {}
#: A signal's handler may start a run while the code that it interrupted does.
_launching = threading.RLock()


class Uploader:
    """The training's handle on its uploader process."""

    def __init__(self, line: Channel, flush_s: float):
        self._line = line
        self.flush_s = flush_s
        self.pid = 0  # once it has said so
        self.stillborn = 0  # how many before it ended without a word
        self._pid = os.getpid()
        self._flushes = 0
        #: Every run's sampler hears, as may a signal's handler while its own thread does.
        self._hearing = threading.Lock()
        self.refused: list[dict] = []  # what the portal refused of this process's runs, as `refused` and `run`

    @property
    def is_gone(self) -> bool:
        """Whether it can't be reached any more."""
        return self._line.ended

    def own(self, path: str) -> None:
        """Tell it a spool file of this process, which has its header: the run is announced at once."""
        self._say({"own": path})

    def wake(self) -> None:
        """Ask it to deliver now."""
        self._say({"wake": 1})

    def _say(self, message: dict) -> None:
        if os.getpid() == self._pid:
            self._line.send(message)

    def hear(self, wait_s: float = 0.0) -> list[dict]:
        """Log the warnings that have come, and keep what was refused; returns the answers to `_flush`."""
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
        """What the portal refused of a run since this was asked last: what, why, how many."""
        mine = [each for each in self.refused if each["run"] == run_id]
        for each in mine:
            self.refused.remove(each)  # of a list that other threads add to meanwhile
        return [tuple(each["refused"]) for each in mine]

    def finish(self, budget_s: float) -> bool:
        """Wait until all of this process's files are delivered, at most `budget_s`; at once where nobody answers."""
        if os.getpid() != self._pid:
            return False
        answer = self._flush(time.monotonic() + budget_s)
        is_delivered = bool(answer.get("flushed"))
        reason = answer.get("reason", "no answer yet")  # empty where a warning told it before
        if budget_s > 0 and reason and not is_delivered:
            remedy = "The spool keeps the rest for the next run or `traceml-agent sync`."
            warn(f"not everything is delivered yet ({reason}). {remedy}")
        return is_delivered

    def _flush(self, deadline: float) -> dict:
        """Have everything delivered; the answer, or nothing where none came in time."""
        self._flushes += 1
        self._say({"flush": self._flushes})
        while not self._line.ended and (left_s := deadline - time.monotonic()) > 0:
            for answer in self.hear(left_s):
                if answer.get("flush") == self._flushes:
                    return answer
        return {}

    def close(self) -> None:
        """Let go: the process delivers what is left and ends by itself.

        The line stays open until this process ends, which tells that one when to look how.
        """
        if os.getpid() == self._pid:
            self._say({"bye": 1})
            self._line.ended = True


def of(settings) -> Uploader | None:
    """This process's uploader for a portal, started where there is none, or none any more; None where that fails."""
    place = (settings.url, settings.token, settings.spool_dir, os.getpid())
    with _launching:
        known = _uploaders.get(place)
        if place not in _uploaders:
            _uploaders[place] = launch(settings)
        elif known and known.is_gone:
            _uploaders[place] = _launch_again(known, settings)
        return _uploaders[place]


def _launch_again(former: Uploader, settings) -> Uploader | None:
    """Start one in place of one that is gone; none where that would go on for ever."""
    stillborn = 0 if former.pid else former.stillborn + 1
    if stillborn >= MOST_STILLBORN:
        warn("the uploader exits as soon as it starts. Deliver later with `traceml-agent sync`.")
        return None
    if launched := launch(settings):
        launched.stillborn = stillborn
    return launched


def all_of_this_process() -> list[Uploader]:
    """Those that were started here; a forked child has none."""
    return [each for place, each in list(_uploaders.items()) if each and place[-1] == os.getpid()]


def launch(settings) -> Uploader | None:
    """Start the uploader's process; None, with the remedy in a warning, where that can't be done."""
    import _socket

    if getattr(sys, "frozen", False):  # its executable is the application: it would start a second time
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
    """Upload from a thread, where any process of ours would be met by `os.wait()`; what it can't deliver stays."""
    from traceml_agent.delivery.uploader_process import serve

    line = Channel(theirs)
    threading.Thread(target=serve, args=(line,), name="traceml-uploader", daemon=True).start()


def _forget_the_parents() -> None:
    """Make a new lock in a forked child: another thread of the parent may have held the old one."""
    global _launching
    _launching = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents)
