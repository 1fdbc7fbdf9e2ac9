"""A process with one tracked block, its import, start and stop."""

import sys
import tempfile
from pathlib import Path

from tests.benchmarks import peers
from tests.benchmarks.timing import PLACE, Row, medians, run, seconds
from tests.fakes.portal import TOKEN, FakePortal

OURS = "from traceml_agent import track\nwith track('x'): pass"
CODECARBON = """
from codecarbon import OfflineEmissionsTracker
with OfflineEmissionsTracker(country_iso_code="USA", save_to_file=False, log_level="error"): pass
"""
START_STOP = """
import statistics, time
from traceml_agent import start
starts, stops = [], []
for _ in range(40):
    began = time.perf_counter()
    run = start("x", url={url!r}, token={token!r})
    started = time.perf_counter()
    time.sleep(0.05)
    ending = time.perf_counter()
    run.stop()
    starts.append(started - began)
    stops.append(time.perf_counter() - ending)
print(statistics.median(starts[1:]), statistics.median(stops[1:]))
"""


def rows() -> list[Row]:
    return [*whole_process(), *start_and_stop()]


def whole_process() -> list[Row]:
    """The interpreter's own start included; without any server."""
    python = peers.python_with("codecarbon")
    measured = {
        "bare": lambda: seconds("pass"),
        "import": lambda: seconds("import traceml_agent"),
        "ours": lambda: seconds(OURS),
    }
    found = medians(15, **measured)
    theirs = medians(3, codecarbon=lambda: seconds(CODECARBON, python))["codecarbon"] if python else None
    ratio = theirs / found["ours"] if theirs else None
    others = f"bare {found['bare']:.3f} s" + (f", codecarbon {theirs:.2f} s ({ratio:.0f}×)" if theirs else "")
    import_ms = 1000 * (found["import"] - found["bare"])
    holds = found["ours"] <= 0.12 and (ratio is None or ratio >= 15)
    return [
        Row("process with one tracked block", f"{found['ours']:.3f} s", others, "≤ 0.12 s, ≥ 15×", holds),
        Row("import traceml_agent, over bare", f"{import_ms:.1f} ms", "", "≤ 20 ms", import_ms <= 20),
    ]


def start_and_stop() -> list[Row]:
    """Medians once loaded: without a server, with one that answers, and with one that refuses."""
    found = []
    with FakePortal(Path(tempfile.mkdtemp(dir=PLACE))) as portal:
        for name, url in (("no server", ""), ("healthy server", portal.url), ("server refused", "http://127.0.0.1:9")):
            start_s, stop_s = map(float, run(START_STOP.format(url=url, token=TOKEN), sys.executable).split())
            text = f"{1000 * start_s:.2f} / {1000 * stop_s:.2f} ms"
            holds = start_s <= 0.005 and stop_s <= 0.010
            found.append(Row(f"start() / stop(), {name}", text, "", "≤ 5 / ≤ 10 ms", holds))
    return found
