"""The way in, in real browsers: Alice invites, Dora joins, makes a token, and her page sees the first run arrive."""

import json
import re
import urllib.error
import urllib.request
import uuid

import pytest

from runs.models import User
from tests import people as cast
from tests.browser.conftest import Tab
from tests.wire import header

pytestmark = pytest.mark.browser


@pytest.fixture
def second(live_server, chromium, people) -> Tab:
    """Dora's own browser, where nobody has signed in."""
    User.objects.create_user("dora@example.org", cast.PASSWORD, first_name="Dora")
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield Tab(live_server.url, context.new_page())


def invitation(tab: Tab) -> str:
    """The path of a link that Alice makes for a member."""
    page = tab.sign_in().open("/settings/teams/vision-lab/members/")
    page.get_by_label("Role", exact=True).last.select_option("member")
    page.get_by_role("button", name="Invite").click()
    return "/join/" + page.locator("#link").inner_text().split("/join/")[1]


def join(tab: Tab, path: str):
    """Sign in on the way of the link, and accept."""
    page = tab.page
    page.goto(tab.base + path)
    page.get_by_role("link", name="Sign in").click()  # she has an account
    page.get_by_label("Email").fill("dora@example.org")
    page.get_by_label("Password", exact=True).fill(cast.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Join Vision lab").wait_for()
    page.get_by_role("button", name="Join team").click()
    page.get_by_role("link", name="Send your first run").click()
    return page


def put_run(base: str, token: str, **changes) -> int:
    """What an agent does first, over HTTP; the answer's status."""
    request = urllib.request.Request(
        f"{base}/api/v1/runs/{uuid.uuid4()}", json.dumps(header(**changes)).encode(), method="PUT"
    )
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/json")
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as refused:
        return refused.code


def token_on(page) -> str:
    return re.search(r"TRACEML_AGENT_TOKEN=(tml_\S{20,})", page.locator("#install").inner_text())[1]


def test_from_an_invitation_to_the_first_run(tab, second):
    page = join(second, invitation(tab))
    page.get_by_role("button", name="Create token").click()
    token = token_on(page)
    waiting = page.locator("#waiting")
    assert "Waiting for your first run" in waiting.inner_text()
    assert put_run(second.base, token, kind="daydreaming") == 422
    page.get_by_text("kind: this value is not allowed.").wait_for(timeout=10_000)
    assert put_run(second.base, token, name="Dora's first") == 201
    page.get_by_role("link", name="View the run").click(timeout=10_000)
    page.get_by_role("heading", name="Dora's first").wait_for()
    assert second.complaints == tab.complaints == []


def test_without_a_script_the_token_is_made_and_the_run_found(live_server, chromium, people):
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/accounts/login/?next=/start/")
        page.get_by_label("Email").fill("alice@example.org")
        page.get_by_label("Password", exact=True).fill(cast.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Create token").click()
        page.locator("label", has_text="Keras").click()
        assert page.get_by_text("traceml_agent.integrations.keras").is_visible()
        assert put_run(live_server.url, token_on(page)) == 201
        with context.expect_page() as opened:
            page.get_by_role("link", name="Check now").click()
        opened.value.get_by_role("link", name="View the run").click()
        opened.value.get_by_role("heading", name="resnet-50").wait_for()


def test_a_snippet_is_copied_as_it_stands(tab, people, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = tab.sign_in().open("/start/")
    page.get_by_text("Keras", exact=True).click()
    page.get_by_role("button", name="Copy").locator("visible=true").last.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#code-keras").inner_text()
    assert tab.complaints == []
