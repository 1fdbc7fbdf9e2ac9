"""Uploads store facts; totals follow. Here they follow when a test says so, except where the thread itself is tried."""

import threading
import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.ingest.folding import fold as folding
from runs.ingest.folding.fold import fold_waiting
from runs.ingest.totals import UsageChanges
from runs.jobs import folder
from runs.jobs.worker import Worker
from runs.models import Arrival, Batch, DailyUsage, Device, ProjectUsage, Run, Stage
from runs.models.usage import AMOUNTS
from runs.sql.within_project import is_distributed
from tests.wire import A100, ago, batch, noon, sample


@pytest.fixture
def later(monkeypatch):
    """Nothing is folded by itself."""
    monkeypatch.setattr(folder, "wake", lambda run=None: None)


def begun(wire) -> str:
    """A run that began yesterday at noon, so that all of it is of one day."""
    return wire.start(started_at=noon(1), writer_started_at=noon(1))


def totals() -> list[tuple]:
    days = DailyUsage.objects.order_by("day", "device_kind", "hardware").values_list("day", *AMOUNTS)
    return [
        *days,
        *ProjectUsage.objects.order_by("day").values_list("day", *AMOUNTS),
        *Run.objects.values_list("energy_kwh", "duration_s"),
    ]


def several(wire, run_id: str) -> None:
    """Three batches: counters, a stage that opens and ends, and values of a metric."""
    for number in range(1, 4):
        stage = {"id": "1", "name": "epoch 1", "start_s": 0.0, "end_s": 3.0 if number == 3 else None}
        more = {"stages": [stage], "metrics": [{"t_s": number, "name": "loss", "value": 1 / number}]}
        body = batch([sample("gpu-0", 1000 * number, 500 * number, 0.1e6 * number)], [A100], **more)
        assert wire.send(run_id, f"b-{number}", body).status_code == 201


def test_an_upload_is_stored_at_once_and_counted_when_it_is_folded(wire, later):
    run_id = begun(wire)
    several(wire, run_id)
    assert Batch.objects.count() == 3
    assert Run.objects.get().energy_kwh == 0
    assert not DailyUsage.objects.exists()
    fold_waiting()
    assert Run.objects.get().energy_kwh == pytest.approx(0.3e6 / 3.6e6)
    assert Stage.objects.get().end_s == 3.0
    assert not Arrival.objects.exists()


def test_folded_together_or_one_by_one_totals_are_the_same_to_the_last_digit(wire, later, people):
    one_by_one = wire.start(started_at=ago(hours=30), writer_started_at=ago(hours=30))
    for number in range(1, 40):
        wire.send(
            one_by_one, f"b-{number}", batch([sample("gpu-0", 2700.3 * number, 1300.7 * number, 0.77e6 * number)])
        )
        fold_waiting()
    apart = totals()
    Run.objects.get().delete()
    DailyUsage.objects.all().delete()
    ProjectUsage.objects.all().delete()
    together = wire.start(started_at=ago(hours=30), writer_started_at=ago(hours=30))
    for number in range(1, 40):
        wire.send(together, f"b-{number}", batch([sample("gpu-0", 2700.3 * number, 1300.7 * number, 0.77e6 * number)]))
    fold_waiting()
    assert [row[1:] for row in totals()] == [pytest.approx(row[1:], rel=1e-12) for row in apart]
    assert Device.objects.get().energy_j == 0.77e6 * 39


@pytest.mark.parametrize("ends", ["before anything is stored", "before the commit"])
def test_a_fold_that_is_killed_leaves_everything_marked(wire, later, monkeypatch, ends):
    several(wire, begun(wire))
    marked = Arrival.objects.count()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if ends == "before the commit":
            patched.setattr(UsageChanges, "save", killed)
        else:
            patched.setattr(folding.Account, "take", killed)
        with pytest.raises(KeyboardInterrupt):
            fold_waiting()
    assert Arrival.objects.count() == marked
    assert Run.objects.get().energy_kwh == 0
    fold_waiting()
    assert Run.objects.get().energy_kwh == pytest.approx(0.3e6 / 3.6e6)


def test_a_run_whose_fold_fails_holds_up_no_other_and_is_tried_again(wire, later, monkeypatch):
    broken, other = begun(wire), begun(wire)
    several(wire, broken)
    several(wire, other)
    take = folding.Account.take

    def fails(account, *arrived):
        if str(account.run.run_id) == broken:
            raise ZeroDivisionError
        take(account, *arrived)

    monkeypatch.setattr(folding, "_aside", {})
    with monkeypatch.context() as patched:
        patched.setattr(folding.Account, "take", fails)
        fold_waiting()
        fold_waiting()
    assert Run.objects.get(run_id=other).energy_kwh > 0
    assert Run.objects.get(run_id=broken).energy_kwh == 0
    monkeypatch.setattr(folding, "_aside", {})
    fold_waiting()
    assert Run.objects.get(run_id=broken).energy_kwh > 0


def test_the_end_of_a_run_is_folded_with_it(wire, later):
    run_id = begun(wire)
    several(wire, run_id)
    answer = wire.finish(run_id).json()
    assert answer["energy_kwh"] == Run.objects.get().energy_kwh == pytest.approx(0.3e6 / 3.6e6)
    assert Run.objects.get().status == "completed"


def test_a_device_may_send_on_before_its_description_is_folded(wire, later):
    run_id = begun(wire)
    wire.send(run_id, "b-1", batch([sample("gpu-0", 10, 5)]))
    assert wire.send(run_id, "b-2", batch([sample("gpu-0", 20, 10)], [])).status_code == 201
    assert wire.send(run_id, "b-3", batch([sample("gpu-7", 20, 10)], [])).status_code == 422


def test_a_rebuild_folds_first(wire, later):
    several(wire, begun(wire))
    call_command("rebuild_usage")
    assert ProjectUsage.objects.get().energy_kwh == pytest.approx(0.3e6 / 3.6e6)
    call_command("check_totals")


def test_a_batch_costs_six_statements_and_a_header_ten(wire, later):
    """With those that begin and commit."""
    begun(wire)
    with CaptureQueriesContext(connection) as of_header:
        run_id = begun(wire)
    wire.send(run_id, "b-1", batch([sample("gpu-0", 10, 5), sample("gpu-1", 10, 5)], [A100, A100 | {"key": "gpu-1"}]))
    fold_waiting()
    with CaptureQueriesContext(connection) as of_batch:
        wire.send(run_id, "b-2", batch([sample("gpu-0", 20, 10), sample("gpu-1", 20, 10)], []))
    assert len(of_header) <= 10
    assert len(of_batch) <= (8 if is_distributed() else 6)  # there, it can't lock and insert in one


def test_pages_say_how_far_they_are_behind_and_have_it_folded(wire, client, people, monkeypatch):
    woken = []
    monkeypatch.setattr(folder, "wake", lambda run=None: woken.append(True))
    run_id = begun(wire)
    client.force_login(people.alice)
    pages = ["/", "/runs/", "/models/", f"/runs/{run_id}/", "/models/digits/resnet-50/"]
    assert not any("behind. Recent uploads" in client.get(page).content.decode() for page in pages)
    woken.clear()
    Arrival.objects.update(received_at=timezone.now() - timedelta(seconds=40))
    for page in pages:
        assert " s behind. Recent uploads are stored" in client.get(page).content.decode(), page
    assert woken


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", ["web process", "another one", "worker"])
def test_totals_follow_by_themselves(wire, monkeypatch, who):
    own = folder.Folder()
    monkeypatch.setattr(folder, "IDLE_S", 1.0)
    monkeypatch.setattr(folder, "wake", own.wake if who == "web process" else lambda run=None: None)
    several(wire, begun(wire))
    if who == "another one":
        own.wake(None)  # as when it starts: what took the uploads may have been killed
    if who == "worker":
        Worker("default", batch=True).run()
    end = time.monotonic() + 20
    while Arrival.objects.exists() and time.monotonic() < end:
        time.sleep(0.05)
    for thread in [each for each in threading.enumerate() if each.name == folder.NAME]:
        thread.join()  # or its connection would outlive the test's database
    assert Run.objects.get().energy_kwh == pytest.approx(0.3e6 / 3.6e6)
