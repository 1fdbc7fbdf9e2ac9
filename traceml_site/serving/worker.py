"""A gunicorn worker with threads that only get requests that have arrived completely.

gunicorn's own `gthread` parses in the thread: sixteen sockets with half a request or half a body occupy sixteen
threads, and as many clients that don't close block its loop. Here one loop reads, with deadlines, and threads only
write to sockets; what a slow reader has not taken yet, the loop sends. It serves plain HTTP/1.1 for a proxy or a small
team; TLS and HTTP/2 are left to the proxy.
"""

import errno
import io
import re
import selectors
import socket
import time
from contextlib import suppress
from functools import partial

from gunicorn import http
from gunicorn.workers.gthread import TConn, ThreadWorker

from traceml_site.serving.stack import with_room

#: Deadlines in seconds: for the head from the first byte or the connection, then for the body.
HEAD_S, BODY_S = 10.0, 60.0
#: Seconds to wait for a reader that takes nothing, and for a client to close.
SEND_S, CLOSE_S = 20.0, 2.0
LARGEST_HEAD = 64 * 1024
#: Larger bodies are not read: the application refuses them by length.
LARGEST_BODY = 4 * 1024 * 1024
#: The most bytes buffered for all waiting connections, and for one unsent response.
HELD, UNSENT = 24 * 1024 * 1024, 1024 * 1024
AT_ONCE = 64 * 1024
#: Seconds for which a worker leaves a new connection to others, for each that it has: whoever has fewer is faster.
#: Else one worker got all connections of clients that come together, while the others had nothing to do.
LEAVES_S, LEAVES_MOST = 0.0003, 4

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r\n)")
#: Anything that looks like a length. Unless it is one plain number, the connection ends after the request, so that no
#: part of a body can be read as the next request.
_FRAMING = re.compile(rb"content-length|transfer-encoding")
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue")
_REFUSAL = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
TOO_SLOW, TOO_LONG = b"408 Request Timeout", b"431 Request Header Fields Too Large"


class PatientSocket(socket.socket):
    """Buffers what the client is too slow to read; a thread waits, with a deadline, only if the buffer is full."""

    def __init__(self, accepted: socket.socket):
        super().__init__(fileno=accepted.detach())
        self.unsent = bytearray()

    def setblocking(self, flag: bool) -> None:
        self.settimeout(SEND_S if flag else 0)

    def sendall(self, data, flags: int = 0) -> None:
        self.unsent += data
        self.push()
        if len(self.unsent) > UNSENT:
            self.settimeout(SEND_S)
            rest, self.unsent = self.unsent, bytearray()
            try:
                super().sendall(rest, flags)
            except TimeoutError:
                raise ConnectionResetError(errno.ECONNRESET, "the reader is too slow") from None

    def sendfile(self, file, offset: int = 0, count: int | None = None) -> int:
        """Use `sendall`, so that nothing overtakes buffered data."""
        file.seek(offset)
        sent = 0
        while data := file.read(AT_ONCE if count is None else min(AT_ONCE, count - sent)):
            self.sendall(data)
            sent += len(data)
        return sent

    def push(self) -> None:
        """Send what the socket takes without waiting."""
        self.settimeout(0)
        try:
            while self.unsent:
                del self.unsent[: self.send(self.unsent[:AT_ONCE])]
        except (BlockingIOError, InterruptedError):
            pass


class Connection(TConn):
    """A client connection: the bytes received so far and the deadline for the rest."""

    def __init__(self, *args):
        super().__init__(*args)
        self.received = bytearray()
        self.deadline = 0.0
        self.needs = 0  # length of the arriving request; 0: its head is incomplete
        self.keeps = True  # more requests may follow
        self.closing = False

    def look(self) -> bool:
        """Whether a complete request is there, of length `needs`. Raises ValueError for an endless head."""
        if not self.needs:
            while self.received[:1] in (b"\r", b"\n"):
                del self.received[:1]
            end = self.received.find(b"\r\n\r\n", 0, LARGEST_HEAD)
            if end < 0 and len(self.received) >= LARGEST_HEAD:
                raise ValueError
            if end < 0:
                return False
            self._read_head(end + 4)
        return len(self.received) >= self.needs

    def _read_head(self, end: int) -> None:
        head = bytes(self.received[:end]).lower()
        lengths = _LENGTH.findall(head)
        body = int(lengths[0]) if len(lengths) == 1 else 0
        self.keeps = len(_FRAMING.findall(head)) == len(lengths) <= 1 and body <= LARGEST_BODY
        self.needs = end + body if self.keeps else end
        if len(self.received) < self.needs:
            self.deadline = time.monotonic() + BODY_S
            if _EXPECTS.search(head):
                self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def take(self) -> None:
        """Give the request to a parser without the socket, so that missing bytes end it at once."""
        request, self.received = bytes(self.received[: self.needs]), self.received[self.needs :]
        self.needs, self.data_ready = 0, True
        self.parser = http.get_parser(self.cfg, [request], self.client)


class PatientWorker(ThreadWorker):
    """Replaces how connections wait; parsing, calling the application and shutting down are gunicorn's own.

    It overrides internal parts of gunicorn: the version is pinned, and tests/serving/ shows what breaks.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.waiting: set[Connection] = set()

    @classmethod
    def check_config(cls, cfg, log):
        if cfg.is_ssl:
            raise SystemExit("traceml: TLS is not supported here, use a proxy; see docs/deploy.md")

    def accept(self, listener) -> None:
        time.sleep(min(self.nr_conns, LEAVES_MOST) * LEAVES_S)
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE):
                return
            raise
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections and self.waiting:
            self._end_longest()
        conn = Connection(self.cfg, PatientSocket(accepted), address, listener.getsockname())
        self._wait(conn, HEAD_S, selectors.EVENT_READ)

    def handle(self, conn):
        return with_room(super().handle, conn)

    def finish_request(self, conn, fs) -> None:
        """After the response: send the rest, then wait for the next request or the end."""
        if conn.parser:  # An unread body would live as long as its request, which reference cycles keep.
            conn.parser.unreader.buf = io.BytesIO()
        try:
            conn.keeps = bool(not fs.cancelled() and fs.result()) and conn.keeps
        except Exception:  # noqa: BLE001 (gunicorn has logged it)
            conn.keeps = False
        if conn.sock.fileno() < 0:  # closed in the middle of an answer
            self.nr_conns -= 1
        elif conn.sock.unsent:
            self._wait(conn, SEND_S, selectors.EVENT_WRITE)
            self._make_room()
        else:
            self._go_on(conn)

    def _keepalive_after(self, conn, keepalive):
        return keepalive  # no unread data has to be consumed first

    def _go_on(self, conn: Connection) -> None:
        if conn.keeps and self.alive:
            seconds = HEAD_S if conn.received else self.cfg.keepalive
            self._wait(conn, seconds, selectors.EVENT_READ)
            self._look(conn)
            return
        conn.closing = True
        try:
            # Not closed at once: with unread data, the client would lose the end of the response (RFC 9112, 9.6).
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.nr_conns -= 1
            conn.close()
            return
        self._wait(conn, CLOSE_S, selectors.EVENT_READ)

    def _wait(self, conn: Connection, seconds: float, event: int) -> None:
        conn.sock.setblocking(False)
        conn.deadline = time.monotonic() + seconds
        self.waiting.add(conn)
        ready = self._readable if event == selectors.EVENT_READ else self._writable
        self.poller.register(conn.sock, event, partial(ready, conn))

    def _stop_waiting(self, conn: Connection) -> None:
        self.waiting.discard(conn)
        self.poller.unregister(conn.sock)

    def _readable(self, conn: Connection, _sock) -> None:
        try:
            data = conn.sock.recv(AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._end(conn)
        elif not conn.closing:
            if not conn.received:
                conn.deadline = time.monotonic() + HEAD_S
            conn.received += data
            self._look(conn)

    def _look(self, conn: Connection) -> None:
        try:
            if conn.look():
                self._stop_waiting(conn)
                conn.take()
                self.enqueue_req(conn)
            else:
                self._make_room()
        except ValueError:
            self._refuse(conn, TOO_LONG)
        except OSError:
            self._end(conn)

    def _make_room(self) -> None:
        if sum(len(conn.received) + len(conn.sock.unsent) for conn in self.waiting) > HELD:
            self._end_longest()

    def _end_longest(self) -> None:
        """Close the connection with the nearest deadline, which is rarely an honest client."""
        self._end(min(self.waiting, key=lambda conn: conn.deadline))

    def _writable(self, conn: Connection, _sock) -> None:
        before = len(conn.sock.unsent)
        try:
            conn.sock.push()
        except OSError:
            self._end(conn)
            return
        if not conn.sock.unsent:
            self._stop_waiting(conn)
            self._go_on(conn)
        elif len(conn.sock.unsent) < before:
            conn.deadline = time.monotonic() + SEND_S

    def _refuse(self, conn: Connection, status: bytes) -> None:
        self._stop_waiting(conn)
        conn.keeps = False
        with suppress(OSError):  # the client then notices the closed connection
            conn.sock.send(_REFUSAL % status)
        self._go_on(conn)

    def _end(self, conn: Connection) -> None:
        self._stop_waiting(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close connections that have waited too long."""
        now = time.monotonic()
        for conn in [conn for conn in self.waiting if conn.deadline <= now]:
            if conn.received and not conn.closing and not conn.sock.unsent:
                self._refuse(conn, TOO_SLOW)
            else:
                self._end(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        for conn in list(self.waiting) if force else ():
            self._end(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        for conn in self.waiting:
            conn.deadline = min(conn.deadline, deadline)
