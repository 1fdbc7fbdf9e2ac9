"""Runs that CodeCarbon's own client sends: its differences become counters, so that all else works as for the agent's.

The client announces a run and then reports what it used since its last report; or it posts totals. It never repeats a
lost report and never says that it ended (docs/integrations/codecarbon.md).
"""

import re
import time
import uuid
from datetime import datetime, timedelta
from typing import Any, NamedTuple, NotRequired, TypedDict

from django.db.models import Q
from django.utils import timezone

from runs.ingest.batch import record_batch
from runs.ingest.bodies import DeviceBody, HeaderBody, SampleBody
from runs.ingest.header import record_header
from runs.ingest.keeping import locked_run, upload_of
from runs.left_out import UNREPORTED, LeftOut
from runs.models import Batch, Device, Project, Remembered, Run, TrackedModel, Writer
from traceml_agent import estimation

SOURCE = "codecarbon"
WRITER = "codecarbon"
#: How long an announced run may take to its first report: clients that only report at the end of a training.
ANNOUNCED_FOR_S = 35 * 86_400
#: A run is over after ten minutes of silence, or three of its usual intervals (runs.silence counts two of these).
LEAST_INTERVAL_S, INTERVALS = 300.0, 1.5
#: Durations are cut to whole seconds.
CUT_S = 1.0
#: Less is not called a gap: seconds, and share of the run.
LEAST_GAP_S, LEAST_GAP = 2.0, 0.01
#: Two reports about the same execution agree this well about its times.
SAME_START, MOST_TWINS = timedelta(seconds=10), 100
#: A machine with more is counted as one device.
MOST_GPUS = 64
NAMES = {Device.Kind.CPU: "CPU", Device.Kind.GPU: "GPU", Device.Kind.RAM: "Memory"}
GPUS = re.compile(r"(\d+) x (.+)")
WHOLE_MACHINE = "CodeCarbon counts the whole machine in its mode “machine”: other programs are included."


class Facts(TypedDict):
    """What the client tells about itself and its machine; texts may be empty."""

    model: str
    os: str
    python_version: str
    codecarbon_version: str
    tracking_mode: str
    cpu_model: str
    cpu_count: NotRequired[float | None]
    gpu_model: str
    gpu_count: NotRequired[float | None]
    ram_total_size: NotRequired[float | None]


class Report(NamedTuple):
    """What was used in `duration_s` until `at` (by the portal's clock), by kind of device; `digest` names the body."""

    at: datetime
    duration_s: float
    energy_kwh: dict[str, float]
    utilisation: dict[str, float]
    reported_kwh: float
    reported_kg: float
    digest: str


NOTHING_MORE: dict[str, Any] = {"energy_kwh": {}, "reported_kwh": 0.0, "reported_kg": 0.0}


def announce(project: Project, facts: Facts) -> uuid.UUID:
    """Give a run an id. It is stored with its first report: slow or interrupted clients announce several."""
    run_id = uuid.uuid4()
    until = time.time() + ANNOUNCED_FOR_S
    Remembered.objects.create(key=_key(project, run_id), value=facts, until=until)
    return run_id


def _key(project: Project, run_id: uuid.UUID) -> str:
    return Remembered.key_of(f"codecarbon:{project.pk}:{run_id}")


def record_difference(project: Project, run_id: uuid.UUID, report: Report, member_id: int) -> Run:
    """Add what a run used since its last report.

    Raises Run.DoesNotExist for a run that was never announced in this project, RunDeleted for a deleted one.
    """
    announced = Remembered.objects.filter(key=_key(project, run_id)).values_list("value", flat=True).first()
    with upload_of(project):
        run = _run(project, run_id, announced, report, member_id)
        latest = run.batches.order_by("-pk").only("batch_id", "received_at").first()
        writer = run.writers.get(key=WRITER)
        # Its clock may have been set back.
        at_s = max((report.at - writer.started_at).total_seconds(), writer.last_t_s + report.duration_s)
        covered_s = min(report.duration_s + CUT_S, at_s - writer.last_t_s)
        if _is_in_total(report, latest):
            report, at_s, covered_s = report._replace(**NOTHING_MORE), writer.last_t_s, 0.0
        energy_j = {kind: kwh * estimation.J_PER_KWH for kind, kwh in report.energy_kwh.items()}
        samples = _samples(writer, at_s, covered_s, energy_j, report)
        reported = {
            "reported_kwh": (run.reported_kwh or 0.0) + report.reported_kwh,
            "reported_kg": (run.reported_kg or 0.0) + report.reported_kg,
        }
        interval_s = report.duration_s if latest else 0.0
        return _store(run, writer, f"difference-{report.digest[:40]}", samples, reported, interval_s)


def _is_in_total(report: Report, latest: Batch | None) -> bool:
    """Whether a total that has just arrived contains this difference: it came sooner after it than it lasted."""
    if latest is None or not latest.batch_id.startswith("total"):
        return False
    return (timezone.now() - latest.received_at).total_seconds() < report.duration_s


def record_total(project: Project, run_id: uuid.UUID | None, facts: Facts, report: Report, member_id: int) -> Run:
    """Store what a run used since its start. Of several totals and differences of one run the largest count.

    Clients that also use an API don't know the run's id (CodeCarbon 3.2.9 to 3.3.2): it is the run that began when this
    one did, or one of its own until the API announces it.
    """
    with upload_of(project):
        if run_id is None:
            twin = _twin(project, facts, report)
            run_id = twin.run_id if twin else uuid.uuid5(uuid.NAMESPACE_OID, report.digest)
        run = _run(project, run_id, facts, report, member_id)
        writer = run.writers.get(key=WRITER)
        devices = list(writer.devices.all())
        energy_j = {}
        for kind, kwh in report.energy_kwh.items():
            known_j = sum(device.energy_j or 0.0 for device in devices if device.kind == kind)
            energy_j[kind] = max(kwh * estimation.J_PER_KWH - known_j, 0.0)
        at_s = max((report.at - writer.started_at).total_seconds(), writer.last_t_s)
        covered_s = max(report.duration_s - max(device.elapsed_s for device in devices), 0.0)
        samples = _samples(writer, at_s, covered_s, energy_j, report)
        reported: dict[str, float] = {}
        if report.reported_kwh >= (run.reported_kwh or 0.0):
            reported = {"reported_kwh": report.reported_kwh, "reported_kg": report.reported_kg}
        interval_s = at_s - writer.last_t_s if writer.last_t_s else 0.0
        return _store(run, writer, f"total-{report.digest[:40]}", samples, reported, interval_s)


def _run(project: Project, run_id: uuid.UUID, facts: Facts | None, report: Report, member_id: int) -> Run:
    """Return the run, locked, created with its first report; Run.DoesNotExist if it is not CodeCarbon's."""
    try:
        run = locked_run(project, run_id)
    except Run.DoesNotExist:
        if facts is None:
            raise
        twin = _twin(project, facts, report, without_id=True)
        if twin is None:
            return _begin(project, run_id, facts, report, member_id)
        Run.objects.filter(pk=twin.pk).update(run_id=run_id)
        run = locked_run(project, run_id)
    if run.source != SOURCE:
        raise Run.DoesNotExist
    return run


def _twin(project: Project, facts: Facts, report: Report, without_id: bool = False) -> Run | None:
    """The run of the same execution: of the same model, software and processor, and within the report's time, because a
    client's first parts may be lost; or, of runs whose id nobody told, one that began when the report does."""
    started_at = report.at - timedelta(seconds=report.duration_s)
    last = started_at if without_id else report.at
    found = Run.objects.filter(
        Q(tracked_model__name=facts["model"]) | Q(tracked_model__slug=facts["model"]),
        project=project,
        source=SOURCE,
        started_at__range=(started_at - SAME_START, last + SAME_START),
    )
    alike = [
        run
        for run in found.order_by("started_at").prefetch_related("writers")[:MOST_TWINS]
        if run.environment == _environment(facts)
        and (run.run_id.version == 5 if without_id else run.writers.all()[0].heard_until <= last + SAME_START)
    ]
    return min(alike, key=lambda run: abs(run.started_at - started_at), default=None)


def _begin(project: Project, run_id: uuid.UUID, facts: Facts, report: Report, member_id: int) -> Run:
    """Create the run at the start of its first report. A PUE, if it has one, is in its energy already."""
    by_slug = TrackedModel.objects.filter(project=project, slug=facts["model"]).first()
    header: HeaderBody = {
        "writer": WRITER,
        "model": by_slug.name if by_slug else facts["model"],
        "kind": Run.Kind.TRAINING,
        "started_at": report.at - timedelta(seconds=report.duration_s),
        "flush_s": LEAST_INTERVAL_S,
        "environment": _environment(facts),
        "devices": _devices(facts, report),
    }
    run, _ = record_header(project, run_id, header, member_id, at_once=True)
    origin = {"source": SOURCE, "source_version": facts["codecarbon_version"][:64]}
    Run.objects.filter(pk=run.pk).update(**origin, pue=1.0, pue_included=True)
    return locked_run(project, run_id)


def _environment(facts: Facts) -> dict[str, Any]:
    told = {"os": "os", "python": "python_version", "codecarbon": "codecarbon_version", "cpu": "cpu_model"}
    told["tracking_mode"] = "tracking_mode"
    return {name: facts[key] for name, key in told.items() if facts[key]}  # type: ignore[literal-required]


def _devices(facts: Facts, report: Report) -> list[DeviceBody]:
    """Describe the processor, the memory, and each GPU, between which the client makes no difference."""
    cpu = _device(Device.Kind.CPU, facts["cpu_model"], threads=facts.get("cpu_count") or None)
    cpu["note"] = WHOLE_MACHINE if facts["tracking_mode"] == "machine" else ""
    memory = _device(Device.Kind.RAM, memory_gb=facts.get("ram_total_size") or None)
    count = int(facts.get("gpu_count") or 0)
    if not count and not report.energy_kwh[Device.Kind.GPU]:
        return [cpu, memory]
    told = GPUS.fullmatch(facts["gpu_model"])
    name = told[2] if told and int(told[1]) == count else facts["gpu_model"]
    gpus = [_device(Device.Kind.GPU, name, f"gpu-{number}") for number in range(count if 1 < count <= MOST_GPUS else 1)]
    for gpu in gpus if len(gpus) > 1 else []:
        gpu["method"] += ", an equal share of all GPUs"
    return [cpu, memory, *gpus]


def _device(kind: str, name: str = "", key: str = "", **more: Any) -> DeviceBody:
    about = {"key": key or kind, "kind": kind, "name": name or NAMES[Device.Kind(kind)]}
    return about | {"measured_by": estimation.REPORTED, "method": "CodeCarbon"} | more  # type: ignore[return-value]


def _samples(
    writer: Writer, at_s: float, covered_s: float, energy_j: dict[str, float], report: Report
) -> dict[str, list]:
    """Return descriptions of devices that are new, and a sample of each device: its counters grown by a report."""
    devices = list(writer.devices.all())
    elapsed_s = max((device.elapsed_s for device in devices), default=0.0)
    kinds = [device.kind for device in devices]
    new = [_device(kind) for kind, joules in energy_j.items() if joules and kind not in kinds]
    devices += [Device(key=each["key"], kind=each["kind"], elapsed_s=elapsed_s) for each in new]
    samples = []
    for device in devices:
        shared_by = max(kinds.count(device.kind), 1)
        busy_s = _busy_s(device, elapsed_s + covered_s, report.utilisation.get(device.kind))
        sample: SampleBody = {
            "device": device.key,
            "t_s": at_s,
            "elapsed_s": elapsed_s + covered_s,
            "busy_s": busy_s,
            "energy_j": (device.energy_j or 0.0) + energy_j.get(device.kind, 0.0) / shared_by,
        }
        samples.append(sample)
    return {"devices": new, "samples": samples}


def _busy_s(device: Device, elapsed_s: float, utilisation: float | None) -> float | None:
    """The client tells the mean since its start, which may fall, while a counter may not."""
    if utilisation is None:
        return None
    return min(max(utilisation * elapsed_s, device.busy_s or 0.0), elapsed_s)


def _store(
    run: Run, writer: Writer, batch_id: str, rows: dict[str, list], reported: dict[str, float], interval_s: float
) -> Run:
    """Store a report, once: proxies may send it again. It continues a run that was taken for ended."""
    if Batch.objects.filter(run=run, batch_id=batch_id).exists():
        return run
    last = rows["samples"][-1]
    unreported_s = round(last["t_s"] - last["elapsed_s"])
    others = [row for row in run.left_out if row["what"] != UNREPORTED]
    reason = "the CodeCarbon client did not report them, so their energy is missing"
    is_gap = unreported_s >= max(LEAST_GAP_S, LEAST_GAP * last["t_s"])
    gaps = [LeftOut(what=UNREPORTED, reason=reason, count=unreported_s)] if is_gap else []
    Run.objects.filter(pk=run.pk).update(
        **reported,
        left_out=others + gaps,
        upload_interval_s=max(run.upload_interval_s, INTERVALS * interval_s),
    )
    Writer.objects.filter(pk=writer.pk).update(status=Run.Status.RUNNING, ended_at=None)
    body: Any = rows | {"writer": WRITER, "stages": [], "metrics": [], "calls": []}
    return record_batch(run.project, run.run_id, batch_id, batch_id, body, at_once=True)[0]
