"""On every page, in both themes, on a desk and on a phone: nothing that keeps people out, moves or goes beyond."""

import pytest

from runs.models import Run
from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

PUBLIC = ["/accounts/login/", "/accounts/password/reset/", "/accounts/password/reset/done/", "/accounts/signup/"]
PAGES = [
    "/",
    "/?range=all&show=kwh&line=sum",
    "/?tag={long}&member=0&kind=training",
    "/?since=2020-01-01&until=2020-12-31",
    "/runs/",
    "/runs/?q=nosuch",
    "/runs/?group=kind",
    "/runs/?group=kind&against=training",
    "/runs/{run_id}/",
    "/runs/{run_id}/?start=600&end=1200&metric=loss&better=higher",
    "/runs/{long_id}/",
    "/runs/{run_id}/notes/",
    "/compare/",
    "/compare/?run={run_id}",
    "/compare/?run={run_id}&run={long_id}&by=stage&show=energy&params=all",
    "/models/",
    "/models/digits/resnet-50/",
    "/models/digits/{long}/",
    "/models/?sort=name&q=e",
    "/models/digits/resnet-50/?metric=loss&better=higher&value=best&show=kwh",
    "/models/digits/resnet-50/cite/",
    "/models/digits/{long}/cite/?of=life",
    "/models/digits/{long}/notes/",
    "/hardware/",
    "/hardware/?q=nosuch",
    "/hardware/nvidia-a100-sxm4-40gb/",
    "/hardware/?seen=unknown",
    "/plan/",
    "/plan/?hardware=nvidia-a100-sxm4-40gb&count=8&hours=72&utilisation=1&hardware=nope",
    "/plan/?run={run_id}&hardware=nvidia-a100-sxm4-40gb&count=2&speed_up=2",
    "/methodology/",
    "/api/",
    "/imports/",
    "/runs/{run_id}/delete/",
    "/settings/teams/vision-lab/shares/",
    "/settings/teams/vision-lab/shares/?of=run:digits/{run_id}",
    "/settings/teams/vision-lab/shares/?of=model:digits/resnet-50",
    "/settings/teams/vision-lab/trash/",
    "/models/digits/resnet-50/delete/",
    "/settings/teams/vision-lab/audit/",
    "/settings/teams/vision-lab/audit/?action=token+issued&since=2026-01-01",
    "/start/",
    "/start/digits/",
    "/settings/new-team/",
    "/settings/teams/vision-lab/",
    "/settings/teams/vision-lab/members/",
    "/settings/teams/vision-lab/projects/",
    "/settings/teams/vision-lab/projects/digits/",
    "/settings/teams/vision-lab/tokens/",
    "/accounts/password/change/",
    "/accounts/email/",
    "/accounts/logout/",
    "/accounts/2fa/",
    "/accounts/2fa/webauthn/",
    "/accounts/reauthenticate/",
    "/settings/profile/",
    "/settings/sessions/",
]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_every_page_fits_keeps_nobody_out_and_gives_the_browser_nothing_to_complain_of(tab, run_id, theme, width):
    tab.page.set_viewport_size({"width": width, "height": 844})
    tab.page.emulate_media(color_scheme=theme)
    long, long_id = "w" * 72, Run.objects.exclude(run_id=run_id).get().run_id
    problems = {path: tab.problems(path) for path in PUBLIC}
    tab.sign_in()
    problems |= {path: tab.problems(path.format(run_id=run_id, long=long, long_id=long_id)) for path in PAGES}
    assert {path: found for path, found in problems.items() if found} == {}
    assert tab.complaints == []


def test_every_page_is_whole_without_scripts(chromium, live_server, run_id):
    with chromium.new_context(java_script_enabled=False) as context:
        tab = Tab(live_server.url, context.new_page()).sign_in()
        long_id = Run.objects.exclude(run_id=run_id).get().run_id
        paths = [path.format(run_id=run_id, long="w" * 72, long_id=long_id) for path in PAGES]
        lacking = {path: what_is_lacking(tab.open(path)) for path in paths}
    assert {path: found for path, found in lacking.items() if found} == {}


def what_is_lacking(page) -> list[str]:
    """What only a script would bring: a heading, a chart's sentence and its numbers, what a button does."""
    found = [] if page.locator("h1").count() == 1 else ["a heading"]
    for chart in page.locator("figure.chart").all():
        if not chart.locator("figcaption").inner_text() or not chart.locator("table tbody td").count():
            found.append(f"what {chart.get_attribute('data-source')} says")
    idle = page.locator("button:visible:not([type=submit]):not(form button)")
    return found + [f"what {button.inner_text()!r} does" for button in idle.all()]


def test_the_account_menu_opens_and_signs_out(tab, people):
    page = tab.sign_in().page
    menu = page.get_by_role("button", name="Sign out")
    assert not menu.is_visible()
    page.get_by_label("Account: alice@example.org").click()
    menu.click()
    page.wait_for_url("**/accounts/login/**")
    assert tab.complaints == []


def test_the_keyboard_reaches_the_content_first(tab, people):
    page = tab.sign_in().open("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
