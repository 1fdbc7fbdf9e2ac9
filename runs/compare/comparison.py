"""Compare runs: figures with differences to a base, curves on shared axes, parameters that differ, groups."""

from collections import defaultdict
from itertools import chain
from typing import NamedTuple

from django.db.models import F

from runs.figures import curves as curves_of
from runs.figures import units
from runs.figures.charts import MOST_SERIES, Chart, Series
from runs.figures.curves import Curve
from runs.models import Batch, Device, Run, Stage
from runs.selection.compared import (
    MOST_METRICS,
    FigureRow,
    ParamRow,
    devices_in_words,
    energy_by,
    figure_rows,
    group_tests,
    metric_rows,
    names_of,
    param_rows,
)
from runs.selection.group_tests import Difference
from traceml_agent import estimation

POINTS = 200
#: The shared axis of the curves, and the quantity that they show.
AXES = {"elapsed": "Time since start", "stage": "Stage", "share": "Share done"}
SHOWN = {"power": "Power", "energy": "Cumulative energy"}


class Comparison(NamedTuple):
    runs: list[Run]
    base: Run
    figures: list[FigureRow]
    devices: list[str]
    curves: Chart | None
    energies: Chart | None
    params: list[ParamRow]
    tests: list[Difference]
    metric_count: int

    @property
    def tested_count(self) -> int:
        return sum(found.test is not None for found in self.tests)

    @property
    def changes(self) -> list[tuple[FigureRow, list[tuple[float | None, float | None]]]]:
        """Each figure with every run's value and the base's; the latter is None for the base itself and where the run
        has no value."""
        at = self.runs.index(self.base)
        return [
            (row, [(value, None if n == at or value is None else row.values[at]) for n, value in enumerate(row.values)])
            for row in self.figures
        ]


def comparison(runs: list[Run], base: Run, axis: str, shown: str) -> Comparison:
    """Everything that the page shows about these runs, in a fixed number of queries."""
    devices = _by_run(Device.objects.filter(run__in=runs).select_related("profile", "writer").order_by("kind", "key"))
    batches = _by_run(Batch.objects.filter(run__in=runs).defer("metrics"))
    curves = [curves_of.curves(run, devices[run.pk], batches[run.pk]) for run in runs]
    names, metrics = names_of(runs), metric_rows(runs, base)
    return Comparison(
        runs=runs,
        base=base,
        figures=figure_rows(runs, [devices[run.pk] for run in runs]) + list(chain(*metrics[:MOST_METRICS])),
        devices=[devices_in_words(devices[run.pk]) for run in runs],
        curves=stage_overlay(runs, names, curves, shown) if axis == "stage" else overlay(names, curves, axis, shown),
        energies=energies_chart(names, [devices[run.pk] for run in runs]),
        params=param_rows(runs),
        tests=group_tests(runs),
        metric_count=len(metrics),
    )


def _by_run(rows) -> dict[int, list]:
    found: dict[int, list] = defaultdict(list)
    for row in rows:
        found[row.run_id].append(row)
    return found


def energies_chart(names: list[str], devices: list[list[Device]]) -> Chart | None:
    """Each run's energy by device, or by kind of device if there are more devices than colours."""
    found = energy_by(devices, lambda device: device.hardware_name)
    if len(found) > MOST_SERIES:
        found = energy_by(devices, Device.get_kind_display)
    if not found:
        return None
    sums = [sum(values) for values in zip(*found.values(), strict=True)]
    least, most = (pick(range(len(sums)), key=sums.__getitem__) for pick in (min, max))
    ends = f"most in {names[most]} with {units.text('energy', sums[most])}"
    if len(names) > 1:
        ends += f", least in {names[least]} with {units.text('energy', sums[least])}"
    return Chart(
        id="energies",
        title="Energy by device",
        sentence=f"Energy by device: {ends}.",
        quantity="energy",
        axis="run",
        labels=names,
        series=[Series(name, values) for name, values in found.items()],
    )


def overlay(names: list[str], curves: list[list[Curve]], axis: str, shown: str) -> Chart | None:
    """One line per run on a shared axis: seconds since its start, or share of its own time."""
    ends = [curves_of.end_of(of_run) for of_run in curves]
    if not max(ends, default=0.0):
        return None
    full = 1.0 if axis == "share" else max(ends)
    labels = [full * n / POINTS for n in range(1, POINTS + 1)]
    lines = [
        Series(name, [_shown(of_run, end, label, labels[0], axis, shown) for label in labels])
        for name, of_run, end in zip(names, curves, ends, strict=True)
    ]
    return Chart(
        id="curves",
        title=f"{SHOWN[shown]} by {AXES[axis].lower()}",
        sentence=f"{SHOWN[shown]} of {runs_in_words(names)} by {AXES[axis].lower()}; {lasted(ends)}.",
        quantity=shown,
        axis=axis,
        labels=labels,
        series=lines,
    )


def runs_in_words(names: list[str]) -> str:
    return units.counted(len(names), "run")


def lasted(ends: list[float]) -> str:
    """The durations of the runs in words, from shortest to longest."""
    shortest, longest = units.text("elapsed", min(ends)), units.text("elapsed", max(ends))
    return f"it lasted {longest}" if len(ends) == 1 else f"they lasted {shortest} to {longest}"


def _shown(curves: list[Curve], end_s: float, label: float, step: float, axis: str, shown: str) -> float | None:
    """A run's value at a point of the axis; None after the run's end."""
    scale = end_s if axis == "share" else 1.0
    at_s, before_s = label * scale, (label - step) * scale
    if before_s >= end_s or not curves:
        return None
    if shown == "energy":
        return estimation.energy_kwh(sum(curve.at(at_s).energy_j for curve in curves))
    seconds = min(at_s, end_s) - before_s
    return sum(curve.energy_between_j(before_s, at_s) for curve in curves) / seconds if seconds > 0 else None


def stage_overlay(runs: list[Run], names: list[str], curves: list[list[Curve]], shown: str) -> Chart | None:
    """One line per run over its stage numbers: the mean power of each stage, or the energy used up to its end."""
    rows = Stage.objects.filter(run__in=runs, parent="", end_s__gt=F("start_s")).select_related("writer")
    stages = _by_run(rows.order_by("writer__started_at", "start_s", "pk"))
    spans = [[curves_of.span_of(run, stage) for stage in stages[run.pk][:POINTS]] for run in runs]
    most = max(len(of_run) for of_run in spans)
    if not most:
        return None
    lines = [
        Series(name, _padded([_of_stage(of_run, *span, shown) for span in of_stages] if of_run else [], most))
        for name, of_run, of_stages in zip(names, curves, spans, strict=True)
    ]
    counts = ", ".join(units.counted(len(of_run), "stage") for of_run in spans)
    has = "they had" if len(names) > 1 else "it had"
    return Chart(
        id="curves",
        title=f"{SHOWN[shown]} by stage",
        sentence=f"{SHOWN[shown]} of {runs_in_words(names)} by the number of the stage; {has} {counts}.",
        quantity=shown,
        axis="stage",
        labels=list(range(1, most + 1)),
        series=lines,
    )


def _of_stage(curves: list[Curve], start_s: float, end_s: float, shown: str) -> float:
    if shown == "energy":
        return estimation.energy_kwh(curves_of.energy_until_j(curves, end_s))
    return sum(curve.energy_between_j(start_s, end_s) for curve in curves) / (end_s - start_s)


def _padded(values: list[float], count: int) -> list[float | None]:
    return [*values, *[None] * (count - len(values))]
