"""PUT /api/v1/runs/{run_id}/batches/{batch_id}: samples, stages, metrics and calls."""

import gzip
import json
import uuid

import pytest

from runs.models import Batch, Call, Device, Run, Stage
from tests import wire as bodies
from tests.wire import A100, batch, sample

pytestmark = pytest.mark.django_db


def test_a_batch_is_stored_and_acknowledged_with_its_digest(wire):
    run_id = wire.start()
    body = json.dumps(batch([sample("gpu-0", 10, 5), sample("gpu-0", 20, 15)])).encode()
    answer = wire.put(f"runs/{run_id}/batches/b-1", body)
    assert answer.status_code == 201
    assert answer.json()["sha256"] == bodies.digest(body)
    assert (answer.json()["batch_id"], answer.json()["status"]) == ("b-1", "stored")
    assert [s.busy_s for s in Batch.objects.get().samples()["gpu-0"]] == [5.0, 15.0]


def test_an_answer_tells_its_length(wire):
    answer = wire.send(wire.start(), "b-1", batch([sample("gpu-0", 10, 5)]))
    assert int(answer["Content-Length"]) == len(answer.content)


def test_a_zipped_batch_is_acknowledged_with_the_digest_of_its_plain_body(wire):
    run_id = wire.start()
    body = batch([sample("gpu-0", 10, 5)])
    answer = wire.put(f"runs/{run_id}/batches/b-1", body, zipped=True)
    assert answer.json()["sha256"] == bodies.digest(json.dumps(body).encode())


def test_a_batch_sent_ten_times_counts_once(wire):
    run_id = wire.start()
    body = batch([sample("gpu-0", 10, 5)])
    answers = [wire.send(run_id, "b-1", body) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [201] + [200] * 9
    assert {answer.json()["status"] for answer in answers[1:]} == {"duplicate"}
    assert {answer.json()["energy_kwh"] for answer in answers[1:]} == {Run.objects.get().energy_kwh}
    assert Batch.objects.count() == 1


def test_another_body_under_the_same_batch_id_is_a_conflict(wire):
    run_id = wire.start()
    wire.send(run_id, "b-1", batch([sample("gpu-0", 10, 5)]))
    answer = wire.send(run_id, "b-1", batch([sample("gpu-0", 10, 6)]))
    assert (answer.status_code, answer.json()["type"]) == (409, "batch-conflict")
    assert Device.objects.get().busy_s == 5


def test_batches_in_any_order_give_the_same_energy(wire):
    in_order, reordered = wire.start(), wire.start()
    parts = [batch([sample("gpu-0", t, t / 2)]) for t in (10, 20, 30)]
    for number, part in enumerate(parts):
        wire.send(in_order, f"b-{number}", part)
    for number, part in reversed(list(enumerate(parts))):
        wire.send(reordered, f"b-{number}", part)
    one, other = Run.objects.order_by("id")
    assert one.energy_kwh == other.energy_kwh > 0


def test_a_batch_of_an_unknown_run_asks_for_its_header(wire):
    answer = wire.send(str(uuid.uuid4()), "b-1", batch())
    assert (answer.status_code, answer.json()["type"]) == (404, "run-unknown")


def test_another_teams_run_looks_like_a_missing_one(wire, charlies_wire):
    run_id = wire.start()
    answer = charlies_wire.send(run_id, "b-1", batch([sample("gpu-0", 10, 5)]))
    assert (answer.status_code, answer.json()["type"]) == (404, "run-unknown")


def test_stages_and_calls_are_cumulative_and_never_go_back(wire):
    run_id = wire.start()
    ended = {"id": "1", "name": "epoch 1", "start_s": 0, "end_s": 4}
    counts = {"method": "predict", "calls": 9, "items": 90, "busy_s": 1.5}
    wire.send(run_id, "b-2", batch(stages=[ended], calls=[counts]))
    wire.send(run_id, "b-1", batch(stages=[ended | {"end_s": None}], calls=[counts | {"calls": 3, "items": 30}]))
    assert Stage.objects.get().end_s == 4
    assert (Call.objects.get().calls, Call.objects.get().items) == (9, 90)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (batch([sample("gpu-7", 1, 1)]), "samples[0].device"),
        (batch([{"device": "gpu-0"}]), "samples[0].t_s"),
        (batch([sample("gpu-0", -1, 0)]), "samples[0].t_s"),
        (batch([sample("gpu-0", True, 0)]), "samples[0].t_s"),
        (batch([sample("gpu-0", 1, 2)]), "samples[0].busy_s"),
        (batch([sample("gpu-0", 1, 1, -1)]), "samples[0].energy_j"),
        (batch([sample("gpu-0", 1, 1, 1e7)]), "samples[0].energy_j"),
        (batch([sample("gpu-0", 1, 1, "5")]), "samples[0].energy_j"),
        (batch([sample("gpu-0", 2, 1), sample("gpu-0", 1, 1)]), "samples[1].t_s"),
        (batch([sample("gpu-0", 2, 1, 9), sample("gpu-0", 3, 1, 8)]), "samples[1].energy_j"),
        (batch([sample("gpu-0", 5e8, 1)]), "samples[0].t_s"),
        (batch([sample("gpu-0", 1, 1)] * 10_001), "samples"),
        (batch("no"), "samples[0]"),
        (batch(stages=[{"id": "1", "name": "x", "start_s": 5, "end_s": 4}]), "stages[0].end_s"),
        (batch(metrics=[{"t_s": 1, "name": "loss", "value": "low"}]), "metrics[0].value"),
        (batch(calls=[{"method": "predict", "calls": -1}]), "calls[0].calls"),
        (batch(devices=[dict(A100, kind="toaster")]), "devices[0].kind"),
        (batch(left_out=[{"what": "metric 'loss'", "reason": "not a finite number"}]), "left_out[0].count"),
        (batch(left_out=[{"what": "x", "reason": "y", "count": -1}]), "left_out[0].count"),
        (batch(left_out=[{"what": "x", "reason": "y", "count": 1}] * 65), "left_out"),
    ],
)
def test_a_field_that_is_not_right_is_named_and_nothing_is_stored(wire, body, field):
    answer = wire.send(wire.start(), "b-1", body)
    assert answer.status_code == 422, answer.content
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert not Batch.objects.exists()


def test_every_faulty_row_is_named_and_no_other(wire):
    good = {"t_s": 1, "name": "loss", "value": 0.5}
    metrics = [good, good | {"name": ""}, good, good | {"value": "low"}]
    samples = [sample("gpu-0", 5, 1), sample("gpu-0", 6, 9), sample("gpu-0", 4, 1), sample("gpu-0", 6, 2)]
    answer = wire.send(wire.start(), "b-1", batch(samples, metrics=metrics))
    fields = {error["field"] for error in answer.json()["errors"]}
    assert fields == {"metrics[1].name", "metrics[3].value", "samples[1].busy_s", "samples[2].t_s"}


def test_a_hundred_faults_are_enough_for_one_answer(wire):
    metrics = [{"t_s": 1, "name": "", "value": 1}] * 2000
    samples = [sample("gpu-0", -1, 0)] * 10_000
    answer = wire.send(wire.start(), "b-1", batch(samples, metrics=metrics))
    assert len(answer.json()["errors"]) == 100
    assert len(answer.content) < 64 * 1024


def test_what_a_run_did_not_keep_is_taken_with_batch_and_finish(wire):
    run_id = wire.start()
    left_out = [{"what": "metric 'loss'", "reason": "not a finite number", "count": 3}]
    assert wire.send(run_id, "b-1", batch(left_out=left_out)).status_code == 201
    assert wire.finish(run_id, left_out=left_out).status_code == 200


def test_a_zip_bomb_is_refused_while_it_unpacks(wire):
    run_id = wire.start()
    bomb = gzip.compress(b" " * 200_000_000)
    answer = wire.put(f"runs/{run_id}/batches/b-1", bomb, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 413


def test_a_torn_gzip_stream_is_refused(wire):
    run_id = wire.start()
    torn = gzip.compress(json.dumps(batch()).encode())[:-5]
    assert wire.put(f"runs/{run_id}/batches/b-1", torn, **{"Content-Encoding": "gzip"}).status_code == 400


def test_a_malformed_batch_id_is_not_found(wire):
    assert wire.send(wire.start(), "b 1", batch()).status_code == 404
