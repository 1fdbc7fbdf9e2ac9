"""The read side of the API: a project's runs, models and sums, and nothing of another's."""

import pytest

from hardware.models import HardwareProfile
from runs.models import EmissionFactor, Pue, Run
from tests.people import token
from tests.wire import Wire, sample

pytestmark = pytest.mark.django_db


def test_the_run_list_gives_the_projects_runs_latest_first(wire):
    first, second = wire.whole_run(model="a"), wire.whole_run(model="b")
    runs = wire.get("runs").json()["results"]
    assert [run["run_id"] for run in runs] == [second, first]
    assert (runs[0]["model"], runs[0]["state"]) == ("b", "completed")


def test_the_run_list_goes_by_pages_that_a_cursor_links(wire):
    for _ in range(3):
        wire.start()
    page = wire.get("runs", page_size=2).json()
    rest = wire.client.get(page["next"], headers=wire.headers).json()
    assert (len(page["results"]), len(rest["results"]), rest["next"]) == (2, 1, None)


def test_the_run_list_narrows_by_model_kind_and_text(wire):
    wanted = wire.start(model="resnet", kind="inference", name="nightly")
    wire.start(model="bert")
    for query in ({"model": "resnet"}, {"kind": "inference"}, {"q": "night"}):
        assert [run["run_id"] for run in wire.get("runs", **query).json()["results"]] == [wanted]


@pytest.mark.parametrize("query", [{"q": "\x00"}, {"kind": "cooking"}, {"since": "never"}, {"q": "x" * 201}])
def test_a_filter_that_is_not_right_is_named(wire, query):
    answer = wire.get("runs", **query)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == list(query)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "cD0lMDA=", "\x00"])
def test_a_broken_cursor_is_no_server_error(wire, cursor):
    assert wire.get("runs", cursor=cursor).status_code in (200, 404, 422)


def test_a_run_tells_its_devices_basis_and_factor(wire):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800, 500_000.0)])
    run = wire.get(f"runs/{run_id}").json()
    assert run["factor"]["kg_per_kwh"] == EmissionFactor.objects.active().kg_per_kwh
    assert run["devices"][0]["energy_measured_j"] == 500_000.0
    assert run["energy_kwh"] == Run.objects.get().energy_kwh


def test_a_series_keeps_the_last_counters_when_it_is_thinned(wire):
    run_id = wire.whole_run([sample("gpu-0", t, t / 2) for t in range(5_000)])
    device = wire.get(f"runs/{run_id}/series").json()["devices"][0]
    assert len(device["t_s"]) <= 2_000
    assert (device["t_s"][0], device["t_s"][-1], device["busy_s"][-1]) == (0, 4_999, 2_499.5)


def test_models_and_summary_add_up_to_the_runs(wire):
    wire.whole_run(model="a", kind="training")
    wire.whole_run(model="a", kind="inference")
    total = sum(Run.objects.values_list("energy_kwh", flat=True))
    model = wire.get("models").json()["results"][0]
    summary = wire.get("summary").json()
    assert (model["runs"], model["energy_kwh"]) == (2, pytest.approx(total, rel=1e-12))
    assert summary["total"]["total_energy_kwh"] == pytest.approx(total, rel=1e-12)
    assert [row["kind"] for row in wire.get("models/a").json()["by_kind"]] == ["inference", "training"]


@pytest.mark.parametrize("path", ["runs/{}", "runs/{}/series"])
def test_another_teams_run_is_missing(wire, charlies_wire, path):
    run_id = wire.whole_run()
    assert wire.get(path.format(run_id)).status_code == 200
    assert charlies_wire.get(path.format(run_id)).status_code == 404


def test_lists_and_sums_hold_nothing_of_another_team(wire, charlies_wire):
    wire.whole_run()
    assert charlies_wire.get("runs").json()["results"] == []
    assert charlies_wire.get("models").json()["results"] == []
    assert charlies_wire.get("models/resnet-50").status_code == 404
    assert charlies_wire.get("summary").json()["total"]["run_count"] == 0


def test_the_catalogue_can_be_searched_by_alias(wire, catalogue):
    found = wire.get("hardware", q="A100-SXM4-40GB").json()["results"]
    assert "nvidia-a100-sxm4-40gb" in [profile["slug"] for profile in found]


def test_the_openapi_schema_names_every_route(client, db):
    schema = client.get("/api/v1/schema", {"format": "json"}).json()
    assert set(schema["paths"]) == {
        "/api/v1/runs",
        "/api/v1/runs/{run_id}",
        "/api/v1/runs/{run_id}/batches/{batch_id}",
        "/api/v1/runs/{run_id}/finish",
        "/api/v1/runs/{run_id}/series",
        "/api/v1/models",
        "/api/v1/models/{slug}",
        "/api/v1/summary",
        "/api/v1/hardware",
        "/api/v1/factor",
    }


def test_the_catalogue_is_known_by_an_etag_until_it_changes(wire, catalogue):
    first = wire.get("hardware", q="a100")
    known = {"If-None-Match": first["ETag"]}
    path, query = "/api/v1/hardware", {"q": "a100"}
    assert wire.client.get(path, query, headers=wire.headers | known).status_code == 304
    HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb").save()
    assert wire.client.get(path, query, headers=wire.headers | known).status_code == 200


def test_the_factor_in_force_comes_with_the_pue_in_force(wire):
    assert wire.get("factor").json()["pue"] == 1
    Pue.objects.create(value=1.25, source="our own meters").put_in_force()
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800, 500_000.0)])
    assert wire.get("factor").json()["pue"] == wire.get(f"runs/{run_id}").json()["pue"] == 1.25


def test_a_token_that_may_only_upload_may_read_the_catalogue_and_the_factor(client, people, catalogue):
    uploader = Wire(client, token(people.project, "ingest"))
    assert [uploader.get(path).status_code for path in ("hardware", "factor", "runs")] == [200, 200, 403]
