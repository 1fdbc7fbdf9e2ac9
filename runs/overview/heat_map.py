"""A year as a calendar heat map: the darker a day, the more it emitted.

Each colour has a fifth of the days with use. With equal steps, one extreme day would make all others look alike.
"""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, timedelta
from math import ceil
from typing import NamedTuple

from django.db.models import Sum

from runs.figures import units

WEEKS = 53
#: Colour steps for days with emissions; other days have no colour.
LEVELS = 5
#: Size of a square including its gap, and the space for weekdays and months, in units of the view box.
STEP, LEFT, TOP = 13, 30, 18
QUANTITIES = {"kg": ("emissions", "emissions_kg"), "kwh": ("energy", "energy_kwh")}


class Day(NamedTuple):
    """A square: its place, its colour step (0 for nothing), and its text."""

    iso: str
    x: int
    y: int
    level: int
    amount: float
    words: str


class HeatMap(NamedTuple):
    """A year of days. `runs_url` is the start of the addresses of their runs, up to the day."""

    quantity: str
    days: list[Day]
    labels: list[tuple[int, str]]
    sentence: str
    steps: list[float]
    runs_url: str = ""

    @property
    def squares_with_use(self) -> list[tuple[str, int, int, int, str]]:
        """Return link, colour step, place and text of each."""
        return [(self._link(day), day.level, day.x, day.y, day.words) for day in self.days if day.level]

    @property
    def squares_without_use(self) -> list[tuple[int, int]]:
        """Return the place of each."""
        return [(day.x, day.y) for day in self.days if not day.level]

    @property
    def unit(self) -> units.Unit:
        """Return the unit of the table below the map."""
        return units.unit_for(self.quantity, [day.amount for day in self.days])

    @property
    def weeks(self) -> list[tuple[str, str, list[tuple[str, float, str]]]]:
        """Return that table: weeks with use, the latest on top, each with its first and last day, and with link, exact
        amount and its text of its days, Monday first."""
        unit = self.unit
        weeks = [self.days[start : start + 7] for start in range(0, len(self.days), 7)]
        return [
            (
                week[0].iso,
                week[-1].iso,
                [(self._link(day), day.amount, units.significant(day.amount / unit.size, unit.digits)) for day in week],
            )
            for week in reversed(weeks)
            if any(day.amount for day in week)
        ]

    def _link(self, day: Day) -> str:
        return f"{self.runs_url}day={day.iso}"

    @property
    def width(self) -> int:
        return LEFT + STEP * WEEKS

    @property
    def height(self) -> int:
        return TOP + STEP * 7


def heat_map(rows, last: date, quantity: str, runs_url: str = "") -> HeatMap | None:
    """Return the 53 weeks that end with the week of `last`; None if nothing was used in them."""
    name, field = QUANTITIES[quantity]
    first = last - timedelta(days=last.weekday() + 7 * (WEEKS - 1))
    amounts = _amounts(rows, field, first, last)
    steps = steps_of(amounts.values())
    if not steps:
        return None
    days = [_day(first + timedelta(days=n), first, amounts, steps, name) for n in range((last - first).days + 1)]
    return HeatMap(
        quantity=name,
        days=days,
        labels=_labels(first, last),
        sentence=_sentence(days, name),
        steps=steps,
        runs_url=runs_url,
    )


def steps_of(amounts: Iterable[float]) -> list[float]:
    """Return the largest amount of each colour; fewer colours if there are fewer amounts."""
    used = sorted(amount for amount in amounts if amount > 0)
    return sorted({used[ceil(len(used) * step / LEVELS) - 1] for step in range(1, LEVELS + 1)}) if used else []


def _amounts(rows, field: str, first: date, last: date) -> dict[date, float]:
    found = rows.filter(day__range=(first, last)).order_by()
    return dict(found.values("day").annotate(amount=Sum(field)).values_list("day", "amount"))


def _day(day: date, first: date, amounts: dict[date, float], steps: list[float], quantity: str) -> Day:
    amount = amounts.get(day, 0.0)
    week, weekday = divmod((day - first).days, 7)
    level = 1 + bisect_left(steps, amount) if amount > 0 else 0
    words = f"{day:%a %-d %b %Y}: {units.text(quantity, amount)}"
    return Day(day.isoformat(), LEFT + STEP * week, TOP + STEP * weekday, level, amount, words)


def _labels(first: date, last: date) -> list[tuple[int, str]]:
    """Return the position of each month's name: above the first week that begins in it."""
    weeks = [first + timedelta(days=7 * week) for week in range((last - first).days // 7 + 1)]
    starts = [n for n, week in enumerate(weeks) if n == 0 or week.month != weeks[n - 1].month]
    # The first month may have only one week left, and its name would overlap the next.
    kept = starts[1:] if len(starts) > 1 and starts[1] < 3 else starts
    return [(LEFT + STEP * n, f"{weeks[n]:%b}") for n in kept]


def _sentence(days: list[Day], quantity: str) -> str:
    used = [day for day in days if day.amount > 0]
    busiest = max(used, key=lambda day: day.amount)
    total = units.text(quantity, sum(day.amount for day in used))
    noun = {"emissions": "Emissions", "energy": "Energy"}[quantity]
    on_days = units.counted(len(used), "day")
    return f"{noun} of the last twelve months by day: {total} on {on_days}, most on {busiest.words}."
