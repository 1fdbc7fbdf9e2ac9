"""`watch` and `stage`: what one call costs."""

from tests.benchmarks import peers
from tests.benchmarks.timing import Row, run

WATCH = """
import timeit
from traceml_agent import track, watch
class Model:
    def predict(self, batch): return batch
model = Model()
with track("x"):
    watched, batch = watch(model), [1, 2, 3]
    n = 300_000
    bare = min(timeit.repeat(lambda: model.predict(batch), number=n, repeat=5))
    ours = min(timeit.repeat(lambda: watched.predict(batch), number=n, repeat=5))
print((ours - bare) / n)
"""
STAGE = """
import timeit
from traceml_agent import track
with track("x") as run:
    def once():
        with run.stage("step"): pass
    n = 3000
    print(min(timeit.repeat(once, number=n, repeat=5)) / n)
"""
CODECARBON = """
import timeit
from codecarbon import OfflineEmissionsTracker
tracker = OfflineEmissionsTracker(country_iso_code="USA", save_to_file=False, log_level="error")
tracker.start()
def once():
    tracker.start_task("step")
    tracker.stop_task("step")
print(min(timeit.repeat(once, number=3, repeat=3)) / 3)
"""
ZEUS = """
import timeit
from zeus.monitor import ZeusMonitor
monitor = ZeusMonitor(gpu_indices=[], cpu_indices=[])
def once():
    monitor.begin_window("step", sync_execution=False)
    monitor.end_window("step", sync_execution=False)
print(min(timeit.repeat(once, number=1000, repeat=3)) / 1000)
"""


def rows() -> list[Row]:
    watch_s, stage_s = float(run(WATCH)), float(run(STAGE))
    others = "; ".join(filter(None, [_other("codecarbon", CODECARBON), _other("zeus", ZEUS)]))
    return [
        Row("a watched call", f"{1e6 * watch_s:.2f} µs", others, "≤ 2 µs", watch_s <= 2e-6),
        Row("a stage", f"{1e6 * stage_s:.1f} µs", "", "≤ 20 µs", stage_s <= 20e-6),
    ]


def _other(peer: str, code: str) -> str:
    python = peers.python_with(peer)
    try:
        return f"{peer} {1e6 * float(run(code, python)):.1f} µs" if python else ""
    except (ValueError, OSError):
        return ""
    except Exception as error:  # the peer's own fault, as where it finds no device
        return f"{peer}: {type(error).__name__}"
