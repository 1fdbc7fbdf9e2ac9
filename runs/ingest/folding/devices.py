"""Devices of a writer: their descriptions, and their counters."""

from collections.abc import Collection, Iterable
from datetime import date

from runs.ingest.bodies import DeviceBody
from runs.left_out import LeftOut
from runs.models import Arrival, Device, Run, Writer
from runs.models.batch import pack
from traceml_agent.limits import MAX_RUN_DEVICES

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
    "range_low",
    "range_high",
)


def describe(run: Run, writer: Writer, known: dict[str, Device], told: Iterable[DeviceBody], room: int) -> list[Device]:
    """Add new devices of a writer to those that are `known`, at most `room`, and change descriptions. Saves nothing.

    Returns devices with another description than before.
    """
    changed = []
    for description in told:
        device = known.get(description["key"])
        if device is None and room > 0:
            about = {"project_id": run.project_id, "run_id": run.pk, "writer": writer, "key": description["key"]}
            device = known[description["key"]] = Device(**about)
            room -= 1
        if device is None:
            continue
        new = {field: description[field] for field in DESCRIPTION if field in description}  # type: ignore[literal-required]
        if any(getattr(device, field) != value for field, value in new.items()):
            changed.append(device)
            for field, value in new.items():
                setattr(device, field, value)
    return changed


def advance(known: dict[str, Device], counters: dict[str, list[list]]) -> list[Device]:
    """Advance the counters of known devices; returns those that were named.

    `counters` has a list for each day of a device: the ISO day, then the counters as `Device.advance` takes them.
    """
    named = [(known[key], days) for key, days in counters.items() if key in known]
    for device, days in named:
        for day, elapsed_s, busy_s, energy_j, *parts in days:
            device.advance(elapsed_s, busy_s, energy_j, date.fromisoformat(day), tuple(parts))
    return [device for device, _ in named]


def leave_out(beyond: Collection[str], arrival: Arrival) -> list[LeftOut]:
    """Say how many samples of devices that the run has no room for arrived, and take them out of the batch."""
    count = sum(sample["device"] in beyond for sample in arrival.told.get("samples", []))
    batch = arrival.batch
    if batch:
        columns = batch.columns()
        kept = {key: columns[key] for key in columns if key not in beyond}
        count = sum(len(columns[key][0]) for key in beyond)
        batch.series, batch.sample_count = pack(kept) if kept else b"", batch.sample_count - count
        batch.save(update_fields=["series", "sample_count"])
    reason = f"a run keeps at most {MAX_RUN_DEVICES:,} devices"
    return [LeftOut(what="samples of devices", reason=reason, count=count)]
