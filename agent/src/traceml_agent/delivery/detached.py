"""Starts the uploader's process in milliseconds, as nobody's child and in a session of its own."""

from __future__ import annotations

import contextlib
import os
import sys

from traceml_agent.host import endings, forks
from traceml_agent.inputs import config

START = """import os, sys
os.chdir(os.sep)  # else a requests.py beside the training script would be imported
if sys.argv[2] == "detach" and os.fork(): os._exit(0)
sys.path.insert(0, sys.argv[1])
import traceml_agent
sys.path.append(sys.path.pop(0))  # last from now on, since a site folder may have modules with standard names
sys.path += sys.argv[3:]
from traceml_agent.delivery.uploader_process import main
main()
"""
#: What the uploader imports. A one-file application may keep each package in a folder of its own.
PACKAGES = ("requests", "urllib3", "idna", "certifi", "charset_normalizer")
#: A shell starts a process and leaves it behind in a millisecond; Python would take ten times as long.
SHELL = "/bin/sh"
#: The process has the socket as its standard input; a fourth descriptor stays open.
LEAVE_BEHIND = '"$0" "$@" <&3 3<&- &'
LIFE = 4
#: linux/prctl.h
PR_GET_CHILD_SUBREAPER = 37
#: How many are checked if the system does not list them.
MAX_DESCRIPTORS = 1024


def adopts_orphans() -> bool:
    """Whether orphans become children of this process, as in the first process of a container or a subreaper."""
    if os.getpid() == 1:
        return True
    if not {"ctypes", "prctl", "_prctl"} & set(sys.modules):  # only these can make it a subreaper
        return False
    import ctypes

    is_one = ctypes.c_int(0)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(is_one), 0, 0, 0) == 0 and is_one.value == 1


def start(theirs: int) -> int:
    """Start the process with the socket as its standard input, and leave it to the system.

    The helper that starts it ends in milliseconds. It is waited for here, where no other code of this thread can see
    it. Returns the number of the pidfd of this process over there, in case it ends before the other looks; -1 for none.
    """
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    has_shell = os.access(SHELL, os.X_OK)
    words = [_interpreter(), *_flags(), "-c", START, package, "left" if has_shell else "detach", *_package_folders()]
    words = [SHELL, "-c", LEAVE_BEHIND, *words] if has_shell else words
    environment = {name: value for name, value in os.environ.items() if name != config.PREFIX + "TOKEN"}
    environment |= {config.PREFIX + "DISABLED": "1"}
    import posix  # for its waitpid, since gevent replaces the one in `os`

    life = endings.own_life()
    try:
        with _out_of_the_way(theirs, life) as moved, _unheard() as signals:
            pid = os.posix_spawn(words[0], words, environment, file_actions=_streams(*moved), setsigmask=(), **signals)
            with contextlib.suppress(ChildProcessError):  # SIGCHLD is ignored, or another thread waited for it
                posix.waitpid(pid, 0)
    finally:
        if life >= 0:
            os.close(life)
    return LIFE if life >= 0 else -1


@contextlib.contextmanager
def _out_of_the_way(*numbers: int):
    """Copies of descriptors with numbers above those that the process gets, so that none is closed for another."""
    import fcntl

    moved = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, LIFE + 1) if number >= 0 else -1 for number in numbers]
    try:
        yield moved
    finally:
        for number in moved:
            if number >= 0:
                os.close(number)


def _interpreter() -> str:
    """The Python to start. If a server embeds Python, `sys.executable` is the server. Raises ValueError."""
    if not sys.executable:
        raise ValueError("sys.executable names no interpreter")
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    found = [sys.executable, *(os.path.join(prefix, "bin", name) for prefix in (sys.exec_prefix, sys.base_exec_prefix))]
    for path in found:
        if path and any(word in os.path.basename(path).lower() for word in ("python", "pypy")) and os.path.exists(path):
            return path
    raise ValueError("no Python interpreter was found")


def _flags() -> list[str]:
    """The flags by which this interpreter ignores the environment."""
    if sys.flags.isolated:
        return ["-I"]
    return ["-E"] if sys.flags.ignore_environment else []


def _package_folders() -> list[str]:
    """The folders of the packages that the uploader imports."""
    with forks.loading():
        from importlib.machinery import PathFinder
    specs = filter(None, map(PathFinder.find_spec, PACKAGES))
    places = [place for spec in specs for place in spec.submodule_search_locations or ()]
    return list(dict.fromkeys(map(os.path.dirname, map(os.path.abspath, places))))


def _streams(theirs: int, life: int) -> list[tuple]:
    """The descriptors of the process: the socket, our pidfd, and nothing that the training's children would inherit."""
    opened: list[tuple] = [(os.POSIX_SPAWN_CLOSE, number) for number in _inheritable()]
    opened += [(os.POSIX_SPAWN_DUP2, theirs, 3)]
    opened += [(os.POSIX_SPAWN_DUP2, life, LIFE)] if life >= 0 else []
    opened += [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (1, 2)]
    return [*opened, (os.POSIX_SPAWN_DUP2, 3, 0)]


def _inheritable() -> list[int]:
    """Descriptors from 3 up that a new program would inherit: a pipe that stays open keeps its reader waiting for
    ever."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # another system, or no /proc
        numbers = list(range(MAX_DESCRIPTORS))
    found = []
    for number in numbers:
        with contextlib.suppress(OSError):
            if number > 2 and os.get_inheritable(number):
                found.append(number)
    return found


@contextlib.contextmanager
def _unheard():
    """Hide the end of our helper from a SIGCHLD handler of the user's. Yields arguments for posix_spawn."""
    signal = sys.modules.get("signal")  # if it is not loaded, there is no handler
    child = getattr(signal, "SIGCHLD", None)
    if signal is None or child is None or not callable(signal.getsignal(child)):
        yield {"setsid": True}
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {child})
    was_pending = child in signal.sigpending()
    try:
        yield {"setsid": True, "setsigdef": (child,)}
        # The user must hear of another child that ended meanwhile.
        if not was_pending and not _has_ended_children() and hasattr(signal, "sigtimedwait"):
            signal.sigtimedwait({child}, 0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _has_ended_children() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False
