"""2,000 agents for five minutes on PostgreSQL, with web processes and worker as deployed; then again, with kills.

BENCH_AGENTS and BENCH_SECONDS of the environment make it smaller for a quick look. The second time lasts two minutes at
most, in which a web worker, the worker and all of PostgreSQL are killed (`kill -9`) and started again; clients repeat
what was not acknowledged, as agents do.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import agents, ingest, stored
from tests.benchmarks.agents import Plan, Told
from tests.benchmarks.cluster import PROGRAMS, Cluster, cluster
from tests.benchmarks.timing import Row
from tests.serving import servers

AGENTS, SECONDS = int(os.environ.get("BENCH_AGENTS", "2000")), float(os.environ.get("BENCH_SECONDS", "300"))
EVERY_S = 30.0
#: A card, a processor and memory, read every five seconds.
BATCH = {"devices": 3, "instants": 6}
MOST_MS, MOST_MIB, FLAT_MIB = 300, 150, 8


class Deployment(NamedTuple):
    """A portal's parts, and a token for it."""

    server: Cluster
    url: str
    port: int
    workers: list[subprocess.Popen]  # the last one runs
    token: str

    def plan(self, seconds: float) -> Plan:
        return Plan(self.port, self.token, AGENTS, seconds=seconds, every_s=EVERY_S, retry_s=1.0, **BATCH)


def rows() -> Iterator[Row]:
    if not PROGRAMS:
        print("Left out: PostgreSQL is not installed here.", file=sys.stderr)
        return
    with (
        tempfile.TemporaryDirectory(prefix="traceml-bench-") as folder,
        cluster() as server,
        _deployed(server, Path(folder)) as deployment,
    ):
        yield from _undisturbed(deployment)
        yield _killed(deployment)


@contextmanager
def _deployed(server: Cluster, folder: Path) -> Iterator[Deployment]:
    url = server.database("portal")
    token = ingest.prepare(url)
    with ingest.portal(url, folder / "web.log", TRACEML_TASKS="database") as port:
        workers = [_worker(url)]
        try:
            yield Deployment(server, url, port, workers, token)
        finally:
            workers[-1].terminate()
            workers[-1].wait(30)


def _worker(url: str) -> subprocess.Popen:
    own = ingest.environment(url, TRACEML_TASKS="database")
    words = [sys.executable, "manage.py", "worker"]
    return subprocess.Popen(words, cwd=ingest.ROOT, env=own, stderr=subprocess.DEVNULL)


def _undisturbed(deployment: Deployment) -> list[Row]:
    resident, done = [], threading.Event()

    def look() -> None:
        while not done.wait(SECONDS / 30):
            with contextlib.suppress(OSError):  # one has just ended
                resident.append(max(map(servers.resident_mib, servers.processes(deployment.port)[1:]), default=0.0))

    looking = threading.Thread(target=look)
    looking.start()
    told = agents.upload(deployment.plan(SECONDS))
    done.set()
    looking.join()
    behind_s = stored.behind_s(deployment.url)
    faults = _faults(deployment, told)
    times_ms = sorted(told.header_ms + told.batch_ms)
    p50, p99 = (times_ms[int(share * len(times_ms))] for share in (0.5, 0.99))
    text = f"{len(times_ms):,} requests, p50 {p50:.0f} ms, p99 {p99:.0f} ms, {ingest.said(faults)}"
    bound = f"p99 ≤ {MOST_MS} ms, 0 lost, 0 doubled"
    # The first third of the time is for what a process loads once.
    grown = max(resident[-5:]) - max(resident[len(resident) // 3 :][:5])
    what = f"{AGENTS:,} agents upload every {EVERY_S:.0f} s for {SECONDS:.0f} s, PostgreSQL"
    memory = f"{max(resident):.0f} MiB, {grown:+.0f} MiB in the last two thirds"
    return [
        Row(what, text, f"totals {behind_s:.1f} s behind", bound, p99 <= MOST_MS and not faults),
        Row("memory of a web process meanwhile", memory, "", f"≤ {MOST_MIB} MiB and flat",
            max(resident) <= MOST_MIB and grown <= FLAT_MIB),
    ]  # fmt: skip


def _killed(deployment: Deployment) -> Row:
    seconds = min(SECONDS, 120.0)
    sending = agents.start(deployment.plan(seconds))
    time.sleep(seconds / 3)
    os.kill(servers.processes(deployment.port)[-1], signal.SIGKILL)
    time.sleep(seconds / 6)
    deployment.workers[-1].kill()
    deployment.workers[-1].wait()
    deployment.workers.append(_worker(deployment.url))
    time.sleep(seconds / 6)
    deployment.server.kill()
    deployment.server.start()
    told = agents.told(sending)
    behind_s = stored.behind_s(deployment.url)
    faults = _faults(deployment, told)
    text = f"{len(told.acknowledged):,} acknowledged, {told.repeated:,} repeated, {ingest.said(faults)}"
    what = f"a web worker, the worker and PostgreSQL killed in {seconds:.0f} s of this"
    return Row(what, text, f"totals {behind_s:.1f} s behind", "0 lost, 0 doubled, totals equal a rebuild", not faults)


def _faults(deployment: Deployment, told: Told) -> list[str]:
    """A request that had to be repeated is none: connections end when a worker does."""
    undelivered = [f"{len(told.undelivered)} never acknowledged"] if told.undelivered else []
    found = [f"{len(told.refused)} refused: {told.refused[0]}"] if told.refused else []
    found += undelivered + stored.faults(deployment.url, told)
    return found + stored.different_totals(deployment.url)
