"""What a fork must not meet half done: the child would find it so for ever.

A module that the sampler's thread is just importing is one that the child's code then can't import. So a fork waits
until such a thing is done, for a bounded time.
"""

from __future__ import annotations

import os
import threading

#: A driver's library may hang while it loads; a fork that waits for it no longer than this is as safe as without us.
MOST_S = 2.0
#: Held while something of that kind is under way. The thread that holds it may fork itself.
undivided = threading.RLock()
_holding: list[bool] = []


def _before() -> None:
    _holding.append(undivided.acquire(timeout=MOST_S))


def _after_in_parent() -> None:
    if _holding.pop():
        undivided.release()


def _after_in_child() -> None:
    global undivided
    undivided = threading.RLock()
    _holding.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
