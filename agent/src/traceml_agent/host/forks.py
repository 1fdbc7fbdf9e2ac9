"""Keeps a fork from happening in the middle of something, which would stay unfinished in the child for ever.

If the sampler's thread is importing a module during a fork, the child can never import that module. So a fork waits
until such work is done, for a limited time.
"""

from __future__ import annotations

import os
import threading

#: A driver may hang while it loads or is read. A fork waits no longer than this.
MOST_S = 2.0
#: Our own modules always load in the end, though from a busy network drive in many seconds; a child that was forked
#: before would wait for them for ever.
LONGEST_LOAD_S = 20.0


class _Undivided:
    """A reentrant lock that such work and each fork hold.

    If its holder hangs, only the first one waits for it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._hangs = False
        #: Whether its holder loads modules of ours; more than once while one loads another.
        self.loads = 0
        self._of_thread = threading.local()

    def __enter__(self) -> None:
        held = self._lock.acquire(timeout=0 if self._hangs else MOST_S)
        if not held and self.loads:
            held = self._lock.acquire(timeout=LONGEST_LOAD_S)
        self._hangs = not held
        vars(self._of_thread).setdefault("held", []).append(held)

    def __exit__(self, *_) -> None:
        if self._of_thread.held.pop():
            self._lock.release()

    def is_held(self) -> bool:
        """Whether this thread holds it: it does not if it has waited in vain."""
        return self._of_thread.held[-1]


undivided = _Undivided()


class _Loading:
    """The same for work that loads our own modules, for which a fork waits as long as it takes."""

    def __enter__(self) -> None:
        undivided.__enter__()
        undivided.loads += undivided.is_held()

    def __exit__(self, *_) -> None:
        undivided.loads -= undivided.is_held()
        undivided.__exit__()


loading = _Loading()


def _after_in_child() -> None:
    undivided.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=undivided.__enter__, after_in_parent=undivided.__exit__, after_in_child=_after_in_child)
