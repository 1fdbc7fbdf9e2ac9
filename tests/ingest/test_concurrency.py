"""Uploads at the same time: promises PS2 and PS25."""

import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.test import Client

from runs.ingest.removal import remove_project, remove_run, remove_series
from runs.ingest.tags import tag_run
from runs.jobs import reestimate
from runs.models import AuditEntry, Batch, DailyUsage, DeletedRun, Project, Run
from runs.sql.locks import keep_from_uploads
from tests import people as cast
from tests.wire import A100, Wire, batch, header, sample

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token() -> str:
    return cast.token(cast.settle().project)


def in_parallel(task, count: int, workers: int) -> list:
    """Results of `task(n)` for n below count, each thread with a database connection of its own."""

    def once(number):
        try:
            return task(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(once, range(count)))


def test_fifty_identical_first_headers_make_one_run(token):
    run_id, body = uuid.uuid4(), json.dumps(header()).encode()
    answers = in_parallel(lambda _: Wire(Client(), token).put(f"runs/{run_id}", body).status_code, 50, 16)
    assert sorted(answers) == [200] * 49 + [201]
    assert Run.objects.count() == 1


def test_fifty_identical_batches_make_one_row_and_count_once(token):
    run_id = Wire(Client(), token).start()
    body = json.dumps(batch([sample("gpu-0", 10, 5, 3600.0)])).encode()
    path = f"runs/{run_id}/batches/b-1"
    answers = in_parallel(lambda _: Wire(Client(), token).put(path, body).status_code, 50, 16)
    assert sorted(answers) == [200] * 49 + [201]
    assert (Batch.objects.count(), Run.objects.get().energy_kwh) == (1, 0.001)


def test_a_run_that_is_deleted_among_uploads_stays_deleted(token):
    """Two people delete it while its agent sends on: whoever comes after the deletion is refused."""
    wire = Wire(Client(), token)
    run_id = wire.start()
    run = Run.objects.get()

    def act(number):
        if number in (8, 9):
            return remove_run(run)
        return (
            Wire(Client(), token)
            .send(run_id, f"b-{number}", batch([sample("gpu-0", 60 + number, 1, 3.6e5)]))
            .status_code
        )

    answers = set(in_parallel(act, 32, 16))
    assert answers <= {201, 410, None}
    assert wire.put(f"runs/{run_id}", header()).status_code == 410
    assert (Run.objects.count(), Batch.objects.count(), DeletedRun.objects.count()) == (0, 0, 1)
    assert AuditEntry.objects.count() == 1
    assert sum(DailyUsage.objects.values_list("energy_kwh", flat=True)) == pytest.approx(0, abs=1e-12)
    assert sum(DailyUsage.objects.values_list("runs", flat=True)) == 0


def test_sixteen_uploaders_at_once_lose_nothing(token):
    def upload(number):
        wire = Wire(Client(), token)
        run_id = wire.start(model=f"model-{number % 3}")
        answers = [wire.send(run_id, f"b-{n}", batch([sample("gpu-0", 60 * n, 60 * n, 3.6e5 * n)])) for n in (1, 2)]
        return {answer.status_code for answer in answers} | {wire.finish(run_id, devices=[A100]).status_code}

    assert in_parallel(upload, 32, 16) == [{200, 201}] * 32
    assert Run.objects.filter(status="completed", energy_kwh=0.2).count() == 32
    assert sum(DailyUsage.objects.values_list("energy_kwh", flat=True)) == pytest.approx(32 * 0.2, rel=1e-9)
    assert sum(DailyUsage.objects.values_list("runs", flat=True)) == 32


CHANGES = {
    "its samples go": remove_series,
    "it is deleted": remove_run,
    "it is tagged": lambda run: tag_run(run, "late"),
    "it is recomputed": lambda run: reestimate.redo_one(run, None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_a_run_and_the_deletion_of_its_project_wait_for_each_other(token, change):
    """PostgreSQL ends one of two that hold what the other wants: the project comes first for both."""
    wire = Wire(Client(), token)
    for number in (1, 2):
        wire.send(wire.start(), "b-1", batch([sample("gpu-0", 60, 60, 3.6e5 * number)]))
    runs, deleting = list(Run.objects.order_by("pk")), threading.Event()

    def delete():
        with transaction.atomic():
            keep_from_uploads(Project, runs[0].project_id)
            project = Project.objects.select_for_update().get(pk=runs[0].project_id)
            Batch.objects.filter(run=runs[0]).delete()
            deleting.set()
            time.sleep(0.3)
            remove_project(project)

    def act(number):
        if number == 0:
            return delete()
        deleting.wait()
        return change(Run.objects.get(pk=runs[0].pk))

    in_parallel(act, 2, 2)
    assert (Run.objects.count(), Project.objects.filter(pk=runs[0].project_id).count()) == (0, 0)
