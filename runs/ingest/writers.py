"""Writers and their devices: counters taken from samples."""

from collections.abc import Iterable
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone

from runs.ingest.clock import MAX_AHEAD, Clock, Reading
from runs.models import Device, Run, Writer
from runs.models.device import PARTS
from runs.models.left_out import added_up, total

DEFAULT_WRITER = "main"

DESCRIPTION = (
    "kind",
    "name",
    "uuid",
    "method",
    "note",
    "measured_by",
    "cores",
    "threads",
    "host_cores",
    "host_threads",
    "memory_gb",
    "share",
    "power_limit_w",
)


def writer_of(run: Run, data: dict) -> Writer:
    """The writer that a request names, made when it is new. The caller holds the run's lock.

    What is stored of a known one counts, whatever the request says. Raises ValidationError for an impossible start.
    """
    key = data.get("writer") or DEFAULT_WRITER
    writer = run.writers.filter(key=key).first()
    if writer is None:
        started_at, skew_s = _start_of(run, data)
        about = {"started_at": started_at, "clock_skew_s": skew_s, "rank": data.get("rank")}
        host = data.get("host") or ""
        writer = Writer.objects.create(project_id=run.project_id, run=run, key=key, host=host, **about)
    return writer


def _start_of(run: Run, data: dict) -> Reading:
    """When a writer began by the portal's clock; the run's own start where it says nothing."""
    clock = Clock.of(data)
    if "writer_started_at" in data:
        return clock.read(data["writer_started_at"], "writer_started_at")
    return Reading(run.started_at, clock.read(data.get("started_at", run.started_at), "started_at").skew_s)


def take_left_out(writer: Writer, data: dict) -> None:
    """Keep what the agent left out so far. Counts only grow, so the larger list is the later one."""
    if "left_out" in data:
        rows = added_up(data["left_out"])
        if total(rows) >= total(writer.left_out):
            writer.left_out = rows


def describe_devices(writer: Writer, descriptions: Iterable[dict]) -> dict[str, Device]:
    """The writer's devices by key, with new or changed descriptions taken over (saved with the counters)."""
    devices = {device.key: device for device in writer.devices.all()}
    for description in descriptions:
        device = devices.setdefault(
            description["key"],
            Device(project_id=writer.project_id, run_id=writer.run_id, writer=writer, key=description["key"]),
        )
        for field in DESCRIPTION:
            if field in description:
                setattr(device, field, description[field])
    return devices


def count_samples(writer: Writer, devices: dict[str, Device], samples: list[dict]) -> None:
    """Advance the devices' cumulative counters; raises ValidationError for a device that nobody described."""
    now = timezone.now()
    for index, sample in enumerate(samples):
        device = devices.get(sample["device"])
        if device is None:
            raise ValidationError({f"samples[{index}].device": "names a device that was never described"})
        at = writer.started_at + timedelta(seconds=sample["t_s"])
        if at > now + MAX_AHEAD and not writer.clock_skew_s:
            message = "lies in the future; check the clock of the machine"
            raise ValidationError({f"samples[{index}].t_s": message})
        at = min(at, now) if writer.clock_skew_s else at  # its start may be later than it was
        parts = tuple(sample[name] for name in PARTS if name in sample)
        device.advance(sample["elapsed_s"], sample["busy_s"], sample["energy_j"], at.date(), parts)
        writer.last_t_s = max(writer.last_t_s, sample["t_s"])
