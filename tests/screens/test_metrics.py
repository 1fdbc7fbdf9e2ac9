"""Metrics are data: on a run's page, in files, and with one direction on every page."""

import csv
import io
import json

import pytest

from runs.models import Membership, MetricDirection
from tests.screens.conftest import METERED
from tests.wire import ago, batch, sample


def log(wire, *values: tuple[float, str, float], **header) -> str:
    """A completed run of an hour and a kWh that logged these values."""
    run_id = wire.start(**header)
    metrics = [{"t_s": t_s, "name": name, "value": value} for t_s, name, value in values]
    samples = [sample("gpu-0", 900 * n, 450 * n, 0.9e6 * n) for n in range(1, 5)]
    assert wire.send(run_id, "b-1", batch(samples, [METERED], metrics=metrics)).status_code == 201
    assert wire.finish(run_id).status_code == 200
    return run_id


def metrics_table(page) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in page.by_id("metrics").rows}


def test_a_metric_logged_once_stands_among_the_key_figures(alice, wire, profile):
    run_id = log(wire, (3500, "test_accuracy", 0.93417), (10, "loss", 2.0), (20, "loss", 1.0))
    figures = alice.read(f"/runs/{run_id}/").by_id("figures")
    assert "test_accuracy 0.93417 logged once" in figures.text
    assert "loss" not in figures.text


def test_every_metric_stands_in_a_table_with_last_best_and_count(alice, wire, profile):
    run_id = log(wire, (1, "val_loss", 3.0), (2, "val_loss", 1.0), (3, "val_loss", 2.0), (4, "f1_cancer", 0.5))
    assert metrics_table(alice.read(f"/runs/{run_id}/")) == {
        "val_loss": ["2", "1", "lower", "1", "3", "3"],
        "f1_cancer": ["0.5", "0.5", "higher", "0.5", "0.5", "1"],
    }


def test_the_curve_shows_the_one_value_of_a_thousand_that_was_best(alice, wire, profile):
    values = [(3.0 * n, "reward", 50.0 if n == 502 else 1.0) for n in range(1000)]
    page = alice.read(f"/runs/{log(wire, *values)}/")
    assert "50 at best" in page.by_id("learned").text
    assert 50.0 in page.data("learning-data")["series"][0]["values"]


def test_only_what_was_logged_repeatedly_is_offered_as_a_curve(alice, wire, profile):
    run_id = log(wire, (1, "once", 0.5), (2, "loss", 2.0), (3, "f1", 0.1), (900, "loss", 1.0), (1800, "f1", 0.2))
    for asked in ({}, {"metric": "once"}):
        page = alice.read(f"/runs/{run_id}/", **asked)
        links = [link.text for link in page.by_id("learned").all("a")]
        assert links == ["loss", "f1"]
        assert page.data("learning-data")["series"][0]["name"] == "loss"


def test_a_shared_run_shows_its_metrics_with_details_alone(alice, client, people, wire, profile):
    from runs.models import Run, ShareLink

    run = Run.objects.get(run_id=log(wire, (1, "zeta", 0.5)))
    for with_details in (True, False):
        _, secret = ShareLink.make(run, 7, with_details, people.alice)
        assert ("zeta" in client.get(f"/s/{secret}/").content.decode()) is with_details


def test_the_values_are_a_file(alice, charlie, wire, profile):
    run_id = log(wire, (1, "loss", 1 / 3), (2, "=cmd", 0.25))
    late = {"writer": "w-2", "writer_started_at": ago(minutes=30)}
    metrics = [{"t_s": 5, "name": "loss", "value": 0.125}]
    assert wire.send(run_id, "b-2", batch([], [], metrics=metrics, **late)).status_code == 201
    answer = alice.get(f"/runs/{run_id}/metrics.csv")
    found = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [(row["writer"], row["metric"], float(row["value"])) for row in found] == [
        ("w-1", "loss", 1 / 3),
        ("w-1", "'=cmd", 0.25),
        ("w-2", "loss", 0.125),
    ]
    assert float(found[0]["at_s"]) == 1.0
    assert float(found[2]["at_s"]) == pytest.approx(1805, abs=2)
    assert len(json.loads(b"".join(alice.get(f"/runs/{run_id}/metrics.json").streaming_content))) == 3
    assert charlie.get(f"/runs/{run_id}/metrics.csv").status_code == 404


def choose(reader, metric: str, better: str, **more):
    return reader.post("/projects/digits/better/", {"metric": metric, "better": better} | more)


@pytest.fixture
def scored(wire, profile) -> list[str]:
    """Two trainings whose value of `quirk` went up."""
    return [log(wire, (1, "quirk", 1.0), (2, "quirk", value)) for value in (2.0, 3.0)]


def test_a_direction_chosen_on_one_page_holds_on_all(alice, bob, scored):
    assert "quirk went from" in alice.read(f"/runs/{scored[0]}/").text
    assert metrics_table(alice.read(f"/runs/{scored[0]}/"))["quirk"][1:3] == ["2", "higher"]
    back = f"/runs/{scored[0]}/?metric=quirk"
    assert choose(alice, "quirk", "lower", back=back, at="learned").url == f"{back}#learned"
    for run_id in scored:
        assert metrics_table(bob.read(f"/runs/{run_id}/"))["quirk"][1:3] == ["1", "lower"]
    assert "lower is better" in bob.read("/models/digits/resnet-50/").text
    choose(bob, "quirk", "higher")
    assert "higher is better" in alice.read("/models/digits/resnet-50/").text
    assert MetricDirection.objects.count() == 1


def test_the_address_may_say_otherwise_for_one_look(alice, scored):
    page = alice.read(f"/runs/{scored[0]}/", metric="quirk", better="lower")
    assert metrics_table(page)["quirk"][1:3] == ["1", "lower"]
    assert not MetricDirection.objects.exists()


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "", "/\\evil.example"]
)
def test_the_way_back_is_the_portals_own(alice, scored, back):
    assert choose(alice, "quirk", "lower", back=back).url == "/runs/"


@pytest.mark.parametrize(
    ("metric", "better"), [("nosuch", "lower"), ("quirk", "sideways"), ("", "lower"), ("a\x00b", "lower")]
)
def test_what_can_not_be_chosen_is_refused(alice, scored, metric, better):
    assert choose(alice, metric, better).status_code == 400


def test_a_viewer_looks_and_charlie_finds_nothing(bob, charlie, people, scored):
    Membership.objects.filter(user=people.bob).update(role="viewer")
    assert choose(bob, "quirk", "lower").status_code == 403
    assert "Lower is better" in bob.read(f"/runs/{scored[0]}/").text
    assert choose(charlie, "quirk", "lower").status_code == 404
    assert not MetricDirection.objects.exists()


@pytest.fixture
def ranked(wire, profile) -> None:
    """Runs that differ in their losses, last and best, and one that logged none."""
    for name, values in {"a": (3.0, 0.9, 1.0), "b": (3.0, 0.5, 2.0), "c": (0.2, 4.0, 3.0)}.items():
        log(wire, *((n, "eval/loss, smoothed", value) for n, value in enumerate(values)), name=name)
    log(wire, name="none")


def listed(page) -> list[tuple[str, str]]:
    """Each run's name and what stands in its last column."""
    return [(row[0].split()[0], row[-1]) for row in page.table()]


def head(page, name: str) -> str:
    """Where the head of a column leads."""
    (link,) = [link for link in page.one("thead").all("a") if link.text.rstrip(" ↓↑") == name]
    return link.attributes["href"]


METRIC = "eval/loss, smoothed"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("last", [("c", "3"), ("b", "2"), ("a", "1"), ("none", "–")]),
        ("best", [("a", "0.9"), ("b", "0.5"), ("c", "0.2"), ("none", "–")]),
    ],
)
def test_a_metric_is_a_column_to_choose_and_to_sort_by(alice, ranked, value, expected):
    boxes = [box.attributes for box in alice.read("/runs/").by_id("filters").all("input")]
    assert METRIC in [box["value"] for box in boxes if box["name"] == "metric"]
    page = alice.read("/runs/", metric=METRIC, value=value)
    falling = alice.read("/runs/" + head(page, METRIC))
    assert listed(falling) == expected
    rising = alice.read("/runs/" + head(falling, METRIC))
    assert listed(rising) == [*expected[2::-1], expected[3]]


def test_the_best_value_of_a_list_follows_what_the_team_chose(alice, ranked):
    choose(alice, METRIC, "higher")
    page = alice.read("/runs/", metric=METRIC, value="best")
    assert dict(listed(page)) == {"a": "3", "b": "3", "c": "4", "none": "–"}
    assert listed(alice.read("/runs/" + head(page, METRIC)))[0] == ("c", "4")


def test_a_list_in_the_order_of_a_metric_has_pages(alice, people, ranked):
    from runs.models import Metric, ProjectUsage, Run

    first = Run.objects.first()
    about = {name: getattr(first, name) for name in ("project", "tracked_model", "started_at", "factor")}
    Run.objects.bulk_create(Run(run_id=f"{n:032x}", name=f"copy{n}", **about) for n in range(1, 98))
    ProjectUsage.objects.update(runs=101)
    at = {"last_at": first.started_at, "lowest": 0.0, "highest": 0.0, "project": people.project, "name": METRIC}
    copies = Run.objects.filter(name__startswith="copy")
    Metric.objects.bulk_create(Metric(run=run, last=100.0 + int(run.name[4:]), **at) for run in copies)
    sort = head(alice.read("/runs/", metric=METRIC), METRIC)
    pages = [listed(alice.read(f"/runs/{sort}&page={number}")) for number in (1, 2, 3)]
    assert [len(page) for page in pages] == [50, 50, 1]
    values = [float(value) for page in pages for _, value in page if value != "–"]
    assert values == [float(197 - n) for n in range(97)] + [3.0, 2.0, 1.0]
    assert pages[2] == [("none", "–")]


@pytest.mark.parametrize("sort", ["-metric.00000000", "metric.zzz", "-metric."])
def test_an_order_by_a_metric_that_is_no_column_is_the_newest_first(alice, ranked, sort):
    assert listed(alice.read("/runs/", metric=METRIC, sort=sort))[0][0] == "none"


def test_charlie_sees_no_name_of_theirs_to_choose_from(charlie, ranked):
    assert METRIC not in charlie.get("/runs/").content.decode()


def test_parameters_can_be_chosen_to_group_by_without_typing(alice, run):
    run(params={"lr": 0.1, "optimizer:name": "adam", "a,b": 1})
    page = alice.read("/runs/")
    offered = [option.attributes["value"] for option in page.by_id("group").all("option")]
    assert {"param:lr", "param:optimizer:name", "param:a,b"} <= set(offered)
    assert alice.read("/runs/", shown_param="a,b").column(-5) == ["1"]
    grouped = alice.read("/runs/", group="param:lr")
    assert "param:a,b" in [option.attributes["value"] for option in grouped.by_id("group").all("option")]
