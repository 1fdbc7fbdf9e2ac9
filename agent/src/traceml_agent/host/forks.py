"""Keeps a fork from happening in the middle of something, which would stay unfinished in the child for ever.

If the sampler's thread is importing a module during a fork, the child can never import that module. So a fork waits
until such work of other threads is done, for a limited time, and none begins while it forks.

There is no lock, since one could stay held: a signal's handler that raises, as time limits do, may strike between any
two steps of `__enter__` or `__exit__`. What stays listed then is forgotten with its block, which alone keeps it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref

#: A driver may hang while it loads or is read. A fork waits no longer than this.
MOST_S = 2.0
#: Our own modules always load in the end, though from a busy network drive in many seconds; a child that was forked
#: before would wait for them for ever.
LONGEST_LOAD_S = 20.0
LOOKS_EVERY_S = 0.001


class Work:
    """What a thread does in a `with` block, for which a fork waits up to `most_s`. Some may begin within some."""

    def __init__(self, most_s: float):
        self.most_s = most_s

    def __enter__(self) -> None:
        self.thread, listed = threading.get_ident(), weakref.ref(self)
        is_within = any(each.thread == self.thread for each in _in_progress())
        until = time.monotonic() + MOST_S
        _listed.add(listed)  # before it looks for a fork, which is listed before it looks for work
        while not is_within and (others := _forking - {self.thread}):
            _listed.discard(listed)
            if time.monotonic() > until:  # the fork's end was interrupted, or another library holds it up
                _forking.difference_update(others)
            time.sleep(LOOKS_EVERY_S)
            _listed.add(listed)

    def __exit__(self, *_) -> None:
        _listed.discard(weakref.ref(self))


def undivided() -> Work:
    """Loading or reading a driver: work that a fork must not divide."""
    return Work(MOST_S)


def loading() -> Work:
    """The same for loading modules of ours."""
    return Work(LONGEST_LOAD_S)


#: Work begun and not left, and the threads that fork just now. Each call of a set's methods is atomic.
_listed: set[weakref.ref[Work]] = set()
_forking: set[int] = set()


def _in_progress() -> list[Work]:
    found = {listed: listed() for listed in _listed.copy()}
    _listed.difference_update([listed for listed, work in found.items() if work is None])
    return [work for work in found.values() if work is not None]


def _before() -> None:
    """Wait for the work of other threads. None of them keeps a second fork waiting if it hangs."""
    thread, since = threading.get_ident(), time.monotonic()
    while True:
        _forking.add(thread)
        waited_s = time.monotonic() - since
        others = [work for work in _in_progress() if work.thread != thread]
        if all(waited_s >= work.most_s for work in others):
            break
        _forking.discard(thread)  # meanwhile, work may begin
        time.sleep(LOOKS_EVERY_S)
    for work in others:
        work.most_s = 0.0


def _after() -> None:
    _forking.discard(threading.get_ident())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_forking.clear)
