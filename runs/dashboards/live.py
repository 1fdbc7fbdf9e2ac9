"""What a run's open page asks for while the run goes on: what came since, or a part of its time more finely."""

from runs.dashboards import series
from runs.dashboards.run import device_names
from runs.models import Run
from runs.templatetags import units

#: A device's last sample may lie this far behind another's; batches that end before it bring nothing new.
BEHIND_S = 60.0


def increment(run: Run, since_s: float) -> dict:
    """The power of each line from `since_s` to the last sample, read from the batches that reach that far alone."""
    devices = list(run.devices.select_related("profile", "writer").order_by("kind", "key", "writer_id"))
    # Times of a batch are its writer's own; a batch of a writer that began later ends later on the run's clock.
    recent = run.batches.filter(last_t_s__gte=max(0.0, since_s - _latest_start_s(run, devices) - BEHIND_S)).defer(
        "metrics"
    )
    curves = series.curves(run, devices, recent)
    end_s = series.end_of(curves)
    found: dict = {"edges": [], "series": []}
    if end_s > since_s + series.STORED_TO_S:
        edges = series.edges_of(curves, since_s, end_s)
        lines = series.power_lines(curves, edges, device_names(devices))
        found = {"edges": edges, "series": [line._asdict() for line in lines]}
    return found | {"axisUnit": units.unit_for("elapsed", [end_s])._asdict(), "figures": figures(run)}


def _latest_start_s(run: Run, devices) -> float:
    starts = ((device.writer.started_at - run.started_at).total_seconds() for device in devices)
    return max(starts, default=0.0)


def part(run: Run, start_s: float, end_s: float) -> dict:
    """A part of the run's time as its chart draws it, with its energy, time and mean power in words."""
    devices = list(run.devices.select_related("profile", "writer").order_by("kind", "key", "writer_id"))
    curves = series.curves(run, devices)
    span = series.span_between(curves, start_s, end_s)
    if span is None:
        return {"chart": None, "words": ""}
    chart = series.power_chart(curves, [], device_names(devices), run, span)
    return {"chart": chart.data if chart else None, "words": words(span)}


def words(span: series.Span) -> str:
    """`From 10 min to 20 min: 52 Wh in 10 min, 312 W on average.`"""
    energy, power = units.text("energy", span.energy_kwh), units.text("power", span.mean_power_w)
    start, end, seconds = (units.text("elapsed", value) for value in (span.start_s, span.end_s, span.seconds))
    return f"From {start} to {end}: {energy} in {seconds}, {power} on average."


def figures(run: Run) -> dict[str, dict]:
    """The key figures that grow, by the name of their place on the page."""
    amounts = {
        "emissions": ("emissions", run.emissions_kg),
        "energy": ("energy", run.energy_kwh),
        "duration": ("elapsed", run.duration_s),
        "measured": ("share", run.measured_share),
    }
    return {name: _figure(quantity, value) for name, (quantity, value) in amounts.items()}


def _figure(quantity: str, value: float) -> dict:
    unit = units.unit_for(quantity, [value])
    exact = units.exact(quantity, value)
    return {"value": value, "number": units.significant(value / unit.size), "unit": unit.symbol, "exact": exact}
