"""The spool: a run's records on local disk, which are the queue for uploads.

Each run and process has a file of its own, `{run_id}.{writer}.spool`, and each record is one unbuffered write, so a
killed process loses nothing that was appended. As long as the process lives, it holds a shared lock on the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time

from traceml_agent.host.descriptors import Descriptor, above_standard
from traceml_agent.host.private import make_private, open_regular
from traceml_agent.messages import warn
from traceml_agent.spool import recording
from traceml_agent.spool.files import size_of
from traceml_agent.spool.folder import folder, is_in_memory
from traceml_agent.spool.names import SUFFIX

try:
    import fcntl
except ImportError:  # Windows: no locks, and correctness does not rest on them
    fcntl = None  # type: ignore[assignment]

SYNC_EVERY_S = 30.0
MEMORY_LIMIT_BYTES = 4 * 1024 * 1024
#: Space that is kept free for the last record, which makes the totals right.
RESERVED_BYTES = 64 * 1024


class Spool:
    """The spool file of one run and process. `append` never raises; what can't be written waits in limited memory."""

    def __init__(self, place: str | None, run_id: str, writer: str, limit_bytes: int):
        self.path = os.path.join(place, f"{run_id}.{writer}{SUFFIX}") if place else None
        self.dropped = 0
        self._n = 0
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self.is_closed = False
        self._limit_bytes = limit_bytes
        self._others_bytes = 0
        self._written_bytes = 0
        self._whole_bytes = 0  # the size at which the file is known to end with a line
        self._updates = 0
        self._waiting: list[bytes] = []
        self._synced_at = time.monotonic()
        self._descriptor: Descriptor | None = None
        self._header = b""

    @classmethod
    def create(cls, settings, run_id: str, writer: str) -> Spool:
        place, limit_bytes = folder(settings), int(settings.spool_mb * 1024 * 1024)
        if place is None:
            warn("no spool folder is writable, so the run is not uploaded. Set TRACEML_AGENT_SPOOL_DIR.")
        elif is_in_memory(place, settings):
            warn(f"no disk is writable, so the spool is in memory ({place}). Set TRACEML_AGENT_SPOOL_DIR.")
            limit_bytes = min(limit_bytes, MEMORY_LIMIT_BYTES)
        return cls(place, run_id, writer, limit_bytes)

    def next_number(self) -> int:
        """The number of a further record."""
        number, self._n = self._n, self._n + 1
        return number

    def append(self, kind: str, body: dict, number: int | None = None) -> bool:
        """Write a record; False if it has to wait or is left out. A forked child never writes. Nothing is written after
        `close`, or a delivered file would come back."""
        if os.getpid() != self._pid:
            return False
        with self._lock:
            if self.is_closed:
                return False
            kept = self._thinned(body) if kind == "update" else body
            number = self.next_number() if number is None else number
            if kept is None or (line := self._line(number, kind, kept)) is None:
                return False
            self._waiting.append(line)
            return self._drain() and kept is body

    def _line(self, number: int, kind: str, body: dict) -> bytes | None:
        try:
            line = recording.encode({"v": recording.VERSION, "n": number, "type": kind, "body": body})
        except (ValueError, TypeError, RecursionError) as error:
            warn(f"a record could not be written: {error}")
            self.dropped += 1
            return None
        if kind == "update" and len(line) > self._share_bytes() - self._written_bytes:
            self._drop("the spool is full, so new records are left out. Raise TRACEML_AGENT_SPOOL_MB.")
            return None
        if kind == "header":
            self._header = line
        return line

    def _drop(self, words: str) -> None:
        """Count a record that is left out, and warn."""
        self.dropped += 1
        warn(words)

    def _share_bytes(self) -> int:
        """Bytes that this run's updates may take."""
        return self._limit_bytes - self._others_bytes - RESERVED_BYTES

    def _thinned(self, body: dict) -> dict | None:
        """The update, or what is kept of it as the spool fills up: every 2nd in its second half, every 4th in its last
        quarter … Later counters replace those that are left out; stages and calls are kept, since they come only once.
        """
        every, share_bytes = 1, self._share_bytes()
        while every < 1 << 20 and (share_bytes - self._written_bytes) * 2 * every <= share_bytes:
            every *= 2
        self._updates += 1
        if self._updates % every == 0:
            return body
        self._drop("the spool is almost full, so some records are left out. Raise TRACEML_AGENT_SPOOL_MB.")
        once = {name: rows for name, rows in body.items() if name in ("stages", "calls") and rows}
        return once or None

    def _drain(self) -> bool:
        """Write what is waiting, oldest first. On a full disk, keep it in memory up to the limit.

        A signal's handler may come in between anywhere and write all of it, or even close the file. At worst a line is
        there twice, under one number.
        """
        while self._waiting and self._write(line := self._waiting[0]):
            with contextlib.suppress(ValueError):
                self._waiting.remove(line)
        self._shed()
        if time.monotonic() - self._synced_at > SYNC_EVERY_S:
            self.flush_to_disk()
        return not self._waiting

    def _write(self, line: bytes) -> bool:
        """Write one whole line or nothing: a short write (full disk) is cut off again, so that no two lines merge."""
        try:
            descriptor = self._descriptor
            if not self._is_usable(descriptor):
                if self.is_closed or not self._open(line):
                    return False
                descriptor = self._descriptor
            number, size = descriptor.number, os.fstat(descriptor.number).st_size  # type: ignore[union-attr]
            if size not in (0, self._whole_bytes) and os.pread(number, 1, size - 1) != b"\n":
                line = b"\n" + line  # after a rest that could not be cut off
            if self._descriptor is not descriptor:
                return False
            done = os.write(number, line)  # right after the question, or the number might be another file's
            if done == len(line):
                self._written_bytes = self._whole_bytes = size + done
                return True
            if os.fstat(number).st_size == size + done and self._descriptor is descriptor:
                os.ftruncate(number, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            if not self.is_closed:
                warn(f"the spool can't be written ({error.strerror}); records are kept in memory")
        return False

    def _is_usable(self, descriptor: Descriptor | None) -> bool:
        """Whether a descriptor is still ours and the file still has its name: the user's code may change both."""
        return descriptor is not None and descriptor.is_ours and os.fstat(descriptor.number).st_nlink > 0

    def _open(self, line: bytes) -> bool:
        """Open and lock the file. A file that is made again gets the header first, or it would be useless."""
        if self.path is None:
            return False
        if self._descriptor is not None:
            self._descriptor.close()
        make_private(os.path.dirname(self.path))  # it may have been deleted
        # Opened for reading too, which a shared lock over NFS needs.
        with above_standard():
            self._descriptor = Descriptor(open_regular(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT))
        number = self._descriptor.number
        if fcntl is not None:
            try:
                fcntl.flock(number, fcntl.LOCK_SH)
            except OSError:
                pass  # no locks on this file system; a file's age is used instead
        if line != self._header and not os.fstat(number).st_size:
            os.write(number, self._header)
        self._measure(number)
        return True

    def _measure(self, number: int) -> None:
        """Read the sizes again, since other runs share the space."""
        self._written_bytes = os.fstat(number).st_size
        self._others_bytes = max(0, size_of(os.path.dirname(self.path or "")) - self._written_bytes)

    def _shed(self) -> None:
        """Keep waiting records within the limit. Headers and finishes stay, since they are few and needed."""
        while sum(map(len, self._waiting)) > MEMORY_LIMIT_BYTES:
            oldest = next((i for i, line in enumerate(self._waiting) if b'"type":"update"' in line[:60]), None)
            if oldest is None:
                return
            self._waiting.pop(oldest)
            self._drop("the disk can't be written and memory is full: the oldest records are left out")

    def flush_to_disk(self) -> None:
        """Write everything to disk, so that it survives a power loss."""
        self._synced_at, descriptor = time.monotonic(), self._descriptor
        if descriptor is None or os.getpid() != self._pid:
            return
        try:
            if self._is_usable(descriptor):
                recording.sync_to_disk(descriptor.number)
                self._measure(descriptor.number)
        except OSError as error:
            if not self.is_closed:
                warn(f"the spool can't be synced ({error.strerror})")

    def close(self) -> bool:
        """Close the file. Returns whether everything appended was written."""
        self.is_closed = True
        if os.getpid() != self._pid:
            return False
        if self._descriptor is not None:
            self._descriptor.close()
            self._descriptor = None
        if self._waiting and self.path:
            warn(f"{len(self._waiting)} records lost: the spool could not be written")
        return not self._waiting
