"""Exact whatever meets: what is taken back leaves nothing, long work lets others in, who comes too late is told so."""

import random
import threading
import time
import uuid

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.urls import reverse

from hardware.models import CatalogueState, HardwareProfile
from runs.ingest.header import record_header
from runs.ingest.keeping import RunDeleted
from runs.ingest.removal import remove_project, remove_run, remove_series
from runs.ingest.tags import tag_run, untag_run
from runs.jobs import pace, rebuild, reestimate
from runs.models import DailyUsage, MonthlyUsage, Project, ProjectUsage, Run, TaggedUsage
from runs.models.usage import AMOUNTS
from tests import people as cast
from tests.wire import A100, Wire, batch, header, sample

pytestmark = pytest.mark.django_db
TABLES = (DailyUsage, MonthlyUsage, TaggedUsage, ProjectUsage)
METERED = A100 | {"basis": "counter"}


def rows() -> dict:
    """All rows of the daily totals by table and key; the keys have to be the same, the amounts nearly."""
    return {
        (table.__name__, *row[: len(table.KEY)]): pytest.approx(list(row[len(table.KEY) :]), rel=1e-9, abs=1e-12)
        for table in TABLES
        for row in table.objects.values_list(*table.KEY, *AMOUNTS)
    }


def amounts() -> dict:
    return {key: row.expected for key, row in rows().items()}


def run_of(wire: Wire, energy_j: float, **changes) -> Run:
    return Run.objects.get(run_id=wire.whole_run([sample("gpu-0", 3600, 1800, energy_j)], [METERED], **changes))


def test_runs_that_come_and_go_leave_the_rows_of_those_that_stay(wire, catalogue):
    """Sums of floats kept residues of 6e-14, some of them negative: a day or model with −0 kWh."""
    dice = random.Random(3)
    kept = run_of(wire, 123456.7, tags=["kept"])
    before = rows()
    others = [run_of(wire, dice.uniform(1, 1e7), tags=["kept", "other"]) for _ in range(12)]
    dice.shuffle(others)
    for run in others[:6]:
        untag_run(run, "kept")
        tag_run(run, "third")
    for run in others:
        remove_run(run)
    assert amounts() == before
    remove_run(kept)
    assert amounts() == {}


def test_a_run_that_failed_and_then_completed_wastes_exactly_nothing(wire):
    for energy_j in (1e5, 3.3e6, 7.7e4):
        run_id = wire.start()
        wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 1800, energy_j)], [METERED]))
        wire.finish(run_id, status="failed")
        assert ProjectUsage.objects.get().failed_kwh > 0
        wire.finish(run_id, status="completed")
        assert ProjectUsage.objects.get().failed_kwh == 0


def test_a_rebuild_puts_wrong_rows_right_and_takes_needless_ones_away(wire, catalogue):
    run_of(wire, 3.6e6, tags=["sweep"])
    before = rows()
    DailyUsage.objects.update(energy_kwh=0.1, runs=7)
    MonthlyUsage.objects.update(energy_kwh=0.2, idle_kwh=3.0)
    ProjectUsage.objects.all().delete()
    row = TaggedUsage.objects.first()
    row.pk, row.tag = None, "nobody's"
    row.save()
    TaggedUsage.objects.filter(tag="nobody's").update(**dict.fromkeys(AMOUNTS, 0))
    call_command("rebuild_usage", verbosity=0)
    assert amounts() == before


def test_only_one_rebuild_runs_at_a_time(wire, monkeypatch):
    def another(project_id):
        with pytest.raises(CommandError, match="Another rebuild is running"):
            call_command("rebuild_usage")
        return 0

    monkeypatch.setattr(rebuild, "_recount", another)
    call_command("rebuild_usage", verbosity=0)


def test_an_upload_to_a_project_that_is_gone_is_refused(people):
    project = people.project
    remove_project(Project.objects.get(pk=project.pk))
    with pytest.raises(RunDeleted):
        record_header(project, uuid.uuid4(), header(flush_s=30.0))


def test_a_token_of_a_deleted_project_is_unknown(wire, people):
    run_id = wire.start()
    remove_project(people.project)
    assert wire.put(f"runs/{run_id}", header()).status_code == 401


def test_a_page_that_met_a_busy_database_says_to_try_again(wire, client, people, monkeypatch):
    """Recomputing a run beside a pass over all of them was a fault of the server."""
    run = run_of(wire, 3.6e6)
    client.force_login(people.alice)

    def wait_too_long(run, user):
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(reestimate, "redo_one", wait_too_long)
    answer = client.post(reverse("run_recompute", args=[run.run_id]))
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Try again" in answer.content.decode()


def test_a_run_that_is_deleted_while_others_work_on_it_is_no_fault(wire):
    run = run_of(wire, 3.6e6)
    stale = Run.objects.get(pk=run.pk)
    remove_run(run)
    assert reestimate.redo_one(stale, None) is False
    remove_series(stale)
    tag_run(stale, "late")
    assert not Run.objects.exists()


def test_steps_of_long_work_are_as_large_as_a_fraction_of_a_second_allows(monkeypatch):
    slept = []
    clock = iter([0.0, 0.01, 1.0, 1.02, 2.0, 5.0])
    monkeypatch.setattr(pace.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(pace.time, "sleep", slept.append)
    work, sizes = pace.Pace(), []
    for _ in range(3):
        with work.step():
            pass
        sizes.append(work.size)
    assert sizes == [20, 40, 2]
    assert len(slept) == 3 and min(slept) > 0


@pytest.mark.django_db(transaction=True)
def test_a_changed_catalogue_is_read_once_however_many_ask(catalogue, monkeypatch):
    """Each thread read thousands of profiles, with the locks of its upload held."""
    read = []
    indexed = type(HardwareProfile.objects)._indexed

    def counted(manager):
        read.append(1)
        time.sleep(0.2)
        return indexed(manager)

    monkeypatch.setattr(type(HardwareProfile.objects), "_indexed", counted)
    CatalogueState.renew()

    def ask():
        HardwareProfile.objects.catalogue()
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 1


@pytest.mark.django_db(transaction=True)
def test_a_project_is_deleted_while_its_agents_upload(people, catalogue):
    """A header met a missing project and failed as a fault of the server; so did the deletion."""
    token, answers, stop = cast.token(people.project), set(), threading.Event()

    def upload():
        wire = Wire(Client(), token)
        while not stop.is_set():
            run_id = str(uuid.uuid4())
            answers.add(wire.put(f"runs/{run_id}", header(model=f"model {random.random()}")).status_code)
            answers.add(wire.send(run_id, "b-1", batch([sample("gpu-0", 60, 30)])).status_code)
        connection.close()

    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    try:
        remove_project(people.project)
        time.sleep(0.3)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert answers <= {201, 401, 410} and {201, 401} <= answers
    assert not Run.objects.exists() and not DailyUsage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_rebuild_goes_on_while_an_upload_is_open(wire, catalogue):
    """It waits for the run of that upload alone, and counts what the upload adds."""
    first, second = run_of(wire, 3.6e6), run_of(wire, 7.2e6)
    begun, counted = threading.Event(), []

    def rebuild_all():
        begun.set()
        call_command("rebuild_usage", verbosity=0)
        counted.append(sum(DailyUsage.objects.values_list("energy_kwh", flat=True)))
        connection.close()

    with transaction.atomic():
        Run.objects.select_for_update().get(pk=first.pk, project=first.project_id)
        thread = threading.Thread(target=rebuild_all)
        thread.start()
        begun.wait()
        time.sleep(0.3)
    wire.send(str(second.run_id), "b-2", batch([sample("gpu-0", 7200, 3600, 14.4e6)], [METERED]))
    thread.join()
    call_command("rebuild_usage", verbosity=0)
    assert sum(DailyUsage.objects.values_list("energy_kwh", flat=True)) == pytest.approx(5.0)
