"""What a run may hold at most, with what lies beyond it counted; and that who repeats keeps nobody waiting."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.ingest import totals, writers
from runs.ingest.folding import devices, stages
from runs.models import Call, Device, Run, Stage, Writer
from tests.wire import A100, ago, batch, finish, header, sample


def cards(number: int, first: int = 0) -> list[dict]:
    return [A100 | {"key": f"gpu-{n}", "uuid": f"GPU-{n}"} for n in range(first, first + number)]


def left_out(wire, run_id: str) -> dict[str, int]:
    return {row["what"]: row["count"] for row in wire.get(f"runs/{run_id}").json()["left_out"]}


def whole(wire, run_id: str) -> dict:
    return wire.get(f"runs/{run_id}").json()


# Devices


@pytest.fixture
def few_devices(monkeypatch) -> int:
    monkeypatch.setattr(devices, "MAX_RUN_DEVICES", 3)
    return 3


def test_samples_of_a_device_too_many_are_counted_and_the_others_are_kept(wire, few_devices):
    run_id = wire.start()
    samples = [sample(f"gpu-{n}", 3600, 1800, 3.6e6) for n in range(5)]
    assert wire.send(run_id, "b-1", batch(samples, cards(5))).status_code == 201
    assert Device.objects.count() == few_devices
    assert whole(wire, run_id)["energy_kwh"] == pytest.approx(3.0)
    assert left_out(wire, run_id) == {"samples of devices": 2}
    assert Run.objects.get().left_out[0]["reason"] == "a run keeps at most 3 devices"
    assert wire.get(f"runs/{run_id}/series").json()["devices"][0]["device"] == "w-1/gpu-0"


def test_the_bound_is_of_all_processes_of_the_run_and_of_no_other_run(wire, few_devices):
    run_id, other = wire.start(), wire.start()
    for number in range(4):
        body = batch([sample(f"gpu-{number}", 60, 60)], cards(1, number)) | {"writer": f"w-{number}"}
        assert wire.send(run_id, f"b-{number}", body).status_code == 201
    assert left_out(wire, run_id) == {"samples of devices": 1}
    assert wire.send(other, "b-1", batch([sample("gpu-0", 60, 60)])).status_code == 201
    assert left_out(wire, other) == {}


def test_a_device_that_is_known_goes_on_in_a_full_run(wire, few_devices):
    run_id = wire.start()
    wire.send(run_id, "b-1", batch([sample("gpu-0", 60, 60)], cards(3)))
    wire.send(run_id, "b-2", batch([sample("gpu-0", 90, 60)], cards(4)))
    assert Device.objects.get(key="gpu-0").elapsed_s == 90
    assert left_out(wire, run_id) == {}


def test_an_undescribed_device_is_still_named_by_its_place(wire, few_devices):
    run_id = wire.start()
    samples = [sample("gpu-3", 60, 60), sample("nobody", 60, 60)]
    answer = wire.send(run_id, "b-1", batch(samples, cards(4)))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "samples[1].device"


@pytest.mark.parametrize("send", ["header", "finish"])
def test_header_and_end_are_bounded_alike(wire, few_devices, send):
    run_id = wire.start()
    if send == "header":
        wire.put(f"runs/{run_id}", header(devices=cards(5)))
    else:
        wire.finish(run_id, devices=cards(5), samples=[sample(f"gpu-{n}", 60, 60) for n in range(5)])
        assert left_out(wire, run_id) == {"samples of devices": 2}
    assert Device.objects.count() == few_devices


# Writers


def test_a_process_too_many_is_refused_by_name_and_the_others_go_on(wire, monkeypatch):
    monkeypatch.setattr(writers, "MAX_WRITERS", 2)
    run_id = wire.start()
    assert wire.put(f"runs/{run_id}", header(writer="w-2")).status_code == 200
    for path, body in (
        (f"runs/{run_id}", header(writer="w-3")),
        (f"runs/{run_id}/batches/b-1", batch() | {"writer": "w-3"}),
        (f"runs/{run_id}/finish", finish(writer="w-3")),
    ):
        answer = wire.put(path, body)
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"field": "writer", "message": "exceeds the limit of 2 processes per run"}]
    assert wire.send(run_id, "b-2", batch([sample("gpu-0", 60, 60)])).status_code == 201
    assert wire.finish(run_id).status_code == 200


# Stages and calls


def stage(number: int, end_s: float | None = 1.0) -> dict:
    return {"id": f"{number}", "name": f"epoch {number}", "start_s": 0.0, "end_s": end_s}


def test_stages_beyond_the_bound_are_counted_and_those_known_still_end(wire, monkeypatch):
    monkeypatch.setattr(stages, "MAX_STAGES", 3)
    run_id = wire.start()
    wire.send(run_id, "b-1", batch(stages=[stage(n, None) for n in range(5)]))
    wire.send(run_id, "b-2", batch(stages=[stage(n) for n in range(2)]))
    assert Stage.objects.count() == 3
    assert Stage.objects.filter(end_s=None).count() == 1
    assert left_out(wire, run_id) == {"reports of further stages": 2}


def test_methods_beyond_the_bound_are_counted_and_those_known_still_count(wire, monkeypatch):
    monkeypatch.setattr(stages, "MAX_METHODS", 2)
    run_id = wire.start()

    def report(number: int, calls: int) -> dict:
        return {"method": f"predict_{number}", "calls": calls, "items": calls, "busy_s": 1.0}

    wire.send(run_id, "b-1", batch(calls=[report(n, 5) for n in range(3)]))
    wire.send(run_id, "b-2", batch(calls=[report(n, 9) for n in range(2)]) | {"writer": "w-2"})
    wire.send(run_id, "b-3", batch(calls=[report(0, 7), report(3, 1)]))
    assert set(Call.objects.values_list("writer__key", "method", "calls")) == {
        ("w-1", "predict_0", 7),
        ("w-1", "predict_1", 5),
        ("w-2", "predict_0", 9),
        ("w-2", "predict_1", 9),
    }
    assert left_out(wire, run_id) == {"reports of calls": 2}


# No team slows another


def statements(send) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        assert send().status_code == 200
    return [query["sql"] for query in seen]


def assert_changes_nothing(found: list[str]) -> None:
    """Not even the mark by which totals follow; the batch itself is refused by its id."""
    changes = ("INSERT INTO runs_arrival", "UPDATE", "DELETE")
    assert [sql for sql in found if sql.strip().startswith(changes)] == []


def test_a_known_batch_is_answered_and_changes_nothing(wire):
    run_id = wire.start()
    body = batch([sample("gpu-0", 60, 60)])
    wire.send(run_id, "b-1", body)
    assert_changes_nothing(statements(lambda: wire.send(run_id, "b-1", body)))
    again = wire.send(run_id, "b-1", body).json()
    assert again["status"] == "duplicate"
    assert again["energy_kwh"] == Run.objects.get().energy_kwh > 0
    assert wire.send(run_id, "b-1", body | {"samples": []}).status_code == 409


@pytest.mark.parametrize("kind", ["header", "finish"])
def test_a_header_or_end_told_a_moment_ago_is_answered_and_changes_nothing(wire, kind):
    run_id = wire.start()
    path, body = (f"runs/{run_id}", header()) if kind == "header" else (f"runs/{run_id}/finish", finish())
    first = wire.put(path, body)
    assert_changes_nothing(statements(lambda: wire.put(path, body)))
    assert wire.put(path, body).json() == first.json()


def test_told_again_later_it_says_that_the_run_goes_on(wire):
    """A client that tells no time sends the same header each time."""
    run_id, body = str(uuid.uuid4()), header()
    wire.put(f"runs/{run_id}", body)
    silent = timezone.now() - timedelta(minutes=10)
    Run.objects.update(last_seen_at=silent)
    wire.put(f"runs/{run_id}", body)
    assert Run.objects.get().last_seen_at > silent + timedelta(minutes=9)


def test_another_end_is_taken_in_at_once(wire):
    run_id = wire.start()
    body = finish()
    for status in ("completed", "failed", "completed"):
        assert wire.put(f"runs/{run_id}/finish", body | {"status": status}).status_code == 200
        assert Run.objects.get().status == status


def test_the_same_body_from_another_project_is_not_answered(wire, charlies_wire):
    run_id = wire.start()
    wire.send(run_id, "b-1", batch())
    assert charlies_wire.send(run_id, "b-1", batch()).status_code == 404
    assert charlies_wire.finish(run_id).status_code == 404


def test_an_upload_saves_the_device_that_it_is_of(wire):
    """Of a run with a thousand of them it saved each one."""
    run_id = wire.start()
    for number in range(8):
        body = batch([sample(f"gpu-{n}", 60, 60) for n in range(20)], cards(20, 0)) | {"writer": f"w-{number}"}
        body["devices"] = [each | {"uuid": f"{each['uuid']}-{number}"} for each in body["devices"]]
        assert wire.send(run_id, f"b-{number}", body).status_code == 201
    with CaptureQueriesContext(connection) as seen:
        assert wire.send(run_id, "b", batch([sample("gpu-0", 90, 60)], ()) | {"writer": "w-0"}).status_code == 201
    saved = [query for query in seen if f'UPDATE "{Device._meta.db_table}"' in query["sql"]]
    assert len(saved) == 1


def test_a_device_that_another_process_reports_too_is_counted_once_also_in_later_uploads(wire):
    run_id = wire.start(started_at=ago(hours=2), writer_started_at=ago(hours=2))
    for writer in ("w-1", "w-2"):
        body = batch([sample("gpu-0", 3600, 1800, 3.6e6)], writer_started_at=ago(hours=2)) | {"writer": writer}
        wire.send(run_id, f"b-{writer}", body)
    assert whole(wire, run_id)["energy_kwh"] == pytest.approx(1.0)
    longer = batch([sample("gpu-0", 4000, 1800, 7.2e6)]) | {"writer": "w-2"}
    wire.send(run_id, "b-3", longer)
    assert dict(Device.objects.values_list("writer__key", "counted")) == {"w-1": False, "w-2": True}
    assert whole(wire, run_id)["energy_kwh"] == pytest.approx(2.0)


def test_spans_are_compared_as_one_by_one():
    """The quick way gives what comparing each with each gives, spans of no length included."""
    import random

    random.seed(14)
    start = timezone.now()
    for _ in range(300):
        drawn = [sorted(random.choices(range(12), k=2)) for _ in range(12)]
        spans = [(start + timedelta(seconds=a), start + timedelta(seconds=b)) for a, b in drawn]
        kept: list[tuple] = []
        for first, last in spans:
            expected = any(first < end and begin < last for begin, end in kept)
            assert totals._overlaps((first, last), kept) is expected, (kept, first, last)
            if not expected:
                kept = sorted([*kept, (first, last)])


def test_writers_remember_digests_and_no_bodies(wire):
    wire.start()
    assert len(Writer.objects.get().last_sha256) == 64
