"""Debian's Chromium on a portal that really serves. Never downloaded: where it is missing these tests are left out."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, sync_playwright

from hardware.models import HardwareProfile
from tests import people as cast
from tests.wire import CPU, MEMORY, batch, sample

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
GPU = {"key": "gpu-0", "kind": "gpu", "name": "NVIDIA A100-SXM4-40GB", "uuid": "GPU-1", "basis": "counter"}
LONG = "W" * 200
NOTE_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
        violations.push(event.violatedDirective + " " + event.blockedURI);
    });
    window.layoutShift = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) layoutShift += entry.hadRecentInput ? 0 : entry.value;
    }).observe({ type: "layout-shift", buffered: true });
"""
MOST_SHIFT = 0.05
#: Findings of axe-core that keep a person out; what it calls minor or moderate is advice.
GRAVE = ("serious", "critical")


def pytest_runtest_setup(item):
    """Leave the tests of this folder out where there is no browser, but fail them in CI.

    Here and not in a fixture, so that they share one place and with it one line of the summary.
    """
    if not CHROMIUM.exists():
        absence = f"Left out: the browser tests, as there is no Chromium at {CHROMIUM} (apt-get install chromium)."
        pytest.fail(absence, pytrace=False) if os.environ.get("CI") else pytest.skip(absence)


@pytest.fixture(scope="package")
def chromium():
    """The browser for all tests of this folder."""
    # Playwright's event loop lives in this thread until it is stopped: the tests read the database beside it, one
    # after the other, and no other folder's tests may meet it.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """A person's browser tab at the portal, and all that the browser complained of in it."""

    base: str
    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.page.add_init_script(NOTE_VIOLATIONS)
        self.page.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        self.page.on("pageerror", lambda error: self._note(True, str(error)))
        self.page.on("response", lambda answer: self._note(answer.status >= 400, f"{answer.url}: {answer.status}"))

    def _note(self, is_bad: bool, text: str) -> None:
        if is_bad:
            self.complaints.append(f"{self.page.url}: {text}")

    def open(self, path: str) -> Page:
        """Go to an address of the portal, as it is once all scripts ran."""
        answer = self.page.goto(self.base + path, wait_until="load")
        assert answer and answer.status == 200, (path, answer and answer.status)
        self.complaints += [f"{path}: {each}" for each in self.page.evaluate("window.violations || []")]
        return self.page

    def problems(self, path: str) -> list[str]:
        """What is wrong with a page as it stands: to scroll sideways, moved while it was drawn, or keeps people out."""
        page = self.open(path)
        found = [
            f"{rule['id']}: {node['target']}"
            for rule in Axe().run(page).response["violations"]
            for node in rule["nodes"]
            if rule["impact"] in GRAVE
        ]
        wide_px = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{wide_px} px too wide"] if wide_px > 0 else []
        return found + self._shifts(path)

    def _shifts(self, path: str) -> list[str]:
        """A page that moves by itself does so each time; a starved browser draws half a table only now and then."""
        shift = self.page.evaluate("window.layoutShift")
        for _ in range(2):
            if shift > MOST_SHIFT:
                shift = min(shift, self.open(path).evaluate("window.layoutShift"))
        return [f"the layout shifts by {shift:.3f}"] if shift > MOST_SHIFT else []

    def sign_in(self, email: str = "alice@example.org") -> "Tab":
        self.open("/accounts/login/")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password", exact=True).fill(cast.PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: url.partition("?")[0] == self.base + "/")
        return self


@pytest.fixture
def context(chromium):
    """A fresh profile of the browser."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context


@pytest.fixture
def tab(live_server, context: BrowserContext) -> Tab:
    """A tab of someone who has not signed in."""
    return Tab(live_server.url, context.new_page())


@pytest.fixture
def run_id(wire) -> str:
    """A run with everything that its page can show; another has names as long as they may be."""
    HardwareProfile.objects.create(
        slug="nvidia-a100-sxm4-40gb", name="NVIDIA A100 SXM4 40GB", vendor="NVIDIA", kind="gpu", tdp_w=400
    )
    times = [60.0 * n for n in range(1, 61)]
    samples = [
        sample(device["key"], t, t / 2, 300 * t if device is GPU else None)
        for device in (GPU, CPU, MEMORY)
        for t in times
    ]
    stages = [{"id": str(n), "name": f"epoch {n}", "start_s": 600 * n, "end_s": 600 * (n + 1)} for n in range(6)]
    more = {
        "stages": stages,
        "metrics": [{"t_s": 600 * n + 1, "name": "loss", "value": 1 / (n + 1)} for n in range(6)],
        "calls": [{"method": "predict", "calls": 10, "items": 100, "busy_s": 60}],
    }
    run_id = wire.start(name="the run", tags=["demo"], params={"lr": 0.1}, environment={"python": "3.11"})
    assert wire.send(run_id, "b-1", batch(samples, [GPU, CPU, MEMORY], **more)).status_code == 201
    assert wire.finish(run_id).status_code == 200
    hostile = {"name": LONG, "tags": [LONG], "params": {LONG: LONG}}
    long_id = wire.whole_run([sample("gpu-0", 60, 30)], [GPU | {"name": LONG}], model=LONG, **hostile)
    logged = [{"t_s": t, "name": f"{n} {LONG}"[:200], "value": 1} for n in range(24) for t in (10, 50)]
    named = {"stages": [{"id": "1", "name": LONG, "start_s": 0, "end_s": 60}], "metrics": logged}
    assert wire.send(long_id, "b-2", batch([], [], **named)).status_code == 201
    assert wire.finish(long_id, status="failed", exception=LONG).status_code == 200
    return run_id
