"""What a team lead, a researcher and a reader come for, by clicks alone."""

import re

import pytest
from playwright.sync_api import expect

from hardware.models import HardwareProfile
from runs.jobs import reestimate
from runs.models import EmissionFactor
from tests.browser.conftest import Tab
from tests.wire import CPU, ago, batch, sample

pytestmark = pytest.mark.browser

GPU = {"key": "gpu-0", "kind": "gpu", "name": "NVIDIA A100-SXM4-40GB", "uuid": "GPU-2", "basis": "counter"}


@pytest.fixture
def sweep(wire, run_id) -> None:
    """Trainings with a loss, and the tuning of the best of them."""
    runs = [(10, 0.5, "best"), (2, 0.505, "near"), (1, 0.9, "bad"), (0.2, 0.6, "lora")]
    for kwh, loss, name in runs:
        kind = "finetuning" if name == "lora" else "training"
        own = wire.start(name=name, kind=kind, model="sweep")
        metrics = [{"t_s": 60, "name": "loss", "value": loss}]
        wire.send(own, "b-1", batch([sample("gpu-0", 3600, 1800, kwh * 3.6e6)], [GPU], metrics=metrics))
        wire.finish(own)


def test_a_researcher_finds_the_cheapest_run_that_is_good_enough(tab, sweep):
    page = tab.sign_in().open("/models/")
    page.get_by_role("link", name="sweep").click()
    found = page.locator("#cheapest")
    assert "within 2\u00a0% of the best loss" in found.inner_text()
    assert found.get_by_role("link").first.inner_text() == "near"
    page.get_by_label("Good enough").select_option("0.5")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**within=0.5**")
    assert page.locator("#cheapest").get_by_role("link").first.inner_text() == "best"
    figure = page.locator('figure[data-chart="tradeoff"]')
    figure.get_by_text("Show as table").click()
    figure.get_by_role("link", name="loss").click()
    page.wait_for_url("**sort=value**")
    assert page.locator('figure[data-chart="tradeoff"] tbody data').first.is_visible()
    page.get_by_label("Kind", exact=True).select_option("finetuning")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**of=finetuning**")
    assert page.locator("#cheapest").get_by_role("link").first.inner_text() == "lora"
    assert tab.complaints == []


def test_a_researcher_gets_all_attempts_and_the_final_run_in_one_sentence(tab, sweep):
    page = tab.sign_in().open("/models/digits/sweep/")
    page.get_by_role("link", name="Cite").click()
    sentence = page.locator("#text-md").inner_text().replace("\u00a0", " ")
    assert sentence.startswith("Training sweep (4 runs, ")
    assert "GPU-hours" in sentence
    assert "Of this, the final training run and its finetuning" in sentence
    assert "by the final training run and its finetuning alone" in page.locator("#text-yaml").inner_text()
    assert tab.complaints == []


def test_a_team_lead_sees_why_the_total_is_another_one_than_last_month(tab, wire, run_id):
    wire.whole_run([sample("cpu-0", 3600, 3600)], [CPU], model="estimated")
    HardwareProfile.objects.create(slug="cpu", name=CPU["name"], kind="cpu", tdp_w=500, cores=64)
    reestimate.request("The processor is in the catalogue now")
    reestimate.work_off()
    page = tab.sign_in().open("/")
    told = page.locator(".corrections")
    assert "Recalculated" in told.inner_text()
    assert "The processor is in the catalogue now" in told.inner_text()
    assert "Recalculated" in page.locator("#trend-words").inner_text()
    assert tab.problems("/") == []


def test_a_reader_of_a_comparison_sees_that_the_factor_differs(tab, wire, run_id):
    first = wire.whole_run([sample("gpu-0", 3600, 1800, 3.6e6)], [GPU], name="before")
    EmissionFactor.objects.create(kg_per_kwh=0.51, year=2025, source="Another average").put_in_force()
    second = wire.whole_run([sample("gpu-0", 3600, 1800, 3.6e6)], [GPU], name="after")
    page = tab.sign_in().open(f"/compare/?run={first}&run={second}")
    row = page.locator("#figures tr", has_text="Emission factor").inner_text()
    assert "0.458" in row
    assert "0.51" in row
    page.get_by_role("link", name="Methodology").click()
    assert "0.458" in page.locator("#former-factors").inner_text()
    assert tab.complaints == []


def test_whoever_gets_a_link_reads_the_factor_and_the_method_without_an_account(tab, run_id, chromium, live_server):
    page = tab.sign_in().open("/settings/teams/vision-lab/shares/?of=model:digits/resnet-50")
    page.get_by_role("button", name=re.compile("Make|Create|Share")).first.click()
    link = re.search(r"http\S+/s/[\w-]+/", page.content())[0]
    with chromium.new_context() as context:
        stranger = Tab(live_server.url, context.new_page())
        shared = stranger.open(re.sub(r"^https?://[^/]+", "", link))
        assert "0.458 kg CO₂e per kWh" in shared.locator("#basis").inner_text()
        shared.get_by_role("link", name="the methodology").click()
        assert shared.locator("h1").inner_text() == "Methodology"
        assert stranger.problems("/methodology/") == []
        assert stranger.complaints == []


def test_a_run_tells_one_mean_and_one_maximum(tab, run_id):
    page = tab.sign_in().open(f"/runs/{run_id}/")
    caption = page.locator('figure[data-source="power-data"] figcaption').inner_text()
    mean, most = re.search(r"([\d.,]+ \w+) on average, ([\d.,]+ \w+) at most", caption).groups()
    assert mean
    stages = page.locator("#stages tbody tr").all()
    powers = [float(row.locator("td data").nth(1).get_attribute("value")) for row in stages]
    units = {"W": 1.0, "kW": 1e3}
    number, unit = most.split()
    assert max(powers) <= float(number.replace(",", "")) * units[unit] * 1.005
    assert "of its TDP of" in page.locator("#calculation").inner_text()
    assert tab.complaints == []


def test_a_running_run_that_grows_keeps_saying_its_own_numbers(tab, wire, run_id):
    own = wire.start(name="grows", started_at=ago(minutes=20), flush_s=30)
    wire.send(own, "b-1", batch([sample("gpu-0", t, t / 2, 300 * t) for t in range(10, 301, 10)], [GPU]))
    page = tab.sign_in().open(f"/runs/{own}/")
    wire.send(own, "b-2", batch([sample("gpu-0", t, t / 2, 300 * t) for t in range(310, 601, 10)], [GPU]))
    caption = page.locator('figure[data-source="energy-data"] figcaption')
    expect(caption).to_contain_text("after 10 min", timeout=15_000)
    assert "50 Wh after 10 min" in caption.inner_text()
    assert "300 W on average, 300 W at most" in page.locator('figure[data-source="power-data"] figcaption').inner_text()
    assert page.locator('[data-figure="energy"]').inner_text() == "50 Wh"
    assert tab.complaints == []


def test_a_running_hosted_model_grows_too(tab, wire, run_id):
    """Its page only has a chart of the energy."""
    hosted = {"key": "hosted", "kind": "other", "name": "gpt-4o-mini (openai)", "basis": "modelled"}
    own = wire.start(name="asked", kind="inference", started_at=ago(minutes=20), flush_s=30)
    wire.send(own, "b-1", batch([sample("hosted", t, None, 300 * t) for t in range(10, 301, 10)], [hosted]))
    page = tab.sign_in().open(f"/runs/{own}/")
    wire.send(own, "b-2", batch([sample("hosted", t, None, 300 * t) for t in range(310, 601, 10)], [hosted]))
    expect(page.locator('[data-figure="energy"]')).to_have_text("50 Wh", timeout=15_000)
    assert tab.complaints == []
