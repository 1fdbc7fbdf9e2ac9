"""Files and folders for their owner alone, on disk and in the system's shared memory."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

#: A folder in memory. If no disk is writable, a run still arrives, and only a reboot loses it. The variable is for
#: tests, which must not touch the spool of the person who runs them.
MEMORY_FOLDER = os.environ.get("TRACEML_AGENT_MEMORY") or "/dev/shm"  # noqa: S108 (like $TMPDIR: private, owner checked)

#: What the name of a file ends with that is not written completely yet.
DRAFT = ".draft"


def make_private(place: str) -> None:
    """Make a folder and its missing parents, for their owner only, whatever the umask."""
    above = os.path.dirname(place)
    if above != place and not os.path.isdir(above):
        make_private(above)
    os.makedirs(place, mode=0o700, exist_ok=True)


def is_private(place: str) -> bool:
    found = os.lstat(place)
    if not stat.S_ISDIR(found.st_mode) or not is_ours(found):
        return False
    if os.name == "posix" and found.st_mode & 0o077:
        os.chmod(place, 0o700)
    return True


def is_ours(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def boards_folder() -> str:
    """The folder of boards; empty if this user has no shared memory."""
    place = os.path.join(MEMORY_FOLDER, f"traceml-{os.getuid()}") if hasattr(os, "getuid") else ""
    try:
        if not place or not os.path.isdir(MEMORY_FOLDER):
            return ""
        make_private(place)
        return place if is_private(place) else ""
    except OSError:
        return ""


def open_regular(path: str, flags: int) -> int:
    """Open a regular file, but never a link, pipe or device of that name."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", path)


@contextlib.contextmanager
def replaced(path: str) -> Iterator[BinaryIO]:
    """Write a file completely or not at all. The content appears under its name when the block ends without an error.

    Each writer has a draft of its own: in a shared one, the second process would empty what the first is about to put
    in place. Raises OSError.
    """
    draft = f"{path}.{os.urandom(4).hex()}{DRAFT}"
    try:
        with os.fdopen(open_regular(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            yield file
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def bytes_of(path: str) -> int:
    """The size of a file; 0 if it is gone."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
