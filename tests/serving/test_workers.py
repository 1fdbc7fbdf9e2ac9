"""All workers work: one is not left idle while another has all the clients."""

import time
from contextlib import ExitStack

import psutil

from tests.serving import servers

CLIENTS = 12
PROBE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def test_connections_that_come_together_are_shared_by_the_workers(port):
    workers = all_workers(port)
    with ExitStack() as held:
        clients = [held.enter_context(servers.dial(port, PROBE)) for _ in range(CLIENTS)]
        assert all(client.recv(65536) for client in clients)
        assert min(map(connections, workers)) > 1


def all_workers(port: int) -> list[int]:
    """Wait until both take connections: one that is only just here leaves the first clients to the other."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        servers.get(port, "/healthz")
        _, *workers = servers.processes(port)
        if len(workers) == 2:
            time.sleep(0.5)
            return workers
    raise AssertionError("there are not two workers")


def connections(pid: int) -> int:
    """How many clients a worker serves."""
    return sum(1 for each in psutil.Process(pid).net_connections("tcp") if each.raddr)
