"""Wakes a thread of the agent early."""

from __future__ import annotations

import contextlib
import threading


class Bell:
    """Wakes the thread that waits for it; if none waits, the next wait returns at once.

    It is a bare lock, held while there is no reason to wake. An Event deadlocks if a signal handler sets it while the
    interrupted code is doing so, and waking from one delays a training by a third more.
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # it rings already
            self._silent.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it rings, at most this long. Returns whether it did."""
        return self._silent.acquire(timeout=seconds)
