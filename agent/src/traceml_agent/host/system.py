"""Reads files of /proc and /sys, below a configurable root.

`TRACEML_AGENT_ROOT` replaces `/` by another folder: the host's root mounted into a container, or a tree made by a test.
"""

from __future__ import annotations

import os

GB = 1e9
AT_ONCE_BYTES = 64 * 1024


def path(*parts: str) -> str:
    """A path below the root: `path("proc", "stat")`."""
    return os.path.join(os.environ.get("TRACEML_AGENT_ROOT") or "/", *(part.lstrip("/") for part in parts))


def read(*parts: str) -> str | None:
    """A small file's text without surrounding white space, or None if it can't be read.

    It uses bare descriptors: each system call releases the interpreter, and `open()` makes three times as many.
    """
    try:
        descriptor = os.open(path(*parts), os.O_RDONLY)
    except OSError:
        return None
    try:
        return b"".join(iter(lambda: os.read(descriptor, AT_ONCE_BYTES), b"")).decode(errors="replace").strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)


def number(*parts: str) -> float | None:
    """The number in a file, or None."""
    try:
        return float(read(*parts) or "")
    except ValueError:
        return None


def has_proc() -> bool:
    """Whether this is Linux with a readable /proc."""
    return os.path.exists(path("proc", "self", "stat"))


def counted(cpus: str | None) -> int | None:
    """How many CPUs a kernel list names: 6 in `0-3,8,10`; None for an empty or invalid list."""
    try:
        ranges = [[int(end) for end in part.split("-")] for part in (cpus or "").split(",")]
    except ValueError:
        return None
    return sum(each[-1] - each[0] + 1 for each in ranges)


def memory_info(field: str) -> float | None:
    """A field of /proc/meminfo in GB, or None."""
    for line in (read("proc", "meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return float((rest.split() or ["0"])[0]) * 1024 / GB or None
    return None
