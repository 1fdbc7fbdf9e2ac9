"""A share link from its making to its end, as its maker and a stranger see it; a badge in somebody's README."""

import pytest

from runs.models import Badge, Run
from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser


@pytest.fixture
def stranger(chromium, live_server):
    """A fresh browser of somebody without an account."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield Tab(live_server.url, context.new_page())


@pytest.fixture
def live_base(live_server, settings):
    settings.TRACEML_BASE_URL = live_server.url


def make_link(tab, page_path: str, with_details: bool = False) -> str:
    """Share what a page shows; returns the link's path."""
    page = tab.open(page_path)
    page.get_by_role("link", name="Share", exact=True).click()
    if with_details:
        page.get_by_label("With details").check()
    page.get_by_role("button", name="Create link").click()
    address = page.locator("#made").inner_text()
    assert address.startswith(f"{tab.base}/s/")
    return address.removeprefix(tab.base)


def test_a_link_is_made_opened_without_an_account_and_revoked(tab, stranger, live_base, run_id):
    path = make_link(tab.sign_in(), f"/runs/{run_id}/")
    page = stranger.open(path)
    assert page.locator("h1").inner_text() == "the run"
    assert page.locator("canvas").first.evaluate("canvas => Chart.getChart(canvas).data.datasets.length") == 3
    assert stranger.complaints == []
    assert stranger.page.context.cookies() == []

    settings_page = tab.open("/settings/teams/vision-lab/shares/")
    settings_page.get_by_label("Revoke").click()
    settings_page.get_by_role("button", name="Revoke now").click()
    settings_page.get_by_text("Link revoked").wait_for()
    assert tab.complaints == []
    assert stranger.page.goto(stranger.base + path).status == 404


@pytest.mark.parametrize("width", [1280, 390, 320])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_kind_of_shared_page_fits_and_keeps_nobody_out(tab, stranger, live_base, run_id, theme, width):
    long_run = Run.objects.exclude(run_id=run_id).get()
    tab.sign_in()
    pages = [f"/runs/{run_id}/", f"/runs/{long_run.run_id}/", "/models/digits/resnet-50/"]
    paths = [make_link(tab, page, with_details=True) for page in pages]
    paths.append(make_link(tab, "/settings/teams/vision-lab/projects/digits/"))
    stranger.page.set_viewport_size({"width": width, "height": 844})
    stranger.page.emulate_media(color_scheme=theme)
    problems = {path: stranger.problems(path) for path in paths}
    assert {path: found for path, found in problems.items() if found} == {}
    assert stranger.complaints == []


def test_a_badge_is_drawn_as_an_image_on_another_site(tab, stranger, people):
    badge = Badge.make(people.project, 'a <b> & "c"', people.alice)
    stranger.page.set_content(f'<img src="{stranger.base}/badge/{badge.key}.svg">')
    width = stranger.page.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert width > 100
    assert stranger.complaints == []
