"""`traceml-agent export`: a run from the spool as JSON or CSV, without any server, finished or not."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator

from traceml_agent import config, spool, terminal
from traceml_agent import summary as numbers
from traceml_agent.spool_folder import SUFFIX, folders, spool_files
from traceml_agent.terminal import Complaint

TEXT = "Write a run that still lies in the spool as JSON or CSV; what is delivered lives on the portal."
EXAMPLE = "traceml-agent export latest --format csv --output run.csv"
STATUSES = "0 written; 1 the spool does not hold the run, or FILE can't be written"
COLUMNS = ("writer", "device", "kind", "name", "t_s", "elapsed_s", "busy_s", "energy_j")
#: A spreadsheet would run what begins so.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_command(commands) -> None:
    """Add `export` to the command line's parsers."""
    parser = terminal.add(commands, "export", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("run", nargs="?", metavar="RUN_ID", help="a run's id or its beginning, or `latest`")
    parser.add_argument("--list", action="store_true", help="list the runs in the spool")
    parser.add_argument("--format", choices=("json", "csv"), default="json")
    parser.add_argument("--output", metavar="FILE", help="write there instead of stdout")


def command(options) -> int:
    """Write the run."""
    files = [path for place in folders(config.load()) for path in spool_files(place)]
    if options.list or not options.run:
        for line in _listed(files):
            print(line)
        return 0
    wanted = _files_of(options.run, files)
    if not wanted:
        raise Complaint(f"the spool holds no run {options.run}; a delivered run is on the portal")
    with open(options.output, "w", encoding="utf-8", newline="") if options.output else _Stdout() as out:
        (write_csv if options.format == "csv" else write_json)(wanted, out)
    return 0


class _Stdout:
    """stdout as a file that a `with` does not close."""

    def __enter__(self):
        return sys.stdout

    def __exit__(self, *exception) -> None:
        sys.stdout.flush()


def _run_of(path: str) -> str:
    return os.path.basename(path).partition(".")[0]


def _writer_of(path: str) -> str:
    return os.path.basename(path).removesuffix(SUFFIX).partition(".")[2]


def _files_of(run: str, files: list[str]) -> list[str]:
    """The files of all writers of one run; `files` are the oldest first."""
    if run == "latest":
        run = _run_of(files[-1]) if files else ""
    runs = {_run_of(path) for path in files if run and path and _run_of(path).startswith(run.lower())}
    return [path for path in files if _run_of(path) in runs] if len(runs) == 1 else []


def _bodies(path: str, kind: str | None = None) -> Iterator[dict]:
    """Bodies of a file's records one by one: a spool may be larger than memory."""
    for _, record in spool.records(path):
        if record and kind in (None, record["type"]):
            yield record["body"]


def _listed(files: list[str]) -> Iterator[str]:
    for path in files:
        header: dict = next(_bodies(path, "header"), {})
        finish: dict = next(_bodies(path, "finish"), {})
        state, size_kb = finish.get("status", "not finished"), os.path.getsize(path) / 1000
        yield f"{_run_of(path)}  {header.get('started_at', '?')}  {state}  {size_kb:.0f} kB  {header.get('model', '?')}"


def _rows(files: list[str], name: str) -> Iterator[dict]:
    for path in files:
        for body in _bodies(path):
            for row in body.get(name) or ():
                yield {"writer": _writer_of(path)} | row


def _latest(files: list[str], name: str, key: str) -> list[dict]:
    """The last report of each stage, call or device: they are cumulative."""
    return list({(row["writer"], row[key]): row for row in _rows(files, name)}.values())


def write_json(files: list[str], out) -> None:
    """The run as one JSON object; samples and metrics are written as they are read."""
    headers = [body for path in files for body in _bodies(path, "header")]
    finishes = [{"writer": _writer_of(path)} | body for path in files for body in _bodies(path, "finish")]
    ends = [{name: value for name, value in body.items() if name not in ("samples", "devices")} for body in finishes]
    parts = {
        "run_id": _run_of(files[0]),
        "headers": headers,
        "summary": summary(files),
        "devices": _latest(files, "devices", "key"),
        "stages": _latest(files, "stages", "id"),
        "calls": _latest(files, "calls", "method"),
        "finishes": ends,
    }
    out.write(json.dumps(parts, indent=1)[:-2])
    for name in ("metrics", "samples"):
        out.write(f',\n "{name}": [')
        _write_rows(_rows(files, name), out)
        out.write("]")
    out.write("\n}\n")


def _write_rows(rows: Iterable[dict], out) -> None:
    for number, row in enumerate(rows):
        out.write((",\n  " if number else "\n  ") + json.dumps(row))


def write_csv(files: list[str], out) -> None:
    """A line a sample, with the device's kind and name; units are the last word of a column's name."""
    devices = {(row["writer"], row["key"]): row for row in _latest(files, "devices", "key")}
    lines = csv.writer(out)
    lines.writerow(COLUMNS)
    for row in _rows(files, "samples"):
        described = devices.get((row["writer"], row["device"]), {}) | row
        lines.writerow([_cell(described.get(name)) for name in COLUMNS])


def _cell(value):
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


class _Counted:
    """A device's last counters, as a meter has them."""

    def __init__(self, facts: dict, sample: dict):
        self.facts, self.profile = facts, None
        self.elapsed_s, self.busy_s, self.energy_j = (sample[name] for name in ("elapsed_s", "busy_s", "energy_j"))


def summary(files: list[str]) -> numbers.Record:
    """Energy and emissions of the last counters, with the bundled catalogue."""
    last = {(row["writer"], row["device"]): row for row in _rows(files, "samples")}
    devices = {(row["writer"], row["key"]): row for row in _latest(files, "devices", "key")}
    counted = [_Counted(devices[place], sample) for place, sample in last.items() if place in devices]
    return numbers.summarise(counted, max((row["t_s"] for row in last.values()), default=0.0), None)
