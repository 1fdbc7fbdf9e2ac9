"""Names of spool files: they hold the run and the process that writes it."""

from __future__ import annotations

import os
import re
import zlib

from traceml_agent.host import endings

SUFFIX, SENT_SUFFIX, BOARD_SUFFIX = ".spool", ".sent", ".board"
NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([A-Za-z0-9._-]{1,30})\.spool")
#: A writer's name holds its process in hex: the pid, its start in ticks since boot, and the host.
WRITER = re.compile(r"w-([0-9a-f]+)-([0-9a-f]+)-([0-9a-f]{4})[0-9a-f]+")
QUARANTINE = "quarantine"


def new_writer() -> str:
    """A name for this process as a writer of a run, which identifies the process."""
    return f"w-{os.getpid():x}-{int(endings.own_beginning() or 0):x}-{host_code()}{os.urandom(2).hex()}"


def host_code() -> str:
    """Four hex digits that tell this host's files from another's in a shared folder."""
    name = os.uname().nodename if hasattr(os, "uname") else ""
    return f"{zlib.crc32(name.encode()) & 0xFFFF:04x}"


def run_of(path: str) -> str:
    """The run id in a spool file's name."""
    return os.path.basename(path).partition(".")[0]


def writer_of(path: str) -> str:
    """The writer in a spool file's name."""
    return os.path.basename(path).removesuffix(SUFFIX).partition(".")[2]


def process_of(path: str) -> tuple[int, str] | None:
    """The pid of the process that writes a spool file, and when it began (empty: unknown)."""
    match = WRITER.fullmatch(writer_of(path))
    return (int(match[1], 16), str(int(match[2], 16) or "")) if match else None


def is_written_by(path: str, pid: int, began: str) -> bool:
    """Whether that process writes the file; by its pid alone if its start is unknown."""
    found = process_of(path)
    return found is not None and found[0] == pid and (not began or found[1] in ("", began))
