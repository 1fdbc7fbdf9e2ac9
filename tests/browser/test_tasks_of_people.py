"""What a team lead and a researcher want to know, found by clicks alone."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from runs.models import ApiToken, Project, Team
from tests.wire import A100, Wire, ago, batch, sample

pytestmark = pytest.mark.browser

CARD = A100 | {"basis": "counter"}
KWH = 3.6e6
#: Where the middle of the bar of a label is in the window.
MIDDLE = """([canvas, label]) => {
    const chart = Chart.getChart(canvas);
    const bar = chart.getDatasetMeta(0).data[label];
    const [place, box] = [bar.getCenterPoint(), canvas.getBoundingClientRect()];
    return [box.x + place.x, box.y + place.y];
}"""
FILL = "(label) => { const set = Chart.getChart(document.querySelector('canvas')).getDatasetMeta(0); return typeof set.data[label].options.backgroundColor; }"  # noqa: E501


@pytest.fixture
def night(wire) -> datetime:
    """A run over a midnight two days ago, most of it after, and a short one before; returns that midnight, UTC."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
    for name, hours, kwh in (("over midnight", 1, (1.0, 9.0)), ("before", 3, (4.0, 4.0))):
        begun = (midnight - timedelta(hours=hours)).isoformat()
        end_s = 7200 if hours == 1 else 3601
        run_id = wire.start(name=name, model="vit", started_at=begun, writer_started_at=begun, tags=[name])
        rows = [sample("gpu-0", 3599, 3599, kwh[0] * KWH), sample("gpu-0", end_s, end_s, kwh[1] * KWH)]
        wire.send(run_id, "b-1", batch(rows, [CARD]))
        wire.finish(run_id, ended_at=(midnight + timedelta(hours=1)).isoformat())
    return midnight


@pytest.fixture
def second_team(people, client) -> Team:
    """Another team of Alice's, with a run of today."""
    team = Team.found("Robotics", people.alice)
    project = Project.make(team, "Arm")
    sender = Wire(client, ApiToken.issue(project, "t", ["ingest"], people.alice)[1])
    sender.whole_run([sample("gpu-0", 3600, 3600, 2 * KWH)], [CARD], name="grasp", model="arm")
    return team


def test_a_team_lead_finds_out_which_runs_made_a_day(tab, people, night):
    people.alice.time_zone = "America/Los_Angeles"
    people.alice.save()
    page = tab.sign_in().open("/?show=kwh&range=7")
    canvas = page.locator("figure.chart canvas").element_handle()
    canvas.scroll_into_view_if_needed()
    page.mouse.click(*page.evaluate(MIDDLE, [canvas, 4]))
    page.wait_for_url(f"**since={night.date()}&until={night.date()}**")
    assert page.locator("#found tbody th > a").all_inner_texts() == ["over midnight"]
    used = page.locator('#found td[data-label^="Energy on these days"] data')
    assert float(used.get_attribute("value")) == pytest.approx(8.0)
    expect(page.locator("#total")).to_contain_text("8 kWh")
    assert tab.complaints == []


def test_whoever_is_in_two_teams_switches_between_them_and_sees_which_it_is(tab, night, second_team):
    page = tab.sign_in().open("/?show=kwh&team=vision-lab")
    expect(page.locator("h1 + p")).to_contain_text("Vision lab")
    page.locator("details.teams summary").click()
    page.get_by_role("link", name="Robotics").click()
    page.wait_for_url("**team=robotics**")
    expect(page.locator("#key-figures")).to_contain_text("2 kWh")
    page.get_by_role("link", name="Runs", exact=True).first.click()
    page.wait_for_url("**/runs/?team=robotics**")
    assert page.locator("#found tbody th > a").all_inner_texts() == ["grasp"]
    assert "Robotics" in page.title()
    page.locator("details.teams summary").click()
    page.get_by_role("link", name="All my teams").click()
    page.wait_for_url("**team=all**")
    assert page.locator("#found tbody th > a").count() == 3
    assert tab.complaints == []


def test_paper_and_picture_say_team_and_days(tab, night):
    page = tab.sign_in().open("/")
    figure = page.locator("figure.chart")
    assert figure.get_attribute("data-title")
    assert re.search(r"Vision lab · \d+ \w+ \d{4} – .*, days in UTC", figure.get_attribute("data-about"))
    expect(page.locator(".on-paper")).to_be_hidden()
    page.emulate_media(media="print")
    expect(page.locator(".on-paper")).to_contain_text(f"Vision lab · as of {datetime.now(UTC):%-d %b %Y}")


def test_back_shows_the_filter_that_is_in_force(tab, night):
    page = tab.sign_in().open("/runs/")
    page.locator("#state").select_option("failed")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.wait_for_url("**state=failed**")
    page.go_back()
    page.wait_for_url("**/runs/")
    expect(page.locator("#state")).to_have_value("")
    assert page.locator("#found tbody tr").count() == 2


def test_a_day_that_goes_on_is_hatched_and_said(tab, night, wire):
    wire.whole_run([sample("gpu-0", 60, 60, KWH)], [CARD], model="vit", started_at=ago(seconds=60))
    page = tab.sign_in().open("/?range=7")
    expect(page.locator("#trend-words")).to_contain_text("Today is not over yet.")
    assert page.evaluate(FILL, 6) == "object"  # a pattern
    assert page.evaluate(FILL, 4) == "string"


def test_a_model_has_one_colour_in_every_period(tab, night, wire):
    for model, days in (("a", 20), ("b", 5), ("c", 1)):
        at = ago(days=days)
        wire.whole_run([sample("gpu-0", 3600, 3600, 2 * KWH)], [CARD], model=model, started_at=at, writer_started_at=at)
    colour = """(name) => Chart.getChart(document.querySelector("canvas")).data.datasets
        .find((one) => one.label === name).borderColor && Chart.getChart(document.querySelector("canvas"))
        .getDatasetMeta(Chart.getChart(document.querySelector("canvas")).data.datasets
        .findIndex((one) => one.label === name)).data[0].options.backgroundColor"""
    tab.sign_in()
    seen = {tab.open(f"/?range={days}").evaluate(colour, "vit") for days in ("7", "30", "90")}
    assert len(seen) == 1


def test_a_lead_opens_the_others_and_chooses_months(tab, wire):
    for n in range(10):
        name = f"Card number {n}"
        wire.whole_run([sample("gpu-0", 60, 60, KWH)], [CARD | {"name": name}], model="vit")
    page = tab.sign_in().open("/")
    page.get_by_role("link", name="Month", exact=True).last.click()
    page.wait_for_url("**bars=month**")
    expect(page.locator("#trend-title")).to_have_text("Emissions per month")
    page.get_by_role("link", name="Quarter").click()
    page.wait_for_url("**range=quarter**")
    expect(page.locator("h1 + p")).to_contain_text(f"Q{(datetime.now(UTC).month + 2) // 3} {datetime.now(UTC).year}")
    assert tab.complaints == []


def test_the_pages_hold_on_a_phone_and_in_the_dark(tab, context, night, second_team):
    tab.sign_in()
    for width in (1280, 390):
        tab.page.set_viewport_size({"width": width, "height": 900})
        for path in (
            "/?team=all&whole=member",
            f"/runs/?team=all&since={night.date()}&column=member&column=idle&column=energy",
        ):
            for scheme in ("light", "dark"):
                tab.page.emulate_media(color_scheme=scheme)
                assert tab.problems(path) == [], (path, width, scheme)
