"""Any page of a long list is what a sort of all runs gives, though only a part of them is read."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from runs.models import EmissionFactor, Project, Run, TrackedModel
from runs.run_list import order as run_order
from runs.run_list import page as list_page
from runs.run_list.order import PAGE_SIZE, page_of, page_of_few
from runs.selection import finding, run_totals
from runs.selection.choices import Choices, Members
from runs.selection.run_filters import RunFilters, matching
from runs.selection.run_totals import NOTHING, totals_of

BEGUN = datetime(2026, 5, 1, tzinfo=UTC)
RUNS = 1_300
SORTS = ["", "arrived", "-started", "-energy", "energy", "-duration", "name", "kind", "-kind,energy"]


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
            params={"lr": 0.1},
            status="completed" if n % 7 else "running",
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
    assert (list(page.object_list), totals) == ([], NOTHING)


@pytest.mark.parametrize(
    ("tag", "found"),
    [("odd", 650), ("even", 650), ('a "quoted" one', 650), ("quoted", 0), ('"quoted"', 0), (" one", 0), (", ", 0)],
)
def test_a_tag_is_a_whole_one_whatever_signs_it_has(projects, tag, found):
    assert visible(projects, tag=tag).count() == found


def plan(rows) -> str:
    return rows.explain() if connection.vendor == "sqlite" else pytest.skip("These are SQLite's plans")


@pytest.mark.parametrize("sort", ["", *(f"-{name}" for name in ("energy", "emissions", "idle", "duration", "started"))])
def test_a_page_in_the_order_of_a_column_reads_its_index_alone(projects, sort):
    keys = run_order.ordering(sort)
    steps = plan(run_order._in_order(visible(projects), projects, keys, 50))
    index = f"run_by_{sort.removeprefix('-') or 'arrival'}"
    assert steps.count(f"runs_run USING COVERING INDEX {index} ") == len(projects)


@pytest.mark.parametrize("state", ["running", "lost"])
def test_unfinished_runs_are_found_by_the_index_that_holds_them(projects, state):
    assert "USING COVERING INDEX run_unfinished " in plan(visible(projects, state=state).values("energy_kwh"))


@pytest.mark.parametrize("some", [1, 2])
def test_what_an_index_found_is_looked_up_however_few_projects_are_seen(projects, some):
    filters, choices = RunFilters(search="run 77"), Choices([], Members({}))
    found = finding.narrowest(projects[:some], filters, choices.members)
    steps = plan(list_page._among(found.pks, projects[:some], choices, filters).values("pk"))
    assert "SEARCH runs_run USING INTEGER PRIMARY KEY" in steps


@pytest.fixture
def counted_to(monkeypatch):
    """Nobody counts further than 100 runs."""
    for place in (finding, run_totals):
        monkeypatch.setattr(place, "MOST_FOUND", 100)
    monkeypatch.setattr(run_totals, "MANY", run_totals.MANY._replace(runs=100))
    monkeypatch.setattr(list_page, "MANY", run_totals.MANY._replace(runs=100))


@pytest.mark.parametrize(
    "filters", [{"search": "run 1"}, {"search": "lr:0.1"}, {"over": "0.5"}, {"tag": "odd", "over": "0.1"}], ids=str
)
def test_many_matches_are_not_counted_but_are_in_order(alice, projects, counted_to, filters):
    asked = {("q" if name == "search" else name): value for name, value in filters.items()}
    page = alice.read("/runs/", **asked, sort="-energy")
    assert "More than 100 of 1,300 runs" in page.by_id("total").text
    filters = {name: float(value) if name == "over" else value for name, value in filters.items()}
    first = visible(projects, **filters).order_by("-energy_kwh", "-id")[:PAGE_SIZE]
    shown = [row.attributes["id"] for row in page.one("tbody").all("tr")]
    assert shown == [f"run-{run.run_id}" for run in first]


def test_few_of_many_are_found_and_counted(alice, projects, counted_to):
    page = alice.read("/runs/", q="run 123")
    assert page.by_id("total").text.startswith("11 of 1,300 runs")
