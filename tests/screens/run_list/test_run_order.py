"""Any page of a long list is what a sort of all runs gives, though only a part of them is read."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from runs.models import EmissionFactor, Project, Run, TrackedModel
from runs.run_list import order as run_order
from runs.run_list.order import PAGE_SIZE, page_of, page_of_few
from runs.run_list.totals import totals_of
from runs.selection.run_filters import RunFilters, matching

BEGUN = datetime(2026, 5, 1, tzinfo=UTC)
RUNS = 1_300
SORTS = ["", "arrived", "-started", "-energy", "energy", "-duration", "name", "-kind,energy"]


@pytest.fixture
def projects(people) -> list[int]:
    """Three projects with runs that began by fours at one instant, and used one of a few amounts of energy."""
    factor = EmissionFactor.objects.active()
    places = [people.project, *(Project.make(people.project.team, f"Project {n}") for n in range(2))]
    models = [TrackedModel.objects.create(project=place, name="bert", slug="bert") for place in places]
    Run.objects.bulk_create(
        Run(
            project=places[n % 3],
            tracked_model=models[n % 3],
            run_id=f"{n:032x}",
            name=f"run {n * 7919 % RUNS}",
            tags=["odd"] if n % 2 else ["even", 'a "quoted" one'],
            kind="training" if n % 5 else "inference",
            started_at=BEGUN + timedelta(minutes=n // 4),
            energy_kwh=n * 31 % 17 / 8,
            emissions_kg=n * 31 % 17 / 16,
            duration_s=n * 13 % 101,
            factor=factor,
        )
        for n in range(RUNS)
    )
    return [place.pk for place in places]


def visible(projects, **filters):
    return matching(Run.objects.filter(project__in=projects), RunFilters(**filters))


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_is_that_of_all_runs_in_order(projects, sort):
    runs = visible(projects)
    everything = list(runs.order_by(*run_order.ordering(sort)).values_list("pk", flat=True))
    for number in (1, 2, 13, 14, 20, 25, 26):
        wanted = everything[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
        few, totals = page_of_few(runs, projects, sort, number)
        for page in (few, page_of(runs, projects, sort, number, totals)):
            assert (list(page.object_list), page.paginator.count) == (wanted, RUNS)


@pytest.mark.parametrize("filters", [{}, {"kind": "inference"}, {"search": "run 77"}, {"tag": "odd"}])
def test_totals_are_the_same_whether_few_or_many_match(projects, filters):
    runs = visible(projects, **filters)
    assert page_of_few(runs, projects, "", 1)[1] == pytest.approx(totals_of(runs))


def test_nobody_s_list_is_empty(people):
    page, totals = page_of_few(visible([]), [], "", 1)
    assert (list(page.object_list), totals) == ([], (0, 0, 0))


@pytest.mark.parametrize(
    ("tag", "found"),
    [("odd", 650), ("even", 650), ('a "quoted" one', 650), ("quoted", 0), ('"quoted"', 0), (" one", 0), (", ", 0)],
)
def test_a_tag_is_a_whole_one_whatever_signs_it_has(projects, tag, found):
    assert visible(projects, tag=tag).count() == found


def plan(rows) -> str:
    return rows.explain() if connection.vendor == "sqlite" else pytest.skip("These are SQLite's plans")


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "run_added_up"),
        ({"kind": "training", "state": "failed"}, "run_listed"),
        ({"search": "bert"}, "run_searched"),
        ({"search": "lr:0.1"}, "run_searched"),
        ({"tag": "odd"}, "run_searched"),
    ],
    ids=str,
)
def test_totals_are_read_off_an_index_alone(projects, filters, index):
    runs = visible(projects, **filters)
    assert f"runs_run USING COVERING INDEX {index} " in plan(runs.values("energy_kwh", "emissions_kg"))


@pytest.mark.parametrize(
    ("filters", "sort", "index"),
    [
        ({}, "", "run_listed"),
        ({}, "-energy", "run_by_energy"),
        ({"state": "failed"}, "-arrived", "run_listed"),
        ({"search": "bert"}, "", "run_searched"),
    ],
    ids=str,
)
def test_a_page_by_arrival_or_energy_sorts_nothing(projects, filters, sort, index):
    rows = run_order._in_order(visible(projects, **filters), projects, run_order.ordering(sort))[:50]
    steps = plan(rows)
    assert steps.count(f"runs_run USING COVERING INDEX {index} ") == len(projects)
    assert "TEMP B-TREE" not in steps
