"""Spool files for tests, made as a tracked process makes them, and what to wait for."""

import contextlib
import time
import uuid
from pathlib import Path

import psutil

from tests import wire
from traceml_agent.spool.file import Spool

MIB = 1024 * 1024


def new_run_id() -> str:
    return str(uuid.uuid4())


def header(**changes) -> dict:
    return wire.header(writer_started_at=wire.ago(hours=1)) | changes


def update(number: int, **more) -> dict:
    """The counters after `number` intervals, from 1 on."""
    return {
        "devices": [wire.A100],
        "samples": [wire.sample("gpu-0", 5.0 * number, 2.0 * number, 1000.0 * number)],
    } | more


def finish(updates: int) -> dict:
    return {"status": "completed", "ended_at": wire.ago(minutes=1), "samples": update(updates)["samples"]}


def begun(
    folder, run_id: str | None = None, writer: str = "w-1", limit_bytes: int = 256 * MIB, **header_changes
) -> Spool:
    """The spool of a run in progress, its header written."""
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    spool = Spool(str(folder), run_id or new_run_id(), writer, limit_bytes)
    assert spool.append("header", header(**header_changes))
    return spool


def whole(folder, updates: int = 3, **how) -> Spool:
    """The closed spool of a run from header to finish."""
    spool = begun(folder, **how)
    for number in range(1, updates + 1):
        assert spool.append("update", update(number))
    assert spool.append("finish", finish(updates))
    spool.close()
    return spool


def run_id_of(spool: Spool) -> str:
    return Path(spool.path).name.partition(".")[0]


def energies(run: dict) -> list[float]:
    """Joules of the stored samples of a run, in order."""
    return [sample["energy_j"] for sample in run["samples"]]


def expected(updates: int, first: int = 1) -> list[float]:
    return [1000.0 * number for number in range(first, updates + 1)]


def pid_of(handle) -> int:
    """The uploader's process, which says who it is once it runs."""
    wait_until(lambda: handle.pid or (handle.hear(0.1) and False) or handle.pid)
    return handle.pid


def has_ended(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def wait_until(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def is_stored(made, updates: int):
    return lambda portal: energies(portal.runs().get(run_id_of(made), {"samples": []})) == expected(updates)


def left_in(place) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.name != "quarantine")


def quarantined(place) -> list[str]:
    """What is set aside: whole files, without what stands beside them, and groups of records."""
    folder = place / "quarantine"
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    return [name for name in names if not name.endswith((".sent", ".spool.json"))]
