"""`python -m tests.benchmarks.soak 30`: so many minutes of honest and hostile clients on a portal with two workers.

Prints by how much each worker's memory grew, how honest requests were answered and how long they took. No part of
`make bench`, which nobody would wait for.
"""

import gzip
import json
import os
import random
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("SECRET_KEY", "bench-only-" + "0123456789abcdef" * 4)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import tests.settings  # noqa: F401 (places.KEY is the key that this leaves in the environment)
from tests.backup import places
from tests.serving import servers

BODIES = [
    gzip.compress(b"[" + b"[]," * 900_000 + b"[]]"),
    gzip.compress(b"x" * 50_000_000),
    b"[" * 900_000,
    b"\xff" * 100_000,
    b'{"samples":' + b"[1," * 200_000,
    b"",
]
WARM_UP, READS = 20, ("methodology/", "accounts/login/", "healthz")


class Soak:
    """Clients in threads, and what they were told."""

    def __init__(self, port: int, token: str, minutes: float):
        self.port, self.until = port, time.monotonic() + 60 * minutes
        self.agent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.honest: Counter = Counter()
        self.hostile: Counter = Counter()
        self.took_s: list[float] = []

    def ask(self, method: str, path: str, data: bytes | None = None, **headers: str) -> str:
        """The status; the error's name where there was no answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()
                return str(answer.status)
        except urllib.error.HTTPError as refused:
            return str(refused.code)
        except OSError as error:
            return type(error).__name__

    def expect(self, *request, **headers: str) -> None:
        began = time.monotonic()
        self.honest[self.ask(*request, **headers)] += 1
        self.took_s.append(time.monotonic() - began)

    def upload(self) -> None:
        """A run of five batches, a second between them."""
        run, began = f"api/v1/runs/{uuid.uuid4()}", (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        header = {"model": "soak", "kind": "training", "writer": "w-1", "started_at": began, "devices": []}
        self.expect("PUT", run, json.dumps(header).encode(), **self.agent)
        device = {"key": "gpu-0", "kind": "gpu", "name": "NVIDIA L4", "method": "nvml", "basis": "counter"}
        for n in range(1, 6):
            sample = {"device": "gpu-0", "t_s": 10 * n, "elapsed_s": 10 * n, "busy_s": 5 * n, "energy_j": 300 * n}
            body = json.dumps({"writer": "w-1", "devices": [device], "samples": [sample]}).encode()
            self.expect("PUT", f"{run}/batches/b-{n}", body, **self.agent)
            time.sleep(1)

    def read(self) -> None:
        for path in (*READS, "api/v1/runs", "api/v1/summary"):
            self.expect("GET", path, **(self.agent if path.startswith("api/") else {}))
            time.sleep(2)

    def attack(self) -> None:
        kind, dice = random.choice(["body", "token", "link", "form", "query", "half"]), random.Random()
        if kind == "body":
            body = dice.choice(BODIES)
            zipped = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
            told = self.ask("PUT", f"api/v1/runs/{uuid.uuid4()}/batches/b-1", body, **self.agent, **zipped)
        elif kind == "token":
            told = self.ask("GET", "api/v1/runs", Authorization=f"Bearer tml_{os.urandom(20).hex()}")
        elif kind == "link":
            told = self.ask("GET", f"s/{os.urandom(16).hex()}/")
        elif kind == "form":
            told = self.ask("POST", "accounts/login/", b"a=1&" * 200_000)
        elif kind == "query":
            told = self.ask("GET", f"runs/?since=9999-12-31&cursor=%00&page={'9' * 50}")
        else:
            half = b"POST /accounts/login/ HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\nx"
            threading.Timer(dice.uniform(5, 60), servers.dial(self.port, half).close).start()
            told = "held"
        self.hostile[f"{kind} {told}"] += 1
        time.sleep(0.5)

    def repeat(self, act: Callable[[], None]) -> threading.Thread:
        def work() -> None:
            while time.monotonic() < self.until:
                act()

        thread = threading.Thread(target=work)
        thread.start()
        return thread


def resident_mib(port: int) -> dict[int, float]:
    """Of each worker of the portal on this port, by its process."""
    return {pid: servers.resident_mib(pid) for pid in servers.processes(port)[1:]}


def main(minutes: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="traceml-soak-"))
    url = f"sqlite:///{folder}/soak.sqlite3"
    places.done(url, "migrate")
    places.done(url, "load_catalogue")
    token = places.done(url, "issue_token", "--team", "Soak", "--project", "Soak", "--scopes", "ingest,read").split()[
        -1
    ]
    with servers.portal(url, folder / "log", WEB_CONCURRENCY="2") as port:
        soak = Soak(port, token, minutes)
        for _ in range(WARM_UP):
            for path in READS:
                soak.ask("GET", path)
        before = resident_mib(port)
        acts = [soak.upload, soak.upload, soak.read, soak.attack, soak.attack]
        for thread in [soak.repeat(act) for act in acts]:
            thread.join()
        for pid, mib in resident_mib(port).items():
            print(f"worker {pid}: {before[pid]:.0f} MiB at first, {mib - before[pid]:+.0f} MiB")
    took_s = sorted(soak.took_s)
    p99_s = took_s[int(0.99 * len(took_s))]
    print(f"honest: {dict(soak.honest)}; p99 {1000 * p99_s:.0f} ms, longest {1000 * took_s[-1]:.0f} ms")
    print(f"hostile: {dict(sorted(soak.hostile.items()))}")


if __name__ == "__main__":
    main(float(sys.argv[1]))
