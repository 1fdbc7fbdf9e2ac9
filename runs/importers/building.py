"""From what a reader found to rows: a run with its writer, devices, stages and metrics, estimated, not yet stored."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from django.db.models.base import ModelState

from hardware.models import HardwareProfile
from runs.importers.found import FoundDevice, FoundRun, FoundSample
from runs.ingest import totals
from runs.models import Batch, Device, EmissionFactor, Import, Metric, Pue, Run, Stage, TrackedModel, Writer
from runs.models.batch import pack
from traceml_agent import estimation
from traceml_agent.limits import MAX_METRIC_NAMES, MAX_ROWS, MAX_STAGES, MAX_TAGS, excess_keys

NAMESPACE = uuid.UUID("6f1d6f0e-3f8e-4d6d-9c55-5f7d3a5d1a16")
WRITER, BATCH = "import", "import"


def run_id_of(asked: Import, key: str) -> uuid.UUID:
    """The id of a run: the same for the same run of a tool in a project, whichever file it comes from."""
    return uuid.uuid5(NAMESPACE, f"{asked.project_id}\0{asked.format}\0{key}")


def like(prototype, related: dict | None = None, **values):
    """A new row that is like another but for some values. Django's constructor took as long as all the estimates.

    `related` are the objects of foreign keys, whose ids must be among the values. Values that are changed in place must
    be given, or both rows would share them.
    """
    row = object.__new__(type(prototype))
    row.__dict__.update(prototype.__dict__)
    row.__dict__.update(values)
    row.__dict__["_state"] = ModelState()
    row._state.fields_cache.update(related or {})
    return row


class Remembering:
    """A catalogue that remembers what each name led to: a file has few names, many times."""

    def __init__(self, catalogue):
        self.resolve = lru_cache(maxsize=10_000)(catalogue.resolve)


@dataclass(slots=True)
class Built:
    """Unsaved rows of one run."""

    run: Run
    writer: Writer
    devices: list[Device]
    stages: list[Stage]
    metrics: list[Metric]
    batch: Batch | None

    @property
    def rows(self) -> list:
        return [*self.devices, *self.stages, *self.metrics, *([self.batch] if self.batch else [])]


class Builder:
    """Builds the rows of an import's runs, with the factor, PUE and catalogue of its beginning."""

    def __init__(self, asked: Import):
        self._import = asked
        self._factor, self._pue = EmissionFactor.objects.active(), Pue.objects.active().value
        self._catalogue: Any = Remembering(HardwareProfile.objects.catalogue())
        self._run = Run(project_id=asked.project_id, imported=asked, factor=self._factor)
        self._writer = Writer(project_id=asked.project_id, key=WRITER)
        self._device = Device(project_id=asked.project_id)

    def build(self, found: FoundRun, run_id: uuid.UUID, model: TrackedModel, kind: str, member_id: int) -> Built:
        """Build a run of this model, kind and member."""
        related = {"factor": self._factor, "imported": self._import}
        about = {"run_id": run_id, "member_id": member_id, "received_at": found.ended_at}
        run = like(self._run, related, left_out=[], overlaps=[], **about)
        return self.fill(run, found, model, kind)

    def fill(self, run: Run, found: FoundRun, model: TrackedModel, kind: str) -> Built:
        """Set what the file says about a run, new or known, and build everything that belongs to it."""
        run.project_id, run.tracked_model, run.kind = self._import.project_id, model, kind
        run.name, run.status, run.exception = found.name, found.status, found.exception[:200]
        run.tags, run.params = list(dict.fromkeys(found.tags))[:MAX_TAGS], _within_limits(found.params)
        run.environment = _within_limits(found.environment)
        run.source, run.source_version = self._import.format, found.version
        run.reported_kwh, run.reported_kg, run.pue_included = found.reported_kwh, found.reported_kg, found.pue_included
        run.pue = 1.0 if found.pue_included else self._pue
        run.started_at, run.ended_at, run.last_seen_at = found.started_at, found.ended_at, found.ended_at
        writer = like(
            self._writer,
            host=found.host[:200],
            started_at=found.started_at,
            last_t_s=found.duration_s,
            status=found.status,
            ended_at=run.ended_at,
            exception=run.exception,
            left_out=[],
        )
        days = list(_days(found.started_at, found.duration_s))
        devices = [self._of_device(each, found.duration_s, days, writer) for each in found.devices]
        usage = totals.estimate(run, devices, [writer], self._catalogue)
        run.usage = sorted((list(key), amounts) for key, amounts in usage.items())
        return Built(
            run, writer, devices, _stages(run, writer, found), _metrics(run, found), _batch(run, writer, found)
        )

    def _of_device(self, device: FoundDevice, duration_s: float, days: list, writer: Writer) -> Device:
        row = like(
            self._device,
            {"writer": writer},
            key=device.key,
            kind=device.kind,
            name=device.name,
            uuid=device.uuid,
            method=device.method,
            note=device.note,
            measured_by="" if device.energy_j is None else estimation.REPORTED,
            cores=device.cores,
            threads=device.threads,
            host_threads=device.host_threads,
            memory_gb=device.memory_gb,
            share=device.share,
            day_ends={},
        )
        for day, until_s in days:
            sample = counters(device, until_s, duration_s)
            row.advance(until_s, sample.busy_s, sample.energy_j, day)
        return row

    def energy_kwh(self, found: FoundRun, profiles: dict) -> tuple[float, float, float]:
        """Energy with its range in kWh that the run will have, without building rows; `profiles` remembers matches."""
        energy_j = low_j = high_j = 0.0
        for device in found.devices:
            key = (device.kind, device.name, device.memory_gb)
            if key not in profiles:
                looked_up = Device(kind=device.kind, name=device.name, memory_gb=device.memory_gb)
                profiles[key] = totals.match_of(looked_up, self._catalogue)
            energy = estimation.device_energy(device.facts(found.duration_s), profiles[key].profile)
            energy_j, low_j, high_j = energy_j + energy.energy_j, low_j + energy.low_j, high_j + energy.high_j
        return energy_j / estimation.J_PER_KWH, low_j / estimation.J_PER_KWH, high_j / estimation.J_PER_KWH

    def emissions_kg(self, energy_kwh: float, pue_included: bool) -> float:
        return estimation.emissions_kg(energy_kwh, self._factor.kg_per_kwh, 1.0 if pue_included else self._pue)


def _within_limits(metadata: dict) -> dict:
    excess = set(excess_keys(metadata)) if metadata else ()
    return {key: value for key, value in metadata.items() if key not in excess}


def _days(started_at: datetime, duration_s: float):
    """Each day (UTC) of a run, with the seconds from its start to the day's end or its own."""
    day = started_at.date()
    while True:
        midnight = datetime.combine(day + timedelta(days=1), time(), UTC)
        until_s = (midnight - started_at).total_seconds()
        if until_s >= duration_s:
            yield day, duration_s
            return
        yield day, until_s
        day += timedelta(days=1)


def counters(device: FoundDevice, at_s: float, duration_s: float) -> FoundSample:
    """A device's counters at a moment: between its samples, or spread evenly over the run if it has none."""
    if at_s >= duration_s:
        return FoundSample(at_s, device.busy_s, device.energy_j)
    before = FoundSample(0.0, None if device.busy_s is None else 0.0, None if device.energy_j is None else 0.0)
    for after in (*device.samples, FoundSample(duration_s, device.busy_s, device.energy_j)):
        if after.t_s >= at_s:
            break
        before = after
    part = (at_s - before.t_s) / (after.t_s - before.t_s) if after.t_s > before.t_s else 0.0
    return FoundSample(
        at_s, _between(before.busy_s, after.busy_s, part), _between(before.energy_j, after.energy_j, part)
    )


def _between(before: float | None, after: float | None, part: float) -> float | None:
    return None if before is None or after is None else before + part * (after - before)


def _stages(run: Run, writer: Writer, found: FoundRun) -> list[Stage]:
    return [
        Stage(
            project_id=run.project_id,
            run=run,
            writer=writer,
            key=str(number),
            name=stage.name,
            start_s=stage.start_s,
            end_s=stage.end_s,
        )
        for number, stage in enumerate(found.stages[:MAX_STAGES])
    ]


def _metrics(run: Run, found: FoundRun) -> list[Metric]:
    rows = []
    for metric in found.metrics[:MAX_METRIC_NAMES]:
        (first_s, first), *rest = metric.values
        at = found.started_at + timedelta(seconds=first_s)
        about = {"project_id": run.project_id, "run": run, "name": metric.name}
        row = Metric(last=first, last_at=at, lowest=first, highest=first, count=0, **about)
        for at_s, value in [(first_s, first), *rest]:
            row.take(found.started_at + timedelta(seconds=at_s), value)
        rows.append(row)
    return rows


def _batch(run: Run, writer: Writer, found: FoundRun) -> Batch | None:
    """The samples and logged values, for the run's charts."""
    series = {each.key: _columns(each, found.duration_s) for each in found.devices if each.samples}
    logged = sorted(
        (at_s, metric.name, value)
        for metric in found.metrics[:MAX_METRIC_NAMES]
        for at_s, value in metric.values
        if len(metric.values) > 1
    )
    if not series and not logged:
        return None
    times = [sample.t_s for each in found.devices for sample in each.samples if sample.t_s < found.duration_s]
    times += [found.duration_s] * len(series)
    return Batch(
        received_at=found.ended_at,
        project_id=run.project_id,
        run=run,
        writer=writer,
        batch_id=BATCH,
        sha256=run.run_id.hex,
        first_t_s=min(times, default=None),
        last_t_s=max(times, default=None),
        sample_count=len(times),
        series=pack(series) if series else b"",
        metrics=[list(each) for each in logged[-MAX_ROWS:]],
    )


def _columns(device: FoundDevice, duration_s: float) -> list[list[float | None]]:
    """The device's samples by field of Sample, and its counters at the end."""
    rows = [each for each in device.samples if each.t_s < duration_s]
    times: list[float | None] = [*(each.t_s for each in rows), duration_s]
    busy_s = [*(each.busy_s for each in rows), device.busy_s]
    return [times, times, busy_s, [*(each.energy_j for each in rows), device.energy_j]]
