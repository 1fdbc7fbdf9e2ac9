"""PUT /api/v1/runs/{run_id}: a run's header."""

import json
import uuid

import pytest

from runs.models import Run, TrackedModel
from tests import wire as bodies

pytestmark = pytest.mark.django_db


def test_a_header_makes_the_run_and_its_model(wire, people):
    run_id = str(uuid.uuid4())
    body = json.dumps(bodies.header(tags=["a"], params={"lr": 0.1}, devices=[bodies.A100])).encode()
    answer = wire.put(f"runs/{run_id}", body)
    run = Run.objects.get(run_id=run_id)
    assert answer.status_code == 201
    assert answer.json() == {
        "run_id": run_id,
        "batch_id": None,
        "sha256": bodies.digest(body),
        "status": "created",
        "energy_kwh": 0.0,
        "emissions_kg": 0.0,
        "url": f"http://testserver/runs/{run_id}/",
    }
    assert (run.project, run.tracked_model.name, run.kind) == (people.project, "resnet-50", "training")
    assert (run.tags, run.params, run.state) == (["a"], {"lr": 0.1}, "running")
    assert run.devices.get().name == "NVIDIA A100-SXM4-40GB"


def test_a_header_sent_again_changes_nothing(wire):
    run_id = wire.start(name="first")
    answer = wire.put(f"runs/{run_id}", bodies.header(name="second"))
    assert answer.status_code == 200
    assert Run.objects.get().name == "first"
    assert Run.objects.get().writers.count() == 1


def test_a_resumed_run_gets_a_second_writer(wire):
    run_id = wire.start()
    wire.start(run_id, writer="w-2")
    assert sorted(Run.objects.get().writers.values_list("key", flat=True)) == ["w-1", "w-2"]


def test_runs_of_one_model_name_share_the_model(wire):
    wire.start(model="resnet-50")
    wire.start(model="resnet-50")
    assert TrackedModel.objects.get().run_set.count() == 2


def test_model_names_without_latin_letters_get_addresses_of_their_own(wire):
    wire.start(model="模型")
    wire.start(model="Модель")
    assert len(set(TrackedModel.objects.values_list("slug", flat=True))) == 2


def test_the_same_run_id_in_another_project_is_another_run(wire, charlies_wire):
    run_id = wire.start()
    answer = charlies_wire.put(f"runs/{run_id}", bodies.header())
    assert answer.status_code == 201
    assert Run.objects.filter(run_id=run_id).count() == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"model": "x" * 201}, "model"),
        ({"model": "a\u202eb"}, "model"),
        ({"model": "a\x00b"}, "model"),
        ({"model": "\ud800"}, "model"),
        ({"kind": "cooking"}, "kind"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"started_at": "1999-12-31T00:00:00Z"}, "started_at"),
        ({"started_at": "2999-01-01T00:00:00Z"}, "started_at"),
        ({"params": [1]}, "params"),
        ({"params": {"a": "\ud800"}}, "params.a"),
        ({"params": {"a": {"b": [0, "\x00"]}}}, "params.a.b[1]"),
        ({"params": {"a\x00": 1}}, r'params["a\u0000"]'),
        ({"params": {"\ud800": 1}}, r'params["\ud800"]'),
        ({"params": {"non_field_errors": "\x00"}}, "params.non_field_errors"),
        ({"params": {"optimizer.lr": "\x00"}}, 'params["optimizer.lr"]'),
        ({"params": {"模型": "\x00"}}, 'params["模型"]'),
        ({"params": {"a": 1, " a": 2}}, 'params[" a"]'),
        ({"params": {str(n): n for n in range(201)}}, "params.200"),
        ({"params": {"small": 1, "large": "x" * 12_000, "medium": "x" * 9_000}}, "params.large"),
        ({"environment": {"os": "\x00"}}, "environment.os"),
        ({"tags": ["a", "\x00", "b", ""]}, "tags[1]"),
        ({"tags": ["a", "\x00", "b", ""]}, "tags[3]"),
        ({"tags": ["a"] * 51}, "tags[50]"),
        ({"tags": "a"}, "tags"),
        ({"devices": [{"key": "gpu-0", "kind": "gpu"}]}, "devices[0].name"),
        ({"devices": [dict(bodies.A100, share=1.5)]}, "devices[0].share"),
        ({"devices": [bodies.A100] * 65}, "devices"),
        ({"writer": "a b"}, "writer"),
    ],
)
def test_a_field_that_is_not_right_is_named(wire, changes, field):
    answer = wire.put(f"runs/{uuid.uuid4()}", bodies.header(**changes))
    assert answer.status_code == 422, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 411),
        (b"{", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"\xff\xfe{}", 400),
        (b'{"model": NaN}', 400),
        (b'{"params": {"a": 1e999}}', 400),
        (b'{"params": {"a": ' + b"9" * 6000 + b"}}", 400),
        (b"[" * 100_000, 400),
        (b'{"params": ' + b'{"a":' * 10 + b"1" + b"}" * 11, 400),
        (b" " * (1024 * 1024 + 1), 413),
    ],
)
def test_a_body_that_is_not_a_bounded_json_object_is_refused(wire, body, status):
    assert wire.put(f"runs/{uuid.uuid4()}", body).status_code == status


def test_a_charset_other_than_utf_8_is_refused(wire):
    answer = wire.client.put(
        f"/api/v1/runs/{uuid.uuid4()}",
        b"{}",
        content_type="application/json; charset=punycode",
        headers=wire.headers,
    )
    assert answer.status_code == 415


def test_only_batches_may_be_compressed(wire):
    assert wire.put(f"runs/{uuid.uuid4()}", bodies.header(), zipped=True).status_code == 415


def test_every_error_carries_the_request_id_of_its_header(wire):
    answer = wire.put("runs/not-a-uuid", {})
    assert answer.status_code == 404
    assert answer.json()["request_id"] == answer["X-Request-ID"]
