"""A portal that fails on demand: a real HTTP server in a process of its own, standard library alone.

It keeps the acknowledgement contract of docs/wire.md, and a log of requests as JSON lines from which it can be started
again with what it had stored. `mode(name)` makes it misbehave; see MODE.

    python -m tests.fakes.portal --port 0 --token tml_x --log requests.jsonl --mode ok
"""

import argparse
import contextlib
import gzip
import hashlib
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOKEN = "tml_fake0000000000000000"
ROUTE = re.compile(r"/api/v1/runs/([0-9a-f-]{36})(?:/batches/([A-Za-z0-9._-]{1,64})|/(finish))?")
HEADERS = ("authorization", "content-type", "content-encoding", "content-length", "user-agent", "host", "cookie")
#: A status by its number, or `503:7` with Retry-After; `redirect:http://…` to there; `notice:…` with each answer.
MODE = re.compile(
    r"ok|drop|notice:.+|unknown|echo-token|hang|drip|drip-body|huge|captive|redirect:http.+|[345][0-9][0-9](:.*)?"
)


class Store:
    """What was accepted: per run its header, its batches by id with their digest, its finish."""

    def __init__(self):
        self.runs: dict[str, dict] = {}

    def put(self, run_id: str, batch_id: str | None, finish: bool, digest: str, body: dict) -> tuple[int, str]:
        """Store a write; the status and the word that answer it."""
        if batch_id is None and not finish:
            if not (body.get("model") and body.get("started_at")):
                return 422, "invalid"
            created = run_id not in self.runs
            run = self.runs.setdefault(run_id, {"headers": [], "batches": {}, "finishes": []})
            run["headers"].append(body)
            return (201, "created") if created else (200, "updated")
        if (run := self.runs.get(run_id)) is None:
            return 404, "run-unknown"
        if finish:
            run["finishes"].append(body)
            return 200, "finished"
        if batch_id in run["batches"]:
            return (200, "duplicate") if run["batches"][batch_id][0] == digest else (409, "batch-conflict")
        run["batches"][batch_id] = (digest, body)
        return 201, "stored"


class Portal(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, token: str, log: Path, mode: str):
        super().__init__(("127.0.0.1", port), Handler)
        self.token, self.log, self.lock = token, log, threading.Lock()
        self.store = Store()
        self.set_mode({"name": mode})
        for entry in read_log(log):
            if entry["stored"]:
                self.store.put(*entry["target"], entry["sha256"], entry["body"])

    def set_mode(self, mode: dict) -> None:
        assert MODE.fullmatch(mode["name"]), mode
        self.mode, self.left, self.only = mode["name"], mode.get("times"), mode.get("only", "")
        self.ahead_s = mode.get("ahead_s", 0.0)

    def mode_for(self, path: str) -> str:
        """The mode that this request meets: some hold for a number of requests, or for some paths only."""
        with self.lock:
            if self.only not in path or self.left == 0:
                return "ok"
            self.left = self.left and self.left - 1
            return self.mode

    def write(self, entry: dict) -> None:
        with self.lock, self.log.open("a") as file:
            file.write(json.dumps(entry) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement
    server: Portal

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(timestamp or time.time() + self.server.ahead_s)

    def do_POST(self):
        """The test's own door: set the mode."""
        self.server.set_mode(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(200, {})

    def do_PUT(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        zipped = self.headers.get("Content-Encoding") == "gzip"
        plain = gzip.decompress(raw) if zipped else raw
        self.entry = {
            "t": time.time(),
            "method": self.command,
            "path": self.path,
            "headers": {name: self.headers[name] for name in HEADERS if name in self.headers},
            "connection": self.client_address[1],
            "body": json.loads(plain),
            "sha256": hashlib.sha256(plain).hexdigest(),
            "mode": self.server.mode_for(self.path),
            "status": None,
            "stored": False,
        }
        self.act(self.entry["mode"], zipped)

    def act(self, mode: str, zipped: bool) -> None:
        name, _, more = mode.partition(":")
        if mode in ("ok", "drop"):
            status, body = self.accept(zipped)
            self.record(None if mode == "drop" else status)
            self.hang_up() if mode == "drop" else self.answer(status, body)
        elif name == "notice":
            status, body = self.accept(zipped)
            self.record(status)
            self.answer(status, body | {"notice": more})
        elif name.isdigit():
            self.refuse(int(name), {"detail": f"mode {mode}"}, **({"Retry-After": more} if more else {}))
        elif mode == "unknown":
            self.refuse(404, {"type": "run-unknown", "detail": "no such run"})
        elif mode == "echo-token":
            self.refuse(503, {"detail": f"I was shown {self.headers['Authorization']}\nand more"})
        elif name == "redirect":
            self.refuse(307, {}, Location=more + self.path)
        else:
            self.record(200 if mode == "captive" else None)
            {"hang": hang, "drip": drip, "drip-body": drip_body, "huge": huge, "captive": captive}[mode](self)

    def accept(self, zipped: bool) -> tuple[int, dict]:
        """What a healthy portal does: status and body of its answer."""
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return 401, {"type": "not_authenticated", "detail": "no such token"}
        if (match := ROUTE.fullmatch(self.path)) is None:
            return 404, {"type": "not_found", "detail": "no such address"}
        run_id, batch_id, finish = match.groups()
        if zipped and not batch_id:
            return 415, {"type": "unsupported", "detail": "only batches may be compressed"}
        target = (run_id, batch_id, bool(finish))
        with self.server.lock:
            status, word = self.server.store.put(*target, self.entry["sha256"], self.entry["body"])
        self.entry |= {"target": target, "stored": status < 300}
        if status >= 400:
            return status, {"type": word, "detail": word, "errors": []}
        answer = {"run_id": run_id, "batch_id": batch_id, "sha256": self.entry["sha256"], "status": word}
        return status, answer | {"energy_kwh": 0.0, "emissions_kg": 0.0, "url": f"http://fake/runs/{run_id}/"}

    def record(self, status: int | None) -> None:
        self.server.write(self.entry | {"status": status})

    def answer(self, status: int, body: dict, **headers) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Set-Cookie", "seen=1")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, body: dict, **headers) -> None:
        self.record(status)
        self.answer(status, body, **headers)

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def hang(handler: Handler) -> None:
    time.sleep(120)


def drip(handler: Handler) -> None:
    _trickle(handler, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a")


def drip_body(handler: Handler) -> None:
    _trickle(handler, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n", b" ")


def _trickle(handler: Handler, start: bytes, again: bytes, pause_s: float = 0.05) -> None:
    """Bytes that never end, each in time for a time-out per read."""
    with contextlib.suppress(OSError):
        handler.connection.sendall(start)
        while True:
            handler.connection.sendall(again)
            time.sleep(pause_s)


def huge(handler: Handler) -> None:
    _trickle(handler, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" " * 65536, 0.0)


def captive(handler: Handler) -> None:
    page = b"<p>Please log in to the network</p>"
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(len(page)))
    handler.end_headers()
    handler.wfile.write(page)


def read_log(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


class FakePortal:
    """The tests' handle on a fake portal in a process of its own."""

    def __init__(self, folder: Path, token: str = TOKEN, cert: Path | None = None):
        self.token, self._log, self._cert = token, folder / "requests.jsonl", cert
        self._port, self._process = 0, None
        self.start()

    def start(self, mode: str = "ok") -> None:
        """Start, again on the same port and with what was stored before."""
        command = [sys.executable, "-ES", "-m", "tests.fakes.portal", f"--port={self._port}", f"--mode={mode}"]
        command += [f"--token={self.token}", f"--log={self._log}"]
        command += [f"--cert={self._cert}"] if self._cert else []
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """End: from now on connections are refused."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._cert else 'http'}://127.0.0.1:{self._port}"

    def mode(self, name: str, times: int | None = None, only: str = "", ahead_s: float = 0.0) -> None:
        """Behave so: for the next `times` requests, else for good; for paths that contain `only`.

        The portal's clock is `ahead_s` ahead.
        """
        connection = HTTPConnection("127.0.0.1", self._port, timeout=5)
        connection.request(
            "POST", "/mode", json.dumps({"name": name, "times": times, "only": only, "ahead_s": ahead_s})
        )
        assert connection.getresponse().status == 200
        connection.close()

    def requests(self) -> list[dict]:
        """All requests so far: t, method, path, headers, connection, body, sha256, mode, status, stored."""
        return read_log(self._log)

    def runs(self) -> dict[str, dict]:
        """What is stored per run: headers, batches by id, samples in the order of their batches, finishes."""
        store = Store()
        for entry in self.requests():
            if entry["stored"]:
                store.put(*entry["target"], entry["sha256"], entry["body"])
        for run in store.runs.values():
            run["batches"] = {batch_id: body for batch_id, (_, body) in run["batches"].items()}
            run["samples"] = [sample for body in run["batches"].values() for sample in body.get("samples", ())]
        return store.runs

    def wait_for(self, condition, seconds: float = 30.0) -> None:
        """Wait until `condition(self)` holds; an AssertionError with the last requests where it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition(self):
            if time.monotonic() > deadline:
                seen = [(entry["path"], entry["mode"], entry["status"]) for entry in self.requests()[-10:]]
                raise AssertionError(f"not within {seconds} s; the last requests: {seen}")
            time.sleep(0.02)

    def __enter__(self) -> "FakePortal":
        return self

    def __exit__(self, *_) -> None:
        self.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--mode", default="ok")
    parser.add_argument("--cert", type=Path, help="certificate and key, for https")
    options = parser.parse_args()
    portal = Portal(options.port, options.token, options.log, options.mode)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert)
        portal.socket = context.wrap_socket(portal.socket, server_side=True)
    print(portal.server_port, flush=True)
    portal.serve_forever()


if __name__ == "__main__":
    main()
