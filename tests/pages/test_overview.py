"""The overview: key figures, trend and footprints of what a person may see."""

from datetime import UTC, datetime, timedelta

import pytest

from runs.models import EmissionFactor
from tests.pages.conftest import METERED
from tests.wire import ago, batch, sample


def test_alice_sees_the_key_figures_of_the_period(alice, run):
    run(kwh=1.0)
    run(kwh=2.0)
    emissions, energy, hours, runs, measured = alice.read("/").one("dl").all("div")
    assert emissions.figures[0] == pytest.approx(3.0 * EmissionFactor.objects.active().kg_per_kwh)
    assert energy.figures[0] == pytest.approx(3.0)
    assert "2.85–3.15 kWh" in energy.text
    assert hours.figures[0] == 7200
    assert runs.figures[0] == 2
    assert measured.figures[0] == 1


def test_bob_sees_what_alice_sees(alice, bob, run):
    run()
    assert bob.read("/").text == alice.read("/").text


def test_charlie_sees_nothing_of_it(charlie, run):
    run(model="secret-model")
    page = charlie.read("/")
    assert "No run has arrived yet" in page.text
    assert "secret-model" not in page.text


def test_before_the_first_run_it_says_how_to_send_one(alice):
    page = alice.read("/")
    assert "from traceml_agent import track" in page.text
    assert "/start/" in page.links()
    assert page.root.all("table") == []


def test_a_period_without_runs_says_so_and_leads_to_all_time(alice, run):
    run(started_at=ago(days=20))
    page = alice.read("/", range="7")
    assert "Nothing ran in the last 7 days" in page.text
    assert "?range=all" in page.links()


def test_the_range_in_the_query_string_decides_what_is_counted(alice, run):
    run(started_at=ago(days=20))
    run(started_at=ago(hours=2))
    counts = {asked: alice.read("/", range=asked).one("dl").all("div")[3].figures[0] for asked in ("7", "30", "all")}
    assert counts == {"7": 1, "30": 2, "all": 2}


def test_each_figure_is_compared_with_the_equal_period_before(alice, run):
    run(kwh=4.0, started_at=ago(days=10))
    run(kwh=3.0, started_at=ago(hours=2))
    assert "(−25 %)" in alice.read("/", range="7").one("dl").text


def test_the_trends_table_adds_up_to_the_key_figure_without_javascript(alice, run):
    run(kwh=1.0, model="bert")
    run(kwh=2.0, model="resnet")
    page = alice.read("/", show="kwh")
    table = page.root.all("table")[0]
    assert sum(table.all("tfoot")[0].figures) == pytest.approx(3.0)
    assert sum(table.all("tbody")[0].figures) == pytest.approx(3.0)
    assert len(table.all("tbody")[0].all("tr")) == 30


def test_the_chart_has_the_tables_numbers_and_a_sentence(alice, run):
    run(kwh=1.5)
    page = alice.read("/", show="kwh")
    data = page.data("trend-data")
    assert sum(data["series"][0]["values"]) == pytest.approx(1.5)
    assert data["labels"][-1] == datetime.now(UTC).date().isoformat()
    assert "1.5 kWh in all" in page.one("canvas").attributes["aria-label"]
    assert page.one("canvas").attributes["role"] == "img"


def test_models_are_listed_by_footprint_and_lead_to_their_pages(alice, run):
    run(kwh=1.0, model="small")
    run(kwh=2.0, model="large", kind="inference")
    page = alice.read("/")
    assert [name.split()[0] for name in page.column(0, table=1)] == ["large", "small"]
    assert "/models/digits/large/" in page.links()


def test_the_latest_runs_are_listed_newest_first(alice, run):
    run(name="first")
    run(name="second")
    assert [name.split()[0] for name in alice.read("/").column(0, table=2)] == ["second", "first"]


@pytest.mark.parametrize("asked", ["8", "", "\x00", "all'--", "9" * 300])
def test_an_unknown_range_is_the_default(alice, run, asked):
    run()
    assert "the last 30 days" in alice.read("/", range=asked).text


def test_a_link_keeps_the_other_choices_of_the_query_string(alice, run):
    run()
    assert "?range=7&show=kwh" in alice.read("/", range="7").links()


def test_energy_falls_on_the_days_it_was_used(alice, wire, profile):
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    run_id = wire.start(started_at=(midnight - timedelta(hours=1)).isoformat())
    samples = [sample("gpu-0", 3599, 0, 3.6e6), sample("gpu-0", 3601, 0, 9e6)]
    assert wire.send(run_id, "b-1", batch(samples, [METERED])).status_code == 201
    values = alice.read("/", show="kwh").data("trend-data")["series"][0]["values"]
    assert values[-2:] == pytest.approx([1.0, 1.5])
