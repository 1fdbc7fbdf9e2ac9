"""A portal under gunicorn as `make run` starts it, and clients that speak HTTP byte by byte."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.backup.places import KEY, ROOT

GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "python:traceml_site.serving.gunicorn", "traceml_site.wsgi"]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return taken.getsockname()[1]


@contextmanager
def portal(database_url: str, log: Path, command: list[str] = GUNICORN, **settings: str) -> Iterator[int]:
    """The port of a portal that answers; ended afterwards, with all that it wrote in `log`."""
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.served",
        "DATABASE_URL": database_url,
        "SECRET_KEY": KEY,
        "PORT": str(port),
        "TRACEML_BASE_URL": f"http://127.0.0.1:{port}",
    } | settings
    with log.open("wb") as said:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
        try:
            wait_for(port, server, log)
            yield port
        finally:
            server.terminate()
            server.wait(30)


def wait_for(port: int, server: subprocess.Popen, log: Path, seconds: float = 60.0) -> None:
    """Wait until somebody listens; an AssertionError with the server's words where nobody does in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with closing(socket.create_connection(("127.0.0.1", port), 1)):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text()}")


def processes(port: int) -> list[int]:
    """Of the portal on this port: the one that listens, then its workers, the youngest last."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"PORT={port}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return sorted(found)


def resident_mib(pid: int) -> float:
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def get(port: int, path: str, timeout_s: float = 5.0, **headers: str) -> tuple[int, bytes]:
    """Status and body, over a connection of its own."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:
        return answer.status, answer.read()


def dial(port: int, data: bytes = b"", timeout_s: float = 15.0) -> socket.socket:
    """A connection on which some bytes were sent."""
    sock = socket.create_connection(("127.0.0.1", port), timeout_s)
    sock.sendall(data)
    return sock


def read_all(sock: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    while data := sock.recv(65536):
        found += data
    return found
