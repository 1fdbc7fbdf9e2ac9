"""What the benchmarks share: scripts in processes of their own, paired with a baseline in the same run."""

import math
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from typing import NamedTuple

PLACE = tempfile.mkdtemp(prefix="traceml-bench-")


class Row(NamedTuple):
    """One line of the table: what was measured, ours, the others', the bound of issue 3 and whether it holds."""

    what: str
    ours: str
    others: str = ""
    bound: str = ""
    holds: bool | None = None


def environment(**more) -> dict[str, str]:
    """The environment without settings of an agent, and with a folder of the benchmark's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRACEML_", "CODECARBON_"))}
    # A current numpy is slowed by what is set here for old OpenBLAS builds.
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        kept.pop(name, None)
    return kept | {"TRACEML_AGENT_SPOOL_DIR": f"{PLACE}/spool", "HOME": PLACE} | more


def run(code: str, python: str = sys.executable, **more) -> str:
    """What a script prints, run in a process of its own."""
    done = subprocess.run(
        [python, "-c", textwrap.dedent(code)],
        env=environment(**more),
        cwd=PLACE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout


def figures(code: str, python: str = sys.executable) -> list[float]:
    """The numbers in the last line that a script prints; a peer may have its say before."""
    return [float(word) for word in run(code, python).splitlines()[-1].split()]


def seconds(code: str, python: str = sys.executable, **more) -> float:
    """How long the whole process of a script lasts."""
    began = time.perf_counter()
    run(code, python, **more)
    return time.perf_counter() - began


def median_within(values: list[float]) -> tuple[float, float, float]:
    """The median between its bounds: order statistics that hold it with at least 95 % (sign test), nothing assumed."""
    ordered, n = sorted(values), len(values)
    below = 0
    while below < n // 2 and 2 * sum(math.comb(n, k) for k in range(below + 1)) / 2**n <= 0.05:
        below += 1
    first = max(0, below - 1)
    return ordered[first], statistics.median(ordered), ordered[n - 1 - first]


def medians(times: int, **measured) -> dict[str, float]:
    """Medians of several measurements that take turns, so that all of them see the same machine."""
    values: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(times):
        for name, measure in measured.items():
            values[name].append(measure())
    return {name: statistics.median(each) for name, each in values.items()}
