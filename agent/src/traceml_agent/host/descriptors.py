"""Descriptors that the agent keeps open, in a process whose code may close any of them and reuse its number.

Daemons close all descriptors from 3 up, and the next file that the user opens gets a number that was ours. So device
and inode are checked before every use. A forked child closes its copies: a shared lock would look as if the run lived
on.
"""

from __future__ import annotations

import contextlib
import os

_open: set[Descriptor] = set()


class Descriptor:
    """An open descriptor that now belongs to the agent."""

    def __init__(self, number: int):
        self.number = number
        self._identity = _identity(number)
        _open.add(self)

    @property
    def is_ours(self) -> bool:
        """Whether the number still refers to our file."""
        try:
            return self._identity == _identity(self.number)
        except OSError:
            return False

    def close(self) -> None:
        """Close it, unless the number now belongs to the user."""
        _open.discard(self)
        if self.number >= 0 and self.is_ours:
            os.close(self.number)
        self.number = -1

    def let_go(self) -> None:
        """Forget it, since its owner has closed it."""
        _open.discard(self)
        self.number = -1


@contextlib.contextmanager
def above_standard():
    """If a standard stream is closed, nothing opened inside may take its number: a spool is not stdout."""
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
