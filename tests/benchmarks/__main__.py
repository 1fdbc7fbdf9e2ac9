"""`make bench`: all benchmarks, or those named; `--write` puts the table into docs/benchmarks.md."""

import argparse
import importlib
import os
import platform
import sys
import time
from pathlib import Path

PARTS = ("process", "calls", "footprint", "cost", "truth", "matching", "ranges", "reestimation", "pages")
PARTS += ("long_run", "paint", "keeping", "imports", "ingest", "load")
#: Only when named: their data takes half an hour to make, and gigabytes.
LARGE = ("million",)
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=", ".join(PARTS + LARGE))
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    rows = []
    for part in options.parts:
        for row in importlib.import_module(f"tests.benchmarks.{part}").rows():
            print(_line(row), flush=True)
            rows.append(row)
    if options.write:
        _write(rows)
    return 0 if all(row.holds is not False for row in rows) else 1


def _line(row) -> str:
    verdict = {True: "yes", False: "**no**", None: ""}[row.holds]
    return f"| {row.what} | {row.ours} | {row.others} | {row.bound} | {verdict} |"


def _write(rows) -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    head = [
        f"Measured {time.strftime('%Y-%m-%d')} on {machine}, by `make bench`.",
        "",
        "| what | TraceML | in the same run | bound | holds |",
        "| --- | --- | --- | --- | --- |",
    ]
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, *head, *map(_line, rows), END + after]))


if __name__ == "__main__":
    sys.exit(main())
