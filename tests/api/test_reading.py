"""The read side of the API: a project's runs, models and sums, and nothing of another's."""

import pytest

from hardware.models import HardwareProfile
from runs.models import EmissionFactor, MetricDirection, Pue, Run
from tests.people import token
from tests.wire import Wire, batch, sample

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


@pytest.mark.parametrize("path", ["runs/{}", "runs/{}/series", "runs/{}/metrics"])
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


def log(wire, run_id: str, batch_id: str, *values: tuple[float, str, float], **more) -> None:
    metrics = [{"t_s": t_s, "name": name, "value": value} for t_s, name, value in values]
    assert wire.send(run_id, batch_id, batch([], [], metrics=metrics, **more)).status_code == 201


def test_a_run_tells_its_metrics_last_best_and_how_often(wire, people):
    run_id = wire.start()
    log(wire, run_id, "b-1", (1, "val_loss", 3.0), (2, "val_loss", 1 / 3), (3, "val_loss", 2.0), (4, "samples", 64))
    log(wire, run_id, "b-2", (5, "quirk", 1.0), (6, "quirk", 2.0))
    MetricDirection.objects.create(project=people.project, name="quirk", lower=True)
    loss, samples, quirk = wire.get(f"runs/{run_id}").json()["metrics"]
    assert (loss["name"], loss["last"], loss["best"], loss["lower_is_better"], loss["count"]) == (
        "val_loss", 2.0, 1 / 3, True, 3,
    )  # fmt: skip
    assert (loss["lowest"], loss["highest"]) == (1 / 3, 3.0)
    assert (samples["total"], samples["count"]) == (64.0, 1)
    assert (quirk["best"], quirk["lower_is_better"]) == (1.0, True)


def test_every_logged_value_can_be_read_on_the_runs_own_clock(wire):
    run_id = wire.start(started_at="2026-11-20T10:00:00Z", writer_started_at="2026-11-20T10:00:00Z")
    log(wire, run_id, "b-1", (1, "loss", 1 / 3), (1, "accuracy", 0.5))
    log(wire, run_id, "b-2", (5, "loss", 0.25), writer="w-2", writer_started_at="2026-11-20T10:01:00Z")
    found = wire.get(f"runs/{run_id}/metrics").json()
    assert found["results"] == [
        {"writer": "w-1", "at_s": 1.0, "metric": "loss", "value": 1 / 3},
        {"writer": "w-1", "at_s": 1.0, "metric": "accuracy", "value": 0.5},
        {"writer": "w-2", "at_s": 65.0, "metric": "loss", "value": 0.25},
    ]
    assert (found["run_id"], found["next"], found["series_removed_at"]) == (run_id, None, None)
    only = wire.get(f"runs/{run_id}/metrics", name="accuracy").json()
    assert [row["value"] for row in only["results"]] == [0.5]


@pytest.mark.parametrize(("name", "value_count"), [(None, 40), ("loss", 20)])
@pytest.mark.parametrize("limits", [{"PAGE_OF_VALUES": 7}, {"PAGE_OF_BATCHES": 3}])
def test_many_values_come_in_pages_that_lead_on(wire, monkeypatch, limits, name, value_count):
    for limit, value in limits.items():
        monkeypatch.setattr(f"runs.api.reads.runs.{limit}", value)
    run_id = wire.start()
    for n in range(10):
        log(wire, run_id, f"b-{n}", *((2 * n + k, each, 2.0 * n + k) for k in (0, 1) for each in ("loss", "accuracy")))
    page = wire.get(f"runs/{run_id}/metrics", **({"name": name} if name else {})).json()
    values = page["results"]
    pages = 1
    while page["next"]:
        page = wire.client.get(page["next"], headers=wire.headers).json()
        values, pages = values + page["results"], pages + 1
    assert (len(values), pages > 2) == (value_count, True)
    assert [row["value"] for row in values if row["metric"] == "loss"] == [float(n) for n in range(20)]


def test_a_run_without_metrics_or_whose_values_retention_took_says_so(wire):
    from runs.ingest.removal import remove_series

    run_id = wire.start()
    assert wire.get(f"runs/{run_id}/metrics").json()["results"] == []
    log(wire, run_id, "b-1", (1, "loss", 0.5))
    remove_series(Run.objects.get())
    found = wire.get(f"runs/{run_id}/metrics").json()
    assert (found["results"], bool(found["series_removed_at"])) == ([], True)
    assert wire.get(f"runs/{run_id}").json()["metrics"][0]["last"] == 0.5


@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "-1"}, {"after": str(2**63)}, {"name": "\x00"}, {"name": "x" * 201}]
)
def test_a_page_of_metrics_that_can_not_be_is_refused(wire, query):
    answer = wire.get(f"runs/{wire.start()}/metrics", **query)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == list(query)
