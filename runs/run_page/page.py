"""A run's page: devices, stages with their energy, calls, and how its figures were calculated."""

from collections import Counter, defaultdict
from math import inf
from typing import NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import prefetch_related_objects
from django.utils.text import Truncator

from runs.figures import units
from runs.figures.charts import Chart, Mark
from runs.figures.curves import Curve, Span, curves, profile_of, span_between, span_of
from runs.figures.stages import metrics_of, stage_rows
from runs.figures.use import call_rows
from runs.left_out import UNREPORTED, LeftOut, added_up, total
from runs.models import Batch, Device, Metric, Run, RunCurve, RunRevision, Stage, Writer
from runs.models.writer import attempts_of
from runs.run_page import series
from runs.run_page.events import Event, events, gaps
from runs.run_page.learning import Learned
from runs.run_page.metrics import WorkRow, curves_offered, figures_of, learned_of, work_rows
from runs.run_page.moments import samples_around
from runs.run_page.outlook import Outlook, outlook, parts_of
from runs.run_page.stage_pages import stages_of
from runs.run_page.writers import processes_of, writer_names
from traceml_agent import estimation
from traceml_agent.limits import MAX_WRITERS

#: Rows per page of the tables of devices and called methods.
ROWS_SHOWN = 50
NOTES_SHOWN = 10
METRICS_OFFERED = 24
#: The most metrics with a single value that are shown among the key figures.
RESULTS_SHOWN = 6
#: Longer names don't fit into a chart.
LONGEST_MARK = 30
#: Ends of attempts whose work a later one had to repeat; a run that was stopped is continued, not repeated.
GAVE_UP = (Run.Status.RUNNING, Run.Status.FAILED, Run.Status.CANCELLED)
DROPPED = "the agent's queue was full, so charts have less detail"
SPANS = [(365.25 * 86_400.0, "year"), (86_400.0, "day"), (3600.0, "hour"), (60.0, "minute")]


class RunPageQuery(NamedTuple):
    """What a reader wants to see of a run: a part of its time, a metric and whether lower is better, the expected
    number of epochs, and the pages of its long tables."""

    start_s: float | None = None
    end_s: float | None = None
    metric: str = ""
    better: str = ""
    epochs: int | None = None
    devices: str = ""
    stages: str = ""
    calls: str = ""


EVERYTHING = RunPageQuery()


class DeviceRow(NamedTuple):
    device: Device
    name: str
    share_of_energy: float
    terms: dict
    most_power_w: float | None


class RunPage(NamedTuple):
    run: Run
    reported: list[Device]
    devices: Page
    charts: list[Chart]
    span: Span | None
    stages: Page
    metric_names: list[str]
    metrics: list[Metric]
    metrics_offered: list[str]
    learned: Learned | None
    outlook: Outlook | None
    calls: Page
    work: list[WorkRow]
    wasted_kwh: float
    basis: str
    notes: list[str]
    left_out: list[LeftOut]
    processes: str
    events: list[Event]
    revisions: list[RunRevision]

    @property
    def awaits_figures(self) -> bool:
        """Whether nothing has been measured yet, as in the first seconds."""
        return not any(device.elapsed_s for device in self.reported)

    @property
    def left_out_count(self) -> int:
        return total(self.left_out)

    @property
    def results(self) -> list[Metric]:
        """Metrics that were logged once: figures of the run, not curves."""
        return [metric for metric in self.metrics if metric.count == 1][:RESULTS_SHOWN]

    @property
    def most_kwh(self) -> float:
        """The highest upper end of a device's range, which scales their bars."""
        return max((device.energy_high_kwh for device in self.reported), default=0.0)


def run_page(run: Run, asked: RunPageQuery = EVERYTHING, with_details: bool = True) -> RunPage:
    """Return everything that the page of a run shows, in a fixed number of queries, with charts of a part of it.

    Without details, it is what anyone with a share link may see.
    """
    devices = list(run.devices.select_related("profile", "writer").order_by("kind", "key", "writer_id"))
    prefetch_related_objects([run], "writers")
    writers = {writer.pk: writer for writer in run.writers.all()}
    stages = stages_of(run, writers, asked.stages)
    # A part is shown with all of its samples; scripts ask for it elsewhere, and read only its batches.
    is_whole = asked.start_s is None and asked.end_s is None
    kept: RunCurve | None = getattr(run, "curve", None) if is_whole else None
    batches = list(run.batches.filter(pk__gt=kept.through_id if kept else 0))
    if not with_details:
        withhold(run, devices)
    known = known_curves(run, devices, batches, kept, stages.shown)
    logged, summed_up = metrics_of(batches, kept), list(run.metrics.directed().order_by("pk"))
    rows = stage_rows(run, stages.listed, known, logged if with_details else {}, stages.named)
    names, offered = device_names(devices), curves_offered(logged) if with_details else []
    figures = figures_of(summed_up, asked.metric or next(iter(offered), ""), asked.better) if with_details else []
    found = learned_of(run, known, logged, writers, offered, figures, asked.metric)
    span, goes_on = span_asked(known, asked), run.state == Run.Status.RUNNING
    over_time = series.charts(known, stages.bands, names, run, span)
    revisions = list(run.revisions.select_related("reestimation", "factor")) if with_details else []
    return RunPage(
        run=run,
        reported=devices,
        devices=device_rows(run, devices, names, known, asked.devices),
        charts=[chart._replace(moments=moments(found)) for chart in over_time],
        span=span,
        stages=Page(rows[: len(stages.shown)], stages.page.number, stages.page.paginator),
        metric_names=list(dict.fromkeys(name for row in rows for name, _ in row.logged)),
        metrics=figures,
        metrics_offered=offered[:METRICS_OFFERED],
        learned=found,
        outlook=outlook(run, parts_of(stage_rows(run, stages.forecast, known, {})), asked.epochs) if goes_on else None,
        calls=calls_page(run, asked.calls),
        work=work_rows(run, summed_up) if with_details else [],
        wasted_kwh=wasted_kwh(run, list(writers.values()), devices),
        basis=leading_basis(devices),
        notes=notes(run, list(writers.values()), devices),
        left_out=left_out(run, with_details),
        processes=processes_of(list(writers.values())),
        events=events(run, list(writers.values()), gaps(run, kept, batches), revisions) if with_details else [],
        revisions=revisions,
    )


def known_curves(
    run: Run, devices: list[Device], batches: list[Batch], kept: RunCurve | None, stages: list[Stage]
) -> list[Curve]:
    """Return the run's curves, which are exact where these stages begin and end, however long the run is."""
    if run.series_removed_at:
        return []
    known = curves(run, devices, batches, kept)
    edges = [edge_s for stage in stages for edge_s in span_of(run, stage)]
    unsure = sorted(set().union(*(curve.unsure(edges) for curve in known)))
    return curves(run, devices, batches, kept, samples_around(run, kept, unsure)) if kept and unsure else known


def span_asked(known: list[Curve], asked: RunPageQuery) -> Span | None:
    """Return the part of the run that the reader selected by one or both of its ends."""
    if asked.start_s is None and asked.end_s is None:
        return None
    return span_between(known, asked.start_s or 0.0, inf if asked.end_s is None else asked.end_s)


def moments(found: Learned | None) -> list[Mark]:
    """Return the time after which the metric hardly improved, for the charts over time."""
    if found is None or found.share_after <= 0:
        return []
    name = Truncator(found.name).chars(LONGEST_MARK)
    return [Mark(f"{name} within 1 % of its best", found.within.at_s)]


def withhold(run: Run, devices: list[Device]) -> None:
    """Clear in the rows, which are never saved, what reveals more about the work and its machines than energy."""
    run.tags, run.params, run.environment, run.exception = [], {}, {}, ""
    for device in devices:
        device.note = device.writer.host = ""


def device_names(devices: list[Device]) -> dict[int, str]:
    """Return a unique name for each device of the run: its key, with the writer if several use it."""
    counts = Counter(device.key for device in devices)
    writers = writer_names({device.writer_id: device.writer for device in devices}.values())
    return {
        device.pk: f"{device.key} ({writers[device.writer_id]})" if counts[device.key] > 1 else device.key
        for device in devices
    }


def device_rows(run: Run, devices: list[Device], names: dict[int, str], known: list[Curve], page: str = "") -> Page:
    """Return a page of the devices; large runs have a thousand."""
    most = {curve.device.pk: curve.most_power_w for curve in known}
    shown = Paginator(devices, ROWS_SHOWN).get_page(page or 1)
    rows = [
        DeviceRow(
            device,
            names[device.pk],
            device.energy_kwh / run.energy_kwh if run.energy_kwh > 0 and device.counted else 0.0,
            terms(device),
            most.get(device.pk),
        )
        for device in shown
    ]
    return Page(rows, shown.number, shown.paginator)


def terms(device: Device) -> dict:
    """Return the numbers in a device's formula."""
    if device.basis in estimation.GIVEN:
        return {
            "is_given": True,
            "is_measured": device.basis in estimation.MEASURED,
            "energy_j": device.energy_j,
            "j_per_kwh": estimation.J_PER_KWH,
            "range": estimation.given_range(device.last_facts(), device.basis),
        }
    profile = profile_of(device)
    idle_range, full_load_range = estimation.ranges_of(profile)
    return {
        "is_given": False,
        "idle_range": idle_range,
        "full_load_range": full_load_range,
        "class": estimation.power_class(profile).label,
        "profile": profile,
        "idle_w": estimation.idle_power_w(profile),
        "full_load_w": estimation.full_load_power_w(profile),
        "idle_words": power_words(estimation.idle_power_w(profile), profile.idle_w, profile.tdp_w),
        "full_load_words": power_words(estimation.full_load_power_w(profile), profile.full_load_w, profile.tdp_w),
        "units_held": estimation.units_held(device.last_facts(), profile),
        "elapsed_s": device.last_facts().elapsed_s,
        "is_busy_known": device.busy_s is not None,
        "busy_s": device.last_facts().elapsed_s if device.busy_s is None else min(device.busy_s, device.elapsed_s),
        "energy_j": device.energy_kwh * estimation.J_PER_KWH,
    }


def power_words(power_w: float, known_w: float | None, tdp_w: float | None) -> str:
    """Describe a profile's power with its source: `33.75 W, 15 % of its TDP of 225 W`."""
    if known_w is not None or not tdp_w:
        return f"{units.plain(power_w)} W from the catalogue"
    return f"{units.plain(power_w)} W, {units.text('share', power_w / tdp_w)} of its TDP of {units.plain(tdp_w)} W"


def wasted_kwh(run: Run, writers: list[Writer], devices: list[Device]) -> float:
    """Return the energy (kWh) of killed or failed attempts that a later attempt repeated."""
    if run.kind not in Run.WASTABLE:
        return 0.0
    gave_up = {writer.pk for attempt in attempts_of(writers)[:-1] for writer in attempt if writer.status in GAVE_UP}
    return sum(device.energy_kwh for device in devices if device.counted and device.writer_id in gave_up)


def calls_page(run: Run, page: str = "") -> Page:
    """Return a page of the calls by method."""
    shown = Paginator(call_rows(run), ROWS_SHOWN).get_page(page or 1)
    return Page(list(shown), shown.number, shown.paginator)


def leading_basis(devices: list[Device]) -> str:
    """Return the basis of the largest part of the energy."""
    energy: dict[str, float] = defaultdict(float)
    for device in devices:
        if device.counted:
            energy[device.basis] += device.energy_kwh
    return max(energy, key=energy.__getitem__, default="")


def left_out(run: Run, with_details: bool) -> list[LeftOut]:
    """Return what the run lacks; without details only samples, because its author named everything else."""
    dropped = [LeftOut(what="records of samples", reason=DROPPED, count=run.dropped_records)]
    others = [row for row in run.left_out_in_all if row["what"] != UNREPORTED]
    return added_up(dropped if run.dropped_records else [], others if with_details else [])


def notes(run: Run, writers: list[Writer], devices: list[Device]) -> list[str]:
    """Return notes that a reader should know before trusting the figure."""
    found = list(dict.fromkeys(f"{device.key}: {device.note}" for device in devices if device.note))
    if len(found) > NOTES_SHOWN:
        found[NOTES_SHOWN:] = [f"{len(found) - NOTES_SHOWN:,} more devices have a note; the API returns them."]
    if len(writers) >= MAX_WRITERS:
        found.append(
            f"This run has reached the limit of {len(writers):,} processes. Data of further processes is refused."
        )
    unreported_s = total(row for row in run.left_out if row["what"] == UNREPORTED)
    if unreported_s:
        percent = units.significant(100 * unreported_s / run.duration_s, 2)
        found.append(f"About {percent} % of this run was not reported by {run.source_name}, so its energy is missing.")
    if any(not device.counted for device in devices):
        found.append("Devices that several processes reported at the same time are counted once.")
    wrong_clocks = [clock_words(writer.clock_skew_s) for writer in writers if writer.clock_skew_s]
    return found + list(dict.fromkeys(wrong_clocks))


def clock_words(skew_s: float) -> str:
    """Example: `The machine's clock was 3.5 days ahead. Times were corrected …`"""
    size, unit = next(((size, unit) for size, unit in SPANS if abs(skew_s) >= size), SPANS[-1])
    amount = units.significant(abs(skew_s) / size, 2)
    span = f"{amount} {unit}" if amount == "1" else f"{amount} {unit}s"
    where = "ahead" if skew_s > 0 else "behind"
    return f"The machine's clock was {span} {where}. Times were corrected with the portal's clock."
