"""Which days a page shows: presets, the equal period before, and buckets that keep a chart readable."""

from datetime import date, timedelta
from typing import NamedTuple

PRESETS = {"7": "7 days", "30": "30 days", "90": "90 days", "all": "All time"}
DEFAULT = "30"
#: A trend has at most about a hundred bars: days, then weeks, then months.
MOST_DAYS, MOST_WEEKS = 92, 104 * 7


class Period(NamedTuple):
    """Days from `first` to `last`, both included; a `first` of None means since the beginning."""

    preset: str
    first: date | None
    last: date

    @property
    def label(self) -> str:
        return "all time" if self.first is None else f"the last {PRESETS[self.preset]}"

    def before(self) -> "Period | None":
        """The equal period before this one; None for all time."""
        if self.first is None:
            return None
        length = self.last - self.first
        return Period(self.preset, self.first - length - timedelta(days=1), self.first - timedelta(days=1))

    def days_of(self, usage):
        """The rows of `usage` that fall into the period."""
        rows = usage.filter(day__lte=self.last)
        return rows if self.first is None else rows.filter(day__gte=self.first)


def period(preset: str | None, today: date) -> Period:
    """The period of a preset; anything unknown is the default."""
    if preset == "all":
        return Period("all", None, today + timedelta(days=1))
    if preset not in PRESETS:
        preset = DEFAULT
    return Period(preset, today - timedelta(days=int(preset) - 1), today)


def bucket_of(day: date, days: int) -> date:
    """The first day of the bar that `day` belongs to, in a chart over `days` days."""
    if days <= MOST_DAYS:
        return day
    if days <= MOST_WEEKS:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1)


def buckets(first: date, last: date) -> list[date]:
    """The first days of all bars from `first` to `last`: a day without use is a bar of height 0, not a hole."""
    days = (last - first).days + 1
    starts = (bucket_of(first + timedelta(days=n), days) for n in range(days))
    return list(dict.fromkeys(starts))


def bucket_name(days: int) -> str:
    if days <= MOST_DAYS:
        return "day"
    return "week" if days <= MOST_WEEKS else "month"
