"""Runs of 100,000 samples on SQLite, one of eight GPUs and one of 64 with 20,000 stages: pages, a part, and a file.

In a process of its own, on a scratch database that goes with it.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.timing import Row
from traceml_site.serving.stack import with_room

BATCHES, STEP_S, TURNS = 100, 10.0, 11
REST = [
    {"key": "cpu-0", "kind": "cpu", "name": "AMD EPYC 7742 64-Core Processor", "cores": 64.0},
    {"key": "ram", "kind": "ram", "name": "Memory", "memory_gb": 512.0},
]


class Shape(NamedTuple):
    """A run of 100 batches: its GPUs, and the times and stages of each batch."""

    run_id: uuid.UUID
    gpus: int
    times: int
    stages: int

    @property
    def devices(self) -> list[dict]:
        about = {"kind": "gpu", "name": "NVIDIA H100 80GB HBM3", "measured_by": "counter"}
        return [*({"key": f"gpu-{n}", "uuid": f"GPU-{n}"} | about for n in range(self.gpus)), *REST]


LONG = Shape(uuid.UUID(int=29), gpus=8, times=100, stages=1)
WIDE = Shape(uuid.UUID(int=64), gpus=64, times=15, stages=200)
#: Paths with their bound in ms.
PATHS = {
    "the page of a run with 100,000 samples": (f"/runs/{LONG.run_id}/", 60),
    "a part of its charts": (f"/runs/{LONG.run_id}/series?start=40000&end=44000", 50),
    "its samples as CSV": (f"/runs/{LONG.run_id}/series.csv", None),
    "the page of a run with 64 GPUs and 20,000 stages": (f"/runs/{WIDE.run_id}/", 100),
    "the 200th page of its stages": (f"/runs/{WIDE.run_id}/?stages=200", None),
}


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="traceml-bench-") as folder:
        own = {"SECRET_KEY": "bench-only-" + "0123456789abcdef" * 4, "TRACEML_DATA": folder}
        own |= {"DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3", "DJANGO_SETTINGS_MODULE": "tests.settings"}
        command = [sys.executable, "-m", "tests.benchmarks.long_run"]
        root = Path(__file__).parents[2]
        answer = subprocess.run(command, cwd=root, env=os.environ | own, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    return [_row(name, *found[name], bound) for name, (_, bound) in PATHS.items()]


def _row(name: str, median_ms: float, kilobytes: float, bound: float | None) -> Row:
    wanted = f"≤ {bound} ms" if bound else ""
    return Row(name, f"{median_ms:.0f} ms, {kilobytes:,.0f} KB", "", wanted, median_ms <= bound if bound else None)


def measured() -> dict[str, tuple[float, float]]:
    """Median milliseconds and size of each path."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from runs.models import User

    call_command("migrate", verbosity=0)
    call_command("load_catalogue", verbosity=0)
    reader = Client()
    fill(LONG, WIDE)
    reader.force_login(User.objects.get())
    return {name: with_room(_timed, reader, path) for name, (path, _) in PATHS.items()}


def _timed(reader, path: str) -> tuple[float, float]:
    times, size = [], 0
    for _ in range(TURNS):
        began = time.perf_counter()
        answer = reader.get(path)
        size = sum(map(len, answer.streaming_content)) if answer.streaming else len(answer.content)
        times.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, (path, answer.status_code)
    return statistics.median(times), size / 1024


def fill(*shapes: Shape) -> None:
    """The runs as their agents would have sent them, by the ingest code itself."""
    from django.utils import timezone

    from runs.ingest.batch import record_batch
    from runs.ingest.finish import record_finish
    from runs.ingest.header import record_header
    from runs.models import Membership, Project, Team, User

    team = Team.objects.create(name="Bench", slug="bench")
    user = User.objects.create_user("bench@example.org", "bench only")
    Membership.objects.create(team=team, user=user, role="owner")
    project = Project.objects.create(team=team, name="Bench", slug="bench")
    for shape in shapes:
        began = timezone.now() - timedelta(seconds=BATCHES * shape.times * STEP_S)
        about = {"writer": "w", "writer_started_at": began, "devices": shape.devices}
        record_header(project, shape.run_id, about | {"model": "m", "started_at": began, "flush_s": 30})
        dice = random.Random(29)
        counters = {device["key"]: [0.0, 0.0] for device in shape.devices}
        for number in range(BATCHES):
            body = about | _batch(shape, dice, counters, number)
            record_batch(project, shape.run_id, f"b-{number}", f"{number:064d}", body)
        end = {"status": "completed", "ended_at": timezone.now(), "exception": "", "dropped_records": 0, "samples": []}
        record_finish(project, shape.run_id, about | end)


def _batch(shape: Shape, dice: random.Random, counters: dict[str, list[float]], number: int) -> dict:
    lasts_s = shape.times * STEP_S
    first_s, samples = number * lasts_s, []
    for step in range(1, shape.times + 1):
        t_s = first_s + step * STEP_S
        for device in shape.devices:
            busy, so_far = dice.uniform(0.6, 1.0), counters[device["key"]]
            so_far[0] += STEP_S * busy
            so_far[1] += STEP_S * (80 + 620 * busy)
            energy_j = so_far[1] if device["kind"] == "gpu" else None
            samples.append(
                {"device": device["key"], "t_s": t_s, "elapsed_s": t_s, "busy_s": so_far[0], "energy_j": energy_j}
            )
    edges = [first_s + lasts_s * n / shape.stages for n in range(shape.stages + 1)]
    stages = [
        {"id": f"e{number}-{n}", "name": f"epoch {number * shape.stages + n}", "parent": "", "start_s": a, "end_s": b}
        for n, (a, b) in enumerate(pairwise(edges), 1)
    ]
    metrics = [{"t_s": first_s + lasts_s - 1, "name": "loss", "value": 2 / (1 + number)}]
    return {"samples": samples, "stages": stages, "metrics": metrics, "calls": []}


if __name__ == "__main__":
    print(json.dumps(measured()))
