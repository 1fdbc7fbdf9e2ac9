"""What tracking costs a training: CPU time, stalls, slowdown."""

import sys

from tests.benchmarks import peers
from tests.benchmarks.timing import Row, figures, median_within

LASTS_S = 60
# Not os.times(): it counts whole ticks of the clock that wakes the sampler.
SLEEP = "import time\n{before}\ntime.sleep({age_s})\nt = time.process_time()\ntime.sleep({lasts_s})\n"
SLEEP += "print(time.process_time() - t)"
#: A stored sample sums up five readings: with this interval processor and memory are read once a second.
EVERY_SECOND = "interval=0.2"
OURS = "from traceml_agent import start; run = start('x', {settings})"
LOOPS = {
    "pure Python": "def work():\n    return sum(i * i for i in range(4_000_000))",
    "NumPy on both cores": "import numpy as np\na = np.random.default_rng(0).random((700, 700))\ndef work():\n"
    "    b = a\n    for _ in range(30): b = (b @ a) / 350\n    return b",
    "scikit-learn fit": "from sklearn.datasets import load_digits\nfrom sklearn.neural_network import MLPClassifier\n"
    "x, y = load_digits(return_X_y=True)\ndef work():\n"
    "    return MLPClassifier((64,), max_iter=8, random_state=0).fit(x / 16, y)",
}
#: A loop that reads the clock: what it loses in gaps of over 20 µs.
GAPS = """
def turn():
    clock, lost = time.perf_counter, 0.0
    last = clock()
    end = last + {lasts_s}
    while last < end:
        now = clock()
        if now - last > 20e-6: lost += now - last
        last = now
    return lost
"""
WORK = """
{loop}
def turn():
    began = time.perf_counter()
    for _ in range({repeats}): work()
    return time.perf_counter() - began
"""
#: Rounds of four turns in an order thrown anew: one tracked and three bare, of which one takes the agent's place and
#: so shows what the machine alone does to the comparison. Start and stop lie outside a turn; the sampler ticks within.
#: Besides, as no clock is as fine: the CPU time of the sampler's thread, by the kernel, over the turn's length.
ROUNDS = """
import random, statistics, threading, time, warnings
warnings.filterwarnings("ignore")
from traceml_agent import start
{turn}
def cpu_s():
    others = [thread.native_id for thread in threading.enumerate() if thread is not threading.main_thread()]
    return sum(int(open(f"/proc/self/task/{{id}}/schedstat").read().split()[0]) for id in others) / 1e9
def tracked():
    run = start("x", {settings})
    time.sleep({wait_s})  # the first tick, which loads what it needs
    before, began = cpu_s(), time.perf_counter()
    value = turn()
    shares.append((cpu_s() - before) / (time.perf_counter() - began))
    run.stop()
    return value
turn()
shares, ours, control = [], [], []
for number in range({rounds}):
    order = ["tracked", "control", "bare", "bare"]
    random.Random(number).shuffle(order)
    values = {{name: [] for name in order}}
    for name in order:
        values[name].append(tracked() if name == "tracked" else turn())
    bare = statistics.mean(values["bare"])
    ours.append({compared}(values["tracked"][0], bare))
    control.append({compared}(values["control"][0], bare))
print(statistics.median(shares), *ours, *control)
"""
HOW_MANY = 16


REPEATS = {"pure Python": 8, "NumPy on both cores": 12, "scikit-learn fit": 6}


def rows() -> list[Row]:
    return [cpu(), *cpu_by_default(), stalls(EVERY_SECOND, 3, 1.1), stalls("", 5, 5.1), *slowdown()]


def cpu() -> Row:
    """Seconds of CPU a minute at a reading a second; what the interpreter itself takes asleep is 0."""
    ours_s = _cpu_s(OURS.format(settings=EVERY_SECOND))
    others = peers.told(peers.compared(lambda peer, python: _cpu_s(peer.start, python)), "{:.3f} s")
    return Row("CPU a minute, reading every second", f"{ours_s:.3f} s", others, "≤ 0.03 s", ours_s <= 0.03)


def cpu_by_default() -> list[Row]:
    """The same as the agent comes: of a young run, which writes a record a second at first, and later on."""
    first_s, later_s = (_cpu_s(OURS.format(settings=""), age_s=age_s) for age_s in (2, 62))
    return [
        Row("CPU of the first minute, by default", f"{first_s:.3f} s", "", "≤ 0.015 s", first_s <= 0.015),
        Row("CPU a minute after that, by default", f"{later_s:.3f} s", "", "≤ 0.005 s", later_s <= 0.005),
    ]


def _cpu_s(before: str, python: str = sys.executable, age_s: float = 2) -> float:
    return figures(SLEEP.format(before=before, lasts_s=LASTS_S, age_s=age_s), python)[0] * 60 / LASTS_S


def stalls(settings: str, lasts_s: int, wait_s: float) -> Row:
    """Time that a loop reading the clock loses in gaps over 20 µs, of as long as a stored sample or a few."""
    compared = "(lambda one, other: 1000 * (one - other))"
    (low, median, high), control, share = _rounds(GAPS.format(lasts_s=lasts_s), compared, settings, wait_s)
    others = f"another bare turn {control[1]:+.1f} ms; the sampler's thread was on a core {share:.3%} of the time"
    text = f"{median:+.1f} ms ({low:+.1f} to {high:+.1f}) of {lasts_s} s"
    how = "reading every second" if settings else "by default"
    return Row(f"stalls of a loop that reads the clock, over bare, {how}", text, others, "0 ms within", low <= 0.0)


def slowdown() -> list[Row]:
    """Median of paired ratios with and without the agent, in the same process."""
    return [_slowdown(name, WORK.format(loop=loop, repeats=REPEATS[name])) for name, loop in LOOPS.items()]


def _slowdown(name: str, turn: str) -> Row:
    """Not measurable: the sampler's thread takes less than the bound, and the ratio's median doesn't lie above it."""
    (low, median, high), control, share = _rounds(turn, "(lambda one, other: one / other)")
    others = f"another bare turn {control[1]:.4f}; the sampler's thread was on a core {share:.3%} of the time"
    holds = low <= 1.005 and share <= 0.005
    return Row(f"slowdown, {name}", f"{median:.4f} ({low:.4f} to {high:.4f})", others, "≤ 1.005 within", holds)


def _rounds(turn: str, compared: str, settings=EVERY_SECOND, wait_s=1.1) -> tuple[tuple, tuple, float]:
    """The agent's comparison with bare turns and the control's, medians within bounds, and the thread's share."""
    code = ROUNDS.format(turn=turn, rounds=HOW_MANY, compared=compared, settings=settings, wait_s=wait_s)
    share, *values = figures(code)
    return median_within(values[:HOW_MANY]), median_within(values[HOW_MANY:]), share
