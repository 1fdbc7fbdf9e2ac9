"""What the ranks of a job on one host share: which of them measures which GPU, and what each has used so far.

It is a file beside the spool. A claim is a byte of it that a rank locks; the system releases the lock when the rank
dies. If files can't be locked, every rank measures, and the portal counts each UUID once.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib

from traceml_agent.host.descriptors import Descriptor, above_standard

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

#: Offset of the bytes that ranks keep locked as long as they live, above all claims, and size of a rank's totals.
ALIVE_AT, TOTALS_BYTES = 1 << 40, 512


class Claims:
    """One rank's claims. `folder` is one that the ranks of the run share, such as the spool's, or None."""

    def __init__(self, run_id: str, folder: str | None, local_rank: int = 0):
        self._path = os.path.join(folder, f"{run_id}.claims") if folder and fcntl else ""
        self._local_rank = local_rank
        self._descriptor: Descriptor | None = None

    def take(self, uuid: str) -> bool:
        """Whether this process may measure the device, since no other of the run does."""
        if not (uuid and self._path):
            return True
        try:
            fcntl.lockf(self._number(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, zlib.crc32(uuid.encode()))
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _number(self) -> int:
        """The file's descriptor, opened if necessary. Raises OSError."""
        if self._descriptor is None or not self._descriptor.is_ours:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            with above_standard():
                self._descriptor = Descriptor(os.open(self._path, flags, 0o600))
            fcntl.lockf(self._descriptor.number, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, ALIVE_AT + self._local_rank)
        return self._descriptor.number

    def tell(self, totals: dict[str, float]) -> None:
        """Tell the other ranks what this one has used so far."""
        if self._path:
            with contextlib.suppress(OSError):
                text = json.dumps(totals).encode().ljust(TOTALS_BYTES)
                os.pwrite(self._number(), text[:TOTALS_BYTES], self._local_rank * TOTALS_BYTES)

    def others(self, local_size: int) -> list[dict[str, float]]:
        """What the other ranks on this host reported last."""
        found = []
        for rank in range(local_size if self._path else 0):
            with contextlib.suppress(OSError, ValueError):
                text = os.pread(self._number(), TOTALS_BYTES, rank * TOTALS_BYTES).strip(b" \0")
                if rank != self._local_rank and text:
                    found.append(json.loads(text))
        return found

    def release(self) -> None:
        """Release all claims. The last rank deletes the file."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                if self._descriptor.is_ours:
                    fcntl.lockf(self._descriptor.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(self._path)
            self._descriptor.close()
            self._descriptor = None
