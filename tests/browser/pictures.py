"""Pictures of README and docs, from a portal with `load_demo`: `python -m tests.browser.pictures URL EMAIL PASSWORD`.

The pages are those of the model with the largest footprint and of its most expensive runs.
"""

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(os.environ.get("PICTURES") or Path(__file__).parents[2] / "docs" / "img")
RUN = re.compile(r"/runs/([0-9a-f-]{36})/")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


class Picture(NamedTuple):
    name: str
    path: str
    theme: str = "light"
    width: int = 1280
    height: int = 900


PICTURES = [
    Picture("overview-light", "/?range=90", height=1180),
    Picture("run-dark", "/runs/{run}/", "dark", height=1180),
    Picture("model-light", "{model}", height=1180),
    Picture("compare-dark", "/compare/?{compared}", "dark", height=1180),
]


def main(url: str, email: str, password: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(f"{url}/accounts/login/")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{url}/")
        places = _places(page, url)
        for picture in PICTURES:
            _take(page, url, picture, places)
        browser.close()


def _places(page: Page, url: str) -> dict[str, str]:
    """The most expensive runs of one model, and that model's page."""
    page.goto(f"{url}/models/")
    model = page.locator("main a[href^='/models/']").first.get_attribute("href") or ""
    page.goto(f"{url}/runs/?sort=-energy&state=completed&model={model.removeprefix('/models/').rstrip('/')}")
    links = page.locator("main a[href^='/runs/']").evaluate_all("links => links.map((link) => link.pathname)")
    runs = [found[1] for found in map(RUN.fullmatch, dict.fromkeys(links)) if found]
    return {"run": runs[0], "model": model, "compared": "&".join(f"run={run}" for run in runs[:3])}


def _take(page: Page, url: str, picture: Picture, places: dict[str, str]) -> None:
    page.emulate_media(color_scheme="dark" if picture.theme == "dark" else "light")
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    page.goto(url + picture.path.format(**places), wait_until="networkidle")
    page.screenshot(path=FOLDER / f"{picture.name}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
