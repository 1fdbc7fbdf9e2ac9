"""The overview: key figures, trend and footprints of what a person may see."""

from datetime import UTC, datetime, timedelta

import pytest

from runs.models import ApiToken, EmissionFactor, Run, User
from runs.selection import waste
from tests.screens.conftest import METERED
from tests.wire import A100, Wire, ago, batch, sample

TODAY = datetime.now(UTC).date()
NO_MEMBER = "No member runs of tokens created on the command line, or imported there"


@pytest.fixture
def bobs_wire(people, client) -> Wire:
    return Wire(client, ApiToken.issue(people.project, "bob's", ["ingest"], people.bob)[1])


def figures(page) -> list[float]:
    """The key figures: kg, kWh, device-seconds, runs, measured share."""
    return [one.figures[0] for one in page.one("dl").all("div")]


def table(page, section: str) -> list[list[str]]:
    """The rows of the table under the heading with this id."""
    (found,) = (each for each in page.root.all("section") if each.attributes.get("aria-labelledby") == section)
    rows = found.all("tbody")[0].all("tr")
    return [[cell.text for cell in (*row.all("th"), *row.all("td"))] for row in rows]


def links(page, section: str) -> dict[str, str]:
    (found,) = (each for each in page.root.all("section") if each.attributes.get("aria-labelledby") == section)
    return {link.text: link.attributes["href"] for link in found.all("a")}


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
    assert "No runs yet" in page.text
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
    assert page.root.all("table") == []
    assert "?range=all" in page.links()


def test_the_range_in_the_query_string_decides_what_is_counted(alice, run):
    run(started_at=ago(days=20))
    run(started_at=ago(hours=2))
    counts = {asked: alice.read("/", range=asked).one("dl").all("div")[3].figures[0] for asked in ("7", "30", "all")}
    assert counts == {"7": 1, "30": 2, "all": 2}


def test_each_figure_is_compared_with_the_equal_period_before(alice, run):
    run(kwh=4.0, started_at=ago(days=10))
    run(kwh=3.0, started_at=ago(days=2))
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
    assert "1.5 kWh in total" in page.one("canvas").attributes["aria-label"]
    assert page.one("canvas").attributes["role"] == "img"


def test_models_are_listed_by_footprint_and_lead_to_their_pages(alice, run):
    run(kwh=1.0, model="small")
    run(kwh=2.0, model="large", kind="inference")
    page = alice.read("/")
    assert [name.split()[0] for name in page.column(0, table=1)] == ["large", "small"]
    assert "/models/digits/large/" in page.links()


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


@pytest.mark.parametrize(
    ("asked", "kwh"),
    [
        ({"project": "digits"}, 7),
        ({"project": "secrets"}, None),
        ({"model": "digits/bert"}, 2),
        ({"model": "bert"}, None),
        ({"kind": "inference"}, 4),
        ({"kind": "nonsense"}, None),
        ({"tag": "sweep"}, 3),
        ({"tag": "sweep", "model": "digits/bert"}, 2),
        ({"tag": "nosuch"}, None),
        ({"member": "0"}, 3),
        ({"member": "x"}, None),
        ({"member": "9" * 30}, None),
    ],
)
def test_a_filter_leaves_what_fits_it(alice, run, bobs_wire, asked, kwh):
    run(kwh=1.0, tags=["sweep", "night"])
    run(kwh=2.0, tags=["sweep"], model="bert", kind="finetuning")
    bobs_wire.whole_run([sample("gpu-0", 3600, 1800, 4 * 3.6e6)], [METERED], kind="inference")
    page = alice.read("/", range="7", **asked)
    if kwh is None:
        assert "No matching runs" in page.text
    else:
        assert figures(page)[1] == pytest.approx(kwh)
        assert sum(page.data("trend-data")["series"][0]["values"]) > 0


def test_a_filter_is_a_chip_that_takes_it_away(alice, run, people, bobs_wire):
    bobs_wire.whole_run()
    page = alice.read("/", member=people.bob.pk, kind="training", show="kwh")
    assert "Member Bob" in page.text
    assert "?kind=training&show=kwh" in page.links()


def test_nothing_yet_and_nothing_that_matches_are_told_apart(alice, run):
    assert "No runs yet" in alice.read("/", tag="x").text
    run()
    assert "No matching runs" in alice.read("/", tag="x").text
    assert "Nothing ran in" in alice.read("/", since="2001-01-01", until="2001-01-31").text


def test_any_days_may_be_asked_for_and_lead_to_those_before_and_after(alice, run):
    run(kwh=1.0, started_at="2026-03-10T10:00:00Z", writer_started_at="2026-03-10T10:00:00Z")
    run(kwh=2.0, started_at="2026-02-10T10:00:00Z", writer_started_at="2026-02-10T10:00:00Z")
    page = alice.read("/", since="2026-03-01", until="2026-03-31", range="7")
    assert "March 2026" in page.text
    assert figures(page)[1] == pytest.approx(1.0)
    assert "(−50 %)" in page.one("dl").text
    assert "?since=2026-02-01&until=2026-02-28" in page.links()
    assert "?since=2026-04-01&until=2026-04-30" in page.links()


@pytest.mark.parametrize(
    "days", [{"since": "0001-01-01", "until": "9999-12-31"}, {"until": "2026-01-31"}, {"since": "2020-01-01"}]
)
def test_any_days_may_be_asked_for(alice, run, days):
    run()
    assert alice.get("/", days).status_code == 200


def test_what_is_no_day_is_refused_in_words(alice, run):
    run()
    assert alice.get("/", {"since": "yesterday"}).status_code == 400


def test_a_bar_leads_to_its_runs_and_so_does_its_row(alice, run):
    run(model="bert", tags=["a&b"])
    page = alice.read("/", range="7", tag="a&b", show="kwh")
    data = page.data("trend-data")
    figure = page.one("figure")
    assert data["spans"][-1] == [TODAY.isoformat(), TODAY.isoformat()]
    assert data["series"][0]["key"] == "digits/bert"
    address = f"{figure.attributes['data-runs']}since={TODAY}&until={TODAY}"
    assert address in page.links()
    assert len(alice.read(address + "&model=digits/bert").table()) == 1


def test_the_cumulative_line_is_a_column_of_the_table_that_ends_at_the_total(alice, run):
    run(kwh=1.0, started_at=ago(days=3), writer_started_at=ago(days=3))
    run(kwh=2.0)
    assert alice.read("/", range="7", show="kwh").data("trend-data")["line"] is None
    page = alice.read("/", range="7", show="kwh", line="sum")
    assert page.data("trend-data")["line"]["values"][-1] == pytest.approx(3.0)
    assert page.one("figure").all("tbody")[0].all("tr")[-1].figures[-1] == pytest.approx(3.0)


def test_the_footprint_is_split_by_hardware_kind_and_member(alice, run, bobs_wire):
    run(kwh=1.0)
    bobs_wire.whole_run([sample("gpu-0", 3600, 1800, 3 * 3.6e6)], [METERED], kind="inference")
    page = alice.read("/")
    assert [row[0] for row in table(page, "by-hardware")] == ["NVIDIA A100 SXM4 40GB"]
    assert [(row[0], row[-1]) for row in table(page, "by-kind")] == [("Inference", "75"), ("Training", "25")]
    assert [(row[0], row[-1]) for row in table(page, "by-member")] == [("Bob", "75"), (NO_MEMBER, "25")]
    assert "?kind=inference" in page.links()
    hardware = links(page, "by-hardware")["NVIDIA A100 SXM4 40GB"]
    assert len(alice.read(hardware).table()) == 2


def test_a_member_leads_to_what_they_sent_here_and_in_the_run_list(alice, bobs_wire, run, people):
    run(name="alone")
    bobs_wire.whole_run(name="bobs")
    asked = f"?member={people.bob.pk}"
    assert asked in alice.read("/").links()
    assert figures(alice.read("/" + asked))[3] == 1
    page = alice.read("/runs/" + asked)
    assert [name.split()[0] for name in page.column(0)] == ["bobs"]
    assert "Run by Bob" in page.text


def test_who_has_left_is_named_no_more_but_their_energy_counts(alice, bobs_wire, people):
    bobs_wire.whole_run()
    User.objects.get(pk=people.bob.pk).delete()
    assert [row[0] for row in table(alice.read("/"), "by-member")] == ["A former member"]


def test_what_runs_now_is_listed_with_its_energy_so_far(alice, wire, profile, run):
    run(name="done")
    run_id = wire.start(name="going", flush_s=3600)
    wire.send(run_id, "b-1", batch([sample("gpu-0", 1800, 900, 1.8e6)], [METERED]))
    (row,) = table(alice.read("/"), "active-title")
    assert row[0].startswith("going")
    assert row[2:4] == ["30 min", "500"]


def test_a_run_that_fell_silent_is_wasted_not_active(alice, wire, profile):
    run_id = wire.start()
    wire.send(run_id, "b-1", batch([sample("gpu-0", 1800, 1800, 1.8e6)], [METERED]))
    Run.objects.update(last_seen_at=datetime.now(UTC) - timedelta(hours=1))
    page = alice.read("/")
    assert "Running now" not in page.text
    (row,) = table(page, "waste-title")
    assert row[0].startswith("Lost runs")
    assert len(alice.read(links(page, "waste-title")["Lost runs"]).table()) == 1


def test_a_run_that_reports_rarely_is_active_however_many_fell_silent_after_it(alice, wire):
    wire.start(name="rare", flush_s=86400)
    Run.objects.update(last_seen_at=datetime.now(UTC) - timedelta(hours=5))
    for number in range(55):
        wire.start(name=f"silent {number}")
    Run.objects.exclude(name="rare").update(last_seen_at=datetime.now(UTC) - timedelta(hours=1))
    (row,) = table(alice.read("/"), "active-title")
    assert row[0].startswith("rare")


@pytest.mark.parametrize(("added_up", "merged"), [(waste.MOST_ADDED_UP, waste.MOST_MERGED), (0, 10), (0, 0)])
def test_wasted_energy_is_that_of_failed_and_cancelled_runs_and_of_idle_accelerators(
    alice, wire, profile, monkeypatch, added_up, merged
):
    monkeypatch.setattr(waste, "MOST_ADDED_UP", added_up)
    monkeypatch.setattr(waste, "MOST_MERGED", merged)
    for status in ("failed", "cancelled", "completed"):
        run_id = wire.start(name=status)
        wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 3600, 3.6e6)], [METERED]))
        wire.finish(run_id, status=status)
    idle_id = wire.whole_run([sample("gpu-0", 3600, 0)], [A100], name="idle")
    page = alice.read("/")
    rows = {row[0].split()[0]: row for row in table(page, "waste-title")}
    assert (rows["Failed"][1], rows["Cancelled"][1]) == ("1", "1")
    assert rows["Idle"][1] == "0.05"  # an hour at 50 W
    found = links(page, "waste-title")
    assert [name.split()[0] for name in alice.read(found["Failed runs"]).column(0)] == ["failed"]
    (idle,) = (row for row in table(page, "wasted-title") if row[0].startswith("idle"))
    assert idle[1:] == ["Idle accelerators", "50 Wh"]
    assert links(page, "wasted-title")["idle"] == f"/runs/{idle_id}/"


def test_a_service_that_was_switched_off_or_fell_silent_wasted_nothing(alice, wire, profile):
    wire.finish(wire.whole_run(kind="inference", devices=[METERED]), status="stopped")
    wire.send(wire.start(kind="inference"), "b-1", batch([sample("gpu-0", 60, 60, 1e5)], [METERED]))
    Run.objects.update(last_seen_at=datetime.now(UTC) - timedelta(days=1))
    assert "Lost runs" not in alice.read("/").text
    assert "Failed runs" not in alice.read("/").text


def test_without_waste_there_is_no_table_of_it(alice, wire, profile):
    wire.whole_run([sample("gpu-0", 3600, 3600, 3.6e6)], [METERED])
    assert "Wasted energy" not in alice.read("/").text


def test_the_year_by_day_says_its_sentence_and_its_days_lead_to_their_runs(alice, run):
    run(kwh=1.0)
    run(kwh=3.0, started_at=ago(days=100), writer_started_at=ago(days=100))
    page = alice.read("/", show="kwh")
    (svg,) = (each for each in page.root.all("svg") if each.attributes.get("class") == "heat-map")
    assert "4 kWh on 2 days" in svg.attributes["aria-label"]
    days = [link.attributes["href"] for link in svg.all("a")]
    assert len(days) == 2
    runs_of_day = alice.get(days[0], {})
    assert len(alice.read(f"/runs/{runs_of_day.url}").table()) == 1
    weeks = table(page, "year-title")
    assert [sum(float(kwh) for kwh in week[1:]) for week in weeks] == [1.0, 3.0]
    assert figures(alice.read(links(page, "year-title")[weeks[1][0]]))[1] == pytest.approx(3.0)


def test_equivalences_are_of_the_period_and_can_be_switched_off(alice, run, people):
    run(kwh=1.16)
    run(kwh=50.0, started_at=ago(days=20), writer_started_at=ago(days=20))
    assert "100 phone charges" in alice.read("/", range="7").text
    User.objects.filter(pk=people.alice.pk).update(shows_equivalences=False)
    assert "phone charges" not in alice.read("/", range="7").text


def test_every_figure_has_a_sparkline_with_a_sentence(alice, run):
    run(kwh=1.0)
    lines = alice.read("/").one("dl").all("svg")
    assert len(lines) == 5
    assert lines[1].attributes["aria-label"].startswith("At most 1 kWh, on ")
