"""Metrics as a reader meets them: the curve with its extreme, the direction that is kept, the column to sort by."""

import pytest

from tests.wire import A100, batch, sample

pytestmark = pytest.mark.browser

CARD = A100 | {"basis": "counter"}
DRAWN = "canvas => Chart.getChart(canvas).data.datasets[0].data.map((point) => point.y)"
#: How far the line goes up, in the chart's own scale.
HIGHEST = """canvas => {
    const chart = Chart.getChart(canvas);
    const heights = chart.getDatasetMeta(0).data.map((point) => point.y);
    return [chart.scales.y.getValueForPixel(Math.min(...heights)), Math.min(...heights) - chart.chartArea.top];
}"""


@pytest.fixture
def spiked(wire) -> str:
    """A run whose metric was 1.0 a thousand times, but for number 502."""
    run_id = wire.start(name="spiked")
    samples = [sample("gpu-0", 60.0 * n, 30.0 * n, 6000.0 * n) for n in range(1, 61)]
    metrics = [{"t_s": 3.0 * n, "name": "quirk", "value": 50.0 if n == 502 else 1.0} for n in range(1000)]
    metrics.append({"t_s": 3500, "name": "test_accuracy", "value": 0.93417})
    assert wire.send(run_id, "b-1", batch(samples, [CARD], metrics=metrics)).status_code == 201
    assert wire.finish(run_id).status_code == 200
    return run_id


def test_the_one_value_of_a_thousand_that_was_best_is_drawn(tab, spiked):
    page = tab.sign_in().open(f"/runs/{spiked}/")
    canvas = page.locator("#learned canvas")
    assert 50 in canvas.evaluate(DRAWN)
    value, below_top_px = canvas.evaluate(HIGHEST)
    assert value == pytest.approx(50, rel=0.01)
    assert below_top_px >= 0


def test_a_metric_logged_once_is_a_key_figure(tab, spiked):
    page = tab.sign_in().open(f"/runs/{spiked}/")
    figure = page.locator("#figures .result")
    assert "test_accuracy" in figure.inner_text()
    assert "0.93417" in figure.inner_text()


def test_a_direction_is_chosen_by_a_click_and_kept(tab, spiked):
    page = tab.sign_in().open(f"/runs/{spiked}/")
    chosen = page.locator('#learned button[aria-pressed="true"]')
    assert chosen.inner_text() == "Higher is better"
    page.locator("#learned").get_by_role("button", name="Lower is better").click()
    page.wait_for_url("**#learned")
    assert chosen.inner_text() == "Lower is better"
    model = tab.open("/models/digits/resnet-50/?metric=quirk")
    assert model.locator('button[aria-pressed="true"]').inner_text() == "Lower is better"
    assert "lower is better" in model.locator("main").inner_text()
    assert tab.complaints == []


def test_a_metric_becomes_a_column_and_its_head_sorts(tab, wire, spiked):
    other = wire.start(name="other")
    wire.send(other, "b-1", batch([], [], metrics=[{"t_s": 1, "name": "quirk", "value": 7.0}]))
    page = tab.sign_in().open("/runs/")
    page.get_by_text("More filters, columns and groups").click()
    page.get_by_label("quirk").check()
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("columnheader", name="quirk").get_by_role("link").click()
    values = page.locator('td[data-label="quirk"]')
    assert values.all_inner_texts() == ["7", "1"]
    page.get_by_role("columnheader", name="quirk").get_by_role("link").click()
    assert values.all_inner_texts() == ["1", "7"]


@pytest.mark.parametrize("width_px", [1280, 390])
def test_pages_with_metrics_fit(tab, wire, run_id, spiked, width_px):
    tab.sign_in()
    tab.page.set_viewport_size({"width": width_px, "height": 900})
    for path in (
        f"/runs/{spiked}/",
        "/runs/?metric=quirk&metric=loss&value=best",
        f"/compare/?run={spiked}&run={run_id}",
    ):
        assert tab.problems(path) == []
