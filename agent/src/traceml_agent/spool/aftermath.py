"""The end of a spool file whose writer could not write it: it was killed, or ended before its exit code was known."""

from __future__ import annotations

import contextlib
import os
import time

from traceml_agent.host import endings
from traceml_agent.host.private import open_regular
from traceml_agent.messages import iso
from traceml_agent.spool import recording
from traceml_agent.spool.board import DEVICE, PART, PARTS, Board, left_by

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


class _Recorded:
    """What a spool file has of its run so far."""

    def __init__(self, path: str):
        self.header: dict = {}
        self.last_n = -1
        self.finish: dict | None = None
        self.elapsed_s: dict[str, float] = {}
        for _, record in recording.read(path):
            if record is None:
                continue
            self.last_n = max(self.last_n, record["n"])
            if record["type"] == "finish":
                self.finish = record["body"]
            if record["type"] == "header":
                self.header = record["body"]
            for sample in record["body"].get("samples") or ():
                self.elapsed_s[sample["device"]] = sample.get("elapsed_s") or 0.0


def conclude(path: str, code: int | None = None, word: str = "", is_known: bool = False) -> bool:
    """Append to a dead writer's file what it left on its board, and how it ended. Returns whether that was needed.

    `code` is its process's exit code, `word` a better description of it. `is_known` says that the process is gone, even
    if the file is locked. If the exit code contradicts an end that assumed success, the end is written again. Raises
    OSError.
    """
    descriptor = open_regular(path, os.O_RDWR | os.O_APPEND)
    try:
        if not (_is_alone(descriptor) or is_known):
            return False
        found, board = _Recorded(path), left_by(path)
        status, exception = endings.of_exit_code(code, str(found.header.get("kind", "")))
        how = {"status": status, "exception": word if word and exception else exception}
        if not found.header:
            return False
        if found.finish is None:
            # The file was last written while the writer lived; a process that saw it die knows better.
            ended_s = time.time() if is_known else os.fstat(descriptor).st_mtime
            samples = _samples_on(board, found)
            bodies: list[tuple[str, dict]] = (
                [("update", last)] if board and (last := _reports_on(board, samples)) else []
            )
            end = how | {"ended_at": iso(ended_s), "dropped_records": 0, "samples": samples}
        elif code and found.finish.get("unsure"):
            bodies, end = [], found.finish | how | {"unsure": False}
        else:
            return False
        _append(descriptor, found.last_n + 1, [*bodies, ("finish", end)])
    finally:
        os.close(descriptor)
    return True


def correct(path: str, header: dict, finish: dict, code: int) -> None:
    """Correct the end of a run that assumed success, since the exit code of its process says otherwise.

    Raises OSError.
    """
    status, exception = endings.of_exit_code(code, str(header.get("kind", "")))
    descriptor = open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        is_new = not os.fstat(descriptor).st_size  # its records are delivered
        n = 0 if is_new else _Recorded(path).last_n + 1
        bodies = [("header", header)] if is_new else []
        _append(descriptor, n, [*bodies, ("finish", finish | {"status": status, "exception": exception})])
    finally:
        os.close(descriptor)


def _is_alone(descriptor: int) -> bool:
    if fcntl is None:
        return True
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _append(descriptor: int, first_n: int, bodies: list[tuple[str, dict]]) -> None:
    """Append whole lines, even after one that the writer's death tore."""
    size = os.fstat(descriptor).st_size
    is_torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
    records = [
        {"v": recording.VERSION, "n": n, "type": kind, "body": body} for n, (kind, body) in enumerate(bodies, first_n)
    ]
    os.write(descriptor, (b"\n" if is_torn else b"") + b"".join(map(recording.encode, records)))
    recording.sync_to_disk(descriptor)


def _reports_on(board: Board, samples: list[dict]) -> dict:
    """Calls, and useful work that is not in the file."""
    t_s = max((sample["t_s"] for sample in samples), default=0.0)
    work = [{"t_s": t_s, "name": name, "value": value} for name, value in board.untold_work().items() if value > 0]
    return ({"calls": calls} if (calls := board.calls()) else {}) | ({"metrics": work} if work else {})


def _samples_on(board, found: _Recorded) -> list[dict]:
    """The last counters of the devices that are further than the file."""
    samples = []
    parts = {name: dict(zip(PARTS, values, strict=True)) for name, values in (board.rows() if board else ())}
    for name, (t_s, elapsed_s, busy_s, energy_j) in board.rows() if board else ():
        kind, _, key = name.partition(":")
        if kind == DEVICE and elapsed_s > found.elapsed_s.get(key, float("inf")):
            # NaN: unknown.
            known = {"busy_s": busy_s, "energy_j": energy_j}
            told = {field: None if value != value else value for field, value in known.items()}
            sample = {"device": key, "t_s": t_s, "elapsed_s": elapsed_s} | told
            samples.append(sample | parts.get(f"{PART}:{key}", {}))
    return samples
