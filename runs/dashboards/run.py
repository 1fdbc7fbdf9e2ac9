"""A run's page: its devices, its stages with their energy, its calls, and how its figure came about."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from math import inf
from operator import itemgetter
from typing import NamedTuple

from runs.dashboards import series
from runs.dashboards.charts import Chart
from runs.models import Call, Device, Run, RunRevision, Stage
from traceml_agent import estimation

STAGES_SHOWN = 200
METRICS_SHOWN = 6
#: Metrics that the agent sends as amounts of useful work since the last one.
WORK = ("samples", "tokens")
DEEPEST = 3
_time = itemgetter(0)
#: Below this a window says nothing about one call (MEASURING, time and scope).
LEAST_BUSY_S = 1.0


class DeviceRow(NamedTuple):
    device: Device
    name: str
    share_of_energy: float
    terms: dict


class StageRow(NamedTuple):
    stage: Stage
    depth: int
    duration_s: float
    energy_kwh: float | None
    logged: list[tuple[str, float | None]]


class CallRow(NamedTuple):
    method: str
    calls: int
    items: int
    busy_s: float
    energy_kwh: float | None

    @property
    def kwh_per_1000(self) -> float | None:
        """Energy of a thousand items, or of a thousand calls where items were not counted."""
        count = self.items or self.calls
        return None if self.energy_kwh is None or not count else 1000 * self.energy_kwh / count


class WorkRow(NamedTuple):
    """Useful work that the run logged, and the energy of a thousand of it."""

    name: str
    amount: float
    kwh_per_1000: float


class RunPage(NamedTuple):
    run: Run
    devices: list[DeviceRow]
    power: Chart | None
    span: series.Span | None
    stages: list[StageRow]
    stage_count: int
    metric_names: list[str]
    calls: list[CallRow]
    work: list[WorkRow]
    wasted_kwh: float
    basis: str
    notes: list[str]
    writer_count: int
    revisions: list[RunRevision]

    @property
    def reported(self) -> list[Device]:
        return [row.device for row in self.devices]


def run_page(run: Run, start_s: float | None = None, end_s: float | None = None, with_details: bool = True) -> RunPage:
    """Everything that the page of a run shows, in a fixed number of queries, the chart over a part of it.

    Without details it is what a stranger with a link may see.
    """
    devices = list(run.devices.select_related("profile", "writer").order_by("kind", "key", "writer_id"))
    stages = list(run.stages.select_related("writer")[: STAGES_SHOWN + 1])
    if not with_details:
        withhold(run, devices)
    curves = [] if run.series_removed_at else series.curves(run, devices)
    names = device_names(devices)
    asked = start_s is not None or end_s is not None
    span = series.span_between(curves, start_s or 0.0, inf if end_s is None else end_s) if asked else None
    shown = stages[:STAGES_SHOWN]
    metrics = metrics_of(run)
    logged = {stage.pk: _metrics_within(metrics[stage.writer_id], stage) for stage in shown}
    named = dict.fromkeys(name for metrics in logged.values() for name in metrics)
    metric_names = list(named)[:METRICS_SHOWN] if with_details else []
    return RunPage(
        run=run,
        devices=device_rows(run, devices, names),
        power=series.power_chart(curves, stages, names, run, span),
        span=span,
        stages=stage_rows(run, shown, curves, logged, metric_names),
        stage_count=len(stages),
        metric_names=metric_names,
        calls=call_rows(run),
        work=work_rows(run, metrics),
        wasted_kwh=wasted_kwh(devices),
        basis=leading_basis(devices),
        notes=notes(run, devices),
        writer_count=len({device.writer_id for device in devices}),
        revisions=list(run.revisions.select_related("reestimation", "factor")) if with_details else [],
    )


def withhold(run: Run, devices: list[Device]) -> None:
    """Take off the rows, which are never saved, what says more of the work and its machines than its energy does."""
    run.tags, run.params, run.environment, run.exception = [], {}, {}, ""
    for device in devices:
        device.note = device.writer.host = ""


def device_names(devices: list[Device]) -> dict[int, str]:
    """A name for each device that tells it from the run's others: its key, with the writer where several use it."""
    counts = Counter(device.key for device in devices)
    writers = writer_names(devices)
    return {
        device.pk: f"{device.key} ({writers[device.writer_id]})" if counts[device.key] > 1 else device.key
        for device in devices
    }


def writer_names(devices: list[Device]) -> dict[int, str]:
    """What tells a run's writers apart for people: their hosts, or the attempts where hosts are the same."""
    writers = {device.writer_id: device.writer for device in devices}
    hosts = Counter(writer.host for writer in writers.values())
    by_start = sorted(writers.values(), key=lambda writer: (writer.started_at, writer.pk))
    return {
        writer.pk: writer.host if writer.host and hosts[writer.host] == 1 else f"attempt {number}"
        for number, writer in enumerate(by_start, start=1)
    }


def device_rows(run: Run, devices: list[Device], names: dict[int, str]) -> list[DeviceRow]:
    return [
        DeviceRow(
            device,
            names[device.pk],
            device.energy_kwh / run.energy_kwh if run.energy_kwh > 0 and device.counted else 0.0,
            terms(device),
        )
        for device in devices
    ]


def terms(device: Device) -> dict:
    """The numbers that stand in a device's formula."""
    if device.basis in estimation.MEASURED:
        return {"measured": True, "energy_j": device.energy_j, "j_per_kwh": estimation.J_PER_KWH}
    profile = series.profile_of(device)
    return {
        "measured": False,
        "profile": profile,
        "idle_w": estimation.idle_power_w(profile),
        "full_load_w": estimation.full_load_power_w(profile),
        "units_held": estimation.units_held(device.last_facts(), profile),
        "elapsed_s": device.elapsed_s,
        "busy_s": min(device.busy_s, device.elapsed_s),
        "energy_j": device.energy_kwh * estimation.J_PER_KWH,
    }


def metrics_of(run: Run) -> dict[int, list]:
    """All logged metrics by writer, in the order of time."""
    by_writer: dict[int, list] = defaultdict(list)
    for writer_id, rows in run.batches.values_list("writer_id", "metrics"):
        by_writer[writer_id].extend(rows)
    for rows in by_writer.values():
        rows.sort(key=_time)
    return by_writer


def _metrics_within(metrics: list, stage: Stage) -> dict[str, float]:
    """The last value of each metric that was logged during a stage; amounts of work are no values to follow."""
    end_s = float("inf") if stage.end_s is None else stage.end_s
    first = bisect_left(metrics, stage.start_s, key=_time)
    rows = metrics[first : bisect_right(metrics, end_s, key=_time)]
    return {name: value for _, name, value in rows if name not in WORK}


def work_rows(run: Run, metrics: dict[int, list]) -> list[WorkRow]:
    """The samples and tokens that the run logged, added up over all writers."""
    totals: dict[str, float] = defaultdict(float)
    for rows in metrics.values():
        for _, name, value in rows:
            if name in WORK:
                totals[name] += value
    return [WorkRow(name, sum_, 1000 * run.energy_kwh / sum_) for name, sum_ in totals.items() if sum_ > 0]


def wasted_kwh(devices: list[Device]) -> float:
    """Energy of attempts that were killed or failed and that a later one had to take up again."""
    writers = {device.writer for device in devices}
    gave_up = {
        writer.pk
        for writer in writers
        if writer.status != Run.Status.COMPLETED and any(later.started_at >= writer.heard_until for later in writers)
    }
    return sum(device.energy_kwh for device in devices if device.counted and device.writer_id in gave_up)


def stage_rows(run: Run, stages: list[Stage], curves: list[series.Curve], logged: dict, names: list) -> list[StageRow]:
    """Each stage with the energy of its interval on all devices of the run: ranks and hosts work on it together."""
    depths = _depths(stages)
    rows = []
    for stage in stages:
        start_s, end_s = series.span_of(run, stage)
        energy_j = sum(curve.energy_between_j(start_s, end_s) for curve in curves)
        energy_kwh = estimation.energy_kwh(energy_j) if curves else None
        metrics = [(name, logged[stage.pk].get(name)) for name in names]
        rows.append(StageRow(stage, depths[stage.pk], end_s - start_s, energy_kwh, metrics))
    return rows


def _depths(stages: list[Stage]) -> dict[int, int]:
    """How deep each stage is nested; parents start no later than their children, so one pass will do."""
    by_key: dict[tuple[int, str], int] = {}
    depths = {}
    for stage in stages:
        parent = by_key.get((stage.writer_id, stage.parent), -1) if stage.parent else -1
        depths[stage.pk] = by_key[stage.writer_id, stage.key] = min(parent + 1, DEEPEST)
    return depths


def call_rows(run: Run) -> list[CallRow]:
    """Calls by method over all writers; a method's energy is its share of the run's time."""
    by_method: dict[str, list[Call]] = defaultdict(list)
    for call in run.calls.all():
        by_method[call.method].append(call)
    return [_call_row(run, method, calls) for method, calls in by_method.items()]


def _call_row(run: Run, method: str, calls: list[Call]) -> CallRow:
    busy_s = sum(call.busy_s for call in calls)
    known = busy_s >= LEAST_BUSY_S and run.duration_s > 0
    return CallRow(
        method,
        sum(call.calls for call in calls),
        sum(call.items for call in calls),
        busy_s,
        run.energy_kwh * min(busy_s / run.duration_s, 1.0) if known else None,
    )


def leading_basis(devices: list[Device]) -> str:
    """The basis of the largest part of the energy."""
    energy: dict[str, float] = defaultdict(float)
    for device in devices:
        if device.counted:
            energy[device.basis] += device.energy_kwh
    return max(energy, key=energy.__getitem__, default="")


def notes(run: Run, devices: list[Device]) -> list[str]:
    """What a reader should know before trusting the figure."""
    found = [f"{device.key}: {device.note}" for device in devices if device.note]
    if any(not device.counted for device in devices):
        found.append("A device that several processes reported over the same time is counted once.")
    if run.dropped_records:
        found.append(
            f"The agent had to drop {run.dropped_records} records; totals are right, the chart has less detail."
        )
    if abs(run.clock_skew_s) > 600:
        found.append(f"The machine's clock differs from the server's by {abs(run.clock_skew_s) / 60:.0f} min.")
    return found
