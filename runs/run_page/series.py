"""Charts of a run over time on one axis: power, utilisation, cumulative energy; whole, in part, or only new data."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from runs.figures import units
from runs.figures.charts import MOST_SERIES, Band, Chart, ChartTotals, Mark, Series, Twin, drawn
from runs.figures.curves import (
    Curve,
    Span,
    end_of,
    energy_until_j,
    profile_of,
    span_between,
    span_of,
)
from runs.models import Run, Stage
from runs.run_page.buckets import Buckets, buckets, edges_of, extremes, most_power_w, utilisation_of
from traceml_agent import estimation

#: A bucket with at least this many samples has a band between the lowest and the highest of them.
SAMPLES_OF_A_BAND = 2
DRAWN_DIGITS = 5
#: Memory is held, not busy.
NEVER_BUSY = "ram"
#: The sentences of the charts, and the quantities of their numbers except `time` and `twin`.
SENTENCES = {
    "power": "Mean power of {devices} over {time}: {mean} on average, {most} at most{tdp}.",
    "utilisation": "Utilisation of {devices} over {time}: {mean} on average, {most} at most.",
    "energy": "Cumulative energy of {devices}: {last} after {time}, {twin} of CO₂e.",
}
QUANTITIES = {"power": "power", "utilisation": "share", "energy": "energy"}


class DeviceLine(NamedTuple):
    """What one colour of the charts shows: a device, or all devices of a kind if there are too many for the colours."""

    name: str
    curves: list[Curve]


def lines_of(curves: list[Curve], names: dict[int, str]) -> list[DeviceLine]:
    """Return the lines of a run's charts. Memory comes last, so that a chart without it has the same colours."""
    ordered = sorted(curves, key=lambda curve: curve.device.kind == NEVER_BUSY)
    if len(ordered) <= MOST_SERIES:
        return [DeviceLine(names[curve.device.pk], [curve]) for curve in ordered]
    kinds: dict[str, list[Curve]] = defaultdict(list)
    for curve in ordered:
        kinds[curve.device.get_kind_display()].append(curve)
    return [DeviceLine(f"{len(group)} × {kind}", group) for kind, group in kinds.items()]


class Over(NamedTuple):
    """A run's lines between some edges: mean power in W, utilisation, and kWh up to each edge."""

    power: list[Series]
    utilisation: list[Series]
    energy: list[Series]


def over(lines: list[DeviceLine], edges: list[float]) -> Over:
    read = [(line, [buckets(curve, edges) for curve in line.curves]) for line in lines]
    busy = [(line, of_line) for line, of_line in read if line.curves[0].device.kind != NEVER_BUSY]
    return Over(
        [_drawn(_power(line, of_line, edges)) for line, of_line in read],
        [_drawn(_utilisation(line, of_line, edges)) for line, of_line in busy or read],
        [_drawn(Series(line.name, _energies_kwh(of_line))) for line, of_line in read],
    )


def _drawn(series: Series) -> Series:
    """Round the series to digits that pixels can show; the others were half of the page's size. Exports have all
    digits.

    The last value is unchanged: for energy it is the run's total, which is also shown elsewhere.
    """
    return series._replace(
        values=[*drawn(series.values[:-1], DRAWN_DIGITS), *series.values[-1:]],
        lows=series.lows and drawn(series.lows, DRAWN_DIGITS),
        highs=series.highs and drawn(series.highs, DRAWN_DIGITS),
    )


def _power(line: DeviceLine, read: list[Buckets], edges: list[float]) -> Series:
    values = _together([each.power_w for each in read], sum)
    lows, highs = _band(line, "powers_w", edges)
    return Series(line.name, values, lows=lows, highs=highs)


def _utilisation(line: DeviceLine, read: list[Buckets], edges: list[float]) -> Series:
    columns = [each.utilisation for each in read]
    if len(read) > 1:  # the differences between devices matter more than how much each one varies
        mean, lows, highs = (_together(columns, make) for make in (fmean, min, max))
        return Series(line.name, mean, lows=lows, highs=highs)
    lows, highs = _band(line, "utilisations", edges)
    return Series(line.name, columns[0], lows=lows, highs=highs)


def _energies_kwh(read: list[Buckets]) -> list[float]:
    return [estimation.energy_kwh(sum(at_once)) for at_once in zip(*(each.energy_j for each in read), strict=True)]


def _band(line: DeviceLine, rates: str, edges: list[float]) -> tuple:
    """Return the bounds of a line of one device if its buckets hold several samples; otherwise nothing."""
    (curve, *others), count = line.curves, len(edges) - 1
    held = curve.samples_between(edges[0], edges[-1])
    if others or (held < SAMPLES_OF_A_BAND * count and not curve.bounds):
        return None, None
    found = extremes(curve, getattr(curve, rates), edges)
    return [each and each[0] for each in found], [each and each[1] for each in found]


def _together(columns: list[list[float | None]], make: Callable) -> list[float | None]:
    """Return the sum, mean, lowest or highest at each time; a gap only if nothing was observed."""
    if len(columns) == 1:
        return columns[0]
    known = ([value for value in at_once if value is not None] for at_once in zip(*columns, strict=True))
    return [make(each) if each else None for each in known]


def charts(
    curves: list[Curve], stages: Sequence[Stage], names: dict[int, str], run: Run, span: Span | None = None
) -> list[Chart]:
    """Return power, utilisation and energy over time by device (many by kind), outermost stages as bands; of hosted
    models the energy alone.

    With `span` for that part of the run, as finely as the samples allow; empty if nothing was sampled.
    """
    if not curves:
        return []
    start_s, end_s = span[:2] if span else (0.0, end_of(curves))
    edges, lines = edges_of(curves, start_s, end_s), lines_of(curves, names)
    found, middles = over(lines, edges), [(start + end) / 2 for start, end in pairwise(edges)]
    energies, tdp = ChartTotals("energy", totals_kwh(lines, span)), tdp_w(curves)
    made = [
        Chart("power", "Power", "", "power", "elapsed", middles, found.power, energies, marks=_marks(tdp)),
        Chart("utilisation", "Utilisation", "", "share", "elapsed", middles, found.utilisation),
        Chart("energy", "Cumulative energy", "", "energy", "elapsed", edges, found.energy, twin=twin_of(run)),
    ]
    if all(map(is_hosted, curves)):
        made = [chart for chart in made if chart.id == "energy"]
    bands = [Band(stage.name, *span_of(run, stage)) for stage in stages if not stage.parent and stage.end_s]
    numbers = says(curves, run, start_s, end_s)
    told = sentences(curves, numbers)
    return [chart._replace(edges=edges, bands=bands, says=numbers[chart.id], sentence=told[chart.id]) for chart in made]


def sentences(curves: list[Curve], numbers: dict[str, dict[str, float | None]]) -> dict[str, str]:
    """Return the sentence of each chart, from its numbers as returned by `says`."""
    tdp, counts = tdp_w(curves), dict.fromkeys(SENTENCES, len(curves))
    rated = f"; their TDP is {units.text('power', tdp)}{' together' if len(curves) > 1 else ''}" if tdp else ""
    busy = sum(curve.device.kind != NEVER_BUSY and curve.tells_utilisation for curve in curves)
    counts["utilisation"] = busy or len(curves)
    found = {}
    for name, own in numbers.items():
        quantities = dict.fromkeys(own, QUANTITIES[name]) | {"time": "elapsed", "twin": "emissions"}
        words = {each: units.text(quantities[each], value) for each, value in own.items()}
        found[name] = SENTENCES[name].format(devices=units.counted(counts[name], "device"), tdp=rated, **words)
    return found


def says(curves: list[Curve], run: Run, start_s: float, end_s: float) -> dict[str, dict[str, float | None]]:
    """Return the numbers of the sentences by chart, for a part of the run. They come from the counters, not from the
    buckets that are drawn, so that they equal those of the key figures, the devices and the stages
    (docs/methodology.md)."""
    span = span_between(curves, start_s, end_s)
    busy = [curve for curve in curves if curve.device.kind != NEVER_BUSY] or curves
    mean, most = utilisation_of(busy, start_s, end_s)
    used_kwh = estimation.energy_kwh(energy_until_j(curves, end_s))
    return {
        "power": {
            "time": end_s - start_s,
            "mean": span and span.mean_power_w,
            "most": span and max(most_power_w(curves, start_s, end_s), span.mean_power_w),
        },
        "utilisation": {"time": end_s - start_s, "mean": mean, "most": most},
        "energy": {"time": end_s, "last": used_kwh, "twin": twin_of(run).per * used_kwh},
    }


def totals_kwh(lines: list[DeviceLine], span: Span | None = None) -> list[float]:
    """Return the energy of each line, for a part of the run or all of it."""
    if span is None:
        return [sum(curve.energy_kwh for curve in line.curves) for line in lines]
    return [estimation.energy_kwh(sum(curve.energy_between_j(*span[:2]) for curve in line.curves)) for line in lines]


def twin_of(run: Run) -> Twin:
    return Twin("CO₂e", "emissions", estimation.emissions_kg(1.0, run.factor.kg_per_kwh, run.pue))


def tdp_w(curves: list[Curve]) -> float | None:
    """Return the rated power of all devices together, as far as the run held them; None if any is unknown."""
    found = []
    for curve in curves:
        profile = profile_of(curve.device)
        is_guessed = profile.fallback and curve.device.basis == estimation.REPORTED
        if profile.tdp_w is None or is_hosted(curve) or is_guessed:
            return None
        found.append(profile.tdp_w * estimation.units_held(curve.device.last_facts(), profile))
    return sum(found)


def is_hosted(curve: Curve) -> bool:
    """Return whether it is of a model behind an API: neither power nor utilisation of its devices is known."""
    return curve.device.basis == estimation.MODELLED


def _marks(tdp: float | None) -> list[Mark]:
    return [Mark("TDP", tdp)] if tdp else []
