"""What a fork must not meet half done: the child would find it so for ever.

A module that the sampler's thread is just importing is one that the child's code then can't import. So a fork waits
until such a thing is done, for a bounded time.
"""

from __future__ import annotations

import os
import threading

#: A driver may hang while it loads or is read; who waits for it no longer than this is as safe as without us.
MOST_S = 2.0


class _Undivided:
    """Entered while something of that kind is under way, and by each fork; by a thread that is in it again at once.

    A lock that is waited for once: while what holds it hangs, nobody else waits again.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._hangs = False
        self._of_thread = threading.local()

    def __enter__(self) -> None:
        held = self._lock.acquire(timeout=0 if self._hangs else MOST_S)
        self._hangs = not held
        vars(self._of_thread).setdefault("held", []).append(held)

    def __exit__(self, *_) -> None:
        if self._of_thread.held.pop():
            self._lock.release()


undivided = _Undivided()


def _after_in_child() -> None:
    undivided.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=undivided.__enter__, after_in_parent=undivided.__exit__, after_in_child=_after_in_child)
