"""The uploader, seen from the training: a process of its own delivers the spool, so that TLS and imports stall nothing.

It hears from its parent through a socket (first line: settings, the token among them, never argv; then a line for each
spool file and wake-up; the end of it means that the parent is gone, however it died) and answers through the same. It
leads a session of its own, so a terminal's Ctrl-C does not end it, and it outlives a killed parent by the time that
delivering takes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time

from traceml_agent import config, spool
from traceml_agent.messages import warn

START = """import sys
sys.path.insert(0, sys.argv[1])
import traceml_agent
sys.path.append(sys.path.pop(0))  # last from now on, for a site folder may hold namesakes of standard modules
from traceml_agent.uploader_process import main
main()
"""


class Line:
    """Lines of JSON through a socket, for both ends; nothing here waits longer than it is asked to."""

    def __init__(self, socket):
        self._socket = socket
        self._rest = b""
        self.ended = False

    def send(self, message: dict, wait_s: float = 0.0) -> None:
        """Send a line. One that the other end is gone for, or has no room for within `wait_s`, is lost."""
        import socket

        flags = getattr(socket, "MSG_NOSIGNAL", 0)  # a script may have made SIGPIPE deadly
        with contextlib.suppress(OSError):
            self._socket.settimeout(wait_s)
            self._socket.send(json.dumps(message).encode() + b"\n", flags)

    def receive(self, wait_s: float) -> list[dict]:
        """Lines that arrive within the time; returns with the first, or at the end."""
        try:
            self._socket.settimeout(max(wait_s, 0.0))
            data = self._socket.recv(65536)
        except (BlockingIOError, TimeoutError):
            return []
        except OSError:
            data = b""
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return list(filter(None, map(_parsed, lines)))

    def close(self) -> None:
        self._socket.close()


def _parsed(line: bytes) -> dict | None:
    with contextlib.suppress(ValueError):
        return json.loads(line)
    return None


class Uploader:
    """The parent's handle on its uploader process."""

    def __init__(self, process, line: Line):
        self._process = process
        self._line = line
        self._pid = os.getpid()
        self._flushes = 0

    def own(self, path: str) -> None:
        """Tell it a spool file of this process, which has its header: the run is announced at once."""
        self._say({"own": path})

    def wake(self) -> None:
        """Ask it to deliver now."""
        self._say({"wake": 1})

    def _say(self, message: dict) -> None:
        if os.getpid() == self._pid:
            self._line.send(message)

    def hear(self, wait_s: float = 0.0) -> list[dict]:
        """Log the warnings that have come; returns the other answers."""
        if os.getpid() != self._pid:
            return []
        answers = self._line.receive(wait_s)
        for answer in answers:
            if "warning" in answer:
                warn(answer["warning"])
        return [answer for answer in answers if "warning" not in answer]

    def finish(self, budget_s: float) -> bool:
        """Wait until all of this process's files are delivered, at most `budget_s`; at once where nobody answers."""
        if os.getpid() != self._pid:
            return False
        answer = self._flush(time.monotonic() + budget_s)
        is_delivered = bool(answer.get("flushed"))
        reason = answer.get("reason", "no answer yet")  # empty where a warning told it before
        if budget_s > 0 and reason and not is_delivered:
            warn(f"not all is delivered ({reason}); the spool keeps it for the next start or `traceml-agent sync`")
        return is_delivered

    def _flush(self, deadline: float) -> dict:
        """Have everything delivered; the answer, or nothing where none came in time."""
        self._flushes += 1
        self._say({"flush": self._flushes})
        while not self._line.ended and (left_s := deadline - time.monotonic()) > 0:
            for answer in self.hear(left_s):
                if answer.get("flush") == self._flushes:
                    return answer
        return {}

    def close(self) -> None:
        """Let go: the process delivers what is left and ends by itself."""
        if os.getpid() == self._pid:
            self._line.close()
            self._process.returncode = 0  # else Popen's destructor warns of a child that is meant to live on


def launch(settings) -> Uploader | None:
    """Start the uploader's process; None, with the remedy in a warning, where that can't be done."""
    import socket

    if getattr(sys, "frozen", False):  # its executable is the application: it would start a second time
        warn("a frozen application has no uploader; deliver with `traceml-agent sync`")
        return None
    try:
        ours, theirs = socket.socketpair()
        with theirs:
            process = _start(theirs)
    except (OSError, ValueError, AttributeError) as error:
        warn(f"the uploader did not start ({error}); deliver later with `traceml-agent sync`")
        return None
    line = Line(ours)
    line.send({"parent": os.getpid(), "settings": settings.as_dict()})
    return Uploader(process, line)


def _start(theirs):
    import subprocess

    environment = {name: value for name, value in os.environ.items() if name != config.PREFIX + "TOKEN"}
    return subprocess.Popen(
        [sys.executable, "-c", START, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment | {config.PREFIX + "DISABLED": "1"},
        cwd=os.path.abspath(os.sep),  # else a requests.py beside the training script would be imported
    )


def is_for(path: str, settings) -> bool:
    """Whether a spool file was made for the portal in the settings, or for none in particular."""
    with contextlib.suppress(OSError):
        for _, record in spool.records(path):
            if record and record["type"] == "header":
                made_for = record["body"].get("portal")
                return not isinstance(made_for, str) or config.origin_of(made_for) in (
                    "",
                    config.origin_of(settings.url),
                )
    return True
