"""PUT /api/v1/runs/{run_id}/finish: the end of a writer, and of the run."""

import uuid

import pytest

from runs.models import Run
from tests.wire import A100, ago, batch, sample

pytestmark = pytest.mark.django_db


def test_a_finish_ends_the_run_with_its_final_counters(wire):
    run_id = wire.start()
    answer = wire.finish(run_id, devices=[A100], samples=[sample("gpu-0", 60, 30)])
    run = Run.objects.get()
    assert (answer.status_code, answer.json()["status"]) == (200, "finished")
    assert (run.state, run.duration_s, run.devices.get().busy_s) == ("completed", 60, 30)


def test_a_finish_may_be_sent_again(wire):
    run_id = wire.whole_run()
    before = Run.objects.get().energy_kwh
    assert wire.finish(run_id).status_code == 200
    assert Run.objects.get().energy_kwh == before


def test_a_failed_run_keeps_the_exceptions_type(wire):
    run_id = wire.start()
    wire.finish(run_id, status="failed", exception="OutOfMemoryError")
    assert (Run.objects.get().state, Run.objects.get().exception) == ("failed", "OutOfMemoryError")


def test_a_run_ends_with_its_last_host(wire):
    run_id = wire.start(host="h1", writer_started_at=ago(minutes=60))
    wire.start(run_id, writer="w-2", host="h2", writer_started_at=ago(minutes=60))
    wire.send(run_id, "b-1", batch([sample("gpu-0", 600, 60)]))
    wire.send(run_id, "b-2", batch([sample("gpu-0", 600, 60)], [dict(A100, uuid="GPU-2")], writer="w-2"))
    wire.finish(run_id)
    assert Run.objects.get().status == "running"
    wire.finish(run_id, writer="w-2")
    assert Run.objects.get().status == "completed"


def test_an_attempt_that_was_killed_does_not_keep_a_resumed_run_open(wire):
    run_id = wire.start(writer_started_at=ago(minutes=60))
    wire.send(run_id, "b-1", batch([sample("gpu-0", 600, 60)]))
    wire.start(run_id, writer="w-2", writer_started_at=ago(minutes=30))
    wire.finish(run_id, writer="w-2", devices=[A100], samples=[sample("gpu-0", 600, 60)])
    run = Run.objects.get()
    assert (run.status, run.duration_s) == ("completed", 1200)
    assert [device.counted for device in run.devices.all()] == [True, True]


def test_a_late_batch_after_the_finish_still_counts(wire):
    run_id = wire.whole_run([sample("gpu-0", 60, 30)])
    wire.send(run_id, "b-9", batch([sample("gpu-0", 90, 60)]))
    assert Run.objects.get().devices.get().busy_s == 60
    assert Run.objects.get().status == "completed"


def test_a_finish_of_an_unknown_run_asks_for_its_header(wire):
    assert wire.finish(str(uuid.uuid4())).status_code == 404


def test_running_is_not_an_end(wire):
    answer = wire.finish(wire.start(), status="running")
    assert [error["field"] for error in answer.json()["errors"]] == ["status"]
