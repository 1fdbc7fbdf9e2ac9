"""A delivered run from the portal's API, in the format that `export` writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice

from traceml_agent.inputs.config import Refused
from traceml_agent.portal import Portal

#: How many of a project's latest runs are searched for the start of an id, and how many are listed.
MAX_LOOKED_THROUGH, MAX_LISTED = 200, 20
#: The portal thins a device's samples to this many.
MAX_POINTS = 2000
HEADER = ("model", "kind", "name", "tags", "params", "started_at", "agent_version", "environment")
FIGURES = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "duration_s", "measured_share")
DEVICE = ("kind", "name", "uuid", "method", "basis", "busy_s", "elapsed_s")
STAGE = ("name", "parent", "start_s", "end_s")
END = ("ended_at", "exception", "dropped_records")
J_PER_KWH = 3.6e6


class PortalReader:
    """The runs of a portal, for `export`. Every call raises Refused, with the portal's words, if it does not answer."""

    def __init__(self, settings):
        self._portal = Portal(**settings.as_dict())
        self.url = settings.url

    def latest(self, count: int = MAX_LISTED) -> list[dict]:
        """The project's latest runs, newest first."""
        return list(islice(self._portal.runs(page_size=count), count))

    def run(self, run_id: str) -> DeliveredRun:
        """A run by its id or the start of one."""
        if len(run_id) < 36:
            alike = [each["run_id"] for each in self.latest(MAX_LOOKED_THROUGH) if each["run_id"].startswith(run_id)]
            if len(alike) != 1:
                found = "several runs start" if alike else f"none of the latest {MAX_LOOKED_THROUGH} runs starts"
                raise Refused(f"on {self.url} {found} with {run_id}; give the full id")
            run_id = alike[0]
        return DeliveredRun(self.url, self._portal.run(run_id), list(self._portal.series(run_id)))


def began_at(started_at) -> datetime:
    """The time of a `started_at`; long ago if it is invalid."""
    try:
        found = datetime.fromisoformat(str(started_at).replace("Z", "+00:00"))
    except ValueError:
        return datetime.min.replace(tzinfo=timezone.utc)
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


class DeliveredRun:
    """A run on the portal, without what the API omits: hosts, and each writer's header and end."""

    def __init__(self, url: str, facts: dict, samples: list[dict]):
        self._url, self._facts, self._samples = url, facts, samples
        self.run_id: str = facts["run_id"]

    @property
    def may_be_thinned(self) -> bool:
        """Whether a device has so many samples that the portal may have thinned them to every nth."""
        counts = Counter((row["writer"], row["device"]) for row in self._samples)
        return any(count > MAX_POINTS // 2 for count in counts.values())

    def parts(self) -> dict:
        """Everything except what is written row by row."""
        facts = self._facts
        devices = [_picked(each, DEVICE) | {"energy_j": _joules(each)} for each in facts["devices"]]
        has_ended = facts.get("ended_at") is not None
        return {
            "run_id": self.run_id,
            "portal": self._url,
            "headers": [_picked(facts, HEADER)],
            "summary": _picked(facts, FIGURES) | {"url": f"{self._url}/runs/{self.run_id}/", "devices": devices},
            "devices": self.devices(),
            "stages": [{"id": each.get("key")} | _picked(each, STAGE) for each in facts["stages"]],
            "calls": facts["calls"],
            "finishes": [{"status": facts["state"]} | _picked(facts, END)] if has_ended else [],
        }

    def devices(self) -> list[dict]:
        """The facts of the devices, each with its writer."""
        return self._facts["devices"]

    def rows(self, name: str) -> Iterator[dict]:
        """Rows of samples, thinned by the portal, or of metrics if it returns them."""
        yield from self._samples if name == "samples" else self._facts.get(name) or ()


def _picked(row: dict, names: tuple[str, ...]) -> dict:
    return {name: row.get(name) for name in names}


def _joules(device: dict) -> float:
    return J_PER_KWH * (device.get("energy_kwh") or 0.0)
