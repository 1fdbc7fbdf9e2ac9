"""Which files lie in a spool folder, how large they are, and who still writes them."""

from __future__ import annotations

import os
import stat
import time

from traceml_agent.host import endings
from traceml_agent.host.private import is_ours, open_regular
from traceml_agent.spool.names import NAME, QUARANTINE, SENT_SUFFIX, SUFFIX, WRITER, host_code, process_of, writer_of

try:
    import fcntl
except ImportError:  # Windows: no locks, and correctness does not rest on them
    fcntl = None  # type: ignore[assignment]

#: The mounts of this host, and the options of network file systems whose locks are not shared between hosts.
MOUNTS = "/proc/self/mounts"
LOCAL_LOCKS = {"nolock", "local_lock=all", "local_lock=flock", "localflock"}
#: If locks don't work, a file that is unchanged for a day has no living writer.
ABANDONED_S = 86_400.0
#: The last record of a file is shorter than this.
END_BYTES = 128 * 1024
#: An empty file this young is new: its writer may be about to lock it.
NEWBORN_S = 60.0


def size_of(place: str) -> int:
    """Bytes used by the spool files and the quarantine of a folder."""
    found = [name for name in _names(place) if name.endswith((SUFFIX, SENT_SUFFIX))]
    found += [os.path.join(QUARANTINE, name) for name in _names(os.path.join(place, QUARANTINE))]
    return sum(size for _, size, _ in map(_age_and_size, (os.path.join(place, name) for name in found)))


def _names(place: str) -> list[str]:
    try:
        return os.listdir(place)
    except OSError:
        return []


def _age_and_size(path: str) -> tuple[float, int, str]:
    """When a file was last written, its size and its path, so that files sort by age."""
    try:
        found = os.lstat(path)
    except OSError:  # gone in the meantime
        return 0.0, 0, path
    return found.st_mtime, found.st_size, path


def spool_files(place: str) -> list[str]:
    """Our spool files in a folder, oldest first. Anything else with such a name goes to quarantine."""
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
    from traceml_agent.spool import quarantine  # late, since a start rarely needs it

    quarantine.set_aside(path, "")
    return False


def has_living_writer(path: str) -> bool:
    """Whether the process that writes this file is alive, and so holds a shared lock on it.

    Code that closes all descriptors releases the lock until the run's next record; then the process itself is looked
    up. A process on another host can't be, so if locks are not shared between hosts, the file's age decides.
    """
    try:
        descriptor = open_regular(path, os.O_RDWR)  # for writing too, which an exclusive lock over NFS needs
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
    """Whether the file is on a network file system whose locks other hosts don't see."""
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
    """Whether the last record of a file is its end: nothing more comes, even if its process goes on."""
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
    """Whether nobody holds the lock. Another process that asks this holds it for a moment."""
    time.sleep(after_s)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
