"""A run of eight GPUs, a CPU and memory with 100,000 samples on SQLite: its page, a part of it, its samples as a file.

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
from pathlib import Path

from tests.benchmarks.timing import Row

BATCHES, SAMPLES, STEP_S, TURNS = 100, 100, 10.0, 11
RUN = uuid.UUID(int=29)
GPUS = [{"key": f"gpu-{n}", "kind": "gpu", "name": "NVIDIA H100 80GB HBM3", "uuid": f"GPU-{n}"} for n in range(8)]
DEVICES = [
    *(gpu | {"measured_by": "counter"} for gpu in GPUS),
    {"key": "cpu-0", "kind": "cpu", "name": "AMD EPYC 7742 64-Core Processor", "cores": 64.0},
    {"key": "ram", "kind": "ram", "name": "Memory", "memory_gb": 512.0},
]
#: PERFORMANCE row 29 for the page; a zoom reads the batches around its part alone.
PATHS = {
    "the page of a run with 100,000 samples": (f"/runs/{RUN}/", 160),
    "a part of its charts": (f"/runs/{RUN}/series?start=40000&end=44000", 50),
    "its samples as CSV": (f"/runs/{RUN}/series.csv", None),
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
    fill()
    reader.force_login(User.objects.get())
    return {name: _timed(reader, path) for name, (path, _) in PATHS.items()}


def _timed(reader, path: str) -> tuple[float, float]:
    times, size = [], 0
    for _ in range(TURNS):
        began = time.perf_counter()
        answer = reader.get(path)
        size = len(b"".join(answer.streaming_content) if answer.streaming else answer.content)
        times.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, (path, answer.status_code)
    return statistics.median(times), size / 1024


def fill() -> None:
    """The run as its agent would have sent it, by the ingest code itself."""
    from django.utils import timezone

    from runs.ingest.batch import record_batch
    from runs.ingest.finish import record_finish
    from runs.ingest.header import record_header
    from runs.models import Membership, Project, Team, User

    team = Team.objects.create(name="Bench", slug="bench")
    user = User.objects.create_user("bench@example.org", "bench only")
    Membership.objects.create(team=team, user=user, role="owner")
    project = Project.objects.create(team=team, name="Bench", slug="bench")
    seconds = BATCHES * SAMPLES * STEP_S
    began = timezone.now() - timedelta(seconds=seconds)
    about = {"writer": "w", "writer_started_at": began, "devices": DEVICES}
    record_header(project, RUN, about | {"model": "m", "started_at": began, "flush_s": 30})
    dice = random.Random(29)
    counters = {device["key"]: [0.0, 0.0] for device in DEVICES}
    for number in range(BATCHES):
        record_batch(project, RUN, f"b-{number}", f"{number:064d}", about | _batch(dice, counters, number))
    end = {"status": "completed", "ended_at": timezone.now(), "exception": "", "dropped_records": 0, "samples": []}
    record_finish(project, RUN, about | end)


def _batch(dice: random.Random, counters: dict[str, list[float]], number: int) -> dict:
    first_s, samples = number * SAMPLES * STEP_S, []
    for step in range(1, SAMPLES + 1):
        t_s = first_s + step * STEP_S
        for device in DEVICES:
            busy, so_far = dice.uniform(0.6, 1.0), counters[device["key"]]
            so_far[0] += STEP_S * busy
            so_far[1] += STEP_S * (80 + 620 * busy)
            energy_j = so_far[1] if device["kind"] == "gpu" else None
            samples.append(
                {"device": device["key"], "t_s": t_s, "elapsed_s": t_s, "busy_s": so_far[0], "energy_j": energy_j}
            )
    end_s = first_s + SAMPLES * STEP_S
    stage = {"id": f"e{number}", "name": f"epoch {number + 1}", "parent": "", "start_s": first_s, "end_s": end_s}
    metrics = [{"t_s": end_s - 1, "name": "loss", "value": 2 / (1 + number)}]
    return {"samples": samples, "stages": [stage], "metrics": metrics, "calls": []}


if __name__ == "__main__":
    print(json.dumps(measured()))
