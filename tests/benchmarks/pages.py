"""Pages at 100,000 runs and 100 models on SQLite: median server time, queries, gzipped size. Rows come by bulk inserts.

The scratch database is kept (TRACEML_BENCH_DATA, else in the temporary folder): making it takes about a minute.
"""

import gzip
import json
import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.benchmarks.timing import Row
from traceml_site.serving.stack import with_room

RUNS, MODELS, PROJECTS = 100_000, 100, 5
MOST_MS, MOST_QUERIES, TURNS = 50.0, 12, 21
FOLDER = Path(os.environ.get("TRACEML_BENCH_DATA") or Path(tempfile.gettempdir()) / "traceml-bench-pages")
CARDS = ("NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "NVIDIA L4", "Tesla T4")
COLUMNS = ("state", "kind", "project", "hardware", "tags", "started", "duration", "measured", "energy", "emissions")
PAGES = {
    "run list": "/runs/",
    "run list, page 1000": "/runs/?page=1000",
    "run list, last page": "/runs/?page=2000",
    "run list by energy": "/runs/?sort=-energy",
    "run list by duration": "/runs/?sort=-duration",
    "run list by name": "/runs/?sort=name",
    "run list, failed ones of a model": "/runs/?state=failed&model=p-1/m-1",
    "run list, running": "/runs/?state=running",
    "run list, a month over 2 kWh": "/runs/?since=2026-02-01&until=2026-02-28&over=2",
    "run list, a day": "/runs/?since=2026-02-14&until=2026-02-14&archived=too&sort=-used",
    "run list, a month": "/runs/?since=2026-02-01&until=2026-02-28&archived=too&sort=-used",
    "run list, a year": "/runs/?since=2026-01-01&until=2026-12-31",
    "run list with every column": "/runs/?" + "&".join(f"column={name}" for name in COLUMNS),
    "run list, a tag": "/runs/?tag=nightly",
    "run list, a card": "/runs/?hardware=A100",
    "search, a model": "/runs/?q=model+17",
    "search, a run's name": "/runs/?q=model+17-4217",
    "search, an id": "/runs/?q={id}",
    "search, a tag": "/runs/?q=nightly",
    "search, a parameter": "/runs/?q=lr:0.1",
    "search, nothing there": "/runs/?q=nosuchthing",
    "run list by model": "/runs/?group=model",
    "run list by tag": "/runs/?group=tag",
    "run list by hardware": "/runs/?group=hardware",
    "run list by parameter": "/runs/?group=param:lr",
    "overview": "/",
    "overview of 12 months": "/?range=365",
    "overview of all time": "/?range=all",
    "overview of a tag": "/?tag=sweep",
    "overview of a member": "/?member=0",
    "models": "/models/",
    "models by last run": "/models/?sort=-used&page=2",
    "a model": "/models/p-1/m-1/",
    "a model's figures to cite": "/models/p-1/m-1/cite/",
    "a run": "/runs/{run}/",
    "compare": "/compare/?{compared}",
    "hardware": "/hardware/",
    "a hardware profile": "/hardware/nvidia-l4/",
    "plan": "/plan/?hardware=nvidia-l4&count=2",
    "methodology": "/methodology/",
    "start": "/start/",
    "team": "/settings/teams/bench/",
    "members": "/settings/teams/bench/members/",
    "tokens": "/settings/teams/bench/tokens/",
    "share links": "/settings/teams/bench/shares/",
    "audit log": "/settings/teams/bench/audit/",
    "profile": "/settings/profile/",
}


def rows() -> list[Row]:
    """A line a page. The settings are those of a deployment, in this process."""
    reader, places = _reader()
    return [with_room(_row, reader, name, path.format(**places)) for name, path in PAGES.items()]


def _reader():
    os.environ |= {"SECRET_KEY": "bench-only-" + "0123456789abcdef" * 4, "TRACEML_DATA": str(FOLDER)}
    os.environ |= {"DATABASE_URL": f"sqlite:///{FOLDER}/bench.sqlite3", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    FOLDER.mkdir(parents=True, exist_ok=True)
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from runs.models import Run, User

    call_command("migrate", verbosity=0)
    if not Run.objects.exists():
        print(f"Making {RUNS:,} runs in {FOLDER} …", file=sys.stderr, flush=True)
        call_command("load_catalogue", verbosity=0)
        fill(RUNS, MODELS, PROJECTS)
    reader = Client(headers={"Accept-Encoding": "gzip"})
    reader.force_login(User.objects.get(email="bench@example.org"))
    some = [str(run_id) for run_id in Run.objects.order_by("pk").values_list("run_id", flat=True)[:4]]
    return reader, {"run": some[0], "id": some[0][:8], "compared": "&".join(f"run={run_id}" for run_id in some)}


def _row(reader, name: str, path: str) -> Row:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        answer = reader.get(path)
        times.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, (path, answer.status_code)
    with CaptureQueriesContext(connection) as captured:
        reader.get(path)
    median_ms, size = statistics.median(times), len(gzip.compress(answer.content)) / 1024
    holds = median_ms <= MOST_MS and len(captured) <= MOST_QUERIES
    bound = f"≤ {MOST_MS:.0f} ms, ≤ {MOST_QUERIES} queries"
    return Row(name, f"{median_ms:.0f} ms, {len(captured)} queries, {size:.1f} KB", "", bound, holds)


def fill(runs: int, models: int, projects: int) -> None:
    """Bulk rows as ingest would have left them: runs, a writer and two devices each, and the days."""
    from hardware.models import HardwareProfile
    from runs.models import DailyUsage, EmissionFactor

    dice, factor, end = random.Random(1), EmissionFactor.objects.active(), datetime.now(UTC)
    tracked = _tracked(models, _projects(projects))
    catalogue = HardwareProfile.objects.catalogue()
    cards = [(name, catalogue.profile_for(name, "gpu", memory_gb=None, power_limit_w=None)) for name in CARDS]
    for first in range(0, runs, 10_000):
        numbers = range(first, min(first + 10_000, runs))
        ages = {number: timedelta(days=365 * (1 - number / runs), minutes=1) for number in numbers}
        made = [_run(dice, number, tracked[number % models], end - ages[number], factor) for number in numbers]
        _save(made)
        writers = _save_devices(dice, made, cards)
        _save_use(dice, made, writers)
        _save_days(made)
    _fill_days(dice, tracked, [profile.slug for _, profile in cards], DailyUsage, factor.kg_per_kwh, end.date())
    _count_runs()


def _projects(number: int) -> list:
    from runs.models import Membership, Project, Team, User

    user = User.objects.create_user("bench@example.org", "bench only")
    team = Team.objects.create(name="Bench", slug="bench")
    Membership.objects.create(team=team, user=user, role="owner")
    return [Project.objects.create(team=team, name=f"Project {n}", slug=f"p-{n}") for n in range(number)]


def _tracked(number: int, projects: list) -> list:
    from runs.models import TrackedModel

    return TrackedModel.objects.bulk_create(
        TrackedModel(project=projects[n % len(projects)], name=f"model {n}", slug=f"m-{n}") for n in range(number)
    )


def _run(dice, number: int, model, begun: datetime, factor):
    from runs.models import Run

    kwh, ended = dice.lognormvariate(0, 1), begun + timedelta(hours=1)
    status = dice.choice(["completed"] * 900 + ["failed"] * 99 + ["running"])
    return Run(
        project_id=model.project_id, tracked_model=model, run_id=uuid.UUID(int=dice.getrandbits(128)),
        kind=dice.choice(["training", "training", "finetuning", "evaluation", "inference"]),
        name=f"{model.name}-{number}", tags=dice.sample(["sweep", "nightly", "bf16", "baseline"], 2),
        params={"lr": dice.choice([0.1, 0.01]), "batch": 64, "optimizer": "adamw", "layers": 12, "seed": number},
        environment={"python": "3.12.7", "pip": "x" * 400}, member_id=dice.randrange(20),
        status=status, exception="ValueError" if status == "failed" else "",
        started_at=begun, ended_at=ended, last_seen_at=ended,
        factor=factor, duration_s=round(1200 * kwh), energy_kwh=kwh,
        energy_low_kwh=0.9 * kwh, energy_high_kwh=1.1 * kwh, measured_kwh=0.8 * kwh, idle_kwh=0.1 * kwh,
        emissions_kg=kwh * factor.kg_per_kwh, usage=[[["gpu", "x", "2026-01-01"], {}]],
    )  # fmt: skip


def _save(runs: list) -> None:
    from runs.models import Run

    Run.objects.bulk_create(runs)
    for run in runs:
        run.received_at = run.started_at
    Run.objects.bulk_update(runs, ["received_at"], batch_size=200)


def _save_devices(dice, runs: list, cards: list) -> list:
    """A card and memory for each run; returns the runs' writers."""
    from runs.models import Device, Run, Writer

    writers = Writer.objects.bulk_create(
        Writer(project_id=run.project_id, run=run, key="w", started_at=run.started_at, last_t_s=3600) for run in runs
    )
    devices = []
    for run, writer in zip(runs, writers, strict=True):
        name, profile = dice.choice(cards)
        run.hardware = [profile.slug]
        about = {"project_id": run.project_id, "run": run, "writer": writer, "elapsed_s": 3600, "busy_s": 1800}
        card = {"key": "gpu-0", "kind": "gpu", "name": name, "profile_id": profile.pk, "basis": "counter"}
        memory = {"key": "ram", "kind": "ram", "name": "Memory", "memory_gb": 64, "basis": "tdp"}
        devices.append(Device(energy_j=1e6, energy_kwh=run.energy_kwh * 0.8, **card, **about))
        devices.append(Device(energy_kwh=run.energy_kwh * 0.2, **memory, **about))
    Device.objects.bulk_create(devices)
    Run.objects.bulk_update(runs, ["hardware"], batch_size=200)
    return writers


def _save_use(dice, runs: list, writers: list) -> None:
    """What trainings logged, and what runs of inference counted."""
    from runs.models import Call, Metric

    logged = [(run, name, dice.random()) for run in runs if run.kind != "inference" for name in ("accuracy", "loss")]
    Metric.objects.bulk_create(
        Metric(project_id=run.project_id, run=run, name=name, last=value, lowest=value, highest=value,
               last_at=run.ended_at)
        for run, name, value in logged
    )  # fmt: skip
    Call.objects.bulk_create(
        Call(project_id=run.project_id, run=run, writer=writer, method="predict", calls=50, items=5000, busy_s=600)
        for run, writer in zip(runs, writers, strict=True)
        if run.kind == "inference"
    )


def _save_days(runs: list) -> None:
    """What each run used, on the day that it began; one in twenty goes on the day after."""
    from runs.models import RunUsage

    rows = []
    for number, run in enumerate(runs):
        days = 2 if number % 20 == 0 else 1
        names = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "measured_kwh", "emissions_kg")
        amounts = {name: getattr(run, name) / days for name in names} | {"idle_kwh": 0.1 * run.energy_kwh / days}
        amounts |= {"failed_kwh": amounts["energy_kwh"]} if run.status == "failed" else {}
        for later in range(days):
            day = run.started_at.date() + timedelta(days=later)
            rows.append(RunUsage(project_id=run.project_id, run=run, day=day, runs=1 - later, **amounts))
    RunUsage.objects.bulk_create(rows, batch_size=2000)


def _fill_days(dice, tracked, slugs, table, kg_per_kwh: float, end) -> None:
    days = []
    for model in tracked:
        for day in range(365):
            kind = "inference" if day % 3 == 0 else "training"
            about = {"project_id": model.project_id, "tracked_model": model, "kind": kind}
            about["day"] = end - timedelta(days=day)
            kwh = dice.lognormvariate(0, 1)
            amounts = dict.fromkeys(("energy_kwh", "energy_low_kwh", "energy_high_kwh", "measured_kwh"), kwh)
            amounts |= {"failed_kwh": 0.1 * kwh if kind == "training" else 0.0, "idle_kwh": 0.1 * kwh}
            card = {"device_kind": "gpu", "hardware": dice.choice(slugs), "device_s": 7200}
            days.append(table(runs=2, duration_s=7200, **about))
            days.append(table(emissions_kg=kwh * kg_per_kwh, **amounts, **card, **about))
    table.objects.bulk_create(days, batch_size=2000)
    _fill_sums(dice, days)


def _fill_sums(dice, days) -> None:
    """The totals of months, of projects and of two tags that go with the days."""
    from runs.models import MonthlyUsage, ProjectUsage, TaggedUsage
    from runs.models.usage import AMOUNTS, KEY

    sums, months, tagged = {}, {}, []
    for row in days:
        whole = sums.setdefault((row.project_id, row.day), ProjectUsage(project_id=row.project_id, day=row.day))
        of_month = {name: getattr(row, name) for name in KEY} | {"day": row.day.replace(day=1)}
        month = months.setdefault(tuple(of_month.values()), MonthlyUsage(**of_month))
        for name in AMOUNTS:
            for into in (whole, month):
                setattr(into, name, getattr(into, name) + getattr(row, name))
        about = {name: getattr(row, name) for name in (*KEY, *AMOUNTS)}
        tagged += [TaggedUsage(tag=tag, **about) for tag in dice.sample(["sweep", "nightly", "bf16", "baseline"], 2)]
    ProjectUsage.objects.bulk_create(sums.values(), batch_size=2000)
    MonthlyUsage.objects.bulk_create(months.values(), batch_size=2000)
    TaggedUsage.objects.bulk_create(tagged, batch_size=2000)


def _count_runs() -> None:
    """Let the days of each project count as many runs as it has, as the list takes their number from there."""
    from django.db.models import Count, F, Sum

    from runs.models import ProjectUsage, Run

    for project, runs in Run.objects.order_by().values_list("project").annotate(Count("pk")):
        days = ProjectUsage.objects.filter(project=project)
        missing = runs - days.aggregate(known=Sum("runs"))["known"]
        ProjectUsage.objects.filter(pk=days.latest("day").pk).update(runs=F("runs") + missing)


if __name__ == "__main__":
    print(json.dumps([row._asdict() for row in rows()], indent=2))
