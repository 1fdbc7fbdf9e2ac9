"""A run read from its spool files: the rows of its records, and its summary."""

from __future__ import annotations

from collections.abc import Iterator

from traceml_agent.measuring.summary import WORK, Summary, per_unit, summarise
from traceml_agent.spool import recording
from traceml_agent.spool.names import writer_of


def bodies(path: str, kind: str | None = None) -> Iterator[dict]:
    """The bodies of a file's records, one by one, since a spool may be larger than memory."""
    seen = set()
    for _, record in recording.read(path):
        if record is None or record["n"] in seen:  # one that a signal's handler interrupted may be there twice
            continue
        seen.add(record["n"])
        if kind in (None, record["type"]):
            yield record["body"]


def rows(files: list[str], name: str) -> Iterator[dict]:
    for path in files:
        for body in bodies(path):
            for row in body.get(name) or ():
                yield {"writer": writer_of(path)} | row


def latest(files: list[str], name: str, key: str) -> list[dict]:
    """The last row of each stage, call or device, since they are cumulative."""
    return list({(row["writer"], row[key]): row for row in rows(files, name)}.values())


class _LastCounters:
    """The last counters of a device, like those of a meter."""

    def __init__(self, facts: dict, sample: dict):
        self.facts, self.profile = facts, None
        self.elapsed_s, self.busy_s, self.energy_j = (sample[name] for name in ("elapsed_s", "busy_s", "energy_j"))
        self.held_s = sample.get("held_s", self.elapsed_s)


def summary(files: list[str]) -> Summary:
    """What `Run.stop` returns, from the last counters and all reports in these files of one run."""
    last = {(row["writer"], row["device"]): row for row in rows(files, "samples")}
    devices = {(row["writer"], row["key"]): row for row in latest(files, "devices", "key")}
    counted = [_LastCounters(devices[place], sample) for place, sample in last.items() if place in devices]
    found = summarise(counted, max((row["t_s"] for row in last.values()), default=0.0), None)
    work = dict.fromkeys(WORK, 0.0)
    for row in rows(files, "metrics"):
        if row["name"] in work:
            work[row["name"]] += row["value"]
    found["work"] = per_unit(work, found.energy_kwh)
    told = ([body["left_out"] for body in bodies(path) if "left_out" in body] for path in files)
    found["left_out"] = [row for lists in told if lists for row in lists[-1]]  # the last includes the earlier ones
    return found
