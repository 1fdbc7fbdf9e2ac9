"""The period of a page: presets, custom dates, the previous period, and buckets that keep a chart readable."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlencode

PRESETS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "12 months"}
PRESETS |= {"month": "Month", "quarter": "Quarter", "year": "Year", "all": "All time"}
#: Calendar presets and their number of months.
CALENDAR = {"month": 1, "quarter": 3, "year": 12}
DEFAULT = "30"
#: The units of bars, and how many days a chart may cover with each.
BARS = {"day": 366, "week": 5 * 366, "month": 100 * 366}
#: A trend has at most about a hundred bars: days, then weeks, then months.
MOST_DAYS, MOST_WEEKS = 92, 104 * 7
#: No run is older (docs/promises.md: PS6), so requested days are never earlier.
EARLIEST = date(2000, 1, 1)
A_DAY = timedelta(days=1)


class Period(NamedTuple):
    """Days from `first` to `last`, both included; a `first` of None means since the beginning.

    `preset` is empty for custom dates.
    """

    preset: str
    first: date | None
    last: date

    @property
    def label(self) -> str:
        if self.preset and self.preset not in CALENDAR:
            return "all time" if self.first is None else f"the last {PRESETS[self.preset]}"
        return _words(self.first, self.last)

    @property
    def dates(self) -> str:
        """Its first and last day in words, for paper and pictures, where "the last 30 days" would be unclear."""
        return f"until {_day(self.last)}" if self.first is None else f"{_day(self.first)} – {_day(self.last)}"

    @property
    def asked(self) -> str:
        """Query parameters that select the same days in a list; empty for all time."""
        return urlencode({"since": self.first or "", "until": self.last}) if self.preset != "all" else ""

    def before(self) -> "Period | None":
        """The previous period of equal length, or previous calendar month, quarter or year; None for all time."""
        if self.first is None:
            return None
        last = self.first - A_DAY
        if self._months:
            return Period("", _first_of(last, self._months), last)
        return Period("", self.first - (self.last - self.first) - A_DAY, last)

    def compared(self, today: date) -> "tuple[Period, Period] | None":
        """The finished part of the period, and as many days before it; None if there is nothing to compare.

        An unfinished day would look like a drop. An unfinished calendar month, quarter or year is compared with the
        same days of the previous one.
        """
        earlier, over = self.before(), min(self.last, today - A_DAY)
        if self.first is None or earlier is None or earlier.first is None or over < self.first:
            return None
        if over == self.last:
            return self, earlier
        length, done = over - self.first, self._replace(preset="", last=over)
        if self._months:
            return done, Period("", earlier.first, min(earlier.first + length, earlier.last))
        return done, Period("", earlier.last - length, earlier.last)

    def after(self, today: date) -> "Period | None":
        """The next period of the same length; None if it would be in the future."""
        if self.first is None or self.last >= today:
            return None
        first = self.last + A_DAY
        if self._months:
            return Period("", first, _last_of(first, self._months))
        return Period("", first, first + (self.last - self.first))

    @property
    def _months(self) -> int:
        """Its number of months as a calendar month, quarter or year; 0 if it is none of these."""
        is_one = not self.preset or self.preset in CALENDAR
        return _months(self.first, self.last) if is_one and self.first else 0

    @property
    def is_long(self) -> bool:
        """Whether a trend would have too many bars with one per day."""
        return self.first is None or (self.last - self.first).days >= MOST_DAYS

    @property
    def whole_months(self) -> "Period | None":
        """The months that are in it from their first to their last day; None if there are none."""
        if self.preset == "all":
            return self
        first = self.first and _last_of(self.first - A_DAY, 1) + A_DAY
        last = _first_of(self.last + A_DAY, 1) - A_DAY
        return Period("", first, last) if first is None or first < last else None

    def around(self, part: "Period") -> "list[Period]":
        """Its days before and after a part of it."""
        found = []
        if self.first and part.first and self.first < part.first:
            found.append(Period("", self.first, part.first - A_DAY))
        if part.last < self.last:
            found.append(Period("", part.last + A_DAY, self.last))
        return found

    def days_of(self, usage):
        """Return the rows of `usage` within the period."""
        # All time includes tomorrow's data from a clock ahead of the portal's.
        rows = usage if self.preset == "all" else usage.filter(day__lte=self.last)
        return rows if self.first is None else rows.filter(day__gte=self.first)

    def holds(self, day: date) -> bool:
        return (self.first or date.min) <= day and (self.preset == "all" or day <= self.last)


def _first_of(day: date, months: int) -> date:
    """Return the first day of the calendar month, quarter or year that contains this day."""
    return day.replace(month=day.month - (day.month - 1) % months, day=1)


def _last_of(day: date, months: int) -> date:
    month = _first_of(day, months).month + months - 1
    return day.replace(month=month, day=monthrange(day.year, month)[1])


def _months(first: date, last: date) -> int:
    spans = ((_first_of(first, months), _last_of(first, months), months) for months in CALENDAR.values())
    return next((months for start, end, months in spans if (start, end) == (first, last)), 0)


def _day(day: date) -> str:
    return f"{day:%-d %b %Y}"


def _words(first: date | None, last: date) -> str:
    """Describe the period: `2026`, `Q4 2026`, `October 2026`, `5 Oct 2026`, or both ends."""
    if first is None:
        return f"all time until {_day(last)}"
    names = {1: f"{first:%B %Y}", 3: f"Q{(first.month + 2) // 3} {first:%Y}", 12: f"{first:%Y}"}
    both = _day(first) if first == last else f"{_day(first)} – {_day(last)}"
    return names.get(_months(first, last), both)


def period(preset: str | None, today: date) -> Period:
    """Return the period of a preset; anything unknown gives the default."""
    if preset == "all":
        return Period("all", None, today)
    if preset in CALENDAR:
        months = CALENDAR[preset]
        return Period(preset, _first_of(today, months), _last_of(today, months))
    if preset not in PRESETS:
        preset = DEFAULT
    return Period(preset, today - timedelta(days=int(preset) - 1), today)


def between(since: date | None, until: date | None, today: date) -> Period:
    """Return the requested days in either order; an open end is today, an open beginning the first day."""
    last = within(until or today, today)
    if since is None:
        return Period("", None, last)
    first = within(since, today)
    return Period("", min(first, last), max(first, last))


def within(day: date, today: date) -> date:
    """Clip to days on which something may have happened: nobody needs a chart of ten thousand years, and no reader's
    time zone may move a date before the calendar begins."""
    return min(max(day, EARLIEST), today.replace(month=12, day=31))


@lru_cache(maxsize=4096)
def bucket_of(day: date, days: int, bars: str = "") -> date:
    """Return the first day of the bar that `day` belongs to in a chart of `days` days. Cached: asked per series."""
    bucket = bucket_name(days, bars)
    if bucket == "day":
        return day
    return day - timedelta(days=day.weekday()) if bucket == "week" else day.replace(day=1)


def buckets(first: date, last: date, bars: str = "") -> list[date]:
    """Return the first days of all bars from `first` to `last`: a day without use has a bar of height 0, not a gap."""
    days = (last - first).days + 1
    starts = (bucket_of(first + timedelta(days=n), days, bars) for n in range(days))
    return list(dict.fromkeys(starts))


def spans(starts: list[date], first: date, last: date) -> Iterator[tuple[date, date]]:
    """Return the first and last day of each bar, clipped to the period."""
    ends = [start - A_DAY for start in starts[1:]] + [last]
    return ((max(start, first), end) for start, end in zip(starts, ends, strict=True))


def bucket_name(days: int, bars: str = "") -> str:
    """Return the unit of the bars in a chart of `days` days: the requested one, unless there would be too many bars."""
    if days <= BARS.get(bars, 0):
        return bars
    if days <= MOST_DAYS:
        return "day"
    return "week" if days <= MOST_WEEKS else "month"
