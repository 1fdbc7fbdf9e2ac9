"""Lists of days: what a bar shows and what its list adds up to is the same, wherever the reader is."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from runs.ingest.removal import remove_run
from runs.jobs import reestimate
from runs.models import ProjectUsage, Run, RunUsage, User
from runs.selection import run_totals, waste
from tests.screens.conftest import METERED
from tests.screens.overview.test_overview import figures, links, table
from tests.screens.run_list.test_runs import names
from tests.wire import batch, noon, sample

KWH = 3.6e6


@pytest.fixture
def august(wire, profile):
    """Runs around 14 August 2026, UTC: `long` over three days, of which it used most on the second."""

    def send(name: str, begun: str, *samples: tuple[float, float], finish="completed", **more):
        """A run whose counter stood at (kWh) after (hours)."""
        run_id = wire.start(name=name, started_at=begun, writer_started_at=begun, **more)
        rows = [sample("gpu-0", 3600 * hours, 3600 * hours, kwh * KWH) for hours, kwh in samples]
        assert wire.send(run_id, "b-1", batch(rows, [METERED])).status_code == 201
        ended = datetime.fromisoformat(begun) + timedelta(hours=samples[-1][0])
        wire.finish(run_id, status=finish, ended_at=ended.isoformat())
        return run_id

    return {
        "long": send("long", "2026-08-13T20:00:00+00:00", (3.999, 1.0), (27.999, 9.0), (30.0, 10.0)),
        "short": send("short", "2026-08-14T05:30:00+00:00", (1.0, 2.0)),
        "early": send("early", "2026-08-13T01:00:00+00:00", (1.0, 4.0)),
        "broken": send("broken", "2026-08-13T23:00:00+00:00", (0.999, 3.0), (2.0, 5.0), finish="failed"),
    }


DAY = {"since": "2026-08-14", "until": "2026-08-14"}


def used(page) -> dict[str, float]:
    """The kWh of the days by run, as the list's column has it."""
    heads = [head.text for head in page.one("thead").all("th")]
    column = next(n for n, head in enumerate(heads) if head.startswith("Energy on these days"))
    return dict(zip(names(page), [row[column] for row in exact(page)], strict=True))


def exact(page) -> list[list[float | None]]:
    rows = page.root.all("table")[0].all("tbody")[0].all("tr")
    cells = [[*row.all("th"), *row.all("td")] for row in rows]
    return [[cell.figures[0] if cell.figures else None for cell in row] for row in cells]


def exported(reader, **asked) -> list[dict]:
    text = b"".join(reader.get("/runs/export.csv", asked).streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def bar_of(page, day: str) -> float:
    """The height of a day's bar, kWh."""
    data = page.data("trend-data")
    return sum(series["values"][data["labels"].index(day)] for series in data["series"])


def test_a_team_lead_finds_out_which_runs_made_14_august(alice, august):
    page = alice.read("/", since="2026-08-01", until="2026-08-31", show="kwh")
    (row,) = (link for link in page.root.all("a") if link.text == "2026-08-14")
    made = alice.read(row.attributes["href"])
    assert used(made) == pytest.approx({"long": 8.0, "short": 2.0, "broken": 2.0})
    assert names(made)[0] == "long"
    assert sum(used(made).values()) == pytest.approx(bar_of(page, "2026-08-14"), rel=1e-9)
    assert made.by_id("total").figures[2] == pytest.approx(12.0)


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Tokyo", "Pacific/Kiritimati", "Asia/Kathmandu"])
@pytest.mark.parametrize("day", ["2026-08-13", "2026-08-14", "2026-08-15"])
def test_every_reader_s_bar_and_list_have_the_same_days_and_say_that_they_are_utc(alice, people, august, zone, day):
    User.objects.filter(pk=people.alice.pk).update(time_zone=zone)
    page = alice.read("/", since=day, until=day, show="kwh")
    made = alice.read(next(link for link in page.links() if f"since={day}&until={day}" in link and "/runs/" in link))
    assert sum(used(made).values()) == pytest.approx(figures(page)[1], rel=1e-9)
    assert "UTC" in page.by_id("trend-words").text + page.text
    assert "(UTC)" in made.by_id("total").text


def test_a_day_of_the_calendar_leads_to_the_same_runs(alice, wire, profile):
    wire.whole_run([sample("gpu-0", 60, 60, 2 * KWH)], [METERED], name="today")
    page = alice.read("/", show="kwh")
    (svg,) = (each for each in page.root.all("svg") if each.attributes.get("class") == "heat-map")
    answer = alice.get(svg.all("a")[-1].attributes["href"])
    assert used(alice.read(f"/runs/{answer.url}")) == {"today": 2.0}


def test_month_list_csv_and_overview_state_one_figure_archived_runs_included(alice, august):
    Run.objects.filter(name="early").update(archived_at=timezone.now())
    asked = {"since": "2026-08-14", "until": "2026-08-31"}
    month = {"since": "2026-08-01", "until": "2026-08-31"}
    for days in (asked, month):
        overview = figures(alice.read("/", **days))[1]
        listed = alice.read("/runs/", archived="too", **days)
        rows = exported(alice, **days)
        assert sum(used(listed).values()) == pytest.approx(overview)
        assert listed.by_id("total").figures[2] == pytest.approx(overview)
        assert sum(float(row["used_energy_kwh"]) for row in rows) == pytest.approx(overview)
        assert {row["used_from"] for row in rows} == {days["since"]}


@pytest.mark.parametrize(
    ("since", "asked", "said"),
    [
        ("2026-08-01", {}, "At least 3 of 3 runs · 17 kWh"),
        ("2026-08-01", {"archived": "too"}, "At least 4 of 3 runs · 21 kWh"),
        ("2026-08-14", {"archived": "too"}, "At least 1 of 3 runs · 13 kWh"),  # two others went on from the day before
        ("2026-08-01", {"state": "failed"}, "More than 10,000 of 3 runs used on these days"),
    ],
)
def test_nobody_counts_very_many_runs_of_days_but_the_daily_totals_tell_their_energy(
    alice, august, monkeypatch, since, asked, said
):
    Run.objects.filter(name="early").update(archived_at=timezone.now())
    monkeypatch.setattr(run_totals, "MOST_FOUND", 0)
    monkeypatch.setattr(run_totals, "MOST_DAYS_READ", 1)
    assert alice.read("/runs/", since=since, until="2026-08-31", **asked).by_id("total").text.startswith(said)


def test_a_few_runs_of_many_days_are_counted(alice, august, monkeypatch):
    monkeypatch.setattr(run_totals, "MOST_DAYS_READ", 2)
    total = alice.read("/runs/", since="2026-08-01", until="2026-08-31", q="long").by_id("total")
    assert total.text.startswith("1 of 4 runs · 10 kWh")


def test_a_list_says_what_archived_runs_it_leaves_out_and_files_mark_them(alice, august):
    Run.objects.filter(name="early").update(archived_at=timezone.now())
    total = alice.read("/runs/").by_id("total")
    assert "1 archived run with 4 kWh not shown" in total.text
    shown = alice.read(total.all("a")[0].attributes["href"])
    assert "left out" not in shown.by_id("total").text
    assert "early" in names(shown)
    assert {row["name"]: bool(row["archived_at"]) for row in exported(alice)} == {
        "long": False, "short": False, "broken": False, "early": True,
    }  # fmt: skip
    assert [row["name"] for row in exported(alice, archived="only")] == ["early"]


def test_without_days_a_list_is_of_whole_runs(alice, august):
    page = alice.read("/runs/")
    assert page.by_id("total").figures[1] == pytest.approx(21.0)
    assert "these days" not in page.text


def test_a_list_of_days_is_filtered_sorted_grouped_and_paged_like_any_other(alice, august):
    assert set(used(alice.read("/runs/", q="long", **DAY))) == {"long"}
    assert set(used(alice.read("/runs/", state="failed", **DAY))) == {"broken"}
    assert names(alice.read("/runs/", sort="-used", **DAY)) == ["long", "broken", "short"]
    assert names(alice.read("/runs/", sort="used", **DAY))[-1] == "long"
    assert names(alice.read("/runs/", sort="name", **DAY)) == ["broken", "long", "short"]
    assert names(alice.read("/runs/", sort="-used")) == names(alice.read("/runs/"))
    grouped = alice.read("/runs/", group="kind", **DAY)
    assert [row[:2] for row in grouped.table()] == [["Training", "3"]]
    assert grouped.by_id("total").figures[2] == pytest.approx(12.0)


def test_a_run_that_began_but_used_nothing_yet_is_in_its_day(alice, wire, profile):
    wire.start(name="just-begun", started_at=noon(1))
    day = noon(1)[:10]
    assert used(alice.read("/runs/", since=day, until=day)) == {"just-begun": 0.0}


def test_an_open_end_reaches_as_far_as_there_are_runs(alice, august):
    assert set(used(alice.read("/runs/", since="2026-08-14"))) == {"long", "short", "broken"}
    assert set(used(alice.read("/runs/", until="2026-08-13"))) == {"long", "early", "broken"}


def test_what_was_wasted_is_cut_to_the_period(alice, wire, profile, august):
    begun = "2026-08-10T22:00:00+00:00"
    run_id = wire.start(name="idling", started_at=begun, writer_started_at=begun, flush_s=1)
    wire.send(run_id, "b-1", batch([sample("gpu-0", 7199, 0), sample("gpu-0", 18000, 0)], [METERED]))
    Run.objects.filter(run_id=run_id).update(last_seen_at=datetime(2026, 8, 11, 3, tzinfo=UTC))
    page = alice.read("/", since="2026-08-11", until="2026-08-11")
    rows = {row[0].split()[0]: row for row in table(page, "waste-title")}
    assert float(rows["Lost"][1]) == pytest.approx(150, rel=0.01)  # three hours of 50 W, not five
    ((_, why, wasted),) = table(page, "wasted-title")
    assert (why, wasted) == ("Lost", "150 Wh")
    listed = alice.read(links(page, "waste-title")["Lost runs"])
    assert sum(used(listed).values()) == pytest.approx(0.150, rel=0.01)


@pytest.mark.parametrize("added_up", [waste.MOST_ADDED_UP, 0])
def test_the_runs_that_wasted_the_most_are_named_and_grouped_by_exception(alice, wire, august, monkeypatch, added_up):
    monkeypatch.setattr(waste, "MOST_ADDED_UP", added_up)
    wire.finish(august["early"], status="cancelled", ended_at="2026-08-13T02:00:00+00:00")
    wire.finish(august["broken"], status="failed", ended_at="2026-08-14T01:00:00+00:00", exception="OutOfMemoryError")
    page = alice.read("/", since="2026-08-01", until="2026-08-31")
    assert [(row[0].split()[0], row[2]) for row in table(page, "wasted-title")][:2] == [
        ("broken", "5 kWh"), ("early", "4 kWh"),
    ]  # fmt: skip
    found = links(page, "wasted-title")
    assert sorted(names(alice.read(found["All"]))) == ["broken", "early"]
    groups = {row[0]: row[1] for row in alice.read(found["By exception"]).table()}
    assert groups == {"OutOfMemoryError": "1", "no exception": "1"}
    link = next(each for each in alice.read(found["By exception"]).links() if "exception=Out" in each)
    assert names(alice.read(f"/runs/{link}")) == ["broken"]


def everything() -> dict:
    rows = RunUsage.objects.values_list("run__name", "day", "runs", "energy_kwh", "emissions_kg", "idle_kwh")
    return {(name, day): pytest.approx(amounts, rel=1e-9, abs=1e-12) for name, day, *amounts in rows}


def test_the_days_of_runs_are_what_a_rebuild_makes_and_add_up_to_the_days_of_their_project(wire, august):
    Run.objects.filter(name="short").update(name="renamed")
    reestimate.redo_one(Run.objects.get(name="renamed"), None)
    begun = "2026-08-13T23:30:00+00:00"  # another attempt, which began before the first one was heard of
    wire.send(august["short"], "b-2", batch([sample("gpu-0", 3600, 0, KWH)], [METERED], writer="w-2",
                                            writer_started_at=begun))  # fmt: skip
    remove_run(Run.objects.get(name="early"))
    before = everything()
    assert ("early", datetime(2026, 8, 13).date()) not in before
    for day in ProjectUsage.objects.all():
        rows = RunUsage.objects.filter(day=day.day).values_list("energy_kwh", flat=True)
        assert sum(rows) == pytest.approx(day.energy_kwh, rel=1e-9, abs=1e-12)
    call_command("rebuild_usage", verbosity=0)
    stored = RunUsage.objects.values_list("run__name", "day", "runs", "energy_kwh", "emissions_kg", "idle_kwh")
    assert {(name, day): amounts for name, day, *amounts in stored} == before
