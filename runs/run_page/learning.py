"""Energy against metric: a logged metric over the energy used so far, and the point after which it hardly improved."""

from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from typing import NamedTuple

from runs.figures import units
from runs.figures.charts import Chart, Mark, Series
from runs.figures.curves import Curve, end_of, energies_until_j, energy_until_j
from traceml_agent import estimation

#: An improvement below this share of the best value counts as hardly any.
HARDLY = 0.01
#: The most values in a chart, plus two.
MOST_POINTS = 200


class MetricPoint(NamedTuple):
    """One value of a metric, in seconds since the run's start."""

    at_s: float
    value: float


class Learned(NamedTuple):
    """A metric over the run's energy. `within` is the first value that the rest of the run hardly improved;
    `share_after` and `after_kwh` are the energy used after it."""

    name: str
    lower: bool
    best: float
    within: MetricPoint
    share_after: float
    after_kwh: float
    chart: Chart | None

    @property
    def sentence(self) -> str:
        """Example: `The last 38 % of the energy (42 Wh) improved accuracy by less than 1 %.`"""
        percent = units.text("share", HARDLY)
        if self.share_after <= 0:
            return f"{self.name} improved by {percent} or more until its last value."
        share, energy = units.text("share", self.share_after), units.text("energy", self.after_kwh)
        best, at = units.text("metric", self.best), units.text("elapsed", self.within.at_s)
        return (
            f"The last {share} of the energy ({energy}) improved {self.name} by less than {percent}: "
            f"it was {units.text('metric', self.within.value)} after {at}, {best} at best."
        )


def learned(curves: list[Curve], points: list[MetricPoint], name: str, lower: bool) -> Learned | None:
    """Return one metric against the run's energy; None for fewer than two values or unknown energy."""
    total_j = energy_until_j(curves, end_of(curves))
    if len(points) < 2 or total_j <= 0:
        return None
    best = (min if lower else max)(point.value for point in points)
    within = next(point for point in points if abs(best - point.value) <= HARDLY * abs(best))
    after_j = total_j - energy_until_j(curves, within.at_s) if within is not points[-1] else 0.0
    return Learned(
        name=name,
        lower=lower,
        best=best,
        within=within,
        share_after=after_j / total_j,
        after_kwh=estimation.energy_kwh(after_j),
        chart=metric_chart(curves, points, name, lower, within),
    )


def metric_chart(curves: list[Curve], points: list[MetricPoint], name: str, lower: bool, within: MetricPoint) -> Chart:
    """Return a chart of the metric and its best value so far over the energy used; many values are thinned."""
    values = [point.value for point in points]
    bests = list(accumulate(values, min if lower else max))
    kept = thinned(values)
    labels = list(map(estimation.energy_kwh, energies_until_j(curves, [points[n].at_s for n in kept])))
    first, last, best = (units.text("metric", value) for value in (values[0], values[-1], bests[-1]))
    return Chart(
        id="learning",
        title=f"{name} by energy used",
        sentence=f"{name} went from {first} to {last} with {units.text('energy', labels[-1])} used; {best} at best.",
        quantity="metric",
        axis="energy",
        labels=labels,
        series=[Series(name, [values[n] for n in kept]), Series("Best so far", [bests[n] for n in kept])],
        moments=[Mark("within 1 % of the best", estimation.energy_kwh(energy_until_j(curves, within.at_s)))],
    )


def thinned(values: Sequence[float]) -> list[int]:
    """Return indices of the values to draw. Of many: the first, the last, and the lowest and highest of each bin.

    Taking every nth value could skip the best one.
    """
    count = len(values)
    if count <= MOST_POINTS:
        return list(range(count))
    width = ceil(count / (MOST_POINTS // 2))
    kept = {0, count - 1}
    for start in range(0, count, width):
        few = range(start, min(start + width, count))
        kept |= {min(few, key=values.__getitem__), max(few, key=values.__getitem__)}
    return sorted(kept)
