"""Writers and their devices: counters taken from samples."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone

from runs.models import Device, Run, Writer

DEFAULT_WRITER = "main"
#: Times up to this far ahead of the server's clock are taken (PROMISES PS6).
MAX_AHEAD = timedelta(hours=24)

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
    """The writer that a request names, made when it is new. The caller holds the run's lock."""
    started_at = data.get("writer_started_at") or run.started_at
    writer, _ = Writer.objects.get_or_create(
        run=run,
        key=data.get("writer") or DEFAULT_WRITER,
        defaults={"project_id": run.project_id, "started_at": started_at, "host": data.get("host") or ""},
    )
    return writer


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
    for index, sample in enumerate(samples):
        device = devices.get(sample["device"])
        if device is None:
            raise ValidationError({f"samples[{index}].device": "names a device that was never described"})
        at = writer.started_at + timedelta(seconds=sample["t_s"])
        refuse_future(at, f"samples[{index}].t_s")
        device.advance(sample["elapsed_s"], sample["busy_s"], sample["energy_j"], at.date())
        writer.last_t_s = max(writer.last_t_s, sample["t_s"])


def refuse_future(at: datetime, field: str) -> None:
    if at > timezone.now() + MAX_AHEAD:
        raise ValidationError({field: "lies in the future; check the clock of the machine"})
