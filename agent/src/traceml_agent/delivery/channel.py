"""The channel between the training and its uploader: lines of JSON through a socket."""

from __future__ import annotations

import contextlib
import json

from traceml_agent.host.descriptors import Descriptor


class Channel:
    """Lines of JSON through a socket, for both ends. Nothing waits longer than it is told to."""

    def __init__(self, socket):
        self._descriptor = Descriptor(socket.detach())
        self._rest = b""
        self.ended = False

    @property
    def number(self) -> int:
        """The descriptor, for `select`."""
        return self._descriptor.number

    @contextlib.contextmanager
    def _socket(self):
        """The socket, as long as its number is still ours. Raises OSError after that.

        It has the low-level type that cooperative frameworks don't replace: theirs would switch to other code, or wait
        for a hub that is gone.
        """
        import _socket

        if not self._descriptor.is_ours:
            self.ended = True
            raise OSError("the descriptor was closed")
        found = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, self._descriptor.number)
        try:
            yield found
        finally:
            found.detach()

    def send(self, message: dict, wait_s: float = 0.0) -> None:
        """Send a line. It is lost if the other end is gone, or has no space for it within `wait_s`."""
        import _socket

        data = json.dumps(message).encode() + b"\n"
        try:
            with self._socket() as found:
                found.settimeout(wait_s)
                found.send(data, getattr(_socket, "MSG_NOSIGNAL", 0))  # a script may have made SIGPIPE fatal
        except (BrokenPipeError, ConnectionResetError):
            self.ended = True
        except OSError:
            pass

    def receive(self, wait_s: float) -> list[dict]:
        """Lines that arrive within the time. Returns with the first ones, or at the end."""
        try:
            with self._socket() as found:
                found.settimeout(max(wait_s, 0.0))
                data = found.recv(65536)
        except (BlockingIOError, TimeoutError):
            return []
        except OSError:
            data = b""
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return list(filter(None, map(_parsed, lines)))


def _parsed(line: bytes) -> dict | None:
    with contextlib.suppress(ValueError):
        return json.loads(line)
    return None
