"""The theme: system, light or dark by a switch, and it stays as it was left."""

import pytest

pytestmark = pytest.mark.browser

LIGHT, DARK = "rgb(246, 247, 245)", "rgb(15, 19, 18)"


def ground(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def switch(page) -> None:
    page.get_by_role("button", name="Theme").click()


@pytest.mark.parametrize(("scheme", "expected"), [("light", LIGHT), ("dark", DARK)])
def test_at_first_it_is_the_systems(tab, people, scheme, expected):
    tab.page.emulate_media(color_scheme=scheme)
    assert ground(tab.open("/accounts/login/")) == expected


def test_the_switch_goes_from_system_to_light_to_dark_and_back(tab, people):
    page = tab.open("/accounts/login/")
    page.emulate_media(color_scheme="dark")
    seen = [ground(page)]
    for _ in range(3):
        switch(page)
        seen.append(ground(page))
    assert seen == [DARK, LIGHT, DARK, DARK]
    page.emulate_media(color_scheme="light")
    assert ground(page) == LIGHT


def test_a_choice_persists_over_pages_and_signing_in(tab, people):
    page = tab.open("/accounts/login/")
    for _ in range(2):
        switch(page)
    tab.sign_in()
    assert ground(page) == DARK
    tab.open("/methodology/")
    page.reload()
    assert ground(page) == DARK


def test_only_the_icon_of_the_theme_in_force_is_shown(tab, people):
    page = tab.open("/accounts/login/")
    assert page.locator("#theme-switch svg:visible").count() == 1


def test_paper_is_light(tab, people):
    page = tab.open("/accounts/login/")
    for _ in range(2):
        switch(page)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
