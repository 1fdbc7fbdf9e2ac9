"""The overview's key figures, each with its previous period and a sparkline."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from runs.figures import periods, units, usage
from runs.figures.periods import Period
from runs.models.usage import AMOUNTS, PlainSum

#: The sparkline's size in the units of its view box.
WIDTH, HEIGHT = 100.0, 24.0
Days = dict[date, dict[str, float]]


class Sparkline(NamedTuple):
    """A small line chart: its SVG path and a sentence that describes it."""

    path: str
    sentence: str


class KeyFigure(NamedTuple):
    """A figure of a period; `over` covers the finished part of the period, which is compared with `before`."""

    name: str
    quantity: str
    value: float
    over: float
    before: float | None
    sparkline: Sparkline | None
    low: float | None = None
    high: float | None = None


def amounts_by_day(rows, period: Period) -> Days:
    """Return every amount by day, from the start of the previous period; the only source of all that follows."""
    first = (period.before() or period).first
    reached = period._replace(first=first).days_of(rows)
    sums = {f"sum_{name}": PlainSum(name) for name in AMOUNTS}
    found = reached.order_by().values("day").annotate(**sums)
    return {row["day"]: {name: row[f"sum_{name}"] for name in AMOUNTS} for row in found}


def totals_of(days: Days, period: Period) -> dict[str, float]:
    """Add up the period's amounts, with the measured share and the range of the emissions."""
    return _totals(within(days, period).values())


def within(days: Days, period: Period) -> Days:
    """Return only the days of the period."""
    return {day: amounts for day, amounts in days.items() if period.holds(day)}


def _totals(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    sums = dict.fromkeys(AMOUNTS, 0.0)
    for amounts in rows:
        for name, amount in amounts.items():
            sums[name] += amount
    return usage.with_shares(sums)


def key_figures(days: Days, period: Period, now: dict[str, float], today: date) -> list[KeyFigure]:
    """Return CO2e, energy, device-hours, runs and the measured share; `now` are the totals of the period."""
    pair = period.compared(today)
    over, before = (totals_of(days, each) for each in pair) if pair else (now, None)
    lines = _buckets(days, period)
    lines = _until_now(lines, _running(lines, period, today))

    def figure(name: str, quantity: str, amount: str, **more) -> KeyFigure:
        line = sparkline([(start, _point(sums, amount)) for start, sums in lines.items()], quantity)
        earlier = before[amount] if before else None
        return KeyFigure(name, quantity, now[amount], over[amount], earlier, line, **more)

    return [
        figure("Emissions, CO₂e", "emissions", "emissions_kg", low=now["emissions_low_kg"],
               high=now["emissions_high_kg"]),
        figure("Energy", "energy", "energy_kwh", low=now["energy_low_kwh"], high=now["energy_high_kwh"]),
        figure("Device-hours", "hours", "carrying_s"),
        figure("Runs", "count", "runs"),
        figure("Measured share of energy", "share", "measured_share"),
    ]  # fmt: skip


def _until_now(lines: dict[date, dict[str, float]], running: date | None) -> dict[date, dict[str, float]]:
    """Leave out the unfinished bar, which would look like a drop, unless nothing was used before it."""
    over = {start: sums for start, sums in lines.items() if running is None or start < running}
    return over if any(sums["energy_kwh"] for sums in over.values()) else lines


def _running(lines: dict[date, dict[str, float]], period: Period, today: date) -> date | None:
    """Return the start of the bar that includes today; None if the period is over."""
    return max((start for start in lines if start <= today), default=None) if period.last >= today else None


def _buckets(days: Days, period: Period) -> dict[date, dict[str, float]]:
    """Return totals by the trend's bars; days without use are zero."""
    inside = within(days, period)
    if not inside:
        return {}
    first, last = period.first or min(inside), period.last
    length = (last - first).days + 1
    rows: dict[date, list] = defaultdict(list)
    for day, amounts in inside.items():
        rows[periods.bucket_of(day, length)].append(amounts)
    return {start: _totals(rows.get(start, [])) for start in periods.buckets(first, last)}


def _point(sums: dict[str, float], amount: str) -> float | None:
    """Return an amount; the measured share of no energy is None."""
    return None if amount == "measured_share" and not sums["energy_kwh"] else sums[amount]


def sparkline(points: list[tuple[date, float | None]], quantity: str) -> Sparkline | None:
    """Return a line from zero at the bottom to the largest at the top, with gaps at None; None without values."""
    known = [(day, value) for day, value in points if value is not None]
    largest = max((value for _, value in known), default=0.0)
    if len(points) < 2 or largest <= 0:
        return None
    step, path, pen = WIDTH / (len(points) - 1), "", "M"
    for n, (_, value) in enumerate(points):
        if value is None:
            pen = "M"
        else:
            path, pen = f"{path}{pen}{n * step:.1f} {HEIGHT - 1 - (HEIGHT - 2) * value / largest:.1f}", "L"
    peak = next(day for day, value in known if value == largest)
    last = units.text(quantity, known[-1][1])
    return Sparkline(path, f"At most {units.text(quantity, largest)}, on {peak:%-d %b %Y}; last {last}.")
