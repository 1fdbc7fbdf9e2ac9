"""Groups come from sums that are kept of ended runs, and equal what adding up the runs gives, whatever was done."""

import pytest
from django.core.management import call_command
from django.db.models import Count, Sum
from django.utils import timezone

from runs.ingest.trash import trash_run
from runs.models import Project, Run, RunSums
from runs.selection import kept_sums
from runs.selection.choices import project_choices
from runs.selection.groups import GROUPS, grouped, kept_groups
from runs.selection.run_filters import RunFilters, matching
from runs.sql import run_sums

BY = [*GROUPS, "param:lr", "param:nosuch", "param:odd key=:"]


@pytest.fixture
def five(people, run) -> Project:
    """Five ended runs that differ in what they have in common, and one that goes on."""
    run(kwh=1.0, name="a", model="bert", tags=["night", "bf16"], params={"lr": 0.1, "odd key=:": "é\n"})
    run(kwh=2.0, name="b", model="bert", tags=["night"], params={"lr": 0.1, "odd key=:": None})
    run(kwh=3.0, name="c", model="resnet", tags=[], params={"lr": 1, "odd key=:": [1, {"a": 2}]})
    run(kwh=4.0, name="d", model="resnet", kind="inference", params={"lr": 2.5, "odd key=:": True})
    run(kwh=5.0, name="e", model="resnet", kind="inference", params={"lr": "0.1", "odd key=:": "true"})
    run(kwh=6.0, name="f", model="resnet", tags=["night"], params={"lr": 0.1})
    Run.objects.filter(name="f").update(status="running")
    return people.project


def assert_equal_to_a_recount(project, **filters):
    asked, found = RunFilters(**filters), project_choices(project)
    runs = matching(Run.objects.filter(project=project), asked)
    for by in BY:
        for against in ("", "night"):
            rest, kept = kept_sums.unfinished([project.pk], asked), kept_groups([project.pk], asked, by)
            (got, wanted) = grouped(rest, by, found, against, kept), grouped(runs, by, found, against)
            assert [plain(group) for group in got] == [pytest.approx(plain(group)) for group in wanted], by


def plain(group) -> dict:
    amounts = {
        "kwh": group.energy.sum,
        "mean": group.energy.mean,
        "sd": group.energy.sd or 0.0,
        "kg": group.emissions.sum,
    }
    amounts |= {"runs": group.runs, "seconds": group.mean_duration_s, "shared": group.shared}
    return amounts | {f"is {group.label} {group.filters}": 1}


def test_groups_equal_a_recount_under_each_filter_that_they_know(five):
    Run.objects.filter(name="b").update(archived_at=timezone.now())
    for filters in (
        {},
        {"archived": "too"},
        {"archived": "only"},
        {"kind": "inference"},
        {"model": f"{five.slug}/bert"},
    ):
        assert_equal_to_a_recount(five, **filters)


def test_and_after_whatever_is_done_to_runs(alice, five):
    runs = dict(Run.objects.values_list("name", "run_id"))
    alice.post("/runs/bulk/", {"action": "tag", "run": [runs["c"]], "tag": "night"})
    alice.post("/runs/bulk/", {"action": "archive", "run": [runs["a"]]})
    Run.objects.filter(name="d").update(params={"lr": 7}, energy_kwh=9.0)
    Run.objects.filter(name="b").delete()
    Run.objects.filter(name="f").update(status="failed", exception="ValueError")
    assert_equal_to_a_recount(five)
    trash_run(Run.objects.get(name="e"), None)
    assert_equal_to_a_recount(five)


def test_merging_changes_no_sum_and_leaves_a_row_for_each_value(five):
    before = RunSums.objects.aggregate(Sum("runs"), Sum("energy_kwh"), Sum("squared_kwh"))
    run_sums.compact()
    assert RunSums.objects.aggregate(Sum("runs"), Sum("energy_kwh"), Sum("squared_kwh")) == pytest.approx(before)
    assert not RunSums.objects.filter(is_new=True).exists()
    assert not RunSums.objects.values(*run_sums.KEY).annotate(rows=Count("pk")).filter(rows__gt=1).exists()
    assert_equal_to_a_recount(five)
    Run.objects.all().delete()
    run_sums.compact()
    run_sums.delete_empty()
    assert not RunSums.objects.exists()


def test_a_rebuild_makes_wrong_sums_right(five):
    RunSums.objects.update(runs=99, energy_kwh=1e6)
    call_command("rebuild_usage")
    assert_equal_to_a_recount(five)


def test_an_upload_of_a_run_that_goes_on_writes_no_sum(five):
    before = list(RunSums.objects.order_by("pk").values())
    Run.objects.filter(name="f").update(energy_kwh=7.0, tags=["other"])
    assert list(RunSums.objects.order_by("pk").values()) == before
