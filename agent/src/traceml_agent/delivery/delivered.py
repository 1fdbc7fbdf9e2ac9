"""A delivered run from the portal's API, in the format that `export` writes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from traceml_agent.delivery import client
from traceml_agent.inputs.config import Refused

#: How many of a project's latest runs are searched for the start of an id, and how many are listed.
MAX_LOOKED_THROUGH, MAX_LISTED = 200, 20
#: The portal thins a device's samples to this many. Those of a large job are more than a page.
MAX_POINTS, MAX_SERIES_BYTES = 2000, 256 * 1024 * 1024
HEADER = ("model", "kind", "name", "tags", "params", "started_at", "agent_version", "environment")
FIGURES = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "duration_s", "measured_share")
DEVICE = ("kind", "name", "uuid", "method", "basis", "busy_s", "elapsed_s")
STAGE = ("name", "parent", "start_s", "end_s")
END = ("ended_at", "exception", "dropped_records")
J_PER_KWH = 3.6e6


class PortalReader:
    """A portal's API for reading. Every call raises Refused, with the portal's words, if it does not answer."""

    def __init__(self, settings):
        client.MAX_PAGE_BYTES = MAX_SERIES_BYTES
        self.url = settings.url
        self._client = client.Client(settings)

    def latest(self, count: int = MAX_LISTED) -> list[dict]:
        """The project's latest runs, newest first."""
        return self._get(f"runs?page_size={count}").get("results") or []

    def run(self, run_id: str) -> DeliveredRun:
        """A run by its id or the start of one."""
        if len(run_id) < 36:
            alike = [each["run_id"] for each in self.latest(MAX_LOOKED_THROUGH) if each["run_id"].startswith(run_id)]
            if len(alike) != 1:
                found = "several runs start" if alike else f"none of the latest {MAX_LOOKED_THROUGH} runs starts"
                raise Refused(f"on {self.url} {found} with {run_id}; give the full id")
            run_id = alike[0]
        return DeliveredRun(self.url, self._get(f"runs/{run_id}"), self._get(f"runs/{run_id}/series"))

    def _get(self, path: str) -> dict:
        try:
            body, _ = self._client.get(path)
        except Refused as refusal:
            raise Refused(f"{self.url}: {str(refusal).rstrip('.')}{_remedy(str(refusal))}") from None
        return body or {}


def _remedy(reason: str) -> str:
    if "scope" not in reason:
        return ""
    return (
        "; create a token with read access under API tokens in the portal's settings, and set TRACEML_AGENT_TOKEN to it"
    )


def began_at(started_at) -> datetime:
    """The time of a `started_at`; long ago if it is invalid."""
    try:
        found = datetime.fromisoformat(str(started_at).replace("Z", "+00:00"))
    except ValueError:
        return datetime.min.replace(tzinfo=timezone.utc)
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


class DeliveredRun:
    """A run on the portal, without what the API omits: hosts, and each writer's header and end."""

    def __init__(self, url: str, facts: dict, series: dict):
        self._url, self._facts, self._series = url, facts, series
        self.run_id: str = facts["run_id"]

    @property
    def may_be_thinned(self) -> bool:
        """Whether a device has so many samples that the portal may have thinned them to every nth."""
        return any(len(columns["t_s"]) > MAX_POINTS // 2 for columns in self._series["devices"])

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
        if name != "samples":
            yield from self._facts.get(name) or ()
            return
        for columns in self._series["devices"]:
            writer, _, key = columns["device"].partition("/")
            names = [name for name in columns if name != "device"]
            for values in zip(*(columns[name] for name in names), strict=True):
                yield {"writer": writer, "device": key} | dict(zip(names, values, strict=True))


def _picked(row: dict, names: tuple[str, ...]) -> dict:
    return {name: row.get(name) for name in names}


def _joules(device: dict) -> float:
    return J_PER_KWH * (device.get("energy_kwh") or 0.0)
