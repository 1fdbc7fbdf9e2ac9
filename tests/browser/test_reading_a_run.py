"""What a person does first: sign in, open a run, read its energy off the page and off the chart's table."""

import pytest

from runs.models import Run
from tests.people import PASSWORD

pytestmark = pytest.mark.browser

#: 300 W of the card's counter, 12 W of an eighth of the CPU and 4 W of 64 GB at half use, for an hour.
ENERGY = ["316", "Wh"]


def figures(locator) -> list[float]:
    return [float(each.get_attribute("value")) for each in locator.locator("data").all()]


def test_alice_signs_in_and_reads_a_runs_energy_off_the_page(tab, run_id):
    page = tab.sign_in().page
    page.get_by_role("link", name="the run").click()
    page.wait_for_url(f"**/runs/{run_id}/")
    energy_kwh = Run.objects.get(run_id=run_id).energy_kwh
    assert figures(page.locator("#energy")) == [energy_kwh]
    assert page.locator("#energy .value").inner_text().split() == ENERGY


def test_the_charts_table_opens_and_adds_up_to_the_runs_energy(tab, run_id):
    page = tab.sign_in().open(f"/runs/{run_id}/")
    table = page.locator("figure.chart table").first
    assert not table.is_visible()
    page.get_by_text("Show as table").first.click()
    assert table.is_visible()
    energy_kwh = Run.objects.get(run_id=run_id).energy_kwh
    assert sum(figures(table.locator("tfoot"))) == pytest.approx(energy_kwh)
    hours = 1 / 60  # a row a minute
    watts = [figures(row)[1:] for row in table.locator("tbody tr").all()]
    assert sum(map(sum, watts)) * hours / 1000 == pytest.approx(energy_kwh)


def test_charlie_reads_nothing_of_it(tab, run_id):
    page = tab.sign_in("charlie@example.org").page
    assert page.get_by_text("No runs yet").is_visible()
    answer = page.goto(f"{tab.base}/runs/{run_id}/")
    assert answer.status == 404
    assert page.get_by_role("heading", name="Not Found").is_visible()


def test_everything_can_be_read_without_javascript(chromium, live_server, run_id):
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/accounts/login/?next=/runs/{run_id}/")
        page.get_by_label("Email").fill("alice@example.org")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        assert page.locator("#energy .value").inner_text().split() == ENERGY
        assert not page.locator("canvas").first.is_visible()
        page.get_by_text("Show as table").first.click()
        assert page.locator("figure.chart tfoot").first.is_visible()
