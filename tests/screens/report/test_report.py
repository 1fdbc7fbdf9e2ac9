"""A year's report: months by project and kind, with range, factor and method, as a page and as CSV."""

import csv
import io
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from runs.models import EmissionFactor, Project, Run
from tests.screens.conftest import METERED
from tests.screens.overview.test_overview import figures
from tests.wire import sample

YEAR = datetime.now(UTC).year
KWH = 3.6e6


@pytest.fixture
def year(wire, profile):
    """Two trainings and a service in January and February of this year; one of last year."""
    for begun, kind, kwh in [
        (f"{YEAR}-01-10T10:00:00Z", "training", 1.0),
        (f"{YEAR}-01-20T10:00:00Z", "inference", 2.0),
        (f"{YEAR}-02-05T10:00:00Z", "training", 4.0),
        (f"{YEAR - 1}-12-31T10:00:00Z", "training", 8.0),
    ]:
        rows = [sample("gpu-0", 3600, 3600, kwh * KWH)]
        wire.whole_run(rows, [METERED], kind=kind, started_at=begun, writer_started_at=begun)


def exported(reader, **asked) -> list[dict]:
    text = b"".join(reader.get("/report.csv", asked).streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_lead_reads_the_year_by_month_project_and_kind(alice, year):
    page = alice.read("/report/", year=YEAR)
    bodies = page.one("table").all("tbody")
    rows = [[cell.text for cell in (*row.all("th"), *row.all("td"))] for body in bodies for row in body.all("tr")]
    assert [row[:5] for row in rows] == [
        ["January", "Digits", "Inference", "1", "2"],
        ["January", "Digits", "Training", "1", "1"],
        ["January", "All", "All", "2", "3"],
        ["February", "Digits", "Training", "1", "4"],
    ]
    assert rows[-1][5] == "3.8–4.2"
    assert "0.458 kg CO₂e per kWh" in page.text
    assert "Vision lab" in page.text


def test_page_csv_and_overview_have_the_same_sum_archived_runs_included(alice, year):
    Run.objects.filter(kind="inference").update(archived_at=timezone.now())
    rows = exported(alice, year=YEAR)
    assert sum(float(row["energy_kwh"]) for row in rows) == pytest.approx(7.0)
    assert figures(alice.read("/", since=f"{YEAR}-01-01", until=f"{YEAR}-12-31"))[1] == pytest.approx(7.0)
    assert alice.read("/report/", year=YEAR).one("dl").all("div")[1].figures[0] == pytest.approx(7.0)
    factor = EmissionFactor.objects.active().kg_per_kwh
    assert [float(row["kg_per_kwh"]) for row in rows] == pytest.approx([factor] * 3)
    first = [rows[0][name] for name in ("month", "team", "project", "kind")]
    assert first == [f"{YEAR}-01", "Vision lab", "Digits", "Inference"]


def test_other_years_are_offered_and_a_year_without_runs_says_so(alice, year):
    page = alice.read("/report/")
    assert f"?year={YEAR - 1}" in page.links()
    assert alice.read("/report/", year=YEAR - 1).one("dl").all("div")[1].figures[0] == pytest.approx(8.0)
    assert f"Nothing ran in {YEAR - 5}" in alice.read("/report/", year=YEAR - 5).text


@pytest.mark.parametrize("asked", ["1999", "9999", "-1", "1e300", "2026.5"])
def test_a_year_that_can_not_be_is_not_found(alice, year, asked):
    assert alice.get("/report/", {"year": asked}).status_code in (200, 404)


def test_charlie_reports_none_of_theirs(charlie, year):
    assert exported(charlie, year=YEAR) == []
    assert "Digits" not in charlie.read("/report/").text


def test_a_project_s_name_is_never_a_formula(alice, people, year):
    Project.objects.filter(pk=people.project.pk).update(name="=1+1")
    assert exported(alice, year=YEAR)[0]["project"] == "'=1+1"
