"""How a process ended, and what that says about its run. Seen from outside, since a killed process can't say."""

from __future__ import annotations

import atexit
import os
import select
import struct
import sys
import time

from traceml_agent.host import allocation, system
from traceml_agent.host.descriptors import above_standard

#: Signals by which a scheduler, a container runtime or a person stops a process.
TOLD_TO_STOP = ("SIGTERM", "SIGHUP", "SIGINT")
#: Exit codes of programs that handle one of these: 128 plus its number.
SAID_BY_SHELLS = (129, 130, 143)
_beginnings: dict[int, str] = {}
UNKNOWN = "ended without a status"
#: linux/pidfd.h, since 6.15: an ioctl on a pidfd that says how the process ended, to any process.
PIDFD_GET_INFO = 3 << 30 | 64 << 16 | 0xFF << 8 | 11
PIDFD_INFO_EXIT = 1 << 3
EXIT_CODE_AT = 60
#: How often a process that is about to end is checked.
CLOSELY_S = 0.0005
#: linux/sched.h: a flag of a process that is ending and has its exit code.
PF_EXITING = 4
#: The system call's number, for Pythons built for older systems, such as conda's.
PIDFD_OPEN = 434


def of_exit_code(code: int | None, kind: str) -> tuple[str, str]:
    """Status and description for a process's exit code (negative: the signal that ended it; None: unknown).

    A service that is told to stop has done its work, so a run of kind `inference` is then completed.
    """
    if not code:
        return ("completed", "") if code == 0 or kind == "inference" else ("stopped", UNKNOWN)
    name = _signal(code - 128 if code > 0 else -code) if code < 0 or code in SAID_BY_SHELLS else ""
    if name in TOLD_TO_STOP:
        return _told_to_stop(name, kind)
    return "failed", name or f"exit status {code}"


def _told_to_stop(signal_name: str, kind: str) -> tuple[str, str]:
    if kind == "inference":
        return "completed", ""
    return ("cancelled" if signal_name == "SIGINT" else "stopped"), signal_name


def _signal(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the named ones
        return f"signal {number}"


def of_exception(kind, error, run_kind: str = "") -> tuple[str, str]:
    """How a block ended, from its exception: the status and the exception's type."""
    if kind is None:
        return "completed", ""
    if kind.__name__ == "SIGTERMException":  # Lightning's, an exit without a code
        return _told_to_stop("SIGTERM", run_kind)
    if issubclass(kind, SystemExit):
        return _of_system_exit(error, run_kind)
    if issubclass(kind, (KeyboardInterrupt, GeneratorExit)) or kind.__name__ == "CancelledError":
        if issubclass(kind, KeyboardInterrupt) and run_kind == "inference":
            return "completed", ""
        return "cancelled", kind.__name__
    return "failed", kind.__name__


def _of_system_exit(error, run_kind: str) -> tuple[str, str]:
    """Like `of_exception`, by the exit code. Frameworks turn Ctrl-C into an exit, whose context shows it."""
    code = getattr(error, "code", None)
    if code in (None, 0):
        return "completed", ""
    if isinstance(getattr(error, "__context__", None), KeyboardInterrupt):
        return of_exception(KeyboardInterrupt, None, run_kind)
    if code in SAID_BY_SHELLS:
        return of_exit_code(code, run_kind)
    return "failed", "SystemExit"


_finalizers: dict = {}


def at_end_of_process(call) -> None:
    """Call `call` once at the end of this process. Children of multiprocessing run finalizers instead of atexit."""
    atexit.unregister(call)
    atexit.register(call)
    util = sys.modules.get("multiprocessing.util")
    parent = getattr(sys.modules.get("multiprocessing.process"), "parent_process", None)
    if util is not None and parent is not None and parent() is not None:
        if known := _finalizers.get(call):
            known.cancel()
        # After the child has waited for its own children.
        _finalizers[call] = util.Finalize(None, call, exitpriority=-100)


def stay_interrupted() -> None:
    """Make Python end by SIGINT, as it does after an uncaught Ctrl-C.

    Python forgets this if it evaluates a text afterwards, as the definition of any named tuple does. So a module that
    is loaded at the end would change the exit status to 1.
    """

    def interrupt():
        raise KeyboardInterrupt

    try:
        eval("interrupt()", {"interrupt": interrupt})  # noqa: S307
    except KeyboardInterrupt:
        pass


def began_at(pid: int) -> str:
    """When a process began, in ticks since boot, since pids are reused. Empty if there is none, or no /proc."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def own_beginning() -> str:
    """When this process began."""
    pid = os.getpid()
    if pid not in _beginnings:
        _beginnings.clear()  # a fork's parent
        _beginnings[pid] = began_at(pid)
    return _beginnings[pid]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third, the state, on. The second, a name, may contain anything.

    From this system's own /proc, never from one that is mounted to be measured, which has other pids.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().decode(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def is_alive(pid: int, began: str) -> bool:
    """Whether the process with that pid is still the one that began then. A zombie has ended."""
    if not os.path.exists("/proc/self/stat"):
        return _answers(pid)
    fields = _stat(pid)
    return len(fields) > 19 and fields[0] not in ("Z", "X") and began in ("", fields[19])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _pidfd_open(pid: int) -> int:
    """A descriptor that becomes readable when the process has ended. Raises OSError, or AttributeError if
    unsupported."""
    if hasattr(os, "pidfd_open") or sys.platform != "linux":
        return os.pidfd_open(pid)
    import ctypes

    descriptor = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_OPEN, pid, 0)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "pidfd_open")
    return descriptor


def own_life() -> int:
    """A descriptor by which another process can later learn how this one ended; -1 if unsupported.

    Its number is above those of a new program's streams.
    """
    try:
        import fcntl

        with above_standard():
            number = os.pidfd_open(os.getpid())
        try:
            return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
        finally:
            os.close(number)
    except (OSError, AttributeError, ImportError):
        return -1


class Life:
    """Another process, which can be waited for without being its parent."""

    def __init__(self, pid: int, began: str, descriptor: int = -1):
        self.pid, self.began = pid, began
        self._descriptor = descriptor
        if descriptor < 0:
            self._open()
        self._oom_kills = _oom_kills()
        self._ending: int | None = None

    def _open(self) -> None:
        try:
            self._descriptor = _pidfd_open(self.pid)
        except (OSError, AttributeError):  # gone, or not a recent Linux
            return
        if not is_alive(self.pid, self.began) and began_at(self.pid) != self.began:
            os.close(self._descriptor)  # another process has the pid by now
            self._descriptor = -1

    def wait(self, others: list, seconds: float, closely: bool = False) -> bool:
        """Wait until one of `others` is readable, the process has ended, or the time is over. Returns whether it ended.

        Its parent collects the exit code at once. Before 6.15, the system shows it only while the process is ending,
        which starts with releasing its memory and finishes with closing its files: `closely` watches for the start.
        """
        watched = [self._descriptor, *others] if self._descriptor >= 0 else others
        most_s = CLOSELY_S if closely else max(seconds, 0.0) if self._descriptor >= 0 else 1.0
        until = time.monotonic() + seconds
        while True:
            left_s = max(until - time.monotonic(), 0.0)
            ready, _, _ = select.select(watched, [], [], min(left_s, most_s))
            if (status := self._status()) is not None:
                self._ending = status
            is_over = self._descriptor in ready if self._descriptor >= 0 else not is_alive(self.pid, self.began)
            if is_over or ready or left_s <= most_s:
                return is_over

    def exit_code(self, wait_s: float = 1.0) -> int | None:
        """The exit code of the ended process, negative for a signal; None if the system does not say.

        Kernels from 6.15 on say it even after the parent has waited for the process, older ones only before that.
        """
        until = time.monotonic() + wait_s
        while (status := self._told()) is None and time.monotonic() < until and self._descriptor >= 0:
            time.sleep(0.01)
        return None if status is None else os.waitstatus_to_exitcode(status)

    def _told(self) -> int | None:
        status = self._status()
        return self._ending if status is None else status

    def _status(self) -> int | None:
        fields = _stat(self.pid)
        is_ending = len(fields) > 49 and (fields[0] in ("Z", "X") or int(fields[6]) & PF_EXITING)
        if is_ending and fields[19] == self.began:
            return int(fields[49])
        try:
            import fcntl

            info = bytearray(struct.pack("=Q56x", PIDFD_INFO_EXIT))
            fcntl.ioctl(self._descriptor, PIDFD_GET_INFO, info)
        except (OSError, ImportError, ValueError):
            return None
        is_told = struct.unpack_from("=Q", info)[0] & PIDFD_INFO_EXIT
        return struct.unpack_from("=i", info, EXIT_CODE_AT)[0] if is_told else None

    def was_out_of_memory(self) -> bool:
        """Whether the kernel has killed a process of this cgroup for lack of memory since this object was made."""
        return _oom_kills() > self._oom_kills


def _oom_kills() -> int:
    count = 0
    for folder in allocation.cgroup_folders("memory"):
        for name in ("memory.events", "memory.oom_control"):
            for line in (system.read(folder, name) or "").splitlines():
                if line.startswith("oom_kill "):
                    count += int(line.split()[1])
    return count
