"""What was sent of a spool file: lines of JSON, each with a checksum, in `X.sent` beside `X.spool`.

`{"batch": [first, last]}` is written before these records are first sent together, so that a repeat after a crash sends
the same bytes under the same id; `{"ack": [first, last]}` once they are delivered. The process that delivers holds a
lock on the file, but correctness does not depend on it: of two plans that overlap, the first one is valid.
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

Batch = tuple[int, int]
MAX_LINE_BYTES = 200


class Sent:
    """The batches of a spool file's records: planned, and acknowledged."""

    def __init__(self, spool_path: str):
        self.path = spool_path.removesuffix(SUFFIX) + SENT_SUFFIX
        self._descriptor = -1
        self._read_bytes = 0
        self._batches: list[Batch] = []  # ascending, and none overlaps another
        self._acknowledged: set[Batch] = set()

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Open, lock and read it; False if another process has it."""
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

    def plan(self, batches: list[Batch]) -> None:
        """Write down which records are sent together. If another process planned some of them first, its plan is
        valid."""
        for batch in batches:
            self._write("batch", batch)
        if batches:
            self._read()

    def acknowledge(self, batch: Batch) -> None:
        self._write("ack", batch)
        self._acknowledged.add(batch)

    def batch_of(self, n: int) -> Batch | None:
        """The batch that a record belongs to, or None if it has none yet."""
        at = bisect_right(self._batches, (n, 1 << 60)) - 1
        return self._batches[at] if at >= 0 and self._batches[at][1] >= n else None

    def is_acknowledged(self, n: int) -> bool:
        return self.batch_of(n) in self._acknowledged

    def _write(self, word: str, batch: Batch) -> None:
        """Write a line, even after one that a full disk tore. Raises OSError if it can't be written completely."""
        line = b"\n" + sealed(json.dumps({word: batch}).encode())
        if os.write(self._descriptor, line) != len(line):
            raise OSError(f"{self.path} can't be written")

    def _read(self) -> None:
        """Read the lines added since the last time."""
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
            self._batches.insert(bisect_right(self._batches, (first, last)), (first, last))

    def _overlaps(self, first: int, last: int) -> bool:
        at = bisect_right(self._batches, (last, 1 << 60)) - 1
        return at >= 0 and self._batches[at][1] >= first
