"""100,000 estimated runs follow a corrected profile on SQLite, while another process uploads and reads."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.timing import Row

RUNS, MODELS, DAYS = 100_000, 100, 180
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.settings", "TRACEML_REESTIMATE": "manual"}
WORK = """
import django, json, sys, time
django.setup()
from tests.benchmarks.reestimation import correct, fill
fill()
from runs import reestimate
from runs.models import Reestimation
correct()
print("ready", flush=True)
sys.stdin.readline()
began = time.perf_counter()
asked = reestimate.request("a corrected TDP")
from django.core.management import call_command
call_command("reestimate")
print(json.dumps({"s": time.perf_counter() - began, "runs": Reestimation.objects.latest("pk").done}), flush=True)
"""
MEANWHILE = """
import django, json, time
django.setup()
from django.test import Client
from runs.models import Project, User
from tests import people, wire
client, reader = wire.Wire(Client(), people.token(Project.objects.get())), Client()
reader.force_login(User.objects.get())
writes, reads = [], []
print("ready", flush=True)
until = time.time() + float(input())
while time.time() < until:
    began = time.perf_counter()
    client.whole_run()
    writes.append((time.perf_counter() - began) / 3)
    began = time.perf_counter()
    assert reader.get("/").status_code == 200
    reads.append(time.perf_counter() - began)
    time.sleep(0.2)
print(json.dumps({"write_s": max(writes), "read_s": max(reads), "count": len(writes)}))
"""


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **SETTINGS, "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3"}
        manage = [sys.executable, str(Path(__file__).parents[2] / "manage.py")]
        for command in ("migrate", "load_catalogue"):
            subprocess.run([*manage, command], env=environment, check=True, stdout=subprocess.DEVNULL)
        work = _begin(WORK, environment)
        others = _begin(MEANWHILE, environment)
        work.stdin.write("\n"), others.stdin.write("20\n")
        work.stdin.flush(), others.stdin.flush()
        took = json.loads(work.communicate()[0].splitlines()[-1])
        meanwhile = json.loads(others.communicate()[0])
    return [
        Row(
            f"{took['runs']:,} runs re-estimated, SQLite",
            f"{took['s']:.0f} s",
            f"meanwhile at most {meanwhile['write_s']:.1f} s a write, {meanwhile['read_s']:.1f} s the overview",
            "≤ 60 s",
            took["s"] <= 60,
        )
    ]


def _begin(code: str, environment: dict) -> subprocess.Popen:
    """A process that has said that it is ready."""
    words = [sys.executable, "-c", code]
    process = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def correct() -> None:
    """What an admin would do: another TDP."""
    from hardware.models import HardwareProfile

    profile = HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb")
    profile.full_load_w = 431
    profile.save()


def fill() -> None:
    """Runs with a card and a processor each, over half a year, and their daily totals."""
    from runs.jobs import reestimate
    from runs.models import EmissionFactor, Membership, Project, Team, User

    team = Team.objects.create(name="Bench", slug="bench")
    user = User.objects.create_user("bench@example.org", "x")
    Membership.objects.create(team=team, user=user, role=Membership.Role.OWNER)
    project = Project.objects.create(team=team, name="Bench", slug="bench")
    factor = EmissionFactor.objects.active()
    models = _models(project)
    for first in range(0, RUNS, 5_000):
        _some_runs(project, factor, models, range(first, first + 5_000))
    reestimate.request("as if each had just arrived")
    reestimate.work_off()


def _models(project) -> list:
    from runs.models import TrackedModel

    names = [TrackedModel(project=project, name=f"model {n}", slug=f"model-{n}") for n in range(MODELS)]
    return TrackedModel.objects.bulk_create(names)


def _some_runs(project, factor, models: list, numbers: range) -> None:
    import uuid
    from datetime import UTC, datetime, timedelta

    from runs.models import Device, Run, Writer

    start = datetime(2026, 3, 1, tzinfo=UTC)
    begun = [start + timedelta(days=number % DAYS, minutes=number % 1000) for number in numbers]
    runs = Run.objects.bulk_create(
        Run(
            project=project,
            run_id=uuid.UUID(int=number),
            tracked_model=models[number % MODELS],
            started_at=at,
            factor=factor,
            status=Run.Status.COMPLETED,
        )
        for number, at in zip(numbers, begun, strict=True)
    )
    writers = Writer.objects.bulk_create(
        Writer(project=project, run=run, key="main", started_at=run.started_at, last_t_s=3600.0) for run in runs
    )
    cards = ({"key": "gpu-0", "kind": "gpu", "name": "NVIDIA A100-SXM4-40GB"},)
    hosts = ({"key": "cpu-0", "kind": "cpu", "name": "AMD EPYC 7742 64-Core Processor", "cores": 8, "threads": 16},)
    Device.objects.bulk_create(
        Device(
            project=project,
            run=writer.run,
            writer=writer,
            elapsed_s=3600.0,
            busy_s=1800.0,
            counted_on=writer.started_at.date(),
            uuid=f"{facts['key']}-{writer.pk}",
            **facts,
        )
        for writer in writers
        for facts in (*cards, *hosts)
    )
