"""What of a spool file was sent: lines of JSON, each with its checksum, in `X.sent` beside `X.spool`.

`{"batch": [first, last]}` stands there before records first travel together, so that a repeat after a crash sends the
very same bytes under the same id; `{"ack": [first, last]}` once they are delivered. Whoever delivers holds a lock on
it. Nothing rests on the lock: of two plans that overlap, the one that was written first holds for everybody.
"""

from __future__ import annotations

import contextlib
import json
import os
from bisect import bisect_right
from collections.abc import Iterator

from traceml_agent.host.private import open_regular
from traceml_agent.spool.names import SENT_SUFFIX, SUFFIX
from traceml_agent.spool.recording import sealed, unsealed

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

Group = tuple[int, int]
MAX_LINE_BYTES = 200


class Sent:
    """The groups of one spool file's records: planned, and acknowledged."""

    def __init__(self, spool_path: str):
        self.path = spool_path.removesuffix(SUFFIX) + SENT_SUFFIX
        self._descriptor = -1
        self._read_bytes = 0
        self._groups: list[Group] = []  # ascending, and none overlaps another
        self._acknowledged: set[Group] = set()

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Open, lock and read it; False where another process has it."""
        self._descriptor = open_regular(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            if held := self._lock():
                self._read()
            yield held
        finally:
            os.close(self._descriptor)

    def _lock(self) -> bool:
        if fcntl is not None:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                pass  # no locks on this file system
        return True

    def plan(self, groups: list[Group]) -> None:
        """Write down what is to travel together. Where another process was first with some of it, its plan holds."""
        for group in groups:
            self._write("batch", group)
        if groups:
            self._read()

    def acknowledge(self, group: Group) -> None:
        self._write("ack", group)
        self._acknowledged.add(group)

    def group_of(self, n: int) -> Group | None:
        """The group that a record belongs to, or None where it has none yet."""
        at = bisect_right(self._groups, (n, 1 << 60)) - 1
        return self._groups[at] if at >= 0 and self._groups[at][1] >= n else None

    def is_acknowledged(self, n: int) -> bool:
        return self.group_of(n) in self._acknowledged

    def _write(self, word: str, group: Group) -> None:
        """A line of its own even after one that a full disk tore; raises OSError where it can't be written whole."""
        line = b"\n" + sealed(json.dumps({word: group}).encode())
        if os.write(self._descriptor, line) != len(line):
            raise OSError(f"{self.path} can't be written")

    def _read(self) -> None:
        """Take the lines that came since the last look."""
        os.lseek(self._descriptor, self._read_bytes, os.SEEK_SET)
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            while (line := file.readline(MAX_LINE_BYTES)) and (line.endswith(b"\n") or len(line) == MAX_LINE_BYTES):
                self._read_bytes += len(line)
                with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
                    ((word, (first, last)),) = json.loads(unsealed(line)).items()
                    self._take(word, first, last)

    def _take(self, word: str, first, last) -> None:
        if not (type(first) is type(last) is int and 0 <= first <= last):
            return
        if word == "ack":
            self._acknowledged.add((first, last))
        elif word == "batch" and not self._overlaps(first, last):
            self._groups.insert(bisect_right(self._groups, (first, last)), (first, last))

    def _overlaps(self, first: int, last: int) -> bool:
        at = bisect_right(self._groups, (last, 1 << 60)) - 1
        return at >= 0 and self._groups[at][1] >= first
