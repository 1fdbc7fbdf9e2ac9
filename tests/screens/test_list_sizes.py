"""The run list with nothing, one, two and ten thousand runs: each is a page that was thought of."""

import csv
import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from runs.models import EmissionFactor, ProjectUsage, Run, TrackedModel
from tests.wire import ago

MANY = 10_000
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def many(people) -> None:
    """Ten thousand runs of a minute each, numbered from the oldest, with a seed of its own and a kilobyte of notes."""
    model = TrackedModel.objects.create(project=people.project, name="bert", slug="bert")
    factor = EmissionFactor.objects.active()
    Run.objects.bulk_create(
        (
            Run(
                project=people.project,
                tracked_model=model,
                run_id=f"{n:032x}",
                name=f"run {n}",
                params={"note": "x" * 1000, "seed": n},
                status="completed",
                started_at=BEGUN + timedelta(minutes=n),
                energy_kwh=0.5,
                emissions_kg=0.25,
                factor=factor,
            )
            for n in range(MANY)
        ),
        batch_size=500,
    )
    amounts = {"runs": MANY, "energy_kwh": 0.5 * MANY, "emissions_kg": 0.25 * MANY}
    ProjectUsage.objects.create(project=people.project, day=BEGUN.date(), **amounts)


def names(page) -> list[str]:
    return [" ".join(cell.split()[:2]) for cell in page.column()]


def test_without_a_run_the_page_says_how_to_make_one(alice):
    page = alice.read("/runs/")
    assert "No runs yet" in page.text
    assert page.root.all("table") == []
    assert "/start/" in page.links()


@pytest.mark.parametrize("number", [1, 2])
def test_one_or_two_runs_are_a_whole_page(alice, run, number):
    for n in range(number):
        run(kwh=1.0, name=f"run {n}", started_at=ago(hours=2 - n))
    page = alice.read("/runs/")
    assert page.by_id("total").text.startswith(f"{number} run{'s' * (number > 1)} · {number} kWh")
    assert names(page) == ["run 1", "run 0"][-number:]
    assert not any("page=" in link for link in page.links())


def test_ten_thousand_runs_are_found_on_their_pages_from_either_end(alice, many):
    for number, newest in ((1, 9999), (100, 5049), (101, 4999), (199, 99), (200, 49)):
        page = alice.read("/runs/", page=str(number))
        assert names(page) == [f"run {newest - n}" for n in range(50)]
    assert page.by_id("total").figures == [MANY, MANY * 0.5, MANY * 0.25]
    assert "Page 200 of 200" in page.text


def test_one_of_ten_thousand_is_found_by_name_and_so_are_many(alice, many):
    page = alice.read("/runs/", q="run 4242")
    assert names(page) == ["run 4242"]
    assert page.by_id("total").text.startswith("1 of 10,000 runs")
    page = alice.read("/runs/", q="RUN 4")  # 4, 40-49, 400-499, 4000-4999: more than are looked up at once
    assert page.by_id("total").figures[0] == 1111
    assert names(alice.read("/runs/", q="RUN 4", page="23"))[-1] == "run 4"


def test_of_ten_thousand_groups_two_hundred_are_shown_and_all_are_added_up(alice, many):
    page = alice.read("/runs/", group="param:seed")
    assert len(page.table()) == 200
    assert "The 200 groups that used the most energy, of 10,000" in page.text
    assert page.by_id("total").figures == pytest.approx([MANY, MANY * 0.5, MANY * 0.25])


def test_ten_thousand_runs_are_exported_in_order_and_never_held_all_at_once(alice, many):
    blocks = alice.get("/runs/export.csv?sort=started").streaming_content
    rows = csv.reader(line for block in blocks for line in block.decode().splitlines())
    next(rows)
    peaks = []
    tracemalloc.start()
    for n, row in enumerate(rows):
        assert row[1] == f"run {n}"
        if (n + 1) % (MANY / 4) == 0:
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    tracemalloc.stop()
    assert n == MANY - 1
    assert peaks[-1] < 1.2 * peaks[0]


def test_the_json_of_ten_thousand_runs_is_one_list(alice, many):
    found = json.loads(b"".join(alice.get("/runs/export.json?q=run").streaming_content))
    assert [run["name"] for run in found] == [f"run {n}" for n in reversed(range(MANY))]
