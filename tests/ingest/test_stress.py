"""Everything at once, on a real database: after it the daily totals are what a rebuild makes of the facts.

Uploads of several writers come doubled, late and out of order, over midnight; meanwhile runs are tagged, deleted and
recomputed, a profile and the factor change, housekeeping runs, a rebuild and a re-estimation are killed, and a project
goes while its agents upload.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client

from hardware.models import HardwareProfile
from runs.ingest.removal import remove_project, remove_run
from runs.ingest.tags import tag_run, untag_run
from runs.jobs import housekeeping, reestimate
from runs.jobs.rebuild import ALONE
from runs.models import DailyUsage, EmissionFactor, MonthlyUsage, Project, ProjectUsage, Run, TaggedUsage
from runs.models.usage import AMOUNTS
from tests import people as cast
from tests.wire import A100, CPU, Wire, batch

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS, UPLOADERS = 12.0, 8
MODELS, TAGS = ("resnet", "bert", "whisper"), ("sweep", "night", "paper")
BEGAN = datetime(2026, 11, 1, 23, 50, tzinfo=UTC)  # batches lie on both sides of midnight
TABLES = (DailyUsage, MonthlyUsage, TaggedUsage, ProjectUsage)
#: What an agent may be answered: what it sent is stored, known, of a run that is gone, or of a token that is.
ANSWERS = {200, 201, 401, 410}


class Everything:
    """Threads that act until the time is up; what went wrong in them."""

    def __init__(self):
        self.until, self.faults = time.monotonic() + SECONDS, []

    def repeat(self, act, seed: int) -> threading.Thread:
        def work():
            dice = random.Random(seed)
            try:
                while time.monotonic() < self.until:
                    act(dice)
            except Exception as error:
                self.faults.append(f"{act.__name__}: {type(error).__name__}: {error}")
            finally:
                connection.close()

        thread = threading.Thread(target=work)
        thread.start()
        return thread


def bodies(dice) -> list[dict]:
    """The batches of two writers, with what they share with other runs, in any order and some of them twice."""
    found = []
    for writer in ("w-1", "w-2"):
        alone_until = dice.randrange(1, 5)  # from this batch on other jobs hold half of the processor, or none ever do
        for n in range(1, 4):
            seconds, halves_s = 400.0 * n, 200.0 * (n - alone_until + 1)
            cpu = {"device": "cpu-0", "t_s": seconds, "elapsed_s": seconds, "busy_s": 30.0 * n, "energy_j": None}
            if halves_s > 0:
                shared_s = halves_s / 3
                cpu |= {"held_s": seconds - halves_s, "shared_held_s": shared_s, "shared_busy_s": shared_s / 20}
                cpu["shared_energy_j"] = 0.0
            gpu = {"device": "gpu-0", "t_s": seconds, "elapsed_s": seconds, "busy_s": 99.0 * n, "energy_j": 4321.1 * n}
            devices = [A100 | {"uuid": f"GPU-{writer}", "basis": "counter"}, CPU]
            body = batch([cpu, gpu], devices, writer_started_at=BEGAN.isoformat())
            found.append((f"{writer}-{n}", body | {"writer": writer}))
    found += dice.sample(found, 2)
    dice.shuffle(found)
    return found


def uploader(token: str, answers: set[int]):
    def upload(dice):
        wire, run_id = Wire(Client(), token), str(uuid.uuid4())
        about = {"model": dice.choice(MODELS), "tags": dice.sample(TAGS, 2), "started_at": BEGAN.isoformat()}
        header = about | {"writer": "w-1", "kind": "training"}
        answers.add(wire.put(f"runs/{run_id}", header).status_code)
        for batch_id, body in bodies(dice):
            answers.add(wire.send(run_id, batch_id, body).status_code)
        end = (BEGAN + timedelta(seconds=1300)).isoformat()
        status = dice.choice(["completed", "failed", "cancelled"])
        answers.add(wire.put(f"runs/{run_id}/finish", {"writer": "w-1", "status": status, "ended_at": end}).status_code)

    return upload


def any_run(dice) -> Run | None:
    pks = list(Run.objects.values_list("pk", flat=True)[:200])
    return Run.objects.filter(pk=dice.choice(pks)).first() if pks else None


def tag(dice):
    if run := any_run(dice):
        dice.choice([tag_run, untag_run])(run, dice.choice(TAGS))
    time.sleep(0.01)


def remove(dice):
    if run := any_run(dice):
        remove_run(run)
    time.sleep(1.0)


def correct(dice):
    """A profile's power and the emission factor change, and runs follow."""
    profile = HardwareProfile.objects.filter(pk__in=Run.objects.values("devices__profile")).first()
    if profile:
        profile.full_load_w = dice.uniform(100, 400)
        profile.save()
        EmissionFactor.objects.create(kg_per_kwh=dice.uniform(0.2, 0.6), year=2030, source="test").put_in_force()
        reestimate.request("test", takes_factor=True)
        reestimate.work_off()
    time.sleep(0.2)


def recompute(dice):
    if run := any_run(dice):
        reestimate.redo_one(run, None)
    time.sleep(0.05)


def keep_house(dice):
    Project.objects.update(keep_series_days=0)
    housekeeping.clean("series")
    time.sleep(0.2)


def kill(dice):
    """A process that rebuilds or re-estimates, and is killed at any moment."""
    given = connection.settings_dict
    url = f"sqlite:///{given['NAME']}"
    if connection.vendor == "postgresql":
        url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**given)
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = dice.choice([["rebuild_usage"], ["reestimate", "--all", "--factor"]])
    words = [sys.executable, str(settings.BASE_DIR / "manage.py"), *command]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        process.wait(dice.uniform(1.0, 6.0))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    errors = process.communicate()[1].decode()
    assert "Traceback" not in errors, errors


def stored() -> dict[tuple, list[float]]:
    """All rows of the daily totals by table and key."""
    return {
        (table.__name__, *row[: len(table.KEY)]): list(row[len(table.KEY) :])
        for table in TABLES
        for row in table.objects.values_list(*table.KEY, *AMOUNTS)
    }


def like(rows: dict[tuple, list[float]]) -> dict:
    return {key: pytest.approx(amounts, rel=1e-9, abs=1e-12) for key, amounts in rows.items()}


def test_totals_are_those_of_a_rebuild_after_everything_at_once(catalogue):
    people = cast.settle()
    going, going_too = people.charlies_project, Project.objects.create(team=people.project.team, name="x", slug="x")
    answers: set[int] = set()
    tokens = [cast.token(people.project)] * (UPLOADERS - 2) + [cast.token(going), cast.token(going_too)]
    everything = Everything()
    threads = [everything.repeat(uploader(token, answers), seed) for seed, token in enumerate(tokens)]
    acts = (tag, tag, remove, correct, recompute, keep_house, kill)
    threads += [everything.repeat(act, 100 + n) for n, act in enumerate(acts)]
    time.sleep(SECONDS / 2)
    remove_project(going)
    time.sleep(SECONDS / 4)
    remove_project(going_too)
    for thread in threads:
        thread.join()
    assert everything.faults == []
    assert answers <= ANSWERS
    assert {200, 201, 401} <= answers, "uploads were stored, known already, and refused"
    assert not Run.objects.exclude(project=people.project).exists()
    assert Run.objects.count() > 1
    assert_exact()
    for run in Run.objects.all():
        remove_run(run)
    assert stored() == {}, "nothing is left of nothing, not even its last digit"


def assert_exact() -> None:
    before = stored()
    assert {key: amounts for key, amounts in before.items() if not any(amounts) or min(amounts) < 0} == {}
    added = sum(run.counted_kwh for run in Run.objects.all())
    for table in (DailyUsage, MonthlyUsage, ProjectUsage):
        assert sum(table.objects.values_list("energy_kwh", flat=True)) == pytest.approx(added, rel=1e-9)
    cache.delete(ALONE)  # as ten minutes after a rebuild that was killed
    # What a killed rebuild or an uncertain catalogue left, a rebuild that is left alone puts right …
    call_command("rebuild_usage", verbosity=0)
    assert stored() == like(before)
    # … and it is what the rows come to when they are made from nothing.
    for table in TABLES:
        table.objects.all().delete()
    call_command("rebuild_usage", verbosity=0)
    assert stored() == like(before)
