"""Descriptors that the agent keeps open, in a process whose code may close any number and open its own there.

Daemons close all descriptors from 3 up; a file that the user opens next gets a number that was ours. So each is told
apart by device and inode before every use. A forked child closes its copies: a lock that it shares would look as if
the run lived on.
"""

from __future__ import annotations

import os

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

_open: set[Descriptor] = set()


class Descriptor:
    """One of ours, by its number; takes over an open one. Never 0, 1 or 2, where a standard stream was closed."""

    def __init__(self, number: int):
        if number <= 2 and fcntl is not None:
            moved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
            os.close(number)
            number = moved
        self.number = number
        self._identity = _identity(number)
        _open.add(self)

    @property
    def is_ours(self) -> bool:
        """Whether the number still means the file that it meant."""
        try:
            return self._identity == _identity(self.number)
        except OSError:
            return False

    def close(self) -> None:
        """Close it, unless it is somebody else's by now."""
        _open.discard(self)
        if self.number >= 0 and self.is_ours:
            os.close(self.number)
        self.number = -1


def _identity(number: int) -> tuple[int, int]:
    found = os.fstat(number)
    return found.st_dev, found.st_ino


def _close_copies() -> None:
    for descriptor in list(_open):
        descriptor.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_copies)
