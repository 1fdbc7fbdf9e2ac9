"""The worker: one queue for all that happens in the background, which neither kills nor crowds nor failures spoil."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core import mail as outbox
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from runs import mail
from runs.jobs import housekeeping, reestimate, worker
from runs.models import Invitation, Membership, Reestimation, Run, User
from tests.fakes import jobs
from tests.people import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
QUEUE = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "long"]}}


@pytest.fixture(autouse=True)
def queue(transactional_db, settings):
    settings.TASKS = QUEUE


@pytest.fixture
def trace(tmp_path) -> str:
    return str(tmp_path / "trace")


def work() -> None:
    """What is ready now, as `manage.py worker` does it."""
    call_command("worker", batch=True)


def of(task) -> DBTaskResult:
    return DBTaskResult.objects.get(task_path=task.module_path)


def by_hand(monkeypatch) -> None:
    """No housekeeping by itself, where a test counts jobs."""
    monkeypatch.setattr(worker, "enqueue_housekeeping", lambda now: None)


def test_mail_waits_for_it_and_leaves_no_link_behind():
    mail.send.enqueue("alice@example.org", "Hello", "https://traceml.example/join/secret/")
    assert outbox.outbox == []
    work()
    assert [letter.subject for letter in outbox.outbox] == ["Hello"]
    assert "secret" not in str(DBTaskResult.objects.values())


def test_without_a_queue_it_says_how_to_get_one(settings):
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
    with pytest.raises(CommandError, match="TRACEML_TASKS=database"):
        work()


def test_runs_are_re_estimated_through_the_same_queue(people, wire, catalogue, settings):
    settings.TRACEML_REESTIMATE = "auto"
    run_id = wire.whole_run()
    before = Run.objects.get(run_id=run_id).energy_kwh
    from hardware.models import HardwareProfile

    profile = HardwareProfile.objects.get(pk=Run.objects.get().devices.get().profile_id)
    profile.tdp_w *= 2
    profile.save()
    reestimate.request("Twice the power")
    reestimate.start()
    assert DBTaskResult.objects.filter(task_path=reestimate.in_the_background.module_path).count() == 1
    work()
    assert Run.objects.get(run_id=run_id).energy_kwh > before
    assert not Reestimation.objects.pending().exists()


# Housekeeping by itself


def old_invitation(people) -> None:
    Invitation.issue(Membership.objects.get(user=people.alice), "member")
    Invitation.objects.update(expires_at=timezone.now() - timedelta(days=31))


def test_it_keeps_house_once_a_day(people, monkeypatch):
    old_invitation(people)
    monkeypatch.setattr(worker, "HOUSEKEEPING_AT", (0, 0))
    work()
    assert not Invitation.objects.exists()
    work()
    assert of(housekeeping.daily).status == "SUCCESSFUL"
    worker.enqueue_housekeeping(timezone.now() + timedelta(days=1))
    assert DBTaskResult.objects.filter(task_path=housekeeping.daily.module_path).count() == 2


def test_a_day_s_housekeeping_is_due_in_the_night_and_once_however_many_workers_ask():
    now = datetime(2026, 11, 28, 1, 0, tzinfo=UTC)
    crowd = [threading.Thread(target=_enqueue, args=(now,)) for _ in range(8)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert of(housekeeping.daily).run_after == datetime(2026, 11, 28, 3, 17, tzinfo=UTC)


def _enqueue(now) -> None:
    try:
        worker.enqueue_housekeeping(now)
    finally:
        connection.close()


def test_jobs_that_are_done_do_not_pile_up(trace, monkeypatch):
    by_hand(monkeypatch)
    jobs.quick.enqueue(trace, "a")
    work()
    DBTaskResult.objects.update(finished_at=timezone.now() - timedelta(days=3))
    assert housekeeping.clean("tasks") == 1


# Kills


def started(**environment: str) -> subprocess.Popen:
    """A worker as systemd or compose start it, on the test's database."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        Path(name).chmod(0o600)  # the portal's commands refuse one that others can read
        url = f"sqlite:///{name}"
    else:
        url = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{name}"
    settings = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.served", "TRACEML_TASKS": "database"}
    return subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=ROOT, env=os.environ | settings | environment)


def wait_for(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_whose_worker_was_killed_is_done_by_another(trace):
    jobs.slow.enqueue(trace, 600)
    first = started()
    try:
        wait_for(lambda: jobs.told(trace))
        first.send_signal(signal.SIGKILL)
    finally:
        first.kill()
        first.wait()
    job = of(jobs.slow)
    assert job.status == "RUNNING"
    assert job.run_after > timezone.now()  # nobody takes it from a worker that may live
    work()
    assert jobs.told(trace) == [f"began-{first.pid}"]
    DBTaskResult.objects.filter(pk=job.pk).update(
        run_after=timezone.now(), args_kwargs={"args": [trace, 0], "kwargs": {}}
    )
    work()
    assert jobs.told(trace)[1:] == [f"began-{os.getpid()}", "ended"]
    assert of(jobs.slow).status == "SUCCESSFUL"


def test_the_lease_of_a_job_at_work_is_renewed(trace, monkeypatch):
    by_hand(monkeypatch)
    monkeypatch.setattr(worker, "RENEW_S", 0.1)
    jobs.slow.enqueue(trace, 1.0)
    before = timezone.now() + worker.LEASE
    work()
    assert of(jobs.slow).run_after > before + timedelta(seconds=0.5)


def test_a_worker_that_is_told_to_stop_ends_at_once_between_jobs():
    one = started()
    try:
        wait_for(lambda: DBTaskResult.objects.exists())  # it looked after the queue, and now waits
        time.sleep(1)
        one.terminate()
        assert one.wait(10) == 0
    finally:
        one.kill()


# Crowds


def test_of_several_workers_one_does_a_job(trace, monkeypatch):
    by_hand(monkeypatch)
    words = [f"job-{number}" for number in range(40)]
    for word in words:
        jobs.quick.enqueue(trace, word)
    crowd = [threading.Thread(target=_work_beside_others) for _ in range(4)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert sorted(jobs.told(trace)) == sorted(words)
    assert {len(job.worker_ids) for job in DBTaskResult.objects.all()} == {1}


def _work_beside_others() -> None:
    try:
        worker.Worker("default", batch=True).run()
    finally:
        connection.close()


# Failures


def again(job: DBTaskResult) -> None:
    """As if the wait were over."""
    DBTaskResult.objects.filter(pk=job.pk).update(run_after=timezone.now())


def test_a_job_that_fails_is_tried_again_later(trace, monkeypatch, caplog):
    by_hand(monkeypatch)
    jobs.failing.enqueue(trace, 1)
    work()
    job = of(jobs.failing)
    assert (job.status, jobs.told(trace)) == ("READY", ["tried"])
    assert timedelta(seconds=50) < job.run_after - timezone.now() <= timedelta(minutes=1)
    assert "failing failed, try 1: RuntimeError: no mail server" in caplog.text
    work()
    assert jobs.told(trace) == ["tried"]
    again(job)
    work()
    assert of(jobs.failing).status == "SUCCESSFUL"


def test_a_job_that_never_works_is_given_up_after_a_day_and_stays_to_be_seen(trace, monkeypatch):
    by_hand(monkeypatch)
    jobs.failing.enqueue(trace, 1000)
    waited = timedelta(0)
    while True:
        work()
        job = of(jobs.failing)
        if job.status == "FAILED":
            break
        waited += job.run_after - timezone.now()
        again(job)
    assert len(jobs.told(trace)) == 7
    assert waited > timedelta(hours=20)
    work()
    assert len(jobs.told(trace)) == 7


def test_a_job_that_kills_its_workers_is_given_up_too(trace):
    jobs.quick.enqueue(trace, "x")
    for _ in range(7):
        job = worker.claim("default", "w")
        DBTaskResult.objects.filter(pk=job.pk).update(run_after=timezone.now() - timedelta(seconds=1))
        worker.look_after()
        DBTaskResult.objects.filter(pk=job.pk, status="READY").update(run_after=timezone.now())
    assert worker.claim("default", "w") is None
    assert of(jobs.quick).status == "FAILED"


def test_the_admin_sees_what_fails_and_has_it_tried_again_without_a_word_of_what_it_holds(trace, monkeypatch):
    by_hand(monkeypatch)
    staff = Client()
    staff.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    jobs.failing.enqueue(trace, 1000)
    work()
    page = "/admin/runs/job/"
    job = of(jobs.failing)
    for path in (page, f"{page}{job.pk}/change/"):
        told = staff.get(path).content.decode()
        assert "RuntimeError" in told
        assert trace not in told
    staff.post(page, {"action": "try_now", "_selected_action": [str(job.pk)]})
    work()
    assert len(jobs.told(trace)) == 2
