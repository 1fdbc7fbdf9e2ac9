"""What a run's open page asks for while the run goes on."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.models import Run
from tests.screens.conftest import METERED
from tests.screens.html import Page
from tests.wire import ago, batch, finish, sample


def watts(power_w: float, first: int, last: int) -> list[dict]:
    return [sample("gpu-0", t, t / 2, power_w * t) for t in range(first, last + 1, 10)]


@pytest.fixture
def running(wire, profile) -> str:
    run_id = wire.start(started_at=ago(minutes=20), flush_s=30)
    wire.send(run_id, "b-1", batch(watts(300, 10, 300), [METERED]))
    return run_id


def series(reader, run_id: str, **query) -> dict:
    answer = reader.get(f"/runs/{run_id}/series", query)
    assert answer.status_code == 200
    return answer.json()


def test_at_first_it_is_all_there_is(alice, running):
    found = series(alice, running, since=0)
    assert (found["edges"][0], found["edges"][-1]) == (0, 300)
    assert found["series"]["power"][0]["values"] == pytest.approx([300] * (len(found["edges"]) - 1))
    assert found["state"] == "running"


def test_nothing_new_is_nothing(alice, running):
    found = series(alice, running, since=300)
    assert (found["edges"], found["series"]) == ([], {})


def test_an_increment_begins_where_the_page_ends_and_loses_no_energy(alice, wire, running):
    wire.send(running, "b-2", batch(watts(300, 310, 600), [METERED]))
    found = series(alice, running, since=300)
    assert (found["edges"][0], found["edges"][-1]) == (300, 600)
    powers = found["series"]["power"][0]["values"]
    joules = sum(power * (end - start) for power, (start, end) in zip(powers, pairwise(found["edges"]), strict=True))
    assert joules == pytest.approx(300 * 300)
    assert found["figures"]["energy"]["value"] == Run.objects.get().energy_kwh
    assert found["series"]["energy"][0]["values"][-1] == pytest.approx(Run.objects.get().energy_kwh)


def test_an_increment_of_the_energy_goes_on_where_the_page_ends(alice, wire, running):
    wire.send(running, "b-2", batch(watts(300, 310, 600), [METERED]))
    (line,) = series(alice, running, since=300)["series"]["energy"]
    assert (line["values"][0], line["values"][-1]) == pytest.approx((0.025, 0.05))


def test_an_increment_says_what_the_whole_run_did(alice, wire, running):
    wire.send(running, "b-2", batch(watts(300, 310, 600), [METERED]))
    said = series(alice, running, since=300)["sentences"]
    assert said["power"].startswith("Mean power of 1 device over 10 min: 300 W on average, 300 W at most")
    assert said["energy"] == "Cumulative energy of 1 device: 50 Wh after 10 min, 22.9 g of CO₂e."


def test_an_increment_says_the_most_that_the_page_knows_of(alice, wire, running):
    wire.send(running, "b-2", batch(watts(300, 310, 600), [METERED]))
    found = series(alice, running, since=300, most_power="900", most_utilisation="0.25")
    assert "300 W on average, 900 W at most" in found["sentences"]["power"]
    assert found["says"]["power"]["most"] == 900
    assert "50 % on average, 50 % at most" in found["sentences"]["utilisation"]


def test_key_figures_come_as_the_page_writes_them(alice, running):
    page = alice.get(f"/runs/{running}/").content.decode()
    for name, figure in series(alice, running, since=300)["figures"].items():
        assert f'data-figure="{name}"' in page
        assert figure["html"] in page


def test_the_tables_of_a_part_come_where_they_are_asked_for(alice, running):
    assert "tables" not in series(alice, running, start=60, end=120)
    tables = Page(HttpResponse(series(alice, running, start=60, end=120, tables=1)["tables"]))
    power = tables.by_id("power-table")
    assert len(power.rows) == 6
    assert sum(power.all("tfoot")[0].figures) == pytest.approx(0.2 * Run.objects.get().energy_kwh)
    assert tables.by_id("energy-table").rows[-1][0] == "2"


def test_an_increment_reads_the_new_batches_alone(alice, wire, running):
    for number in range(2, 12):
        wire.send(running, f"b-{number}", batch(watts(300, 300 * number - 290, 300 * number), [METERED]))
    with CaptureQueriesContext(connection) as captured:
        series(alice, running, since=3000)
    (query,) = (each["sql"] for each in captured if 'FROM "runs_batch"' in each["sql"])
    assert '"last_t_s" >=' in query


def test_the_state_follows_silence_late_data_and_the_end(alice, wire, running):
    Run.objects.update(last_seen_at=timezone.now() - timedelta(minutes=4))
    found = series(alice, running, since=300)
    assert (found["state"], found["seen"]) == ("lost", "4 min ago")
    wire.send(running, "b-2", batch(watts(300, 310, 320), [METERED]))
    assert series(alice, running, since=300)["state"] == "running"
    wire.finish(running, **finish())
    assert series(alice, running, since=320)["state"] == "completed"


def test_a_page_without_figures_is_told_when_there_are_some_or_none_will_come(alice, wire, profile):
    run_id = wire.start(started_at=ago(seconds=2))
    waiting = series(alice, run_id, since=0)
    assert (waiting["edges"], waiting["state"]) == ([], "running")
    wire.send(run_id, "b-1", batch([sample("gpu-0", 1, 0.5, 300)], [METERED]))
    assert series(alice, run_id, since=0)["edges"][-1] == 1


def test_a_part_has_its_energy_time_and_mean_power(alice, running):
    found = series(alice, running, start=60, end=120)
    assert found["words"] == "From 1 min to 2 min: 5 Wh in 1 min, 300 W on average; 20 % of the run's energy."
    for chart in found["charts"].values():
        assert (chart["edges"][0], chart["edges"][-1]) == (60, 120)


def test_the_page_shows_the_part_that_its_address_names_without_a_script(alice, running):
    page = alice.read(f"/runs/{running}/", start="60", end="120")
    assert "5 Wh in 1 min, 300 W on average" in page.by_id("span-words").text
    assert page.data("power-data")["edges"][0] == 60
    assert page.by_id("start").attributes["value"] == "60"


def test_a_part_beyond_the_run_is_none(alice, running):
    assert series(alice, running, start=900, end=1200) == {"charts": {}, "words": ""}
    assert alice.read(f"/runs/{running}/", start="900", end="1200").by_id("span-words").text == ""


@pytest.mark.parametrize("query", ["since=x", "start=nan&end=1", "start=0&end=1e999"])
def test_a_time_that_is_none_is_refused(alice, running, query):
    assert alice.get(f"/runs/{running}/series?{query}").status_code == 400


def test_charlie_gets_nothing_of_it(charlie, running):
    assert charlie.get(f"/runs/{running}/series?since=0").status_code == 404


def test_rows_of_running_runs_are_marked_for_refreshing(alice, wire, running):
    def marked(path):
        return [row for row in alice.read(path).root.all("tr") if "data-running" in row.attributes]

    assert [len(marked(path)) for path in ("/", "/runs/")] == [1, 1]
    wire.finish(running, **finish())
    assert [len(marked(path)) for path in ("/", "/runs/")] == [0, 0]


def live(reader, *run_ids: str, **query) -> Page:
    return reader.read("/runs/live", run=run_ids, **query)


def test_a_list_is_told_the_rows_that_it_asks_for_and_the_totals(alice, wire, running):
    wire.start(name="another")
    page = live(alice, running, known=2)
    assert [row.attributes["id"] for row in page.root.all("tr")] == [f"run-{running}"]
    assert page.by_id("total").text.startswith("2 runs")
    assert page.by_id("news").text == ""


def test_a_list_is_told_in_its_own_columns_and_units(alice, running):
    page = live(alice, running, column=["energy", "emissions"], kwh="mWh", kg="g")
    stored = Run.objects.get()
    cells = page.root.all("td")
    assert [cell.attributes["data-label"] for cell in cells] == ["Energy (mWh)", "CO₂e (g)"]
    assert [float(cell.figures[0]) for cell in cells] == [stored.energy_kwh, stored.emissions_kg]


def test_a_list_is_told_how_many_runs_have_come_since(alice, wire, running):
    wire.start(kind="inference")
    wire.start(kind="inference")
    assert live(alice, running, known=1, sort="-energy").by_id("news").text.startswith("2 new runs match")
    assert "/runs/?sort=-energy" in live(alice, running, known=1, sort="-energy").links()
    assert live(alice, running, known=1, kind="training").by_id("news").text == ""


def test_a_row_that_ended_is_no_longer_marked(alice, wire, running):
    wire.finish(running, **finish())
    (row,) = live(alice, running).root.all("tr")
    assert "data-running" not in row.attributes
    assert "Completed" in row.text


def test_charlie_is_told_no_row_of_theirs(charlie, running):
    page = live(charlie, running)
    assert page.root.all("tr") == []
    assert page.by_id("total").text.startswith("0 runs")
