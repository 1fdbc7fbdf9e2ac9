"""Power over time: what a bucket's mean stands for is drawn over all of the bucket, however devices are stacked."""

import pytest

from tests.wire import A100, CPU, batch, sample

pytestmark = pytest.mark.browser

CARD = A100 | {"basis": "counter"}
#: Both ends of each bucket as the browser drew them: the instants, and the height of each line's upper edge there.
DRAWN = """canvas => {
    const chart = Chart.getChart(canvas);
    const { x, y } = chart.scales;
    return chart.data.datasets.map((_, n) => chart.getDatasetMeta(n).data.map((point) =>
        point.skip ? [x.getValueForPixel(point.x), null] : [x.getValueForPixel(point.x), y.getValueForPixel(point.y)]));
}"""


@pytest.fixture
def restless(wire) -> str:
    """A run whose card and processor change their power in turns, with a silence of the card in between."""
    run_id = wire.start()
    card_j, samples = 0.0, []
    for n in range(1, 13):
        card_j += 600 * (100 if n % 2 else 400)
        if n not in (6, 7):
            samples.append(sample("gpu-0", 600.0 * n, 300.0 * n, card_j))
        samples.append(sample("cpu-0", 600.0 * n, 600.0 * (n - n // 3)))
    assert wire.send(run_id, "b-1", batch(samples, [CARD, CPU])).status_code == 201
    return run_id


def buckets(line: list) -> list[tuple]:
    return list(zip(line[0::2], line[1::2], strict=True))


def test_each_buckets_mean_is_level_over_the_whole_bucket(tab, restless):
    page = tab.sign_in().open(f"/runs/{restless}/")
    lines = page.locator("canvas").first.evaluate(DRAWN)
    assert len(lines) == 2
    for line in lines:
        for (_, height), (_, height_at_its_end) in buckets(line):
            assert height_at_its_end == pytest.approx(height)


def test_buckets_follow_each_other_without_a_slope_between(tab, restless):
    page = tab.sign_in().open(f"/runs/{restless}/")
    for line in page.locator("canvas").first.evaluate(DRAWN):
        ends = [end for _, (end, _) in buckets(line)]
        starts = [start for (start, _), _ in buckets(line)]
        assert starts[1:] == pytest.approx(ends[:-1], abs=1e-4)


def test_a_line_stands_on_the_one_below(tab, restless):
    page = tab.sign_in().open(f"/runs/{restless}/")
    chart = page.locator("canvas").first.evaluate(
        "canvas => Chart.getChart(canvas).data.datasets.map((one) => one.data)"
    )
    upper = page.locator("canvas").first.evaluate(DRAWN)[1]
    for drawn, below, own in zip(upper, *chart, strict=True):
        assert drawn[1] == pytest.approx((below["y"] or 0) + own["y"])


def test_over_each_other_means_are_level_from_the_beginning(tab, restless):
    page = tab.sign_in().open(f"/compare/?run={restless}")
    canvas = page.locator("canvas").first
    stepped, (first, second) = canvas.evaluate("""canvas => {
        const { datasets: [line] } = Chart.getChart(canvas).data;
        return [line.stepped, line.data.slice(0, 2)];
    }""")
    assert stepped == "after"
    assert (first["x"], first["y"]) == (0, second["y"])
