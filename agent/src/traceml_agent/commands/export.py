"""`traceml-agent export`: a run as JSON or CSV, finished or not, from the spool or else from the portal."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator

from traceml_agent.commands import terminal
from traceml_agent.commands.terminal import Complaint
from traceml_agent.inputs import config
from traceml_agent.inputs.config import Refused
from traceml_agent.measuring.spooled import bodies, latest, rows, summary
from traceml_agent.spool.files import spool_files
from traceml_agent.spool.folder import folders
from traceml_agent.spool.names import run_of, writer_of

TEXT = "Write a run as JSON or CSV, from the spool or the portal (which needs a token with read access)."
EXAMPLE = "traceml-agent export latest --format csv --output run.csv"
STATUSES = "0 written; 1 neither the spool nor the portal has the run, or FILE can't be written"
NO_PORTAL = "set TRACEML_AGENT_URL and a TRACEML_AGENT_TOKEN with read access"
COLUMNS = ("writer", "device", "kind", "name", "t_s", "elapsed_s", "busy_s", "energy_j")
#: A spreadsheet would run a cell that starts like this.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_command(commands) -> None:
    """Add `export` to the command line's parsers."""
    parser = terminal.add(commands, "export", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("run", nargs="?", metavar="RUN_ID", help="a run's id, the start of one, or `latest`")
    parser.add_argument("--list", action="store_true", help="list the runs in the spool, and the latest on the portal")
    parser.add_argument("--format", choices=("json", "csv"), default="json")
    parser.add_argument("--output", metavar="FILE", help="write to FILE instead of stdout")


def command(options) -> int:
    """Write the run, or list all runs."""
    settings = config.load()
    files = [path for place in folders(settings) for path in spool_files(place)]
    if options.list or not options.run:
        for line in _listed(files):
            print(line)
        _list_delivered(settings, {run_of(path) for path in files})
        return 0
    run = _wanted(options.run.lower(), files, settings)
    with open(options.output, "w", encoding="utf-8", newline="") if options.output else _Stdout() as out:
        (write_csv if options.format == "csv" else write_json)(run, out)
    return 0


def _wanted(asked: str, files: list[str], settings):
    """The requested run, from the spool or else the portal. Raises Complaint if neither has it."""
    here = files_of(asked, files)
    has_portal = settings.url and settings.token
    if here and not (asked == "latest" and has_portal):
        return SpooledRun(here)
    if not has_portal:
        raise Complaint(f"the spool has no run {asked}; to export one from a portal, {NO_PORTAL}")
    try:
        return _delivered(asked, here, settings)
    except (Complaint, Refused) as complaint:
        if not here:
            raise Complaint(f"the spool has no run {asked}; {complaint}") from None
        print(f"traceml-agent: only the spool was searched; {complaint}", file=sys.stderr)
        return SpooledRun(here)


def _delivered(asked: str, here: list[str], settings):
    """A run from the portal; for `latest` the one in the spool if that began later, or is the same."""
    from traceml_agent.delivery import delivered

    portal = delivered.PortalReader(settings)
    if asked == "latest":
        newest = next(iter(portal.latest(1)), None)
        if newest is None and not here:
            raise Complaint(f"{settings.url} has none either")
        if newest is None or (here and _is_later(here, newest)):
            return SpooledRun(here)
        asked = newest["run_id"]
    run = portal.run(asked)
    thinned = f", thinned to at most {delivered.MAX_POINTS:,} samples per device" if run.may_be_thinned else ""
    print(f"traceml-agent: run {run.run_id} from {settings.url}{thinned}", file=sys.stderr)
    return run


def _is_later(here: list[str], newest: dict) -> bool:
    from traceml_agent.delivery.delivered import began_at

    header: dict = next(bodies(here[0], "header"), {})
    is_same = run_of(here[0]) == newest["run_id"]
    return is_same or began_at(header.get("started_at")) > began_at(newest["started_at"])


def _list_delivered(settings, listed: set[str]) -> None:
    """Print the portal's latest runs that are not in the spool."""
    if not (settings.url and settings.token):
        return
    from traceml_agent.delivery import delivered

    try:
        runs = delivered.PortalReader(settings).latest()
    except (Complaint, Refused) as complaint:
        print(f"traceml-agent: only the spool is listed; {complaint}", file=sys.stderr)
        return
    for run in runs:
        if run["run_id"] not in listed:
            print(f"{run['run_id']}  {run['started_at']}  {run['state']}  delivered  {run['model']}")


class _Stdout:
    """stdout as a context manager that does not close it."""

    def __enter__(self):
        return sys.stdout

    def __exit__(self, *exception) -> None:
        sys.stdout.flush()


def files_of(run: str, files: list[str]) -> list[str]:
    """The files of all writers of one run; `files` are sorted by age, oldest first."""
    if run == "latest":
        run = run_of(files[-1]) if files else ""
    runs = {run_of(path) for path in files if run and run_of(path).startswith(run)}
    if len(runs) > 1:
        raise Complaint(f"several runs start with {run}; give the full id")
    return [path for path in files if run_of(path) in runs]


def _listed(files: list[str]) -> Iterator[str]:
    for path in files:
        header: dict = next(bodies(path, "header"), {})
        finish: dict = next(bodies(path, "finish"), {})
        state, size_kb = finish.get("status", "not finished"), os.path.getsize(path) / 1000
        yield f"{run_of(path)}  {header.get('started_at', '?')}  {state}  {size_kb:.0f} kB  {header.get('model', '?')}"


class SpooledRun:
    """A run in the spool, from the files of its writers."""

    def __init__(self, files: list[str]):
        self._files = files
        self.run_id = run_of(files[0])

    def parts(self) -> dict:
        """Everything except what is written row by row."""
        finishes = [{"writer": writer_of(path)} | body for path in self._files for body in bodies(path, "finish")]
        return {
            "run_id": self.run_id,
            "headers": [body for path in self._files for body in bodies(path, "header")],
            "summary": summary(self._files),
            "devices": self.devices(),
            "stages": latest(self._files, "stages", "id"),
            "calls": latest(self._files, "calls", "method"),
            "finishes": [
                {name: body[name] for name in body if name not in ("samples", "devices")} for body in finishes
            ],
        }

    def devices(self) -> list[dict]:
        """The facts of the devices, each with its writer."""
        return latest(self._files, "devices", "key")

    def rows(self, name: str) -> Iterator[dict]:
        """Rows of samples or metrics, one by one."""
        return rows(self._files, name)


def write_json(run, out) -> None:
    """Write the run as one JSON object. Samples and metrics are written as they are read."""
    out.write(json.dumps(run.parts(), indent=1)[:-2])
    for name in ("metrics", "samples"):
        out.write(f',\n "{name}": [')
        _write_rows(run.rows(name), out)
        out.write("]")
    out.write("\n}\n")


def _write_rows(rows: Iterable[dict], out) -> None:
    for number, row in enumerate(rows):
        out.write((",\n  " if number else "\n  ") + json.dumps(row))


def write_csv(run, out) -> None:
    """Write one line per sample, with the device's kind and name. The last word of a column's name is its unit."""
    devices = {(row["writer"], row["key"]): row for row in run.devices()}
    lines = csv.writer(out)
    lines.writerow(COLUMNS)
    for row in run.rows("samples"):
        described = devices.get((row["writer"], row["device"]), {}) | row
        lines.writerow([_cell(described.get(name)) for name in COLUMNS])


def _cell(value):
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
