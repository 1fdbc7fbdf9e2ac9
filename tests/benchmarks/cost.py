"""What tracking costs a training: CPU time, stalls, slowdown."""

import sys

from tests.benchmarks import peers
from tests.benchmarks.timing import Row, medians, run

LASTS_S = 60
# Not os.times(): it counts whole ticks of the clock that wakes the sampler.
SLEEP = "import time\n{before}\ntime.sleep(2)\nt = time.process_time()\ntime.sleep({lasts_s})\n"
SLEEP += "print(time.process_time() - t)"
OURS = "from traceml_agent import start; run = start('x', interval=1)"
CODECARBON = """
from codecarbon import OfflineEmissionsTracker
t = OfflineEmissionsTracker(country_iso_code="USA", save_to_file=False, log_level="error", measure_power_secs=1)
t.start()
"""
STALLS = """
import time
{before}
time.sleep(1)  # what a start costs is measured elsewhere
clock, gaps = time.perf_counter, []
end = clock() + 5
last = clock()
while last < end:
    now = clock()
    if now - last > 20e-6:
        gaps.append(now - last)
    last = now
print(sum(gaps))
"""
LOOPS = {
    "pure Python": "def work():\n    return sum(i * i for i in range(4_000_000))",
    "NumPy on both cores": "import numpy as np\na = np.random.default_rng(0).random((700, 700))\ndef work():\n"
    "    b = a\n    for _ in range(30): b = (b @ a) / 350\n    return b",
    "scikit-learn fit": "from sklearn.datasets import load_digits\nfrom sklearn.neural_network import MLPClassifier\n"
    "x, y = load_digits(return_X_y=True)\ndef work():\n"
    "    return MLPClassifier((64,), max_iter=8, random_state=0).fit(x / 16, y)",
}
#: Long enough that the sampler ticks several times within each turn; start and stop lie outside.
TURNS = """
import time, warnings
warnings.filterwarnings("ignore")
{loop}
from traceml_agent import start
work()
def turn():
    began = time.perf_counter()
    while time.perf_counter() - began < 1.5: work()
    count, began = 0, time.perf_counter()
    for _ in range({repeats}): work()
    return time.perf_counter() - began
ratios = []
for number in range({pairs}):
    if number % 2 == 0:
        bare = turn()
    run = start("x", interval=1)
    tracked = turn()
    run.stop()
    if number % 2:
        bare = turn()
    ratios.append(tracked / bare)
import statistics
print(statistics.median(ratios))
"""


def rows() -> list[Row]:
    return [cpu(), stalls(), *slowdown()]


def cpu() -> Row:
    """Seconds of CPU a minute at a reading a second; what the interpreter itself takes asleep is 0."""
    ours_s = float(run(SLEEP.format(before=OURS, lasts_s=LASTS_S))) * 60 / LASTS_S
    python = peers.python_with("codecarbon")
    theirs_s = float(run(SLEEP.format(before=CODECARBON, lasts_s=LASTS_S), python)) * 60 / LASTS_S if python else None
    others = f"codecarbon {theirs_s:.3f} s" if theirs_s else ""
    return Row("CPU a minute, reading every second", f"{ours_s:.3f} s", others, "≤ 0.03 s", ours_s <= 0.03)


def stalls() -> Row:
    """Time that a loop reading the clock loses in gaps over 20 µs, of 5 s."""
    found = medians(
        7,
        bare=lambda: float(run(STALLS.format(before=""))),
        ours=lambda: float(run(STALLS.format(before=OURS))),
    )
    ours, bare = found["ours"], found["bare"]
    text = f"{1000 * ours:.1f} ms of 5 s"
    return Row(
        "stalls of a loop that reads the clock", text, f"bare {1000 * bare:.1f} ms", "as bare", ours - bare <= 0.005
    )


def slowdown() -> list[Row]:
    """Median of paired ratios with and without the agent, in the same process."""
    found = []
    for name, loop in LOOPS.items():
        repeats = {"pure Python": 8, "NumPy on both cores": 12, "scikit-learn fit": 6}[name]
        ratio = float(run(TURNS.format(loop=loop, repeats=repeats, pairs=12), sys.executable))
        found.append(Row(f"slowdown, {name}", f"{ratio:.4f}", "", "≤ 1.005", ratio <= 1.005))
    return found
