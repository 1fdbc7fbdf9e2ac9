"""`traceml-agent import`: the runs of other tools, from their files, after a preview."""

from __future__ import annotations

import json
import os
import sys

from traceml_agent.commands import terminal
from traceml_agent.commands.terminal import Bar, Complaint
from traceml_agent.figures import counted
from traceml_agent.inputs import config

TEXT = (
    "Import the runs of other tools from their files: CodeCarbon, carbontracker, eco2AI, SLURM's sacct, MLflow, "
    "Weights & Biases. The portal shows what it found; nothing is stored before you confirm."
)
EXAMPLE = "traceml-agent import emissions.csv --timezone Europe/Berlin"
STATUSES = (
    "0 imported, or with --dry-run checked; 1 a file was refused or not confirmed, or the portal can't be reached"
)
NO_PORTAL = "no portal is configured: set TRACEML_AGENT_URL and TRACEML_AGENT_TOKEN, or run `traceml-agent login`"
KINDS = ("training", "finetuning", "evaluation", "inference", "other")
SHOWN_ROWS, SHOWN_MODELS = 10, 10
#: Choices of the command line that may be given several times, and their names in the API.
LISTS = {"model_rule": "models", "gpu": "gpus", "cpu": "cpus", "member": "members"}


def add_command(commands) -> None:
    """Add `import` to the command line's parsers."""
    parser = terminal.add(commands, "import", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--format", help="codecarbon, slurm, … (default: recognised from the file)")
    parser.add_argument(
        "--timezone", help="of times without an offset, such as Europe/Berlin (default: this machine's)"
    )
    parser.add_argument("--kind", choices=KINDS, help="of the runs (default: training)")
    repeated: dict = {"action": "append", "default": []}
    parser.add_argument(
        "--model-rule", metavar="'PATTERN = MODEL'", help="such as 'train-* = {1}'; repeatable", **repeated
    )
    parser.add_argument("--gpu", metavar="TYPE=NAME", help="a cluster's short name of a GPU; repeatable", **repeated)
    parser.add_argument(
        "--cpu", metavar="[PARTITION=]NAME", help="the processor, where the file names none", **repeated
    )
    parser.add_argument("--member", metavar="USER=EMAIL", help="whose runs a user's are; repeatable", **repeated)
    parser.add_argument("--slurm-energy", choices=("cpu", "nodes", "ignore"), help="what SLURM's own energy covers")
    parser.add_argument("--yes", action="store_true", help="import without asking")
    parser.add_argument("--dry-run", action="store_true", help="show the preview only")
    parser.add_argument("--undo", metavar="ID", type=int, help="remove exactly the runs of this import")
    parser.add_argument("--json", action="store_true", help="print each import as a line of JSON")


def command(options) -> int:
    """Import each file. Returns 1 if one of them was not imported."""
    settings = config.load()
    if not (settings.url and settings.token):
        raise Complaint(NO_PORTAL)
    if bool(options.files) == (options.undo is not None):
        raise Complaint(f"name a file, or an import to undo: {EXAMPLE}", 2)
    from traceml_agent.commands.import_upload import Importer

    portal = Importer(settings)
    if options.undo is not None:
        with Bar() as bar:
            found = portal.undo(options.undo, bar_of(bar))
        print(
            json.dumps(found)
            if options.json
            else f"Removed the {counted(found['runs_added'], 'run')} of {found['file_name']}."
        )
        return 0
    return max(_import(portal, path, options) for path in options.files)


def bar_of(bar: Bar):
    return lambda share, word: bar.show(share, 1.0, word)


def _import(portal, path: str, options) -> int:
    if not os.path.exists(path):
        raise Complaint(f"{path}: no such file")
    with Bar() as bar:
        found = portal.send(path, _choices(options), bar_of(bar))
    if not options.json:
        _show(found)
    if found["state"] == "checked":
        found = _decided(portal, found, options)
    if options.json:
        print(json.dumps(found))
    return 0 if found["state"] == "done" or (options.dry_run and found["state"] == "checked") else 1


def _decided(portal, found: dict, options) -> dict:
    """Confirm the import, or forget it."""
    if options.dry_run or not (options.yes or _is_confirmed()):
        portal.discard(found["id"])
        if not options.json:
            print("Nothing was imported." if options.dry_run else "Nothing was imported; add --yes to import.")
        return found
    with Bar() as bar:
        found = portal.confirm(found["id"], bar_of(bar))
    if not options.json:
        _show_end(found)
    return found


def _choices(options) -> dict:
    rule = {name: "\n".join(lines) for given, name in LISTS.items() if (lines := getattr(options, given))}
    rule |= {"timezone": options.timezone or _zone_here()}
    rule |= {"kind": options.kind} if options.kind else {}
    rule |= {"energy": options.slurm_energy} if options.slurm_energy else {}
    return {"rule": rule} | ({"format": options.format} if options.format else {})


def _zone_here() -> str:
    """This machine's time zone by name, where its usual link tells it; else UTC."""
    _, is_zone, name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")
    return os.environ.get("TZ", "").lstrip(":") or (name if is_zone else "") or "UTC"


def _is_confirmed() -> bool:
    if not sys.stdin.isatty():
        return False
    print("Import? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show(found: dict) -> None:
    """Print the preview: the format, what was found, totals, and what is left out and why."""
    if found["state"] == "refused":
        print(f"{found['file_name']}: {found['problem']}")
        return
    preview = found["preview"]
    days = f", {preview['first_day']} to {preview['last_day']}" if preview["first_day"] else ""
    print(f"{found['file_name']}: {found['format']}, {counted(preview['runs'], 'run')}{days}")
    if preview["known"] or preview["grown"]:
        print(f"  {preview['new']:,} new, {preview['known']:,} already here, {preview['grown']:,} have gone on since")
    low, high = preview["energy_low_kwh"], preview["energy_high_kwh"]
    print(f"  {preview['energy_kwh']:,.4g} kWh ({low:,.4g} to {high:,.4g}), {preview['emissions_kg']:,.4g} kg CO2e")
    for model in preview["models"][:SHOWN_MODELS]:
        print(f"  {model['name']} ({model['kind']}): {counted(model['runs'], 'run')}, {model['energy_kwh']:,.4g} kWh")
    if preview["model_count"] > SHOWN_MODELS:
        print(f"  … {preview['model_count'] - SHOWN_MODELS:,} more models")
    for device in preview["hardware"]:
        if not device["is_known"]:
            print(f"  not in the catalogue: {device['name']}, taken as {device['profile']}")
    for row in preview["left_aside"]:
        print(f"  left out: {row['count']:,}, {row['reason']}")
    if preview["unknown_user_count"]:
        users = ", ".join(row["user"] for row in preview["unknown_users"][:5])
        print(
            f"  {counted(preview['unknown_user_count'], 'user')} not in the team, whose runs belong to nobody: {users}"
        )
    for row in found["rows_refused"][:SHOWN_ROWS]:
        print(f"  line {row['line']} refused: {row['reason']}")
    if found["refused"] > SHOWN_ROWS:
        print(f"  {found['refused']:,} rows refused in all")


def _show_end(found: dict) -> None:
    if found["state"] != "done":
        print(found["problem"] or f"The import is {found['state']}.")
        return
    updated = f", {found['runs_updated']:,} updated" if found["runs_updated"] else ""
    print(f"Imported {counted(found['runs_added'], 'run')}{updated}: {found['url']}")
    print(f"Undo it with: traceml-agent import --undo {found['id']}")
