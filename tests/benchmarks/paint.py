"""What a browser gets: bytes of a page, first paint, layout shift, from a portal served as in a deployment.

The data is `load_demo`'s half year, with curves and stages; it is made once into a folder of the temporary folder.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import sync_playwright

from tests.benchmarks.timing import Row

ROOT = Path(__file__).parents[2]
FOLDER = Path(tempfile.gettempdir()) / "traceml-bench-paint"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PAGES = {
    "overview": "/",
    "run list": "/runs/",
    "a run": "/runs/{run}/",
    "compare": "/compare/?{compared}",
    "models": "/models/",
    "a model": "/models/{model}/",
    "hardware": "/hardware/",
    "plan": "/plan/?hardware=nvidia-a100-sxm4-40gb&count=8&hours=72",
    "methodology": "/methodology/",
    "start": "/start/",
    "settings": "/settings/profile/",
}
TURNS = 5
SEEN = """() => {
    const entries = performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"));
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return [
        entries.reduce((sum, entry) => sum + entry.transferSize, 0) / 1024,
        paint.startTime,
        window.layoutShift,
    ];
}"""
NOTE_SHIFT = """
    window.layoutShift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => { layoutShift += entry.value; }))
        .observe({ type: "layout-shift", buffered: true });
"""


class Seen(NamedTuple):
    """A page as the browser got it: bytes over the wire, first contentful paint from the click, layout shift."""

    kb: float
    paint_ms: float
    shift: float


def rows() -> list[Row]:
    with _portal() as (url, places), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        paths = {name: path.format(**places) for name, path in PAGES.items()}
        first = {name: [_visits(browser, url, places, [path])[0] for _ in range(TURNS)] for name, path in paths.items()}
        after = dict(zip(paths, _visits(browser, url, places, [*paths.values()] * 2)[len(paths) :], strict=True))
        browser.close()
    kb = {name: turns[0].kb for name, turns in first.items()}
    paint_ms = {name: statistics.median(one.paint_ms for one in turns) for name, turns in first.items()}
    shift = {name: max(one.shift for one in turns) for name, turns in first.items()}
    return [
        _row("page weight, first load", kb, "{:.0f} KB", "≤ 250 KB", 250),
        _row(
            "page weight, scripts and styles known",
            {name: one.kb for name, one in after.items()},
            "{:.1f} KB",
            "≤ 30 KB",
            30,
        ),
        _row("first contentful paint, empty cache", paint_ms, "{:.0f} ms", "≤ 500 ms", 500),
        _row("layout shift (CLS)", shift, "{:.3f}", "≤ 0.05", 0.05),
    ]


def _row(what: str, found: dict[str, float], spelled: str, bound: str, most: float) -> Row:
    """The worst page decides; the others stand beside it."""
    worst = max(found, key=found.__getitem__)
    others = ", ".join(f"{name} {spelled.format(value)}" for name, value in found.items() if name != worst)
    return Row(what, f"{spelled.format(found[worst])} ({worst})", others, bound, found[worst] <= most)


def _visits(browser, url: str, places: dict, paths: list[str]) -> list[Seen]:
    """What a new profile of the browser, already signed in, sees at these addresses one after the other."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.add_cookies([{"name": "sessionid", "value": places["session"], "url": url}])
        page = context.new_page()
        page.add_init_script(NOTE_SHIFT)
        return [_visit(page, url + path) for path in paths]


def _visit(page, address: str) -> Seen:
    answer = page.goto(address, wait_until="load")
    assert answer and answer.status == 200, (address, answer and answer.status)
    page.wait_for_timeout(300)  # charts are drawn, and what they moved is noted
    return Seen(*page.evaluate(SEEN))


@contextmanager
def _portal() -> Iterator[tuple[str, dict]]:
    """gunicorn as in a deployment; its address, and the parts of the pages' addresses."""
    places = _prepared()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "gunicorn", "-c", "python:traceml_site.serving.gunicorn", "traceml_site.wsgi"]
    server = subprocess.Popen(words, cwd=ROOT, env=os.environ | {"PORT": str(port)})
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}", places
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(100):
        time.sleep(0.2)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise TimeoutError("The portal did not start; its log is above.")


def _prepared() -> dict[str, str]:
    """The demo and the collected static files, made once; the settings are the portal's own, in the environment."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    database = f"sqlite:///{FOLDER}/demo.sqlite3"
    os.environ |= {"SECRET_KEY": "bench-only-" + "0123456789abcdef" * 4, "TRACEML_DATA": str(FOLDER)}
    os.environ |= {"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "traceml_site.settings"}
    import django

    django.setup()
    from django.core.management import call_command

    from runs.demo import load

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    if not load.demo_team():
        print(f"Loading the demo into {FOLDER} …", file=sys.stderr, flush=True)
        call_command("load_catalogue", verbosity=0)
        call_command("load_demo")
    return _longest_runs() | {"session": _session(load.demo_team())}


def _longest_runs() -> dict[str, str]:
    """The runs with the most batches, for they show what a page can weigh."""
    from django.db.models import Count

    from runs.models import Run

    by_batches = Run.objects.annotate(sent=Count("batches")).order_by("-sent", "pk")
    longest = by_batches.select_related("tracked_model__project")[:4]
    model = longest[0].tracked_model
    compared = "&".join(f"run={run.run_id}" for run in longest)
    return {"run": str(longest[0].run_id), "compared": compared, "model": f"{model.project.slug}/{model.slug}"}


def _session(team) -> str:
    from django.test import Client

    reader = Client()
    reader.force_login(team.membership_set.get(role="owner").user)
    return reader.cookies["sessionid"].value
