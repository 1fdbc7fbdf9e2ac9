"""Descriptors that the agent keeps open, in a process whose code may close any number and open its own there.

Daemons close all descriptors from 3 up; a file that the user opens next gets a number that was ours. So each is told
apart by device and inode before every use. A forked child closes its copies: a lock that it shares would look as if
the run lived on.
"""

from __future__ import annotations

import contextlib
import os

_open: set[Descriptor] = set()


class Descriptor:
    """One of ours, by its number; takes over an open one."""

    def __init__(self, number: int):
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

    def let_go(self) -> None:
        """Know nothing of it any more: what it belonged to has closed it."""
        _open.discard(self)
        self.number = -1


@contextlib.contextmanager
def above_standard():
    """Where a standard stream is closed, let nothing that is opened within take its number: a spool is no stdout."""
    held = []
    try:
        while (number := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= 2:
            held.append(number)
        os.close(number)
        yield
    finally:
        for number in held:
            os.close(number)


def _identity(number: int) -> tuple[int, int]:
    found = os.fstat(number)
    return found.st_dev, found.st_ino


def _close_copies() -> None:
    for descriptor in list(_open):
        descriptor.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_copies)
