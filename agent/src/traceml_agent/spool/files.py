"""Which files lie in a spool folder, how large they are, and who still writes them."""

from __future__ import annotations

import os
import stat
import time

from traceml_agent.host import endings
from traceml_agent.host.private import is_ours, open_regular
from traceml_agent.spool import quarantine
from traceml_agent.spool.names import NAME, QUARANTINE, SENT_SUFFIX, SUFFIX, WRITER, host_code, process_of, writer_of

try:
    import fcntl
except ImportError:  # Windows: no locks, and correctness does not rest on them
    fcntl = None  # type: ignore[assignment]

#: What is mounted here, and the options by which a network's file system keeps its locks to each host.
MOUNTS = "/proc/self/mounts"
LOCAL_LOCKS = {"nolock", "local_lock=all", "local_lock=flock", "localflock"}
#: Where locks don't work, a file untouched for a day has no living writer.
ABANDONED_S = 86_400.0
#: A file's last record is shorter.
END_BYTES = 128 * 1024
#: An empty file this young is being made: its writer may be about to lock it.
NEWBORN_S = 60.0


def size_of(place: str) -> int:
    """Bytes that spool files and quarantine take there."""
    found = [name for name in _names(place) if name.endswith((SUFFIX, SENT_SUFFIX))]
    found += [os.path.join(QUARANTINE, name) for name in _names(os.path.join(place, QUARANTINE))]
    return sum(size for _, size, _ in map(_age_and_size, (os.path.join(place, name) for name in found)))


def _names(place: str) -> list[str]:
    try:
        return os.listdir(place)
    except OSError:
        return []


def _age_and_size(path: str) -> tuple[float, int, str]:
    """When a file was last written, its bytes, and its path, so that they sort by age."""
    try:
        found = os.lstat(path)
    except OSError:  # gone while we looked
        return 0.0, 0, path
    return found.st_mtime, found.st_size, path


def spool_files(place: str) -> list[str]:
    """Our spool files of a folder, oldest first. What bears such a name and can't be one goes to quarantine."""
    paths = [os.path.join(place, name) for name in _names(place) if name.endswith(SUFFIX)]
    return [path for _, _, path in sorted(map(_age_and_size, filter(_is_spool_file, paths)))]


def _is_spool_file(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not is_ours(found):
        return False
    if stat.S_ISREG(found.st_mode) and NAME.fullmatch(os.path.basename(path)):
        return True
    quarantine.set_aside(path, "")
    return False


def has_living_writer(path: str) -> bool:
    """Whether the process that writes this file is alive: it holds a shared lock on it.

    Code that closes all descriptors lets go of the lock while the run goes on, until the next record; then the process
    itself is asked for. One of another host can't be asked, and where locks end at the host, the file's age is.
    """
    try:
        descriptor = open_regular(path, os.O_RDWR)  # to write as well, for over NFS an exclusive lock needs that
    except OSError:
        return False
    try:
        if _is_locked(descriptor):
            return True
    finally:
        os.close(descriptor)
    writer = WRITER.fullmatch(writer_of(path))
    if writer is None or _has_end(path):
        return False
    if writer[3] != host_code():
        return _has_local_locks(path) and time.time() - _age_and_size(path)[0] < ABANDONED_S
    pid, began = process_of(path) or (0, "")
    return began != "" and endings.is_alive(pid, began)


def _has_local_locks(path: str) -> bool:
    """Whether the file system is a network's whose locks another host doesn't see."""
    folder, found = os.path.realpath(os.path.dirname(path)) + os.sep, ("", "")
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split() for line in file]
    except OSError:
        return False
    for _, point, _, options, *_ in mounts:
        point = point.replace("\\040", " ")
        if folder.startswith(point.rstrip(os.sep) + os.sep) and len(point) >= len(found[0]):
            found = point, options
    return not LOCAL_LOCKS.isdisjoint(found[1].split(","))


def _has_end(path: str) -> bool:
    """Whether the last record of a file is its end: nothing more comes, however long its process goes on."""
    try:
        with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - END_BYTES))
            return b'"type":"finish"' in file.read()
    except OSError:
        return False


def _is_locked(descriptor: int) -> bool:
    found = os.fstat(descriptor)
    age_s = time.time() - found.st_mtime
    if found.st_size == 0 and age_s < NEWBORN_S:
        return True
    if fcntl is None:
        return age_s < ABANDONED_S
    try:
        return not _takes_lock(descriptor) and not _takes_lock(descriptor, after_s=0.01)
    except OSError:
        return age_s < ABANDONED_S


def _takes_lock(descriptor: int, after_s: float = 0.0) -> bool:
    """Whether nobody has the lock; somebody else who asks this has it for a moment."""
    time.sleep(after_s)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
