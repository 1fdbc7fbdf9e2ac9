"""A model's page: whole-life footprint, emissions per prediction, and a comparison of its runs."""

from datetime import date, datetime
from typing import NamedTuple

from runs.citing.finals import final_runs
from runs.figures import usage
from runs.figures.break_even import BreakEven, break_even, by_part, days_of_life
from runs.figures.charts import Chart
from runs.figures.corrections import Corrections, corrections
from runs.figures.lifetime import Footprint, Lifetime, ModelWaste, amounts_of, lifetime, waste
from runs.figures.periods import period
from runs.figures.run_links import MOST_READ, RunLink, newest
from runs.figures.use import Predictions, Served, use
from runs.model_page.points import (
    UNASKED,
    Points,
    PointsQuery,
    Tradeoff,
    energy_points,
    runs_data,
    tradeoff,
)
from runs.models import Correction, TrackedModel

RUNS_SHOWN = 20


class PartRow(NamedTuple):
    """A line of the footprint's table; `final` is the run if the line is about a single one, and `is_tuning` means that
    it tuned the one above."""

    name: str
    amounts: Footprint
    share: float
    final: RunLink | None = None
    is_tuning: bool = False


class ModelPage(NamedTuple):
    life: Lifetime
    finals: list[RunLink]
    waste: ModelWaste
    predictions: Predictions
    served: Served
    break_even: BreakEven
    growth: Chart | None
    energies: Points | None
    tradeoff: Tradeoff | None
    runs: list[RunLink]
    run_count: int
    #: How many runs, the newest, were read one by one.
    read_count: int
    corrections: Corrections

    @property
    def bar(self) -> list[dict]:
        """The footprint as segments of one bar, split as in lists."""
        parts = [(part, self.life.of(*kinds).emissions_kg) for part, kinds in usage.PARTS.items()]
        return usage.segments(parts, sum(kg for _, kg in parts) or 1.0)

    @property
    def charts_of_points(self) -> list[Points]:
        charts = [self.energies, self.tradeoff and self.tradeoff.chart]
        return [chart for chart in charts if chart]

    @property
    def drawn(self) -> list[RunLink]:
        """The runs that have points in the charts, each once."""
        return list({point.run.pk: point.run for chart in self.charts_of_points for point in chart.points}.values())

    @property
    def runs_data(self) -> dict:
        """What scripts need about these runs."""
        return runs_data(self.drawn, all(chart.leads_on for chart in self.charts_of_points))

    @property
    def parts(self) -> list[PartRow]:
        """Return the parts of its life that exist, the final run below all attempts, and the total."""
        whole = self.life.total
        whole_kg = whole.emissions_kg or 1.0
        found = [
            PartRow(name, part, part.emissions_kg / whole_kg)
            for name, part in [*self.life.parts, ("Whole life", whole)]
            if part.runs or part.energy_kwh
        ]
        of_finals = [
            PartRow("The final run", amounts_of(run), run.emissions_kg / whole_kg, run, number > 0)
            for number, run in enumerate(self.finals)
        ]
        return [*found[:1], *of_finals, *found[1:]] if of_finals else found  # the first line, if any, is training

    @property
    def part_amounts(self) -> list[Footprint]:
        return [row.amounts for row in self.parts]

    @property
    def wasted_share(self) -> float:
        """The share of the model's energy in trainings and evaluations that failed, were cancelled or lost."""
        whole_kwh = self.life.total.energy_kwh
        return min(self.waste.energy_kwh / whole_kwh, 1.0) if whole_kwh else 0.0

    @property
    def idle_share(self) -> float:
        """The share of the model's energy that accelerators used while they were held but idle."""
        whole = self.life.total
        return whole.idle_kwh / whole.energy_kwh if whole.energy_kwh else 0.0


def model_page(
    model: TrackedModel, now: datetime, quantity: str, asked: PointsQuery = UNASKED, with_logged: bool = True
) -> ModelPage:
    """Return a model's whole life, and its latest runs one by one; `quantity` of the growth is `kg` or `kwh`.

    Without logged values, its predictions don't include logged samples, and no tokens are shown.
    """
    life = lifetime(model)
    runs = newest(model, MOST_READ)
    days = days_of_life(model)
    counted, served = use(runs, with_logged)
    listed = [run for run in runs if not run.is_archived]
    return ModelPage(
        life=life,
        finals=final_runs(model, runs, MOST_READ),
        waste=waste(model, now),
        predictions=counted,
        served=served,
        break_even=break_even(life, by_part(days), counted, now.date()),
        growth=_growth(days, now.date(), quantity),
        energies=energy_points(listed, life.total.runs),
        tradeoff=tradeoff(model, listed, asked),
        runs=listed[:RUNS_SHOWN],
        run_count=life.total.runs,
        read_count=len(runs),
        corrections=corrections(Correction.objects.filter(tracked_model=model)),
    )


def _growth(days, today: date, quantity: str) -> Chart | None:
    name, _ = usage.QUANTITIES[quantity]
    rows = [(day, part, kwh if quantity == "kwh" else kg) for day, part, kwh, kg in days]
    names = {part: part.capitalize() for part in usage.PARTS}
    trend = usage.trend(rows, names, period("all", today)._replace(last=today), name, "by kind of use")
    return usage.cumulative(trend) if trend else None
