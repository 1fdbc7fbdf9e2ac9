"""Clients that upload as agents do, in one process that leaves the cores to the server: `python -m …agents` with a Plan
as JSON on its input prints what it was told.

Each client has a connection and a run of its own. It announces the run, then sends its batches in turn, each again
until it is acknowledged: by a status and the digest of what was sent, which is what the agent asks for before it
deletes anything. Times are from when a request was due, so that one that had to wait counts as slow.
"""

import gzip
import hashlib
import heapq
import json
import random
import re
import selectors
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from traceml_agent.delivery.client import ZIP_FROM_BYTES, encode

ROOT = Path(__file__).parents[2]
#: The agent's own deadline for an answer, and how long a client goes on repeating after its time.
ANSWER_S, PATIENCE_S = 10.0, 90.0
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
GPUS = [{"key": f"gpu-{n}", "kind": "gpu", "name": "NVIDIA H100 80GB HBM3", "memory_gb": 80.0} for n in range(8)]
CPU = {"key": "cpu-0", "kind": "cpu", "name": "AMD EPYC 7742 64-Core Processor", "cores": 64.0, "threads": 128.0}
#: A run has the first of these: one card, or a small machine, or a large one.
DEVICES = [GPUS[0], CPU, {"key": "ram", "kind": "ram", "name": "Memory", "memory_gb": 512.0}, *GPUS[1:]]


@dataclass
class Plan:
    """What to send where: `clients` runs, in each batch `instants` samples of each of its `devices`.

    Each client sends its next batch `every_s` after the one before, give or take a tenth, at once for 0 s; it stops
    after `seconds`, or after `batches` of them (0: any number). `retry_s` is how long it waits before it repeats a
    request for the first time. `mlflow_runs`: send the same samples to MLflow's server instead, to these runs.
    """

    port: int
    token: str = ""
    clients: int = 4
    devices: int = 1
    instants: int = 1
    seconds: float = 4.0
    batches: int = 0
    every_s: float = 0.0
    retry_s: float = 0.05
    mlflow_runs: list[str] = field(default_factory=list)


@dataclass
class Told:
    """What the clients were told: in `seconds`, milliseconds of each answered request, how often one was repeated, each
    refusal, `[run, batch]` of all that was acknowledged, what was not to the end, and joules by run so far.
    """

    seconds: float = 0.0
    header_ms: list[float] = field(default_factory=list)
    batch_ms: list[float] = field(default_factory=list)
    repeated: int = 0
    refused: list[str] = field(default_factory=list)
    acknowledged: list[list[str]] = field(default_factory=list)
    undelivered: list[list[str]] = field(default_factory=list)
    energy_j: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return len(self.batch_ms) / self.seconds


class Request(NamedTuple):
    """Bytes to send, and the digest that a server has to answer; the header's batch is empty."""

    run_id: str
    batch_id: str
    digest: bytes
    data: bytes
    energy_j: float = 0.0


def start(plan: Plan) -> subprocess.Popen:
    """A process that carries out the plan; `told` waits for its end."""
    words = [sys.executable, "-m", "tests.benchmarks.agents"]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps(asdict(plan)))
    process.stdin.close()
    return process


def told(process: subprocess.Popen) -> Told:
    output = process.stdout.read()
    assert process.wait() == 0, "the load program failed"
    return Told(**json.loads(output))


def upload(plan: Plan) -> Told:
    return told(start(plan))


class Run:
    """The requests of one run, whose counters grow with each."""

    def __init__(self, plan: Plan, number: int):
        self.plan, self.id, self.dice = (
            plan,
            str(uuid.uuid4()),
            random.Random(number),
        )
        self.writer = f"w-{self.id[:13]}"
        self.began = (datetime.now(UTC) - timedelta(hours=3)).isoformat(timespec="milliseconds")
        self.devices = [self._described(device) for device in DEVICES[: plan.devices]]
        self.counters = {device["key"]: [0.0, 0.0] for device in self.devices}
        self.t_s = 0.0

    def _described(self, device: dict) -> dict:
        known = {"basis": "", "method": "used GB", "note": "", "uuid": ""}
        if device["kind"] != "ram":
            known |= {"basis": "counter", "method": "energy counter"}
        return device | known | ({"uuid": f"GPU-{device['key']}-{self.id}"} if device["kind"] == "gpu" else {})

    def header(self) -> Request:
        body = {
            "agent_version": "0.1.0", "environment": {"python": "3.11.7", "os": "Linux 6.1.0 x86_64"}, "flush_s": 30.0,
            "host": "host-1", "kind": "training", "model": "load", "name": "", "params": {"lr": 0.1}, "tags": ["load"],
            "sent_at": datetime.now(UTC).isoformat(), "started_at": self.began, "writer": self.writer,
            "writer_started_at": self.began,
        }  # fmt: skip
        return self._request("", encode(body))

    def batches(self) -> Iterator[Request]:
        number = 0
        while not self.plan.batches or number < self.plan.batches:
            number += 1
            body = {"calls": [], "devices": self.devices, "metrics": [], "samples": self._samples(), "stages": []}
            body |= {"writer": self.writer, "writer_started_at": self.began}
            yield self._request(f"{self.writer}-{number}", encode(body))

    def _samples(self) -> list[dict]:
        step_s, found = (self.plan.every_s or self.plan.instants) / self.plan.instants, []
        for _ in range(self.plan.instants):
            self.t_s += step_s
            for device in self.devices:
                busy, counters = self.dice.uniform(0.6, 1.0), self.counters[device["key"]]
                counters[0] += step_s * busy
                counters[1] += step_s * (80 + 620 * busy) if device["basis"] else 0.0
                elapsed_s, energy_j = round(self.t_s, 6), round(counters[1], 3) if device["basis"] else None
                sample = {"busy_s": round(counters[0], 6), "device": device["key"], "elapsed_s": elapsed_s}
                found.append(sample | {"energy_j": energy_j, "t_s": round(elapsed_s + 0.01, 6)})
        return found

    def _request(self, batch_id: str, body: bytes) -> Request:
        path = f"/api/v1/runs/{self.id}" + (f"/batches/{batch_id}" if batch_id else "")
        sent, zipped = body, ""
        if batch_id and len(body) >= ZIP_FROM_BYTES:
            sent, zipped = gzip.compress(body, 6, mtime=0), "Content-Encoding: gzip\r\n"
        head = (
            f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.plan.port}\r\nAuthorization: Bearer {self.plan.token}\r\n"
            "User-Agent: traceml-agent/0.1.0\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
            f"Content-Type: application/json\r\n{zipped}Content-Length: {len(sent)}\r\n\r\n"
        )
        energy_j = sum(counters[1] for counters in self.counters.values())
        return Request(self.id, batch_id, hashlib.sha256(body).hexdigest().encode(), head.encode() + sent, energy_j)


class MlflowRun:
    """The same samples as MLflow's client would log them: two values each, joules and utilisation, by `log-batch`,
    which takes at most 1,000 values a request.
    """

    def __init__(self, plan: Plan, number: int):
        self.plan, self.id, self.dice = plan, plan.mlflow_runs[number], random.Random(number)

    def batches(self) -> Iterator[Request]:
        for number in range(self.plan.batches):
            yield self._request(number)

    def _request(self, number: int) -> Request:
        now_ms, names = int(1000 * time.time()), [device["key"] for device in DEVICES[: self.plan.devices]]
        steps = range(number * self.plan.instants, (number + 1) * self.plan.instants)
        metrics = [
            {"key": f"{name}/{what}", "value": self.dice.random(), "timestamp": now_ms, "step": step}
            for step in steps
            for name in names
            for what in ("energy_j", "busy_s")
        ]
        body = encode({"run_id": self.id, "metrics": metrics})
        head = f"POST /api/2.0/mlflow/runs/log-batch HTTP/1.1\r\nHost: 127.0.0.1:{self.plan.port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return Request(self.id, str(number), b"", head.encode() + body)


class Client:
    """A connection and the request that is due or sent on it."""

    def __init__(self, requests: Iterable[Request], due_at: float):
        self.requests, self.request = iter(requests), None
        self.due_at, self.sent_at, self.failures = due_at, 0.0, 0
        self.sock: socket.socket | None = None
        self.received = b""

    def next(self, due_at: float) -> bool:
        """Whether there is another request."""
        self.request, self.due_at, self.failures = next(self.requests, None), due_at, 0
        return self.request is not None


class Fleet:
    """Clients whose connections are read by one loop."""

    def __init__(self, plan: Plan):
        self.plan, self.told = plan, Told()
        self.poll = selectors.DefaultSelector()
        self.waiting: list[tuple[float, int, Client]] = []  # a heap by when to send
        self.sent: set[Client] = set()

    def deliver(self, clients: list[Client], until: float) -> None:
        """Until all clients have sent what they have, no request being begun after `until`."""
        self.until = until
        for client in clients:
            if client.next(client.due_at):
                self._wait(client, client.due_at)
        while (self.waiting or self.sent) and time.monotonic() < until + PATIENCE_S:
            now = time.monotonic()
            while self.waiting and self.waiting[0][0] <= now:
                self._send(heapq.heappop(self.waiting)[2])
            pause_s = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else 1.0
            for key, _ in self.poll.select(min(pause_s, 1.0)):
                self._read(key.data)
            for client in [client for client in self.sent if client.sent_at < now - ANSWER_S]:
                self._repeat(client)
        left = [entry[2] for entry in self.waiting] + list(self.sent)
        self.told.undelivered += [[client.request.run_id, client.request.batch_id] for client in left]

    def _wait(self, client: Client, at: float) -> None:
        heapq.heappush(self.waiting, (at, id(client), client))

    def _send(self, client: Client) -> None:
        try:
            if client.sock is None:
                client.sock = socket.create_connection(("127.0.0.1", self.plan.port), 3.0)
                client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.poll.register(client.sock, selectors.EVENT_READ, client)
            client.sock.sendall(client.request.data)
        except OSError:
            self._repeat(client)
            return
        client.sent_at, client.received = time.monotonic(), b""
        self.sent.add(client)

    def _read(self, client: Client) -> None:
        try:
            data = client.sock.recv(65536)
        except OSError:
            data = b""
        if not data and client in self.sent:
            self._repeat(client)
        elif not data:
            self._close(client)  # by the server, between two requests
        else:
            client.received += data
            self._look(client)

    def _look(self, client: Client) -> None:
        head, end, body = client.received.partition(b"\r\n\r\n")
        if not end or len(body) < int(LENGTH.search(head)[1]):
            return
        status = int(head[9:12])
        if b"connection: close" in head.lower():
            self._close(client)
        if status in (200, 201) and client.request.digest in body:
            self._acknowledge(client)
        elif status == 429 or status >= 500:
            self._repeat(client)
        else:
            self.sent.discard(client)
            self.told.refused.append(f"{status} {body[:300].decode(errors='replace')}")

    def _acknowledge(self, client: Client) -> None:
        self.sent.discard(client)
        now, request = time.monotonic(), client.request
        if now <= self.until:
            times_ms = self.told.batch_ms if request.batch_id else self.told.header_ms
            times_ms.append(round(1000 * (now - client.due_at), 3))
        self.told.acknowledged.append([request.run_id, request.batch_id])
        self.told.energy_j[request.run_id] = request.energy_j
        wait_s = self.plan.every_s * random.uniform(0.9, 1.1) if request.batch_id else 0.0
        due_at = client.due_at + wait_s if wait_s else now
        if due_at < self.until and client.next(due_at):
            self._wait(client, due_at)

    def _repeat(self, client: Client) -> None:
        """Send it again on a new connection, after a while that doubles up to 5 s, with jitter."""
        self.sent.discard(client)
        self._close(client)
        self.told.repeated += 1
        wait_s = min(self.plan.retry_s * 2**client.failures, 5.0)
        client.failures += 1
        self._wait(client, time.monotonic() + random.uniform(0.5, 1.0) * wait_s)

    def _close(self, client: Client) -> None:
        if client.sock is not None:
            self.poll.unregister(client.sock)
            client.sock.close()
            client.sock = None


def carried_out(plan: Plan) -> Told:
    """Runs that keep their interval begin at any time of it; others are announced before the clock starts."""
    fleet, now = Fleet(plan), time.monotonic()
    if plan.mlflow_runs:
        clients = [Client(list(MlflowRun(plan, number).batches()), now) for number in range(len(plan.mlflow_runs))]
    else:
        runs = [Run(plan, number) for number in range(plan.clients)]
        if plan.every_s:
            clients = [Client(_whole(run), now + random.uniform(0, plan.every_s)) for run in runs]
        else:
            clients = [Client([run.header()], now) for run in runs]
            fleet.deliver(clients, now + PATIENCE_S)
            for client, run in zip(
                clients, runs, strict=True
            ):  # those of a fixed number are made before the clock starts
                client.requests = iter(list(run.batches()) if plan.batches else run.batches())
    began = time.monotonic()
    for client in clients:
        client.due_at = max(client.due_at, began)
    fleet.deliver(clients, began + plan.seconds)
    ended = time.monotonic()
    fleet.told.seconds = min(ended - began, plan.seconds)
    return fleet.told


def _whole(run: Run) -> Iterator[Request]:
    yield run.header()
    yield from run.batches()


if __name__ == "__main__":
    print(json.dumps(asdict(carried_out(Plan(**json.loads(sys.stdin.read()))))))
