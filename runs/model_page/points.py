"""Runs as points of a chart: their energy over time, and a metric against their emissions with the Pareto front."""

from collections.abc import Callable
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

from django.db.models import Count, OuterRef, Subquery
from django.urls import reverse

from runs.figures import units
from runs.figures.charts import drawn
from runs.figures.lifetime import TRAINING
from runs.figures.run_links import RunLink
from runs.model_page.cheapest import OFFERED_PERCENT, Cheapest, asked_percent, cheapest
from runs.models import Metric, MetricDirection, Run, TrackedModel
from runs.models.direction import lower_by_name
from runs.models.metric import WORK
from runs.selection.metric_columns import VALUES

#: Of the runs read one by one, a chart draws fewer, because each needs its address, and a table shows even fewer.
MOST_DRAWN = 300
MOST_ROWS = 20
#: If the largest figure is this many times the median, a linear axis would flatten all others.
LOGARITHMIC_FROM = 10


class Point(NamedTuple):
    """A run's position: `x` in the chart's axis, `y` as the portal stores it."""

    run: RunLink
    x: float
    y: float
    is_front: bool = False


#: The sort orders of the table of points.
SORTS: dict[str, Callable[[Point], Any]] = {
    "value": lambda point: point.y,
    "emissions": lambda point: point.run.emissions_kg,
    "started": lambda point: point.run.started_at,
}


class Points(NamedTuple):
    """A chart of points with a sentence that describes it. `x_quantity` is `time` or a quantity of units.py;
    `y_quantity` is empty for a metric, which has no unit."""

    id: str
    title: str
    sentence: str
    x_quantity: str
    y_quantity: str
    y_name: str
    points: list[Point]
    left_out: int = 0
    leads_on: bool = True
    #: The column that the table is sorted by, descending with a minus.
    sort: str = ""

    @property
    def data_id(self) -> str:
        return f"{self.id}-data"

    @property
    def rows(self) -> list[Point]:
        """The rows of the table: sorted as requested, by default with the front first."""
        if key := SORTS.get(self.sort.removeprefix("-")):
            return sorted(self.points, key=key, reverse=self.sort.startswith("-"))[:MOST_ROWS]
        return sorted(self.points, key=lambda point: not point.is_front)[:MOST_ROWS]

    @property
    def x_unit(self) -> units.Unit | None:
        return None if self.x_quantity == "time" else units.unit_for(self.x_quantity, [each.x for each in self.points])

    @property
    def y_unit(self) -> units.Unit:
        ys = [point.y for point in self.points]
        return units.unit_for(self.y_quantity, ys) if self.y_quantity else units.STORED["metric"]

    def data(self, runs: list[RunLink]) -> dict:
        """What the script draws, in the units that the portal stores: positions, the index of each point's run in
        `runs`, and the indices of the points on the front."""
        numbers = {run.pk: number for number, run in enumerate(runs)}
        xs, ys = [point.x for point in self.points], [point.y for point in self.points]
        return {
            "xUnit": self.x_unit and self.x_unit._asdict(),
            "yUnit": self.y_unit._asdict(),
            "yName": self.y_name,
            "logarithmic": {
                "x": self.x_quantity != "time" and _needs_logarithm(xs),
                "y": bool(self.y_quantity) and _needs_logarithm(ys),
            },
            "x": xs if self.x_quantity == "time" else drawn(xs),
            "y": drawn(ys),
            "runs": [numbers[point.run.pk] for point in self.points],
            "front": [number for number, point in enumerate(self.points) if point.is_front],
        }


def _needs_logarithm(values: list[float]) -> bool:
    return max(values) > LOGARITHMIC_FROM * median(values)


def runs_data(runs: list[RunLink], leads_on: bool) -> dict:
    """Return the runs of points, by columns; strangers get no names and no addresses."""
    data = {"kinds": [run.kind for run in runs], "states": [run.state for run in runs], "url": ""}
    if leads_on:
        names, ids = [run.name for run in runs], [str(run.run_id) for run in runs]
        data |= {"names": names, "ids": ids, "url": reverse("run_list")}
    return data


def newest_used(runs: list[RunLink]) -> list[RunLink]:
    """Return the runs that charts draw, from runs with the newest first."""
    return [run for run in runs if run.energy_kwh > 0][:MOST_DRAWN]


def energy_points(runs: list[RunLink], run_count: int) -> Points | None:
    """Return the energy of each run by when it began; None if there is nothing to compare."""
    used = newest_used(runs)
    if not used:
        return None
    energies = [run.energy_kwh for run in used]
    middle, most = median(energies), max(energies)
    return Points(
        id="energies",
        title="Energy per run over time",
        sentence=(
            f"Energy of {units.counted(len(used), 'run')} by start: median {units.text('energy', middle)}, "
            f"maximum {units.text('energy', most)}. Hollow points are failed, cancelled or lost runs."
        ),
        x_quantity="time",
        y_quantity="energy",
        y_name="Energy",
        points=[Point(run, _seconds(run.started_at), run.energy_kwh) for run in used],
        left_out=run_count - len(used),
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


class PointsQuery(NamedTuple):
    """Which metric a reader wants to see, which direction is better, and which value counts; empty means automatic.

    `within` is by how many percent of the best the cheapest run may miss it, `of` is the only kind of run shown, `sort`
    is the column that the table is sorted by, descending with a minus.
    """

    metric: str = ""
    better: str = ""
    value: str = "last"
    within: str = ""
    of: str = ""
    sort: str = ""


UNASKED = PointsQuery()


class Tradeoff(NamedTuple):
    """A metric against emissions: the choices offered, what was chosen, and the chart."""

    names: list[str]
    chosen: PointsQuery
    chart: Points | None
    cheapest: Cheapest | None = None
    kinds: tuple[str, ...] = TRAINING

    @property
    def within_percent(self) -> float:
        return asked_percent(self.chosen.within)

    @property
    def within_choices(self) -> list[float]:
        """The percentages offered, including the one in the address."""
        return sorted({*OFFERED_PERCENT, self.within_percent})

    @property
    def lower(self) -> bool:
        return self.chosen.better == "lower"


def tradeoff(model: TrackedModel, runs: list[RunLink], asked: PointsQuery) -> Tradeoff | None:
    """Return training runs by emissions and a metric that they logged; None if none logged any."""
    metrics = Metric.objects.filter(run__tracked_model=model, run__kind__in=TRAINING).order_by()
    named = metrics.exclude(name__in=WORK).values_list("name").annotate(runs=Count("*")).order_by("-runs", "name")
    chosen_lower = MetricDirection.objects.filter(project=model.project_id, name=OuterRef("name")).values("lower")[:1]
    known = {name: (count, lower) for name, count, lower in named.annotate(chosen_lower=Subquery(chosen_lower))}
    if not known:
        return None
    metric = asked.metric if asked.metric in known else next(iter(known))
    run_count, lower = known[metric]
    chosen = _chosen(asked, metric, lower_by_name(metric) if lower is None else lower)
    column = "last" if chosen.value == "last" else "highest" if chosen.better == "higher" else "lowest"
    # Only of the runs at hand: a model may have thousands more.
    logged = Metric.objects.filter(run__in=[run.pk for run in runs if run.kind in TRAINING], name=metric)
    values = dict(logged.order_by().values_list("run_id", column))
    placed = [(run, values[run.pk]) for run in runs if run.pk in values and run.energy_kwh > 0]
    placed = [(run, value) for run, value in placed if chosen.of in ("", run.kind)]
    newest = {run.pk for run in newest_used(runs)}
    chart = _against_emissions(placed, newest, run_count, chosen) if placed else None
    return Tradeoff(sorted(known), chosen, chart, cheapest(placed, chosen.better, asked_percent(chosen.within)))


def _chosen(asked: PointsQuery, metric: str, is_lower: bool) -> PointsQuery:
    """Return the choice; by default the metric that most runs logged, and the project's direction for it."""
    better = asked.better if asked.better in ("higher", "lower") else "lower" if is_lower else "higher"
    return asked._replace(
        metric=metric,
        better=better,
        value=asked.value if asked.value in VALUES else "last",
        of=asked.of if asked.of in TRAINING else "",
        sort=asked.sort if asked.sort.removeprefix("-") in SORTS else "",
    )


def _against_emissions(
    placed: list[tuple[RunLink, float]], newest: set[int], run_count: int, chosen: PointsQuery
) -> Points:
    """Return the front of all runs with a value, plus those of the others that are drawn in other charts too."""
    completed = {n for n, (run, _) in enumerate(placed) if run.status == Run.Status.COMPLETED}
    best = front({n: (placed[n][0].emissions_kg, placed[n][1]) for n in completed}, chosen.better)
    shown = [n for n in range(len(placed)) if n in best or placed[n][0].pk in newest]
    trainings = units.counted(len(shown), "training run")
    of_front = f"{units.counted(len(best), 'run')} on the front {'has' if len(best) == 1 else 'have'}"
    return Points(
        id="tradeoff",
        title="Metric against emissions",
        sentence=(
            f"{VALUES[chosen.value]} of {chosen.metric} against emissions of {trainings}, "
            f"{chosen.better} is better. {of_front} a value that no completed run with less CO₂e reaches. "
            "Hollow points are failed, cancelled or lost runs."
        ),
        x_quantity="emissions",
        y_quantity="",
        y_name=chosen.metric,
        points=[Point(placed[n][0], placed[n][0].emissions_kg, placed[n][1], n in best) for n in shown],
        left_out=run_count - len(shown),
        sort=chosen.sort,
    )


def front(places: dict[int, tuple[float, float]], better: str) -> set[int]:
    """Return indices of (emissions, value) that no other one beats: less or equal emissions with a better value, or
    less emissions with an equal one. Of equal ones only the first is on the front."""
    sign = -1 if better == "higher" else 1
    found: set[int] = set()
    best = float("inf")
    for n, (_, value) in sorted(places.items(), key=lambda each: (each[1][0], sign * each[1][1])):
        if sign * value < best:
            best = sign * value
            found.add(n)
    return found
