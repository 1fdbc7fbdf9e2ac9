"""Runs side by side: their figures in common units, parameters that differ, and tests between groups of them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from runs.figures import units
from runs.models import Device, Metric, Run
from runs.models.device import in_words
from runs.selection.group_tests import Difference, differences, may_be_compared
from runs.selection.groups import group_rows

MOST_RUNS = 8
#: The most metrics to compare; those logged by most runs come first.
MOST_METRICS = 24


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
