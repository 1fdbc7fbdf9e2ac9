"""A process with one tracked block, its import, start and stop."""

import tempfile
from pathlib import Path

from tests.benchmarks import peers
from tests.benchmarks.timing import PLACE, Row, figures, medians, seconds
from tests.fakes.portal import TOKEN, FakePortal

OURS = "from traceml_agent import track\nwith track('x'): pass"
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
    found = medians(
        15,
        bare=lambda: seconds("pass"),
        loaded=lambda: seconds("import traceml_agent"),
        ours=lambda: seconds(OURS),
    )
    theirs = peers.compared(_peer_s)
    ratio = theirs["codecarbon"] / found["ours"] if "codecarbon" in theirs else None
    others = f"bare {found['bare']:.3f} s, {peers.told(theirs, '{:.2f} s')}"
    others += f"; codecarbon takes {ratio:.0f}×" if ratio else ""
    import_ms = 1000 * (found["loaded"] - found["bare"])
    holds = found["ours"] <= 0.12 and (ratio is None or ratio >= 15)
    return [
        Row("process with one tracked block", f"{found['ours']:.3f} s", others, "≤ 0.12 s, ≥ 15×", holds),
        Row("import traceml_agent, over bare", f"{import_ms:.1f} ms", "", "≤ 20 ms", import_ms <= 20),
    ]


def _peer_s(peer: peers.Peer, python: str) -> float:
    code = f"{peer.start}\n{peer.stop}"
    return medians(3, whole=lambda: seconds(code, python))["whole"]


def start_and_stop() -> list[Row]:
    """Medians once loaded: without a server, with one that answers, and with one that refuses."""
    found = []
    with FakePortal(Path(tempfile.mkdtemp(dir=PLACE))) as portal:
        for name, url in (("no server", ""), ("healthy server", portal.url), ("server refused", "http://127.0.0.1:9")):
            start_s, stop_s = figures(START_STOP.format(url=url, token=TOKEN))
            text = f"{1000 * start_s:.2f} / {1000 * stop_s:.2f} ms"
            holds = start_s <= 0.005 and stop_s <= 0.010
            found.append(Row(f"start() / stop(), {name}", text, "", "≤ 5 / ≤ 10 ms", holds))
    return found
