"""The overview as a lead uses it: what made last month expensive, who and what it was, and how it goes on now."""

import pytest

from tests import people as cast
from tests.wire import A100, batch, noon, sample

pytestmark = pytest.mark.browser

CARD = A100 | {"basis": "counter"}
#: So that nothing waits for the three seconds between two polls.
HURRY = (
    "const later = setTimeout; window.setTimeout = (work, ms, ...more) => later(work, ms >= 3000 ? 100 : ms, ...more);"
)
#: Where the middle of a bar is in the window.
MIDDLE = """([canvas, series, label]) => {
    const chart = Chart.getChart(canvas);
    const set = chart.data.datasets.findIndex((one) => one.label === series);
    const bar = chart.getDatasetMeta(set).data[chart.data.labels.length - 1 - label];
    const [place, box] = [bar.getCenterPoint(), canvas.getBoundingClientRect()];
    return [box.x + place.x, box.y + place.y];
}"""

#: All that the bars add up to.
DRAWN = """Chart.getChart(document.querySelector("canvas")).data.datasets
    .flatMap((set) => set.data).reduce((a, b) => a + b)"""


@pytest.fixture
def month(wire) -> dict[str, str]:
    """Three runs of the last weeks by their names; `expensive` used the most, ten days ago."""
    made = {}
    for name, model, days, kwh in [
        ("cheap", "bert", 10, 1.0),
        ("expensive", "vit", 10, 40.0),
        ("other", "vit", 4, 2.0),
    ]:
        at = noon(days)
        about = {"name": name, "model": model, "started_at": at, "writer_started_at": at, "tags": [name]}
        made[name] = wire.whole_run([sample("gpu-0", 3600, 1800, kwh * 3.6e6)], [CARD], **about)
    return made


def bar(page, series: str, days_ago: int) -> tuple[float, float]:
    canvas = page.locator("figure.chart canvas").element_handle()
    canvas.scroll_into_view_if_needed()
    return tuple(page.evaluate(MIDDLE, [canvas, series, days_ago]))


def test_a_lead_finds_what_made_the_month_expensive(tab, month):
    page = tab.sign_in().open("/?show=kwh")
    page.mouse.click(*bar(page, "vit", 10))
    page.wait_for_url("**/runs/?**model=digits%2Fvit**")
    assert page.locator("#found tbody th > a").all_inner_texts() == ["expensive"]
    page.get_by_role("link", name="expensive", exact=True).click()
    page.wait_for_url(f"**/runs/{month['expensive']}/")
    assert tab.complaints == []


def test_the_keyboard_gets_there_by_the_table(tab, month):
    page = tab.sign_in().open("/?show=kwh")
    page.locator("figure.chart summary").focus()
    page.keyboard.press("Enter")
    row = page.locator("#trend-table tbody tr").nth(-11)
    row.get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/?**")
    assert sorted(page.locator("#found tbody th > a").all_inner_texts()) == ["cheap", "expensive"]
    assert tab.complaints == []


def test_filters_and_days_work_without_javascript(live_server, chromium, month):
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(live_server.url + "/accounts/login/")
        page.get_by_label("Email").fill("alice@example.org")
        page.get_by_label("Password", exact=True).fill(cast.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.locator("#filters summary").click()
        page.get_by_label("Tag").fill("cheap")
        page.get_by_role("button", name="Apply").click()
        page.get_by_role("link", name="Tag cheap").wait_for()
        assert page.locator("#key-figures data").nth(1).get_attribute("value") == "1.0"
        assert page.locator("#trend-table tbody tr").count() == 30
        assert page.locator("svg.heat-map a").count() == 1


def test_the_cumulative_line_has_an_axis_of_its_own(tab, month):
    page = tab.sign_in().open("/")
    assert page.evaluate("Object.keys(Chart.getChart(document.querySelector('canvas')).scales)") == ["x", "y"]
    page.get_by_role("link", name="Cumulative").click()
    page.wait_for_url("**line=sum**")
    page.wait_for_load_state()
    assert page.evaluate("Object.keys(Chart.getChart(document.querySelector('canvas')).scales)") == ["x", "y", "sum"]
    assert tab.complaints == []


def test_what_runs_grows_and_chart_sentence_and_table_grow_with_it(tab, wire, month):
    run_id = wire.start(name="growing", model="bert", flush_s=30)
    wire.send(run_id, "b-1", batch([sample("gpu-0", 600, 300, 3.6e6)], [CARD]))
    tab.page.add_init_script(HURRY)
    page = tab.sign_in().open("/?show=kwh")
    wire.send(run_id, "b-2", batch([sample("gpu-0", 1200, 600, 60 * 3.6e6)], [CARD]))
    page.locator("#active").get_by_text("20 min", exact=True).wait_for()
    page.locator("#trend-words").get_by_text("103 kWh in total").wait_for()
    page.wait_for_function(f"Math.abs({DRAWN} - 103) < 0.01")
    assert "103 kWh in total" in page.locator("figure.chart canvas").get_attribute("aria-label")
    assert float(page.locator("#key-figures data").nth(1).get_attribute("value")) == pytest.approx(103)
    wire.finish(run_id)
    page.get_by_role("heading", name="Running now").wait_for(state="detached")
    assert tab.complaints == []


def test_on_paper_there_are_figures_and_charts_but_nothing_to_press(tab, month):
    page = tab.sign_in().open("/")
    page.emulate_media(media="print")
    for shown in ("#key-figures", "figure.chart canvas", "svg.heat-map", "#by-member"):
        assert page.locator(shown).is_visible(), shown
    for hidden in ("#filters", ".choices >> nth=0", "button.png", "figure.chart details"):
        assert not page.locator(hidden).is_visible(), hidden
