"""Compare runs: figures with differences to a base, curves on shared axes, parameters that differ, groups."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

from django.db.models import F

from runs.figures import curves as curves_of
from runs.figures import units
from runs.figures.charts import MOST_SERIES, Chart, Series
from runs.figures.curves import Curve
from runs.models import Batch, Device, Metric, Run, Stage
from runs.models.device import in_words
from runs.selection.group_tests import Difference, differences, may_be_compared
from runs.selection.groups import group_rows
from traceml_agent import estimation

MOST_RUNS = 8
#: The most metrics to compare; those logged by most runs come first.
MOST_METRICS = 24
POINTS = 200
#: The shared axis of the curves, and the quantity that they show.
AXES = {"elapsed": "Time since start", "stage": "Stage", "share": "Share done"}
SHOWN = {"power": "Power", "energy": "Cumulative energy"}


class FigureRow(NamedTuple):
    """One figure of every run in one unit, with its range if it has one; None for runs without the figure.

    `better` is `lower` or `higher` where the quantity does not imply it.
    """

    word: str
    quantity: str
    values: Sequence[float | None]
    lows: Sequence[float] | None = None
    highs: Sequence[float] | None = None
    better: str | None = None

    @property
    def differs(self) -> bool:
        """Whether to show changes: they are left out if all runs have the same factor."""
        return self.quantity != "factor" or len(set(self.values)) > 1

    @property
    def unit(self) -> units.Unit | None:
        """None for durations, whose text includes units."""
        return None if self.quantity == "elapsed" else units.unit_for(self.quantity, self.values)

    @property
    def ranges(self) -> list[tuple[float, float]]:
        return list(zip(self.lows or (), self.highs or (), strict=True))

    @property
    def in_lines(self) -> list["FigureRow"]:
        """The figure and the bounds of its range as rows of a file."""
        ends = [("low", self.lows), ("high", self.highs)]
        return [self, *(FigureRow(f"{self.word}, {end}", self.quantity, values) for end, values in ends if values)]


class ParamRow(NamedTuple):
    key: str
    values: list
    differs: bool


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


def names_of(runs: list[Run]) -> list[str]:
    """The labels of the runs; with the first digits of the id where two labels are equal."""
    labels = [run.label for run in runs]
    return [
        f"{label} ({str(run.run_id)[:8]})" if labels.count(label) > 1 else label
        for run, label in zip(runs, labels, strict=True)
    ]


def figure_rows(runs: list[Run], devices: list[list[Device]]) -> list[FigureRow]:
    """Energy, emissions, duration, mean power, measured share, factor and PUE, then energy by kind of device."""
    rows = [
        FigureRow(
            "Energy",
            "energy",
            [run.energy_kwh for run in runs],
            [run.energy_low_kwh for run in runs],
            [run.energy_high_kwh for run in runs],
        ),
        FigureRow(
            "CO₂e",
            "emissions",
            [run.emissions_kg for run in runs],
            [run.emissions_low_kg for run in runs],
            [run.emissions_high_kg for run in runs],
        ),
        FigureRow("Duration", "elapsed", [run.duration_s for run in runs]),
        FigureRow("Mean power", "power", [run.mean_power_w for run in runs]),
        FigureRow("Measured share", "share", [run.measured_share for run in runs]),
        FigureRow("Emission factor", "factor", [run.factor.kg_per_kwh for run in runs]),
    ]
    if any(run.pue != 1.0 for run in runs):
        rows.append(FigureRow("PUE", "count", [run.pue for run in runs]))
    by_kind = energy_by(devices, Device.get_kind_display)
    return rows + [FigureRow(f"Energy of {kind}", "energy", values) for kind, values in by_kind.items()]


def metric_rows(runs: list[Run], base: Run) -> list[list[FigureRow]]:
    """The last and best value of each logged metric, or the total for work; metrics logged by most runs come first.

    The base's project decides whether lower or higher is better.
    """
    logged: dict[str, dict[int, Metric]] = defaultdict(dict)
    for metric in Metric.objects.filter(run__in=runs).directed().order_by("pk"):
        logged[metric.name][metric.run_id] = metric
    ordered = sorted(logged.items(), key=lambda each: (-len(each[1]), each[0]))
    return [_rows_of_metric(name, of_runs, runs, base) for name, of_runs in ordered]


def _rows_of_metric(name: str, logged: dict[int, Metric], runs: list[Run], base: Run) -> list[FigureRow]:
    one = logged.get(base.pk) or next(iter(logged.values()))

    def row(word: str, quantity: str, figure: str, better: str = "") -> FigureRow:
        values = [getattr(logged[run.pk], figure) if run.pk in logged else None for run in runs]
        return FigureRow(word, quantity, values, better=better)

    if one.is_work:
        return [row(f"{name}, total", "count", "total")]
    better = "lower" if one.lower else "higher"
    last, best = (row(f"{name}, {figure}", "metric", figure, better) for figure in ("last", "best"))
    return [last._replace(word=name)] if last.values == best.values else [last, best]


def devices_in_words(devices: list[Device]) -> str:
    """A run's hardware without its memory: `4 × NVIDIA A100 SXM4 80GB, AMD EPYC 7742`."""
    counts = Counter(device.hardware_name for device in devices if device.counted and device.kind != Device.Kind.RAM)
    return in_words(counts)


def energy_by(devices: list[list[Device]], name_of: Callable[[Device], str]) -> dict[str, list[float]]:
    """Each run's energy (kWh) by device name; names that no run used are left out."""
    found: dict[str, list[float]] = {}
    for n, of_run in enumerate(devices):
        for device in of_run:
            if device.counted:
                found.setdefault(name_of(device), [0.0] * len(devices))[n] += device.energy_kwh
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


def param_rows(runs: list[Run]) -> list[ParamRow]:
    """All parameters of the runs; those that differ come first."""
    keys = dict.fromkeys(key for run in runs for key in run.params)
    rows = [(key, [run.params.get(key) for run in runs]) for key in keys]
    return sorted((ParamRow(key, values, _differ(values)) for key, values in rows), key=lambda row: not row.differs)


def _differ(values: list) -> bool:
    return any(value != values[0] for value in values)


def group_tests(runs: list[Run]) -> list[Difference]:
    """Pairs of groups of at least three runs, by model and by tag, with Welch's t-test of their energies."""
    pairs = []
    for by in ("model", "tag"):
        keys = [group.key for group in group_rows(runs, by) if may_be_compared(group)]
        for n, key in enumerate(keys):
            groups = {group.key: group for group in group_rows(runs, by, key)}
            pairs += [(groups[key], groups[other]) for other in keys[n + 1 :]]
    return differences(pairs)
