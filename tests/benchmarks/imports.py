"""100,000 SLURM jobs become runs: checked and stored on SQLite, while another process uploads and reads."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.reestimation import MEANWHILE, _begin
from tests.benchmarks.timing import Row

JOBS, DAYS, MODELS = 100_000, 180, 50
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.settings", "TRACEML_REESTIMATE": "manual"}
WORK = """
import django, json, sys, time
django.setup()
from tests.benchmarks.imports import import_jobs, settle
project = settle()
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(import_jobs(project)), flush=True)
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
    whole_s = took["check_s"] + took["store_s"]
    return [
        Row(
            f"{took['runs']:,} SLURM jobs imported, SQLite",
            f"{whole_s:.0f} s ({took['cpu_s']:.0f} s of one core)",
            f"checked in {took['check_s']:.0f} s, undone in {took['undo_s']:.0f} s; meanwhile at most "
            f"{meanwhile['write_s']:.1f} s a write, {meanwhile['read_s']:.1f} s the overview",
            "≤ 60 s",
            whole_s <= 60,
        )
    ]


def settle():
    """A team with a project, and a person who reads."""
    from runs.models import Membership, Project, Team, User

    team = Team.objects.create(name="Bench", slug="bench")
    user = User.objects.create_user("bench@example.org", "x")
    Membership.objects.create(team=team, user=user, role=Membership.Role.OWNER)
    return Project.objects.create(team=team, name="Bench", slug="bench")


def import_jobs(project) -> dict[str, float]:
    """Seconds of checking, storing and undoing the file, and of CPU for the first two."""
    import time

    from runs.importers import rule, work

    work.start_in_background = lambda: None
    asked = work.begin(
        project, None, 0, "sacct.txt", rule.parse({"models": "train-*-* = {1}", "cpus": "AMD EPYC 7763"})
    )
    data = "".join(jobs()).encode()
    for number in range(0, len(data), work.PART_BYTES):
        work.receive(asked, number // work.PART_BYTES, data[number : number + work.PART_BYTES])
    took, cpu_s = {}, time.process_time()
    for name, step in (("check", work.check), ("store", work.confirm), ("undo", work.undo)):
        began = time.perf_counter()
        step(asked)
        work.work_off()
        asked.refresh_from_db()
        took[f"{name}_s"] = time.perf_counter() - began
        if name == "store":
            took |= {"runs": asked.runs_added, "cpu_s": time.process_time() - cpu_s}
    return took


def jobs():
    """Jobs in the order of their numbers, as sacct prints them: a processor's cores, memory and up to four GPUs."""
    from datetime import datetime, timedelta
    from random import Random

    chance, at = Random(1), datetime(2026, 1, 1)
    yield "JobID|JobName|User|Partition|State|Start|End|Elapsed|NNodes|AllocCPUS|AllocTRES|TotalCPU|ConsumedEnergyRaw\n"
    for number in range(JOBS):
        at += timedelta(seconds=chance.randrange(2 * 86_400 * DAYS // JOBS))
        lasted = timedelta(seconds=int(chance.expovariate(1 / 5000)) + 1)
        gpus, cores = chance.choice([0, 0, 0, 1, 1, 4]), chance.choice([1, 4, 8, 16, 64])
        cards = f"gres/gpu:a100={gpus},gres/gpu={gpus}," if gpus else ""
        tres = f"billing={cores},cpu={cores},{cards}mem={chance.choice([4, 16, 64, 250])}G,node=1"
        state = chance.choices(["COMPLETED", "FAILED", "CANCELLED by 1001", "TIMEOUT"], [80, 12, 5, 3])[0]
        used = _printed(int(lasted.total_seconds() * cores * chance.random()))
        yield (
            f"{number}|train-m{number % MODELS}-{number}|u{number % 20}|gpu|{state}|{at.isoformat()}|"
            f"{(at + lasted).isoformat()}|{_printed(int(lasted.total_seconds()))}|1|{cores}|{tres}|{used}|0\n"
        )


def _printed(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock
