"""What pages show, read by a token: filters, groups, totals, a model's life, hardware, plans and comparisons."""

import json
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.models import ApiToken, Run, TrackedModel
from tests.people import token
from tests.wire import A100, CPU, Wire, batch, sample

pytestmark = pytest.mark.django_db

A100_SLUG = "nvidia-a100-sxm4-40gb"
METERED = A100 | {"basis": "counter"}
#: An hour of a card that measured 1 kWh.
HOUR = [sample("gpu-0", 3600, 1800, 3.6e6)]
TODAY = date.today()


def logged_run(wire: Wire, **changes) -> str:
    """A run of an hour and a kilowatt-hour with one of everything."""
    run_id = wire.start(**{"tags": ["demo"], "params": {"lr": 0.1}, "name": "first"} | changes)
    more = {
        "metrics": [{"t_s": 10.0, "name": "val_loss", "value": 0.5}],
        "stages": [{"id": "1", "name": "epoch 1", "start_s": 0.0, "end_s": 1800.0}],
        "calls": [{"method": "predict", "calls": 10, "items": 4000, "busy_s": 360.0}],
        "left_out": [{"what": "metric 'x'", "reason": "not a finite number", "count": 3}],
    }
    samples = [sample("gpu-0", t, t / 2, 1000.0 * t) for t in (900, 1800, 3600)]
    assert wire.send(run_id, "b-1", batch(samples, [METERED, CPU], **more)).status_code == 201
    assert wire.finish(run_id).status_code == 200
    return run_id


def found(wire: Wire, **query) -> set[str]:
    answer = wire.get("runs", **query)
    assert answer.status_code == 200, answer.content
    return {run["run_id"] for run in answer.json()["results"]}


@pytest.fixture
def two(wire, profile) -> tuple[str, str]:
    """A training by a person's token that failed, and a completed inference of another model."""
    failed = wire.start(kind="training", params={"lr": 0.1, "net": "deep"}, tags=["a"], name="nightly")
    assert wire.send(failed, "b-1", batch(HOUR, [METERED])).status_code == 201
    wire.finish(failed, status="failed", exception="ValueError")
    used = wire.whole_run(
        [sample("gpu-0", 3600, 1800, 7.2e6)], [METERED], model="bert", kind="inference", tags=["a", "b"]
    )
    return failed, used


@pytest.fixture
def profile(catalogue):
    return A100_SLUG


@pytest.mark.parametrize(
    "query",
    [
        {"state": "failed"},
        {"state": "wasted"},
        {"status": "failed"},
        {"exception": "ValueError"},
        {"param": '{"lr": 0.1}'},
        {"q": "net:deep"},
        {"q": "nightly"},
        {"model": "resnet-50"},
    ],
)
def test_the_filters_of_the_run_list_find_the_failed_run_alone(wire, two, query):
    assert found(wire, **query) == {two[0]}


@pytest.mark.parametrize(
    "query",
    [{"over_kwh": 1.5}, {"tag": "b"}, {"kind": "inference"}, {"main_hardware": A100_SLUG, "tag": "b"}],
)
def test_the_filters_of_the_run_list_find_the_used_model_alone(wire, two, query):
    assert found(wire, **query) == {two[1]}


def test_runs_are_found_by_when_they_began_and_when_they_used_energy(wire, two):
    began = Run.objects.first().started_at
    assert found(wire, since=began.isoformat()) == set(two)
    assert found(wire, until=(began - timedelta(hours=1)).isoformat()) == set()
    assert found(wire, used_since=str(TODAY - timedelta(days=2)), used_until=str(TODAY)) == set(two)
    assert found(wire, used_since=str(TODAY + timedelta(days=1))) == set()


def test_archived_runs_are_in_the_list_unless_left_out(wire, two):
    Run.objects.filter(run_id=two[0]).update(archived_at="2026-01-01T00:00Z")
    assert found(wire) == set(two)
    assert found(wire, archived="no") == {two[1]}
    assert found(wire, archived="only") == {two[0]}


def test_a_list_has_parameters_and_metrics_where_they_are_asked_for(wire):
    logged_run(wire)
    (bare,), (whole,) = (wire.get("runs", **query).json()["results"] for query in ({}, {"include": "params,metrics"}))
    assert not {"params", "metrics", "environment"} & set(bare)
    assert (whole["params"], whole["metrics"][0]["last"]) == ({"lr": 0.1}, 0.5)


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("runs", {"include": "params,secrets"}, "include"),
        ("runs", {"state": "asleep"}, "state"),
        ("runs", {"over_kwh": "nan"}, "over_kwh"),
        ("runs", {"used_since": "31-01-2026"}, "used_since"),
        ("runs/totals", {"by": "colour"}, "by"),
        ("usage", {"by": "day,colour"}, "by"),
        ("usage", {"after": "-1"}, "after"),
        ("summary", {"kind": "cooking"}, "kind"),
        ("models/resnet-50/citation", {"format": "docx"}, "format"),
        ("models/resnet-50/citation", {"format": "eu", "of": "life"}, "format"),
        ("plan", {"hardware": "abacus"}, "hardware"),
        ("plan", {}, "hardware"),
        ("compare", {}, "run"),
        ("compare", {"run": "x"}, "run[0]"),
    ],
)
def test_a_parameter_that_is_not_right_is_named(wire, path, query, field):
    logged_run(wire)
    answer = wire.get(path, **query)
    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_totals_are_those_of_the_runs_that_match(wire, two):
    assert wire.get("runs/totals").json()["runs"] == 2
    told = wire.get("runs/totals", tag="b").json()
    assert (told["runs"], told["energy_kwh"], told["groups"]) == (1, pytest.approx(2.0), [])


@pytest.mark.parametrize(("by", "keys"), [("tag", ["a", "b"]), ("kind", ["inference", "training"]), ("param:lr", None)])
def test_runs_are_grouped_as_in_the_list(wire, two, by, keys):
    told = wire.get("runs/totals", by=by).json()
    assert told["group_count"] == 2
    assert sum(group["runs"] for group in told["groups"]) == (3 if by == "tag" else 2)
    if keys:
        assert [group["key"] for group in told["groups"]] == keys


def test_groups_are_tested_against_a_base(wire, profile):
    for number in range(8):
        joules = 3.6e6 * (1 + (number % 2) + 0.01 * number)
        samples, kind = [sample("gpu-0", 3600, 1800, joules)], ("training", "evaluation")[number % 2]
        wire.whole_run(samples, [METERED], kind=kind)
    groups = {group["key"]: group for group in wire.get("runs/totals", by="kind", against="training").json()["groups"]}
    assert groups["training"]["difference"] is None
    assert groups["evaluation"]["difference"]["is_significant"]
    assert groups["evaluation"]["difference"]["word"] == "more"


def test_a_summary_adds_up_whatever_it_is_filtered_by(wire, two):
    told = wire.get("summary").json()
    assert told["total"]["total_energy_kwh"] == pytest.approx(3.0)
    assert sum(day["total_energy_kwh"] for day in told["by_day"]) == pytest.approx(3.0)
    assert [row["what"] for row in told["waste"] if not row["is_part"]][:1] == ["Failed runs"]
    assert told["equivalents"][1]["amount"] == pytest.approx(3.0 / 0.0116)
    for query in ({"model": "bert"}, {"kind": "inference"}, {"tag": "b"}):
        assert wire.get("summary", **query).json()["total"]["total_energy_kwh"] == pytest.approx(2.0)
    assert wire.get("summary", member="ci").json()["total"]["run_count"] == 0


def test_a_summary_of_some_days_has_the_days_before(wire, two):
    told = wire.get("summary", since=str(TODAY - timedelta(days=2)), until=str(TODAY)).json()
    assert (told["since"], told["until"]) == (str(TODAY - timedelta(days=2)), str(TODAY))
    assert told["previous"]["run_count"] == 0
    assert wire.get("summary").json()["previous"] is None


def test_usage_is_grouped_by_what_is_asked(wire, two):
    def rows(by, **query):
        return wire.get("usage", by=by, **query).json()["results"]

    assert [(row["model"], row["run_count"]) for row in rows("model")] == [("bert", 1), ("resnet-50", 1)]
    by_kind, by_tag = ({row[by]: row["total_energy_kwh"] for row in rows(by)} for by in ("kind", "tag"))
    assert by_kind == pytest.approx({"inference": 2.0, "training": 1.0})
    assert by_tag == pytest.approx({"a": 3.0, "b": 2.0})
    (card,) = rows("hardware")
    assert (card["hardware_name"], card["total_energy_kwh"]) == ("NVIDIA A100 SXM4 40GB", pytest.approx(3.0))
    assert "run_count" not in card
    assert [row["member_name"] for row in rows("member")] == ["No member"]
    assert {(row["kind"], row["tag"]) for row in rows("kind,tag", tag="b")} == {("inference", "b")}
    assert sum(row["total_energy_kwh"] for row in rows("day")) == pytest.approx(3.0)


def test_usage_goes_by_pages(wire, two, monkeypatch):
    monkeypatch.setattr("runs.api.reads.totals.MAX_ROWS", 1)
    page = wire.get("usage", by="model").json()
    rest = wire.client.get(page["next"], headers=wire.headers).json()
    assert [row["model"] for row in page["results"] + rest["results"]] == ["bert", "resnet-50"]
    assert rest["next"] is None


def test_stages_have_their_energy_and_what_was_logged_in_them(wire):
    (stage,) = wire.get(f"runs/{logged_run(wire)}/stages").json()["results"]
    assert (stage["name"], stage["start_s"], stage["end_s"]) == ("epoch 1", 0.0, 1800.0)
    assert stage["energy_kwh"] == pytest.approx(0.5, rel=0.01)
    assert stage["metrics"] == {"val_loss": 0.5}


def test_calls_have_their_share_of_the_energy(wire):
    run = wire.get(f"runs/{logged_run(wire)}").json()
    assert run["calls"][0]["energy_kwh"] == pytest.approx(run["energy_kwh"] * 0.1, rel=0.01)


def test_a_models_life_is_what_its_page_says(wire, two):
    logged_run(wire, model="bert", kind="training")
    told = wire.get("models/bert").json()
    parts = told["parts"]
    assert parts["whole_life"]["energy_kwh"] == pytest.approx(parts["training"]["energy_kwh"] + 2.0)
    assert [run["kind"] for run in told["final_runs"]] == ["training"]
    assert told["predictions"]["counted"] == 0
    assert told["break_even"]["state"] == "passed"
    assert told["hardware"][0]["hardware"] == "nvidia-a100-sxm4-40gb"
    assert wire.get("models/resnet-50").json()["waste"]["runs"] == 1
    assert wire.get("models", q="BER").json()["results"][0]["slug"] == "bert"


@pytest.mark.parametrize(
    ("form", "content_type", "begins"),
    [
        ("yaml", "application/yaml", "---\nco2_eq_emissions:\n  emissions: "),
        ("tex", "application/x-tex", "Training resnet-50"),
        ("md", "text/markdown", "Training resnet-50"),
        ("bib", "application/x-bibtex", "@misc{traceml,"),
        ("eu", "text/markdown", "## Model Documentation Form"),
        ("sci", "text/markdown", "## Software Carbon Intensity"),
        ("json", "application/json", "{"),
    ],
)
def test_figures_are_cited_in_every_form(wire, form, content_type, begins):
    logged_run(wire)
    answer = wire.get("models/resnet-50/citation", format=form)
    assert answer.status_code == 200
    assert answer["Content-Type"].split(";")[0] == content_type
    assert answer.content.decode().startswith(begins)


def test_nothing_to_cite_is_404(wire, two):
    assert wire.get("models/bert/citation").status_code == 404
    assert json.loads(wire.get("models/bert/citation", of="life").content)["energy_kwh"] == pytest.approx(2.0)


def test_a_profile_says_what_the_project_used_of_it(wire, two, charlies_wire, profile):
    seen = wire.get(f"hardware/{profile}").json()["seen"]
    assert (seen["energy_kwh"], seen["mean_power_w"]) == (pytest.approx(3.0), pytest.approx(1500.0))
    assert charlies_wire.get(f"hardware/{profile}").json()["seen"]["energy_kwh"] == 0.0


def test_an_upload_token_is_not_told_what_a_project_used(people, client, two, profile):
    uploader = Wire(client, token(people.project, "ingest"))
    assert uploader.get(f"hardware/{profile}").json()["seen"] is None


def test_a_plan_is_what_hardware_would_use(wire, profile):
    (row,) = wire.get("plan", hardware=profile, count=8, hours=10, utilisation=1).json()["rows"]
    assert (row["name"], row["number"], row["hours"]) == ("NVIDIA A100 SXM4 40GB", 8, 10)
    assert row["energy_kwh"] == pytest.approx(row["power_w"] * 10 / 1000)


def test_a_plan_starts_from_a_past_run_of_the_project_only(wire, charlies_wire, two, profile):
    was, instead = wire.get("plan", hardware=profile, run=two[1], speed_up=2).json()["rows"]
    assert instead["hours"] == pytest.approx(was["hours"] / 2)
    assert charlies_wire.get("plan", hardware=profile, run=two[1]).status_code == 404


def test_runs_are_compared_side_by_side(wire, charlies_wire, two):
    told = wire.get("compare", run=list(two)).json()
    energy = next(row for row in told["figures"] if row["figure"] == "Energy")
    assert (energy["unit"], energy["values"]) == ("kWh", pytest.approx([1.0, 2.0]))
    assert told["params"][0] == {"key": "lr", "values": [0.1, None], "differs": True}
    assert charlies_wire.get("compare", run=list(two)).status_code == 404


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("runs", {"include": "params,metrics"}),
        ("runs/totals", {"by": "tag"}),
        ("models", {}),
        ("usage", {"by": "day,model,member"}),
        ("summary", {}),
    ],
)
def test_an_answer_takes_the_same_few_queries_whatever_the_number_of_runs(wire, path, query):
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert wire.get(path, **query).status_code == 200
        return len(queries)

    logged_run(wire, tags=["one"])
    asked()  # the first may note that the token was used
    few = asked()
    for number in range(4):
        logged_run(wire, model=f"model {number}", tags=[f"tag {number}"])
    assert asked() == few <= 12


def test_a_token_tells_what_it_is_for(wire, people, client):
    assert wire.get("project").json() == {
        "name": "Digits",
        "slug": "digits",
        "team": "Vision lab",
        "keep_series_days": None,
        "scopes": ["ingest", "read"],
        "expires_at": None,
    }
    assert Wire(client, token(people.project, "ingest")).get("project").json()["scopes"] == ["ingest"]
    assert ApiToken.objects.count() == 2


@pytest.mark.parametrize(
    "path",
    ["runs/{}/stages", "models/resnet-50", "models/resnet-50/citation", "compare?run={}", "plan?hardware=a100&run={}"],
)
def test_charlie_finds_nothing_of_alices(wire, charlies_wire, path):
    run_id = logged_run(wire)
    assert charlies_wire.get(path.format(run_id)).status_code in (404, 422)
    for sums in ("runs/totals", "summary", "usage"):
        assert run_id not in charlies_wire.get(sums).content.decode()
    assert charlies_wire.get("runs/totals").json()["runs"] == 0
    assert charlies_wire.get("usage", by="model,member,hardware").json()["results"] == []
    assert TrackedModel.objects.count() == 1
