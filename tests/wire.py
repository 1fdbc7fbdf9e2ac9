"""A client of the API's write side for tests: bodies as docs/wire.md gives them, and the calls that send them."""

import gzip
import hashlib
import json
import uuid
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from unittest.mock import patch

A100 = {"key": "gpu-0", "kind": "gpu", "name": "NVIDIA A100-SXM4-40GB", "uuid": "GPU-1111"}
CPU = {"key": "cpu-0", "kind": "cpu", "name": "AMD EPYC 7742 64-Core Processor", "cores": 8, "threads": 16}
MEMORY = {"key": "ram", "kind": "ram", "name": "Memory", "memory_gb": 64}


def ago(**span) -> str:
    return (datetime.now(timezone.utc) - timedelta(**span)).isoformat()


def noon(days_ago: int) -> str:
    """Noon (UTC) of a day gone by: what takes an hour from there stays within that day, whenever the tests run."""
    return (datetime.now(timezone.utc) - timedelta(days=days_ago)).replace(hour=12, minute=0).isoformat()


def lately() -> str:
    """An hour ago; soon after midnight (UTC), midnight: what a test adds from there is of one day, whenever it runs."""
    now = datetime.now(timezone.utc)
    return max(now - timedelta(hours=1), now.replace(hour=0, minute=0, second=0, microsecond=0)).isoformat()


def header(**changes) -> dict:
    return {"model": "resnet-50", "kind": "training", "started_at": lately(), "writer": "w-1"} | changes


def sample(device: str, elapsed_s: float, busy_s: float, energy_j: float | None = None) -> dict:
    return {"device": device, "t_s": elapsed_s, "elapsed_s": elapsed_s, "busy_s": busy_s, "energy_j": energy_j}


def batch(samples=(), devices=(A100,), **more) -> dict:
    return {"writer": "w-1", "devices": list(devices), "samples": list(samples)} | more


def finish(**changes) -> dict:
    return {"writer": "w-1", "status": "completed", "ended_at": ago(minutes=1)} | changes


@contextmanager
def totals_later():
    """Uploads only store their facts meanwhile, as they do where another thread folds."""
    with patch("runs.jobs.folder.wake", lambda run=None: None):
        yield


class Wire:
    """Sends requests of one token through Django's test client."""

    def __init__(self, client, token: str):
        self.client = client
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query):
        return self.client.get(f"/api/v1/{path}", query, headers=self.headers)

    def put(self, path: str, body, zipped: bool = False, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if zipped:
            data, headers = gzip.compress(data), headers | {"Content-Encoding": "gzip"}
        return self.client.put(f"/api/v1/{path}", data, content_type="application/json", headers=self.headers | headers)

    def start(self, run_id: str | None = None, **changes) -> str:
        """Announce a run; returns its id."""
        run_id = run_id or str(uuid.uuid4())
        answer = self.put(f"runs/{run_id}", header(**changes))
        assert answer.status_code in (200, 201), answer.content
        return run_id

    def send(self, run_id: str, batch_id: str, body: dict):
        return self.put(f"runs/{run_id}/batches/{batch_id}", body)

    def finish(self, run_id: str, **changes):
        return self.put(f"runs/{run_id}/finish", finish(**changes))

    def whole_run(self, samples=(), devices=(A100,), **changes) -> str:
        """A run from header to finish, added to the totals at its end; returns its id."""
        with totals_later():
            run_id = self.start(**changes)
            sent = batch(samples or [sample("gpu-0", 3600, 1800)], devices)
            assert self.send(run_id, "b-1", sent).status_code == 201
        assert self.finish(run_id).status_code == 200
        return run_id


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
