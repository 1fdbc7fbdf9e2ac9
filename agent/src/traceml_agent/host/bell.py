"""What wakes a thread of the agent before its time."""

from __future__ import annotations

import contextlib
import threading


class Bell:
    """Wakes who waits for it, and is remembered where nobody does.

    A bare lock, held while there is no reason to wake. An Event deadlocks where a signal's handler sets it that
    interrupted code which was about to; and waking from one delays a training by a third longer.
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # it rings already
            self._silent.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it rings, at most so long; whether it did."""
        return self._silent.acquire(timeout=seconds)
