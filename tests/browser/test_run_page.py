"""A run's page in use: why it was expensive, a part of it, a run that goes on, two runs side by side."""

import re

import pytest
from playwright.sync_api import expect

from runs.models import Run
from tests.wire import A100, ago, batch, sample

pytestmark = pytest.mark.browser

CARD = A100 | {"basis": "counter"}
HOSTILE = "</script><img src=x onerror=alert(1)> نموذج🚀"
#: The script asks again sooner, so that a test need not wait; nothing else of the page is changed.
HURRY = "const later = setTimeout; window.setTimeout = (work, ms, ...more) => later(work, Math.min(ms, 150), ...more);"
SHOWN = """canvas => {
    const chart = Chart.getChart(canvas);
    return { min: chart.scales.x.min, max: chart.scales.x.max, points: chart.data.datasets[0].data.length };
}"""


def charts(page) -> list[dict]:
    return [canvas.evaluate(SHOWN) for canvas in page.locator("#over-time canvas").all()]


def words(page) -> str:
    return page.locator("#span-words").inner_text()


@pytest.fixture
def running(wire) -> str:
    """A run that goes on, at 300 W for five minutes so far."""
    run_id = wire.start(started_at=ago(minutes=20), flush_s=300, name="going on")
    wire.send(run_id, "b-1", batch([sample("gpu-0", t, t / 2, 300.0 * t) for t in range(10, 301, 10)], [CARD]))
    return run_id


def more(wire, run_id: str) -> None:
    """Another five minutes."""
    samples = [sample("gpu-0", t, t / 2, 300.0 * t) for t in range(310, 601, 10)]
    assert wire.send(run_id, "b-2", batch(samples, [CARD])).status_code == 201


def test_alice_sees_why_a_run_was_expensive(tab, run_id):
    page = tab.sign_in().open(f"/runs/{run_id}/")
    assert "loss" in page.locator("#finding").inner_text()
    page.get_by_role("link", name="epoch 3", exact=True).click()
    expect(page.locator("#span-words")).not_to_be_empty()
    assert words(page).startswith("From 30 min to 40 min: 52.6 Wh in 10 min, 316 W on average")
    assert [(each["min"], each["max"]) for each in charts(page)] == [(30, 40)] * 3
    assert page.url.endswith("?start=1800&end=2400")
    assert tab.complaints == []


def test_dragging_over_a_chart_shows_that_part_of_all_of_them(tab, run_id):
    page = tab.sign_in().open(f"/runs/{run_id}/")
    canvas = page.locator("#over-time canvas").nth(1)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40, steps=5)
    page.mouse.up()
    expect(page.locator("#span-words")).not_to_be_empty()
    shown = charts(page)
    assert all(20 < each["min"] < each["max"] < 40 for each in shown)
    assert len({(each["min"], each["max"]) for each in shown}) == 1


def test_the_keyboard_chooses_a_part_and_the_back_button_restores_the_one_before(tab, run_id):
    page = tab.sign_in().open(f"/runs/{run_id}/")
    for start, end in (("600", "1200"), ("1200", "2400")):
        page.get_by_label("From (s)").fill(start)
        page.get_by_label("To (s)").fill(end)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**?start={start}&end={end}")
    assert words(page).startswith("From 20 min to 40 min")
    page.go_back()
    expect(page.locator("#span-words")).to_contain_text("From 10 min to 20 min")
    assert page.get_by_label("From (s)").input_value() == "600"
    page.go_back()
    expect(page.locator("#span-words")).to_be_empty()
    assert [(each["min"], each["max"]) for each in charts(page)] == [(0, 1)] * 3
    page.go_forward()
    expect(page.locator("#span-words")).to_contain_text("From 10 min to 20 min")


def test_the_sentence_and_the_table_are_those_of_the_part(tab, run_id):
    page = tab.sign_in().open(f"/runs/{run_id}/")
    figure = page.locator("#over-time figure").first
    figure.get_by_text("Show as table").click()
    assert figure.locator("tbody tr").count() == 60
    page.get_by_label("From (s)").fill("600")
    page.get_by_label("To (s)").fill("1200")
    page.keyboard.press("Enter")
    page.wait_for_url("**?start=600&end=1200")
    assert "over 10 min" in figure.locator("figcaption").inner_text()
    assert figure.locator("canvas").get_attribute("aria-label") == figure.locator("figcaption").inner_text()
    assert figure.locator("tbody tr").count() == 10
    total = sum(float(each.get_attribute("value")) for each in figure.locator("tfoot data").all())
    assert total == pytest.approx(Run.objects.get(run_id=run_id).energy_kwh / 6)


def test_a_live_run_grows_on_the_page_without_a_reload(tab, wire, running):
    tab.page.add_init_script(HURRY)
    page = tab.sign_in().open(f"/runs/{running}/")
    page.evaluate("window.stillHere = true")
    figure = page.locator("#over-time figure").first
    figure.get_by_text("Show as table").click()
    before = charts(page)
    more(wire, running)
    expect(page.locator("#over-time figcaption").first).to_contain_text("over 10 min")
    assert [each["max"] for each in charts(page)] == [10] * 3
    assert all(
        now["points"] == pytest.approx(2 * was["points"], abs=1) for was, now in zip(before, charts(page), strict=True)
    )
    assert "over 10 min: 300 W on average" in figure.locator("figcaption").inner_text()
    assert figure.locator("tbody tr").count() == 60
    assert page.locator("[data-figure=energy]").inner_text().split() == ["50", "Wh"]
    wire.finish(running)
    expect(page.locator("#facts")).to_contain_text("Completed")
    assert page.evaluate("window.stillHere")
    assert tab.complaints == []


def test_a_table_that_is_opened_after_the_run_grew_is_of_all_of_it(tab, wire, running):
    tab.page.add_init_script(HURRY)
    page = tab.sign_in().open(f"/runs/{running}/")
    more(wire, running)
    figure = page.locator("#over-time figure").first
    expect(figure.locator("figcaption")).to_contain_text("over 10 min")
    figure.get_by_text("Show as table").click()
    expect(figure.locator("tbody tr")).to_have_count(60)
    total = sum(float(each.get_attribute("value")) for each in figure.locator("tfoot data").all())
    assert total == pytest.approx(Run.objects.get(run_id=running).energy_kwh)
    assert tab.complaints == []


def test_the_zoom_survives_an_update(tab, wire, running):
    tab.page.add_init_script(HURRY)
    page = tab.sign_in().open(f"/runs/{running}/")
    page.get_by_label("From (s)").fill("60")
    page.get_by_label("To (s)").fill("120")
    page.keyboard.press("Enter")
    page.wait_for_url("**?start=60&end=120")
    more(wire, running)
    expect(page.locator("[data-figure=energy]")).to_contain_text("50")
    assert [(each["min"], each["max"]) for each in charts(page)] == [(1, 2)] * 3
    page.get_by_role("link", name="Whole run").click()
    expect(page.locator("#over-time figcaption").first).to_contain_text("over 10 min")


def test_a_lost_run_comes_back_when_its_data_do(tab, wire, running):
    Run.objects.update(last_seen_at=ago(hours=1))
    tab.page.add_init_script(HURRY)
    page = tab.sign_in().open(f"/runs/{running}/")
    assert "Lost" in page.locator("#facts").inner_text()
    more(wire, running)
    expect(page.locator("#facts")).to_contain_text("Running")


def test_a_chart_is_saved_as_a_picture(tab, run_id):
    page = tab.sign_in().open(f"/runs/{run_id}/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").first.click()
    assert download.value.suggested_filename == "power.png"
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    assert tab.complaints == []


def test_alice_compares_two_runs(tab, run_id):
    page = tab.sign_in().open("/runs/")
    for box in page.locator(".rows input[type=checkbox][name=run]").all()[:2]:
        box.check()
    page.get_by_role("button", name=re.compile("^Compare")).click()
    page.wait_for_url("**/compare/?*")
    assert page.locator("#figures .compared").count() == 2
    page.get_by_role("link", name="Stage", exact=True).click()
    page.wait_for_url("**by=stage**")
    assert page.locator("#curves-title").inner_text() == "Power by stage"
    page.get_by_role("link", name="as base").click()
    page.wait_for_url("**base=**")
    assert tab.complaints == []


def test_hostile_names_are_text_in_charts_legends_tables_and_files(tab, wire):
    device = CARD | {"name": HOSTILE[:100]}
    run_id = wire.start(name=HOSTILE, started_at=ago(minutes=20), flush_s=300)
    stages = [{"id": "1", "name": HOSTILE, "start_s": 0, "end_s": 300}]
    metrics = [{"t_s": t, "name": HOSTILE, "value": t} for t in (100, 200, 300)]
    samples = [sample("gpu-0", t, t / 2, 300.0 * t) for t in range(10, 301, 10)]
    assert wire.send(run_id, "b-1", batch(samples, [device], stages=stages, metrics=metrics)).status_code == 201
    page = tab.sign_in().open(f"/runs/{run_id}/")
    for summary in page.get_by_text("Show as table").all():
        summary.click()
    page.locator("#stages a").click()
    expect(page.locator("#span-words")).not_to_be_empty()
    assert page.locator("img").count() == 0
    with page.expect_download() as download:
        page.locator("#learned").get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename == "learning.png"
    assert tab.complaints == []
