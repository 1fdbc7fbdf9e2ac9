"""What the benchmarks share: scripts in processes of their own, paired with a baseline in the same run."""

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


def seconds(code: str, python: str = sys.executable, **more) -> float:
    """How long the whole process of a script lasts."""
    began = time.perf_counter()
    run(code, python, **more)
    return time.perf_counter() - began


def medians(times: int, **measured) -> dict[str, float]:
    """Medians of several measurements that take turns, so that all of them see the same machine."""
    values: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(times):
        for name, measure in measured.items():
            values[name].append(measure())
    return {name: statistics.median(each) for name, each in values.items()}
