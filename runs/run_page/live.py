"""Live updates of an open run page: data since a given time, or a part of the run in finer detail."""

from collections import defaultdict

from runs.figures import units
from runs.figures.charts import Chart
from runs.figures.curves import STORED_TO_S, Span, curves, end_of, span_between
from runs.models import Device, Run
from runs.run_page.buckets import edges_of
from runs.run_page.page import device_names
from runs.run_page.series import charts, lines_of, over, says, sentences
from runs.templatetags.units import figure

#: A device's last sample may be this far behind another's; batches that end earlier contain nothing new.
BEHIND_S = 60.0


def increment(run: Run, since_s: float, most: dict[str, float]) -> dict:
    """Return the lines of each chart from `since_s` to the last sample, read only from the batches that reach that far,
    and the sentences of the charts of the whole run.

    `most` are the highest power and utilisation before; new data may have lower ones.
    """
    devices = _devices(run)
    # Times of a batch are relative to its writer: a batch of a writer that began later ends later on the run's clock.
    reach_s = max(0.0, since_s - _latest_start_s(run, devices) - BEHIND_S)
    recent = curves(run, devices, run.batches.filter(last_t_s__gte=reach_s).defer("metrics"))
    found: dict = {"edges": [], "series": {}, "says": {}, "sentences": {}, "figures": figures(run)}
    if end_of(recent) > since_s + STORED_TO_S:
        edges, lines = edges_of(recent, since_s), lines_of(recent, device_names(devices))
        numbers = says(recent, run, 0.0, end_of(recent))
        for name, before in most.items():
            numbers[name]["most"] = max(numbers[name]["most"] or 0.0, before)
        found |= {"edges": edges, "says": numbers, "sentences": sentences(recent, numbers)}
        found["series"] = {
            name: [one._asdict() for one in series] for name, series in over(lines, edges)._asdict().items()
        }
    return found


def _devices(run: Run) -> list[Device]:
    return list(run.devices.select_related("profile", "writer").order_by("kind", "key", "writer_id"))


def _latest_start_s(run: Run, devices: list[Device]) -> float:
    starts = (run.seconds_to(device.writer.started_at) for device in devices)
    return max(starts, default=0.0)


def part(run: Run, start_s: float, end_s: float) -> tuple[list[Chart], str]:
    """Return a part of the run as charts, with its energy, time and mean power in words; None if it is empty."""
    devices = _devices(run)
    known = curves(run, devices, run.batches.filter(pk__in=_around(run, start_s, end_s)).defer("metrics"))
    span = span_between(known, start_s, end_s)
    if span is None:
        return [], ""
    return charts(known, [], device_names(devices), run, span), words(span, run.energy_kwh)


def _around(run: Run, start_s: float, end_s: float) -> list[int]:
    """Return the batches of each writer that overlap a part of the run, and the nearest before and after it.

    The nearest are needed because counters between two samples are interpolated.
    """
    rows = run.batches.exclude(first_t_s=None).order_by("writer_id", "first_t_s", "pk")
    found: list[int] = []
    times: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
    for pk, writer_id, started_at, first_t_s, last_t_s in rows.values_list(
        "pk", "writer_id", "writer__started_at", "first_t_s", "last_t_s"
    ):
        began_s = run.seconds_to(started_at)
        times[writer_id].append((pk, began_s + (first_t_s or 0.0), began_s + (last_t_s or 0.0)))
    for of_writer in times.values():
        found += [pk for pk, first_s, last_s in of_writer if last_s >= start_s and first_s <= end_s]
        found += [pk for pk, _, last_s in of_writer if last_s < start_s][-1:]
        found += [pk for pk, first_s, _ in of_writer if first_s > end_s][:1]
    return found


def words(span: Span, of_kwh: float) -> str:
    """`From 10 min to 20 min: 52 Wh in 10 min, 312 W on average; 25 % of the run's energy.`"""
    energy, power = units.text("energy", span.energy_kwh), units.text("power", span.mean_power_w)
    start, end, seconds = (units.span(value) for value in (span.start_s, span.end_s, span.seconds))
    share = f"; {units.text('share', span.energy_kwh / of_kwh)} of the run's energy" if of_kwh > 0 else ""
    return f"From {start} to {end}: {energy} in {seconds}, {power} on average{share}."


def figures(run: Run) -> dict[str, dict]:
    """Return the key figures that grow, by their id on the page."""
    amounts = {
        "emissions": ("emissions", run.emissions_kg),
        "energy": ("energy", run.energy_kwh),
        "duration": ("elapsed", run.duration_s),
        "measured": ("share", run.measured_share),
    }
    return {name: {"value": value, "html": figure(quantity, value)} for name, (quantity, value) in amounts.items()}
