"""Keeps a fork from happening in the middle of something, which would stay unfinished in the child for ever.

If the sampler's thread is importing a module during a fork, the child can never import that module. So a fork waits
until such work is done, for a limited time.
"""

from __future__ import annotations

import os
import threading

#: A driver may hang while it loads or is read. A fork waits no longer than this.
MOST_S = 2.0


class _Undivided:
    """A reentrant lock that such work and each fork hold.

    If its holder hangs, only the first one waits for it.
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
