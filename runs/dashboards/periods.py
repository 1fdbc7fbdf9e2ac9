"""Which days a page shows: presets, days asked for, the equal period before, and buckets that keep a chart readable."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

PRESETS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "12 months", "all": "All time"}
DEFAULT = "30"
#: A trend has at most about a hundred bars: days, then weeks, then months.
MOST_DAYS, MOST_WEEKS = 92, 104 * 7
#: No run is older (PROMISES PS6): days asked for reach no further back, whatever they say.
EARLIEST = date(2000, 1, 1)
A_DAY = timedelta(days=1)


class Period(NamedTuple):
    """Days from `first` to `last`, both included; a `first` of None means since the beginning.

    `preset` is empty where days were asked for.
    """

    preset: str
    first: date | None
    last: date

    @property
    def label(self) -> str:
        if self.preset:
            return "all time" if self.first is None else f"the last {PRESETS[self.preset]}"
        return _words(self.first, self.last)

    def before(self) -> "Period | None":
        """The equal period before this one, of a calendar month or year the one before; None for all time."""
        if self.first is None:
            return None
        last = self.first - A_DAY
        if self._is_year:
            return Period("", last.replace(month=1, day=1), last)
        if self._is_month:
            return Period("", last.replace(day=1), last)
        return Period("", self.first - (self.last - self.first) - A_DAY, last)

    def after(self, today: date) -> "Period | None":
        """The equal period after this one; None where it would lie ahead."""
        if self.first is None or self.last >= today:
            return None
        first = self.last + A_DAY
        if self._is_year:
            return Period("", first, first.replace(month=12, day=31))
        if self._is_month:
            return Period("", first, _end_of_month(first))
        return Period("", first, first + (self.last - self.first))

    @property
    def _is_month(self) -> bool:
        return not self.preset and self.first is not None and _is_month(self.first, self.last)

    @property
    def _is_year(self) -> bool:
        return not self.preset and self.first is not None and _is_year(self.first, self.last)

    @property
    def is_long(self) -> bool:
        """Whether a trend would have too many bars if each day had one."""
        return self.first is None or (self.last - self.first).days >= MOST_DAYS

    def days_of(self, usage):
        """The rows of `usage` that fall into the period."""
        rows = usage.filter(day__lte=self.last)
        return rows if self.first is None else rows.filter(day__gte=self.first)


def _end_of_month(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def _is_month(first: date, last: date) -> bool:
    return first.day == 1 and last == _end_of_month(first)


def _is_year(first: date, last: date) -> bool:
    return (first.month, first.day) == (1, 1) and last == first.replace(month=12, day=31)


def _words(first: date | None, last: date) -> str:
    """`2026`, `October 2026`, `5 Oct 2026`, or both ends."""
    if first is None:
        return f"all time until {last:%-d %b %Y}"
    if _is_year(first, last):
        return f"{first:%Y}"
    if _is_month(first, last):
        return f"{first:%B %Y}"
    return f"{first:%-d %b %Y}" if first == last else f"{first:%-d %b %Y} – {last:%-d %b %Y}"


def period(preset: str | None, today: date) -> Period:
    """The period of a preset; anything unknown is the default."""
    if preset == "all":
        return Period("all", None, today + A_DAY)
    if preset not in PRESETS:
        preset = DEFAULT
    return Period(preset, today - timedelta(days=int(preset) - 1), today)


def between(since: date | None, until: date | None, today: date) -> Period:
    """The days that were asked for, in whichever order; an open end is today, an open beginning the first."""
    last = _within(until or today, today)
    if since is None:
        return Period("", None, last)
    first = _within(since, today)
    return Period("", min(first, last), max(first, last))


def _within(day: date, today: date) -> date:
    """A day that a run may have, so that nobody asks for a chart of ten thousand years."""
    return min(max(day, EARLIEST), today.replace(month=12, day=31))


@lru_cache(maxsize=4096)
def bucket_of(day: date, days: int) -> date:
    """The first day of the bar that `day` belongs to, in a chart over `days` days; asked again for each series."""
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


def spans(starts: list[date], first: date, last: date) -> Iterator[tuple[date, date]]:
    """The first and last day of each bar, no further than the period reaches."""
    ends = [start - A_DAY for start in starts[1:]] + [last]
    return ((max(start, first), end) for start, end in zip(starts, ends, strict=True))


def bucket_name(days: int) -> str:
    if days <= MOST_DAYS:
        return "day"
    return "week" if days <= MOST_WEEKS else "month"
