"""What a run's parts look like at the portal, or in the spool of a machine whose portal is down."""

from pathlib import Path

from traceml_agent.spool import recording
from traceml_agent.spool.files import spool_files


def kept(place: Path) -> list[dict]:
    """The runs in a spool, in the shape of those that arrived."""
    runs = []
    for path in spool_files(str(place)):
        records = [record for _, record in recording.read(path) if record]
        bodies = {kind: [each["body"] for each in records if each["type"] == kind] for kind in recording.TYPES}
        batches = dict(enumerate(bodies["update"]))
        runs.append({"headers": bodies["header"], "batches": batches, "finishes": bodies["finish"]})
    return runs


def stages(stored: dict) -> dict[str, dict]:
    """The stages of a run by name, in the order of their beginning."""
    reports = [row for batch in stored["batches"].values() for row in batch.get("stages", [])]
    latest = {row["id"]: row for row in reports}
    return {
        row["name"]: row for row in sorted(latest.values(), key=lambda row: (row["start_s"], -(row["end_s"] or 1e9)))
    }


def inside(stored: dict, name: str) -> list[str]:
    """The names of the stages directly inside the stage of this name."""
    found = stages(stored)
    return [each for each, row in found.items() if row["parent"] == found[name]["id"]]


def params(stored: dict) -> dict:
    """The parameters of a run: those of its header, and those that were told later."""
    found = dict(stored["headers"][-1]["params"])
    for batch in stored["batches"].values():
        found |= batch.get("about", {}).get("params", {})
    return found


def busy_s(stored: dict) -> float:
    """Busy seconds of the processor: what the energy is estimated from."""
    rows = [row for finish in stored["finishes"] for row in finish["samples"]]
    return sum(row["busy_s"] or 0.0 for row in rows if row["device"].startswith("cpu"))
