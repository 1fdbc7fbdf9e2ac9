"""The folder of the spool: where it lies, which of its files are ours, and who still writes them."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
import zlib

from traceml_agent.host import endings
from traceml_agent.messages import warn

try:
    import fcntl
except ImportError:  # Windows: no locks, and correctness does not rest on them
    fcntl = None  # type: ignore[assignment]

SUFFIX, SENT_SUFFIX, BOARD_SUFFIX = ".spool", ".sent", ".board"
NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([A-Za-z0-9._-]{1,30})\.spool")
#: A writer's name holds the process that it is, in hex: its pid, when it began in ticks since boot, and its host.
WRITER = re.compile(r"w-([0-9a-f]+)-([0-9a-f]+)-([0-9a-f]{4})[0-9a-f]+")
#: What is mounted here, and the options by which a network's file system keeps its locks to each host.
MOUNTS = "/proc/self/mounts"
LOCAL_LOCKS = {"nolock", "local_lock=all", "local_lock=flock", "localflock"}
QUARANTINE = "quarantine"
#: A folder in memory: where no disk can be written, a run still arrives, and only a reboot loses it. The variable is
#: for tests, which must not meet the spool of the person who runs them.
MEMORY_FOLDER = os.environ.get("TRACEML_AGENT_MEMORY") or "/dev/shm"  # noqa: S108 (like $TMPDIR: private, owner checked)
#: Where locks don't work, a file untouched for a day has no living writer.
ABANDONED_S = 86_400.0
#: A file's last record is shorter.
END_BYTES = 128 * 1024
#: An empty file this young is being made: its writer may be about to lock it.
NEWBORN_S = 60.0


def places(settings) -> list[str]:
    """Folders that a spool may lie in, best first."""
    home = os.path.expanduser("~")
    state = os.environ.get("XDG_STATE_HOME") or ""
    name = f"traceml-{os.getuid() if hasattr(os, 'getuid') else os.environ.get('USERNAME', 'user')}"
    found = [
        settings.spool_dir,
        os.path.join(state, "traceml") if os.path.isabs(state) else "",
        os.path.join(home, ".local", "state", "traceml") if os.path.isabs(home) else "",
        os.path.join(os.environ.get("TMPDIR") or os.environ.get("TEMP") or "/tmp", name),  # noqa: S108 (owner checked)
        os.path.join(MEMORY_FOLDER, name) if os.path.isdir(MEMORY_FOLDER) else "",
    ]
    return [place for place in dict.fromkeys(found) if place]


def folder(settings) -> str | None:
    """The folder for new spool files, made if it is missing; None where no place can be written."""
    return next((place for place in places(settings) if _is_taken(place, settings, make=True)), None)


def folders(settings) -> list[str]:
    """Every folder that may hold files of earlier runs: where this one writes, another may not have been able to."""
    return [place for place in places(settings) if _is_taken(place, settings, make=False)]


def is_usable(place: str) -> bool:
    """Whether a folder is there and ours to write to."""
    return bool(place) and os.access(place, os.W_OK | os.X_OK)


def _is_taken(place: str, settings, make: bool) -> bool:
    """Whether we may write there. A place that nobody chose must be ours alone, and no link that somebody laid."""
    try:
        if make:
            make_private(place)
        if place != settings.spool_dir and not _is_private(place):
            warn(f"spool folder {place} is not used: it belongs to somebody else or is a link")
            return False
        return is_usable(place)
    except OSError:
        return False


def make_private(place: str) -> None:
    """Make a folder and those above it that are missing, for their owner alone, whatever the umask."""
    above = os.path.dirname(place)
    if above != place and not os.path.isdir(above):
        make_private(above)
    os.makedirs(place, mode=0o700, exist_ok=True)


def _is_private(place: str) -> bool:
    found = os.lstat(place)
    if not stat.S_ISDIR(found.st_mode) or not _is_ours(found):
        return False
    if os.name == "posix" and found.st_mode & 0o077:
        os.chmod(place, 0o700)
    return True


def _is_ours(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def boards_folder() -> str:
    """Where boards lie; empty where there is no shared memory of this user's own."""
    place = os.path.join(MEMORY_FOLDER, f"traceml-{os.getuid()}") if hasattr(os, "getuid") else ""
    try:
        if not place or not os.path.isdir(MEMORY_FOLDER):
            return ""
        make_private(place)
        return place if _is_private(place) else ""
    except OSError:
        return ""


def board_of(path: str) -> str:
    """Where the writer of a spool file keeps its board; empty where there is no shared memory of this user's own."""
    place = boards_folder()
    return os.path.join(place, os.path.basename(path).removesuffix(SUFFIX) + BOARD_SUFFIX) if place else ""


def is_in_memory(place: str, settings) -> bool:
    return place != settings.spool_dir and os.path.dirname(place) == MEMORY_FOLDER


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


def open_regular(path: str, flags: int) -> int:
    """Open a file, but never a link, a pipe or a device that bears its name."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", path)


def spool_files(place: str) -> list[str]:
    """Our spool files of a folder, oldest first. What bears such a name and can't be one goes to quarantine."""
    paths = [os.path.join(place, name) for name in _names(place) if name.endswith(SUFFIX)]
    return [path for _, _, path in sorted(map(_age_and_size, filter(_is_spool_file, paths)))]


def _is_spool_file(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not _is_ours(found):
        return False
    if stat.S_ISREG(found.st_mode) and NAME.fullmatch(os.path.basename(path)):
        return True
    from traceml_agent.delivery import quarantine

    quarantine.set_aside(path, "")
    return False


def new_writer() -> str:
    """The name of this agent's life within a run, which tells what process it is."""
    return f"w-{os.getpid():x}-{int(endings.own_beginning() or 0):x}-{_host_code()}{os.urandom(2).hex()}"


def _host_code() -> str:
    """Four hex digits by which this host's files are told from another's in a folder that both see."""
    name = os.uname().nodename if hasattr(os, "uname") else ""
    return f"{zlib.crc32(name.encode()) & 0xFFFF:04x}"


def run_of(path: str) -> str:
    """The run id that a spool file's name holds."""
    return os.path.basename(path).partition(".")[0]


def writer_of(path: str) -> str:
    """The writer that a spool file's name holds."""
    return os.path.basename(path).removesuffix(SUFFIX).partition(".")[2]


def process_of(path: str) -> tuple[int, str] | None:
    """Pid of the process that writes a spool file, and when it began (empty: not known)."""
    match = WRITER.fullmatch(writer_of(path))
    return (int(match[1], 16), str(int(match[2], 16) or "")) if match else None


def is_written_by(path: str, pid: int, began: str) -> bool:
    """Whether that process, or one of the same number where its beginning is not known, writes the file."""
    found = process_of(path)
    return found is not None and found[0] == pid and (not began or found[1] in ("", began))


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
    if writer[3] != _host_code():
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
