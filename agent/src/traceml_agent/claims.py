"""Which rank measures which GPU: each device once, however many ranks see it.

A claim is a byte of a file beside the spool that the ranks of the run lock; the system lets go of it when a rank dies.
Where files can't be locked every rank measures, and the portal counts one UUID once.
"""

from __future__ import annotations

import os
import zlib

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


class Claims:
    """The claims of one run; `folder` is one that its ranks share, such as the spool's."""

    def __init__(self, run_id: str, folder: str | None):
        self._path = os.path.join(folder, f"{run_id}.claims") if folder and fcntl else ""
        self._descriptor = -1

    def take(self, uuid: str) -> bool:
        """Whether this process may measure the device: no other of the run does."""
        if not (uuid and self._path):
            return True
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, zlib.crc32(uuid.encode()))
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def release(self) -> None:
        """Let go of all of them."""
        if self._descriptor >= 0:
            try:
                os.unlink(self._path)
            except OSError:
                pass
            os.close(self._descriptor)
            self._descriptor = -1
