"""Writers and their devices, whose counters come from samples."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from runs.ingest.bodies import BatchBody, DeviceBody, FinishBody, WriterBody
from runs.ingest.clock import MAX_AHEAD, Clock, ClockReading
from runs.left_out import LeftOut, added_up, total
from runs.models import Device, Project, Run, Writer
from runs.models.device import PARTS
from traceml_agent.limits import MAX_RUN_DEVICES, MAX_WRITERS

DEFAULT_WRITER = "main"
#: Shorter than any run may be silent.
A_MOMENT = timedelta(seconds=2)

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


def writer_of(run: Run, data: WriterBody) -> Writer:
    """Return the writer that a request names, created if new. The caller holds the run's lock.

    What is stored about a known writer takes precedence over the request. Raises ValidationError for an impossible
    start.
    """
    key = data.get("writer") or DEFAULT_WRITER
    writer = run.writers.filter(key=key).first()
    if writer is None:
        if run.writers.count() >= MAX_WRITERS:
            raise ValidationError({"writer": f"exceeds the limit of {MAX_WRITERS:,} processes per run"})
        started_at, skew_s = _start_of(run, data)
        about = {"started_at": started_at, "clock_skew_s": skew_s, "rank": data.get("rank")}
        host = data.get("host") or ""
        writer = Writer.objects.create(project_id=run.project_id, run=run, key=key, host=host, **about)
    return writer


def just_told(project: Project, run_id, data: WriterBody, sha256: str) -> Run | None:
    """Return the run if this same header or end is the last one that its writer sent, a moment ago. Takes no lock.

    Checked before the lock and again after it, because others may have sent something meanwhile. Later repeats are
    stored again: from a client that sends no times, they show that the run goes on.
    """
    told = Writer.objects.filter(run__project=project, run__run_id=run_id, key=data.get("writer") or DEFAULT_WRITER)
    since = timezone.now() - A_MOMENT
    writer = told.filter(last_sha256=sha256 or None, run__last_seen_at__gt=since).select_related("run").first()
    return writer.run if writer else None


def _start_of(run: Run, data: WriterBody) -> ClockReading:
    """Return when a writer began by the portal's clock; the run's own start if the request doesn't say."""
    clock = Clock.of(data)
    if "writer_started_at" in data:
        return clock.read(data["writer_started_at"], "writer_started_at")
    started_at: Any = data.get("started_at", run.started_at)  # only a header has it
    return ClockReading(run.started_at, clock.read(started_at, "started_at").skew_s)


def take_left_out(writer: Writer, data: BatchBody | FinishBody) -> None:
    """Store what the agent has left out so far. Counts only grow, so the larger list is the later one."""
    if "left_out" in data:
        rows = added_up(data["left_out"])
        if total(rows) >= total(writer.left_out):
            writer.left_out = rows


def describe_devices(run: Run, writer: Writer, descriptions: list[DeviceBody]) -> dict[str, Device]:
    """Return the writer's devices by key, with new or changed descriptions (saved with the counters).

    Devices that exceed the run's limit are left out.
    """
    devices = {device.key: device for device in writer.devices.all()}
    is_known = all(description["key"] in devices for description in descriptions)
    room = 0 if is_known else MAX_RUN_DEVICES - run.devices.count()
    for description in descriptions:
        device = devices.get(description["key"])
        if device is None and room > 0:
            about = {"project_id": run.project_id, "run_id": run.pk, "writer": writer, "key": description["key"]}
            device = devices[description["key"]] = Device(**about)
            room -= 1
        if device is None:
            continue
        for field in DESCRIPTION:
            if field in description:
                setattr(device, field, description[field])  # type: ignore[literal-required]
    return devices


def count_samples(run: Run, writer: Writer, devices: dict[str, Device], data: BatchBody | FinishBody) -> None:
    """Advance the devices' cumulative counters. Raises ValidationError for a device without a description.

    Samples of devices beyond the run's limit are counted on it.
    """
    now, left_out = timezone.now(), 0
    no_room = {description["key"] for description in data["devices"]} - devices.keys()
    for index, sample in enumerate(data["samples"]):
        device = devices.get(sample["device"])
        if sample["device"] in no_room:
            left_out += 1
            continue
        if device is None:
            raise ValidationError({f"samples[{index}].device": "is the key of a device that was never described"})
        at = writer.started_at + timedelta(seconds=sample["t_s"])
        if at > now + MAX_AHEAD and not writer.clock_skew_s:
            message = "is in the future; check the machine's clock"
            raise ValidationError({f"samples[{index}].t_s": message})
        at = min(at, now) if writer.clock_skew_s else at  # its start may be later than it was
        parts = tuple(sample[name] for name in PARTS if name in sample)  # type: ignore[literal-required]
        device.advance(sample["elapsed_s"], sample["busy_s"], sample["energy_j"], at.date(), parts)
        writer.last_t_s = max(writer.last_t_s, sample["t_s"])
    if left_out:
        reason = f"a run keeps at most {MAX_RUN_DEVICES:,} devices"
        run.left_out = added_up(run.left_out, [LeftOut(what="samples of devices", reason=reason, count=left_out)])
