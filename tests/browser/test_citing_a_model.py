"""A researcher gets one honest sentence for a paper, from the list of models to the clipboard."""

import re

import pytest

from tests.wire import batch, sample

pytestmark = pytest.mark.browser


@pytest.fixture
def trainings(wire, run_id) -> list[str]:
    """Besides the run that the browser's tests share: two more with a metric, the first of which failed."""
    ids = []
    card = {"key": "gpu-0", "kind": "gpu", "name": "NVIDIA A100-SXM4-40GB", "uuid": "GPU-2", "basis": "counter"}
    for number, status in enumerate(["failed", "completed"]):
        ids.append(wire.start(name=f"attempt {number}"))
        metrics = [{"t_s": 5, "name": "loss", "value": 0.5 + number}]
        wire.send(ids[-1], "b-1", batch([sample("gpu-0", 3600, 1800, 7.2e6)], [card], metrics=metrics))
        wire.finish(ids[-1], status=status)
    return ids


def test_a_researcher_gets_one_honest_sentence_for_a_paper(tab, context, trainings):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = tab.sign_in().open("/models/")
    page.get_by_role("link", name="resnet-50").click()
    page.get_by_role("link", name="Cite").click()
    page.locator("section", has_text="Sentence, LaTeX").get_by_role("button", name="Copy").click()
    sentence = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(
        r"Training resnet-50 \(3 runs, .+, 1 of them failed, cancelled or lost\) used .+~kWh of electricity "
        r"\(.+--.+~kWh; .+\) on NVIDIA A100 SXM4 40GB .+, which corresponds to .+CO\\textsubscript\{2\}e "
        r"\(.+\) at 0\.458~kg~CO\\textsubscript\{2\}e per kWh, the world average of 2025, and a PUE of 1, "
        r"as tracked by TraceML until .+~\\cite\{traceml,factor2025-\d+\}\.\n",
        sentence,
    )
    page.get_by_role("link", name="Final run only").click()
    assert "The final training run of resnet-50" in page.locator("#text-tex").inner_text()
    assert tab.complaints == []


def test_a_point_leads_to_its_run(tab, trainings):
    page = tab.sign_in().open("/models/digits/resnet-50/")
    spot = page.evaluate(
        """(id) => {
            const figure = document.querySelector('figure[data-chart="energies"]');
            figure.scrollIntoView();
            const chart = TraceCharts.chartOf(figure);
            const box = chart.canvas.getBoundingClientRect();
            for (const [set, dataset] of chart.data.datasets.entries())
                for (const [n, point] of dataset.data.entries())
                    if (point.of.id === id) {
                        const at = chart.getDatasetMeta(set).data[n];
                        return { x: box.x + at.x, y: box.y + at.y };
                    }
        }""",
        trainings[0],
    )
    page.mouse.click(spot["x"], spot["y"])
    page.wait_for_url("**/runs/**")
    assert tab.complaints == []


def test_the_choice_of_a_metric_is_in_the_address(tab, trainings):
    page = tab.sign_in().open("/models/digits/resnet-50/?better=higher")
    page.get_by_label("Value per run").select_option("best")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**metric=loss&value=best**better=higher**")
    assert "higher is better" in page.locator('figure[data-chart="tradeoff"] figcaption').inner_text()
    assert tab.complaints == []


def test_notes_are_written_and_read(tab, trainings):
    page = tab.sign_in().open("/models/digits/resnet-50/")
    page.get_by_role("link", name="Add notes").click()
    page.get_by_label("Notes").fill("Trained on **ImageNet** <script>alert(1)</script>")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/models/digits/resnet-50/#notes")
    assert page.locator(".written strong").inner_text() == "ImageNet"
    assert "<script>alert(1)</script>" in page.locator(".written").inner_text()
    assert tab.complaints == []
