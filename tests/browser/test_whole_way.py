"""The whole way in real browsers: signing up, a team, a second person, a token, a first run, a share link."""

import pytest

from tests.browser.conftest import Tab
from tests.browser.test_first_run import put_run, token_on
from tests.browser.test_sharing import make_link
from tests.screens.signing_in import FRESH

pytestmark = pytest.mark.browser


@pytest.fixture
def another(chromium, live_server):
    """Makes a browser of somebody else."""
    contexts = []

    def make() -> Tab:
        contexts.append(chromium.new_context(viewport={"width": 1280, "height": 900}))
        return Tab(live_server.url, contexts[-1].new_page())

    yield make
    for context in contexts:
        context.close()


def sign_up(tab: Tab, email: str) -> None:
    """From the page for a new account, wherever that was come from, to being signed in."""
    page = tab.page
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(FRESH)
    page.get_by_label("Password (again)").fill(FRESH)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/accounts/login/**")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(FRESH)
    page.get_by_role("button", name="Sign in").click()


def new_team(tab: Tab, name: str) -> str:
    """A team of this name; the address of its settings."""
    page = tab.open("/settings/new-team/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create team").click()
    page.wait_for_url("**/projects/")
    page.get_by_label("Name").fill("Wake words")
    page.get_by_role("button", name="Create project").click()
    page.get_by_text("Wake words").first.wait_for()
    return page.url.removeprefix(tab.base).partition("projects/")[0]


def invite(tab: Tab, team: str) -> str:
    page = tab.open(f"{team}members/")
    page.get_by_label("Role", exact=True).last.select_option("member")
    page.get_by_role("button", name="Invite").click()
    return "/join/" + page.locator("#link").inner_text().split("/join/")[1]


def test_from_signing_up_to_a_share_link_that_is_revoked(tab, another, settings, live_server, db):
    settings.TRACEML_SIGNUP, settings.TRACEML_BASE_URL = "open", live_server.url
    tab.open("/accounts/signup/")
    sign_up(tab, "eve@example.org")
    tab.page.wait_for_url("**/start/**")
    team = new_team(tab, "Speech group")
    link = invite(tab, team)

    settings.TRACEML_SIGNUP = "invite"
    frank = another()
    frank.page.goto(frank.base + link)
    frank.page.wait_for_url("**/accounts/signup/**")
    sign_up(frank, "frank@example.org")
    frank.page.get_by_role("heading", name="Join Speech group").wait_for()
    frank.page.get_by_role("button", name="Join team").click()
    frank.page.get_by_role("link", name="Send your first run").click()
    frank.page.get_by_role("button", name="Create token").click()
    assert put_run(frank.base, token_on(frank.page), name="Frank's first") == 201
    frank.page.get_by_role("link", name="View the run").click(timeout=10_000)
    frank.page.get_by_role("heading", name="Frank's first").wait_for()

    path = make_link(frank, frank.page.url.removeprefix(frank.base))
    stranger = another()
    assert stranger.open(path).locator("h1").inner_text() == "Frank's first"
    page = frank.open(f"{team}shares/")
    page.get_by_label("Revoke").click()
    page.get_by_role("button", name="Revoke now").click()
    page.get_by_text("Link revoked").wait_for()
    assert tab.complaints == frank.complaints == stranger.complaints == []
    assert stranger.page.goto(stranger.base + path).status == 404
