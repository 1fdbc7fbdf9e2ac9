"""The annual report: energy and emissions by month, project and kind of run.

It is built from the monthly totals, so it agrees with the overview. Archived runs are included.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from django.db.models import Count, QuerySet, Sum

from runs.figures.usage import LEAST_KWH, with_shares
from runs.models import EmissionFactor, MonthlyUsage, Run
from runs.models.usage import AMOUNTS
from runs.selection.choices import Choices
from runs.selection.run_days import Days, on_days

COLUMNS = ["month", "team", "project", "kind", "runs", "device_s", "energy_kwh", "energy_low_kwh", "energy_high_kwh"]
COLUMNS += ["measured_share", "modelled_kwh", "emissions_kg", "emissions_low_kg", "emissions_high_kg", "kg_per_kwh"]


class ReportRow(NamedTuple):
    """Usage of one kind of run of a project in a month. `kg_per_kwh` is the effective factor, PUE included."""

    month: date
    team: str
    project: str
    kind: str
    amounts: dict[str, float]

    @property
    def kg_per_kwh(self) -> float:
        kwh = self.amounts["energy_kwh"]
        return self.amounts["emissions_kg"] / kwh if kwh > 0 else 0.0


class FactorOfYear(NamedTuple):
    """An emission factor and the number of the year's runs that currently use it."""

    factor: EmissionFactor
    runs: int


class YearReport(NamedTuple):
    year: int
    rows: list[ReportRow]
    total: dict[str, float]
    factors: list[FactorOfYear]

    @property
    def months(self) -> list[tuple[date, list[ReportRow], dict[str, float]]]:
        """Each month with its rows and their sum."""
        by_month: dict[date, list[ReportRow]] = defaultdict(list)
        for row in self.rows:
            by_month[row.month].append(row)
        return [(month, rows, _sum(row.amounts for row in rows)) for month, rows in by_month.items()]


def report(found: Choices, run_days: QuerySet, year: int) -> YearReport:
    """The report of a calendar year, days in UTC. `run_days` are the RunUsage rows of the runs in `found`."""
    days = Days(date(year, 1, 1), date(year, 12, 31))
    usage = on_days(MonthlyUsage.objects.filter(project__in=found.project_ids), days).order_by()
    sums = {f"sum_{name}": Sum(name) for name in AMOUNTS}
    grouped = usage.values("day", "project", "kind").annotate(**sums)
    projects = {row["project_id"]: row for row in found.models}
    kinds = {kind.value: kind.label for kind in Run.Kind}
    rows = [
        ReportRow(
            month=row["day"],
            team=projects[row["project"]]["project__team__name"],
            project=projects[row["project"]]["project__name"],
            kind=kinds[row["kind"]],
            amounts=with_shares({name: row[f"sum_{name}"] for name in AMOUNTS}),
        )
        for row in grouped
        if row["sum_runs"] > 0 or row["sum_energy_kwh"] > LEAST_KWH
    ]
    rows.sort(key=lambda row: (row.month, row.team, row.project, row.kind))
    return YearReport(year, rows, _sum(row.amounts for row in rows), _factors(on_days(run_days, days)))


def _sum(amounts) -> dict[str, float]:
    sums = dict.fromkeys(AMOUNTS, 0.0)
    for each in amounts:
        for name in AMOUNTS:
            sums[name] += each[name]
    return with_shares(sums)


def _factors(run_days: QuerySet) -> list[FactorOfYear]:
    counts = run_days.order_by().values_list("run__factor").annotate(Count("run", distinct=True))
    runs = dict(counts)
    return [
        FactorOfYear(factor, runs[factor.pk]) for factor in EmissionFactor.objects.filter(pk__in=runs).order_by("pk")
    ]


def csv_rows(found: YearReport) -> Iterator[list]:
    """The report as rows of COLUMNS, numbers unrounded."""
    for row in found.rows:
        first = [f"{row.month:%Y-%m}", row.team, row.project, row.kind, int(row.amounts["runs"])]
        # Device-seconds as in device-hours on pages: of accelerators, else of processors.
        seconds = row.amounts["carrying_s"]
        yield [*first, seconds, *(row.amounts[name] for name in COLUMNS[6:-1]), row.kg_per_kwh]


def years_of(run_days: QuerySet) -> list[int]:
    """The years in which these runs ran, latest first."""
    return [day.year for day in run_days.order_by().dates("day", "year", order="DESC")]
