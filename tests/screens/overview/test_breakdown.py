"""A period's footprint by model, hardware, kind and member."""

from datetime import date, timedelta

import pytest

from hardware.models import HardwareProfile
from runs.figures import usage
from runs.figures.periods import between
from runs.models import DailyUsage, MonthlyUsage
from runs.overview import breakdown
from runs.selection.choices import Choices, Members, choices
from runs.selection.usage_filters import UsageFilters, usage_in, usage_of
from tests.screens.rows import DAY
from tests.screens.rows import usage as add

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(people):
    return people.project


def sums():
    return breakdown.sums_of([DailyUsage.objects.all()])


def test_by_model_it_is_what_footprints_give(project, people):
    add(project, "a", kg=1.0)
    add(project, "a", kg=2.0, kind="inference", member_id=7)
    add(project, "b", kg=4.0, kind="evaluation", hardware="generic-gpu")
    for row, same in zip(
        breakdown.by_model(sums(), choices(people.alice)), usage.footprints(DailyUsage.objects.all()), strict=True
    ):
        assert {name: row[name] for name in same} == same


def test_a_kind_has_its_share_of_the_whole(project):
    add(project, kg=1.0)
    add(project, kg=3.0, kind="inference")
    assert [(row.name, row.kg, row.share) for row in breakdown.by_kind(sums())] == [
        ("Inference", 3.0, 0.75),
        ("Training", 1.0, 0.25),
    ]


def test_hardware_has_the_catalogues_name_or_its_own(project):
    add(project, kg=1.0)
    add(project, kg=2.0, hardware="gone")
    HardwareProfile.objects.create(slug="nvidia-tesla-t4", name="NVIDIA T4", kind="gpu", vendor="NVIDIA", tdp_w=70)
    rows = breakdown.by_hardware(sums())
    assert [(row.name, row.value) for row in rows] == [("gone", "gone"), ("NVIDIA T4", "nvidia-tesla-t4")]


def test_members_are_named_and_those_who_left_are_one_of_many(project):
    add(project, kg=1.0, member_id=1)
    add(project, kg=2.0, member_id=2)
    add(project, kg=3.0)
    rows = breakdown.by_member(sums(), Choices([], Members({1: "Alice"})))
    assert [row.name for row in rows] == ["No member", "A former member", "Alice"]


def test_too_many_rows_are_folded_and_nothing_is_lost(project):
    for n in range(breakdown.MOST_ROWS + 3):
        add(project, kg=20.0 - n, hardware=f"card-{n}")
    rows = breakdown.by_hardware(sums())
    assert len(rows) == breakdown.MOST_ROWS
    assert (rows[-1].name, rows[-1].value) == ("4 others", "")
    assert sum(row.kg for row in rows) == sum(row["kg"] for row in sums())
    assert sum(row.share for row in rows) == pytest.approx(1.0)


@pytest.mark.parametrize("filters", [UsageFilters(), UsageFilters(kind="training"), UsageFilters(model="digits/b")])
def test_a_period_with_whole_months_has_the_sums_of_its_days(project, people, filters):
    for number in range(100):
        day = date(2026, 1, 5) + timedelta(days=number)
        add(project, "ab"[number % 2], kg=1.0 + number, day=day, kind=("training", "inference")[number % 3 == 0])
    asked, found = between(date(2026, 1, 20), date(2026, 4, 3), DAY), choices(people.alice)
    parts = usage_in(found, filters, asked)
    assert [part.model for part in parts] == [MonthlyUsage, DailyUsage, DailyUsage]
    in_months = breakdown.by_model(breakdown.sums_of(parts), found)
    assert in_months == breakdown.by_model(breakdown.sums_of([asked.days_of(usage_of(found, filters))]), found) != []
