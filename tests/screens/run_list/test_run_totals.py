"""What a list adds up to is read from sums that are kept, and is what its runs add up to, whatever was done."""

import pytest
from django.utils import timezone

from runs.models import Project, Run
from runs.selection import kept_sums
from runs.selection.run_filters import RunFilters, matching
from runs.selection.run_totals import NOTHING, kept_totals, totals_of


@pytest.fixture
def projects(people, run) -> list[int]:
    """Alice's project with four runs, and one without any."""
    for n, tags in enumerate([["sweep"], ["sweep", "night"], [], ["night", "night"]], start=1):
        run(kwh=float(n), name=f"run {n}", tags=tags)
    return [people.project.pk, Project.make(people.project.team, "Empty").pk]


def shown(projects, **filters):
    return kept_totals(projects, RunFilters(**filters))[0]


def assert_the_same(projects):
    for tag in ("", "sweep", "night", "nosuch"):
        runs = matching(Run.objects.filter(project__in=projects), RunFilters(tag=tag))
        assert shown(projects, tag=tag) == pytest.approx(totals_of(runs))


def test_sums_tell_what_all_runs_and_those_with_a_tag_add_up_to(projects):
    assert shown(projects).runs == 4
    assert shown(projects, tag="sweep").energy_kwh == pytest.approx(3.0)
    assert_the_same(projects)


def test_archived_runs_are_left_out(projects):
    Run.objects.filter(name="run 2").update(archived_at=timezone.now())
    assert shown(projects).energy_kwh == pytest.approx(8.0)
    assert_the_same(projects)


def test_where_all_are_archived_nothing_is_left(projects):
    Run.objects.update(archived_at=timezone.now())
    assert shown(projects) == NOTHING
    assert_the_same(projects)


def test_runs_that_got_other_tags_or_were_deleted_are_taken_along(alice, projects):
    runs = dict(Run.objects.values_list("name", "run_id"))
    alice.post("/runs/bulk/", {"action": "tag", "run": [runs["run 3"]], "tag": "sweep"})
    alice.post("/runs/bulk/", {"action": "delete", "run": [runs["run 1"]], "confirm": "yes"})
    assert shown(projects, tag="sweep").energy_kwh == pytest.approx(5.0)
    assert_the_same(projects)


@pytest.mark.parametrize(
    "asked", [{"search": "x"}, {"over": 0.0}, {"state": "lost"}, {"tag": "a", "member": "0"}], ids=str
)
def test_for_what_sums_do_not_know_runs_are_asked(asked):
    assert not kept_sums.know_totals(RunFilters(**asked))
