"""The run list: what a person may see of it, found, filtered and sorted by the query string."""

import uuid
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from runs.models import ProjectUsage, Run
from tests.wire import ago


def names(page) -> list[str]:
    """The first word of each row."""
    return [cell.split()[0] for cell in page.column()] if page.root.all("table") else []


@pytest.fixture
def three(run):
    """Runs that differ in every way a list can be asked for."""
    run(kwh=1.0, name="one", model="bert", kind="training", started_at=ago(hours=3))
    run(kwh=3.0, name="two", model="bert", kind="inference", started_at=ago(hours=2))
    run(kwh=2.0, name="three", model="resnet", kind="training", started_at=ago(hours=1))


def test_alice_and_bob_see_the_runs_of_their_team(alice, bob, three):
    assert sorted(names(alice.read("/runs/"))) == ["one", "three", "two"]
    assert bob.read("/runs/").text == alice.read("/runs/").text


def test_charlie_sees_none_and_can_filter_by_none_of_their_models(charlie, three):
    page = charlie.read("/runs/")
    assert "No runs yet" in page.text
    assert "bert" not in page.text
    assert names(charlie.read("/runs/", model="digits/bert")) == []
    assert names(charlie.read("/runs/", project="digits")) == []


def test_runs_are_listed_as_they_arrived_whatever_their_machines_clocks_said(alice, wire, profile):
    """PS6: nobody's clock keeps a run on top, or hides it."""
    for name, started_at in (("first", ago(hours=-23)), ("second", ago(days=3000)), ("third", ago(hours=1))):
        wire.start(name=name, started_at=started_at, writer_started_at=started_at)
    assert names(alice.read("/runs/")) == ["third", "second", "first"]
    assert names(alice.read("/runs/", sort="-started")) == ["first", "third", "second"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["three", "two", "one"]),
        ({"sort": "-started"}, ["three", "two", "one"]),
        ({"sort": "started"}, ["one", "two", "three"]),
        ({"sort": "-energy"}, ["two", "three", "one"]),
        ({"sort": "emissions"}, ["one", "three", "two"]),
        ({"sort": "password"}, ["three", "two", "one"]),
        ({"q": "TWO"}, ["two"]),
        ({"q": "bert", "sort": "started"}, ["one", "two"]),
        ({"q": "%"}, []),
        ({"model": "digits/resnet"}, ["three"]),
        ({"kind": "training", "sort": "started"}, ["one", "three"]),
        ({"kind": "training", "model": "digits/bert"}, ["one"]),
        ({"state": "failed"}, []),
        ({"project": "digits", "q": "t", "kind": "inference"}, ["two"]),
        ({"project": "elsewhere"}, []),
    ],
    ids=str,
)
def test_the_query_string_filters_and_sorts(alice, three, query, expected):
    assert names(alice.read("/runs/", **query)) == expected


def test_the_total_is_that_of_the_filtered_set(alice, three):
    total = alice.read("/runs/", model="digits/bert").by_id("total")
    assert total.figures[:3] == pytest.approx([2, 3, 4.0])
    assert total.text.startswith("2 of 3 runs")


def test_a_run_is_found_by_the_beginning_of_its_id(alice, three):
    run_id = str(Run.objects.get(name="two").run_id)
    assert names(alice.read("/runs/", q=run_id[:13])) == ["two"]
    assert names(alice.read("/runs/", q=run_id.upper())) == ["two"]


def test_nothing_yet_and_nothing_matches_differ(alice, run):
    assert "No runs yet" in alice.read("/runs/").text
    run()
    assert "No run matches" in alice.read("/runs/", q="nosuch").text


def test_the_form_shows_what_was_asked_for(alice, three):
    page = alice.read("/runs/", q="bert", kind="training", sort="energy")
    fields = {field.attributes["name"]: field.attributes.get("value") for field in page.by_id("filters").all("input")}
    chosen = [option.text for option in page.by_id("kind").all("option") if "selected" in option.attributes]
    assert {name: value for name, value in fields.items() if value and name not in ("column", "shown_param")} == {
        "q": "bert",
        "sort": "energy",
    }
    assert chosen == ["Training"]


def test_a_stopped_run_is_listed_by_its_own_word(alice, wire, profile):
    wire.whole_run(name="whole")
    wire.finish(wire.whole_run(name="preempted"), status="stopped")
    page = alice.read("/runs/", state="stopped")
    assert names(page) == ["preempted"]
    assert page.column(1) == ["Stopped"]


def test_a_silent_run_is_listed_as_lost_and_a_fresh_one_as_running(alice, wire):
    lost, running = (wire.start(name=name, flush_s=30) for name in ("lost", "running"))
    Run.objects.filter(run_id=lost).update(last_seen_at=timezone.now() - timedelta(seconds=91))
    Run.objects.filter(run_id=running).update(last_seen_at=timezone.now() - timedelta(seconds=80))
    assert names(alice.read("/runs/", state="lost")) == ["lost"]
    assert names(alice.read("/runs/", state="running")) == ["running"]
    assert alice.read("/runs/", state="lost").column(1) == ["Lost"]


def test_a_failed_run_names_its_exception(alice, wire):
    wire.finish(wire.start(), status="failed", exception="MemoryError")
    assert alice.read("/runs/", state="failed").column(1) == ["Failed: MemoryError"]


def test_a_long_list_has_pages_that_keep_the_filters(alice, people, run):
    run()
    first = Run.objects.get()
    copies = [
        Run(project=people.project, tracked_model=first.tracked_model, run_id=uuid.uuid4(), started_at=first.started_at,
            factor=first.factor)
        for _ in range(60)
    ]  # fmt: skip
    Run.objects.bulk_create(copies)
    ProjectUsage.objects.update(runs=F("runs") + len(copies))
    page = alice.read("/runs/", kind="training")
    assert len(page.table()) == 50
    assert "?kind=training&page=2" in page.links()
    assert len(alice.read("/runs/", kind="training", page="2").table()) == 11
    assert len(alice.read("/runs/", page="99").table()) == 11
