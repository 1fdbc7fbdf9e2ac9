"""Services of the tests: started as a person starts them, asked by a client, and told to stop."""

import contextlib
import signal
import socket
import subprocess
import time

import requests


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Served:
    """A service's process and address. `ask` sends a request; a connection that is refused at first is tried again."""

    def __init__(self, process: subprocess.Popen, address: str):
        self.process, self.address = process, address

    def ask(self, path: str, method: str = "GET", **how) -> requests.Response:
        until = time.monotonic() + 60
        while True:
            try:
                return requests.request(method, self.address + path, timeout=30, **how)
            except requests.ConnectionError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self) -> str:
        """Tell it to stop, as a scheduler does. Returns what it said."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=60)
        return said


@contextlib.contextmanager
def served(words: list[str], port: int, environment: dict, folder):
    process = subprocess.Popen(
        words, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield Served(process, f"http://127.0.0.1:{port}")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def counted(runs: list[dict]) -> dict[str, tuple[int, int]]:
    """Calls and items by method, of all writers of these runs."""
    last: dict[tuple, tuple[int, int]] = {}
    for number, run in enumerate(runs):
        for batch in run["batches"].values():
            for row in batch.get("calls", []):
                key = number, batch["writer"], row["method"]
                last[key] = max(last.get(key, (0, 0)), (row["calls"], row["items"]))
    found: dict[str, tuple[int, int]] = {}
    for (_, _, method), (calls, items) in last.items():
        before = found.get(method, (0, 0))
        found[method] = before[0] + calls, before[1] + items
    return found


def wait_until_counted(portal, requests: int) -> None:
    """Wait until so many requests have arrived: each worker delivers its own."""
    portal.wait_for(lambda p: sum(n for n, _ in counted(list(p.runs().values())).values()) >= requests, 20)
