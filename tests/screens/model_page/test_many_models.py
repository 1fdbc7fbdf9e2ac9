"""Ten thousand models: every page that names them stays a page."""

from datetime import date

import pytest
from django.db import connection

from runs.models import DailyUsage, MonthlyUsage, Project, TrackedModel

MANY = 10_000
MOST_BYTES = 400_000


@pytest.fixture
def many(people, wire) -> Project:
    """Models that each used as many watt-hours as their number on one day, and one with a run."""
    wire.whole_run(model="zebra")
    models = TrackedModel.objects.bulk_create(
        TrackedModel(project=people.project, name=f"model {n:05}", slug=f"model-{n:05}") for n in range(MANY)
    )
    about = {"project": people.project, "kind": "training", "hardware": "x", "device_kind": "gpu", "runs": 1}
    today = date.today()
    for first in range(0, MANY, 1000):
        for table, day in ((DailyUsage, today), (MonthlyUsage, today.replace(day=1))):
            table.objects.bulk_create(
                table(tracked_model=models[n], energy_kwh=n / 1000, emissions_kg=n / 2000, day=day, **about)
                for n in range(first, first + 1000)
            )
        # PostgreSQL would do it for all at the test's end, for longer than a statement may take.
        connection.check_constraints()
    return people.project


@pytest.mark.parametrize("path", ["/", "/models/", "/models/?sort=name&page=200", "/runs/", "/plan/", "/start/"])
def test_a_page_stays_small(alice, many, path):
    assert len(alice.get(path).content) < MOST_BYTES


def test_the_largest_model_leads_and_the_last_page_has_the_smallest(alice, many):
    assert alice.read("/models/").column()[0].startswith("model 09999")
    assert alice.read("/models/", page="201").column()[0].startswith("model 00000")


@pytest.mark.parametrize("path", ["/", "/runs/"])
def test_a_filter_offers_the_first_ones_and_keeps_a_chosen_one_beyond_them(alice, many, path):
    options = alice.read(path, model="digits/model-07000").root.all("option")
    offered = [each for each in options if each.text.startswith("model ")]
    assert len(offered) == 301
    assert [each.text for each in offered if "selected" in each.attributes] == ["model 07000"]
    assert any(each.text == "… and 9,700 more" for each in options)
