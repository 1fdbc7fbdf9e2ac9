"""Matching: what an agent pays for its first names, and what a name costs once the whole catalogue is loaded."""

from tests.benchmarks.timing import Row, run

FIRST = """
import time
from traceml_agent import catalogue
began = time.perf_counter()
for name, kind in (("NVIDIA A100-SXM4-80GB", "gpu"), ("AMD EPYC 7742 64-Core Processor", "cpu"), ("Memory", "ram")):
    catalogue.profile_for(name, kind)
print(time.perf_counter() - began)
"""
EACH = """
import csv, statistics, time
from traceml_agent import catalogue
names = [(row["raw"], row["kind"]) for row in csv.DictReader(open({cases!r}, newline=""))]
seeds = {{True: catalogue.seed(True), False: catalogue.seed(False)}}
for name, kind in names: seeds[kind == "cpu"].match(name, kind)
times = []
for _ in range(20):
    began = time.perf_counter()
    for name, kind in names: seeds[kind == "cpu"].match(name, kind)
    times.append((time.perf_counter() - began) / len(names))
print(statistics.median(times))
"""


def rows() -> list[Row]:
    from pathlib import Path

    cases = str(Path(__file__).parents[1] / "hardware" / "match_cases.csv")
    first_s = sorted(float(run(FIRST)) for _ in range(9))[4]
    each_s = float(run(EACH.format(cases=cases)))
    first = "an agent's three names matched, loading included"
    return [
        Row(first, f"{1000 * first_s:.1f} ms", "", "≤ 30 ms", first_s <= 0.03),
        Row("a name matched once loaded", f"{1e6 * each_s:.0f} µs", "", "≤ 50 µs", each_s <= 50e-6),
    ]
