"""On every page, in both themes, on a desk and on a phone: nothing to complain of and nothing to scroll sideways."""

import pytest

from runs.models import Run

pytestmark = pytest.mark.browser

PUBLIC = ["/accounts/login/", "/accounts/password/reset/", "/accounts/password/reset/done/", "/accounts/signup/"]
PAGES = [
    "/",
    "/?range=all&show=kwh",
    "/runs/",
    "/runs/?q=nosuch",
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
    "/hardware/",
    "/hardware/?q=nosuch",
    "/hardware/nvidia-a100-sxm4-40gb/",
    "/hardware/?seen=unknown",
    "/plan/",
    "/plan/?hardware=nvidia-a100-sxm4-40gb&count=8&hours=72&utilisation=1&hardware=nope",
    "/plan/?run={run_id}&hardware=nvidia-a100-sxm4-40gb&count=2&speed_up=2",
    "/methodology/",
    "/runs/{run_id}/delete/",
    "/settings/teams/vision-lab/shares/",
    "/settings/teams/vision-lab/shares/?of=run:digits/{run_id}",
    "/settings/teams/vision-lab/shares/?of=model:digits/resnet-50",
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


def overflow_px(page) -> int:
    """How far the page can be scrolled sideways."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_every_page_fits_and_the_browser_has_nothing_to_complain_of(tab, run_id, theme, width):
    tab.page.set_viewport_size({"width": width, "height": 844})
    tab.page.emulate_media(color_scheme=theme)
    long, long_id = "w" * 72, Run.objects.exclude(run_id=run_id).get().run_id
    sideways = {path: overflow_px(tab.open(path)) for path in PUBLIC}
    tab.sign_in()
    sideways |= {path: overflow_px(tab.open(path.format(run_id=run_id, long=long, long_id=long_id))) for path in PAGES}
    assert {path: px for path, px in sideways.items() if px > 0} == {}
    assert tab.complaints == []


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
