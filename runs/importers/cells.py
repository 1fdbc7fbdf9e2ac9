"""What a cell of a file may say: numbers, times and texts within bounds. Each raises RowRefused with a sentence."""

import math
import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from django.utils import timezone

from runs.importers.found import RowRefused
from traceml_agent.limits import MAX_SECONDS, MAX_TEXT, clean

#: No tool of this kind is older, and a clock that was never set says 1970.
EARLIEST = datetime(2005, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
MAX_KWH, MAX_KG = 1e9, 1e9
#: Of the largest computers, as a mean over a run: a larger one is an error of the unit.
MAX_MEAN_W = 1e8
SHOWN = 40
EMPTY = frozenset({"", "n/a", "nan", "none", "null", "unknown"})
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+\Z")
_DURATION = re.compile(r"(?:(\d{1,5})-)?(?:(\d{1,5}):)?(\d{1,5}):(\d{1,2}(?:\.\d{1,9})?)\Z")


def quoted(text: str) -> str:
    """The beginning of a cell, for a sentence."""
    shown = clean(text, SHOWN)
    return f"“{shown}{'…' if len(text) > SHOWN else ''}”"


def is_empty(text: str | None) -> bool:
    return text is None or text.strip().lower() in EMPTY


def number(text: str | None, name: str, most: float = MAX_SECONDS) -> float | None:
    """A finite number from 0 to `most`, or None for an empty cell."""
    if text is None or (is_empty(text) and text.strip().lower() != "nan"):
        return None
    try:
        found = float(text)
    except ValueError:
        if _DECIMAL_COMMA.match(text.strip()):
            raise RowRefused(f"{name} is {quoted(text)}, with a decimal comma; save the file with points") from None
        raise RowRefused(f"{name} is {quoted(text)}, which is not a number") from None
    if not math.isfinite(found):
        raise RowRefused(f"{name} is {quoted(text)}, which is not a finite number")
    if not 0.0 <= found <= most:
        raise RowRefused(f"{name} is {quoted(text)}; it must be between 0 and {most:,.0f}")
    return found


def needed(text: str | None, name: str, most: float = MAX_SECONDS) -> float:
    """The same of a cell that may not be empty."""
    found = number(text, name, most)
    if found is None:
        raise RowRefused(f"{name} is empty")
    return found


def duration(text: str, name: str) -> float | None:
    """Seconds of `[DD-][HH:]MM:SS[.fraction]`, or None for an empty cell."""
    if is_empty(text):
        return None
    found = _DURATION.match(text.strip())
    if not found:
        raise RowRefused(f"{name} is {quoted(text)}, which is not a duration such as 1-02:03:04")
    days, hours, minutes, seconds = found.groups()
    return int(days or 0) * 86_400 + int(hours or 0) * 3_600 + int(minutes) * 60 + float(seconds)


def moment(text: str | None, name: str, zone: tzinfo) -> datetime:
    """A time; without an offset of its own it is in `zone`."""
    if text is None or is_empty(text):
        raise RowRefused(f"{name} is empty")
    try:
        found = datetime.fromisoformat(text.strip())
        found = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowRefused(f"{name} is {quoted(text)}, which is not a time such as 2026-05-01T12:00:00") from None
    return plausible(found, name)


def of_epoch(seconds: float, name: str) -> datetime:
    """A time in seconds since 1970."""
    try:
        return plausible(datetime.fromtimestamp(seconds, UTC), name)
    except (ValueError, OverflowError, OSError):
        raise RowRefused(f"{name} is {seconds!r}, which is not a time") from None


def plausible(found: datetime, name: str) -> datetime:
    if found < EARLIEST:
        raise RowRefused(f"{name} is {found:%Y-%m-%d}, before {EARLIEST:%Y}")
    if found > timezone.now() + AHEAD:
        raise RowRefused(f"{name} is {found:%Y-%m-%d}, in the future")
    return found


@lru_cache(maxsize=4096)
def words(text: str | None, limit: int = MAX_TEXT) -> str:
    """A text as one clean line; empty for what tools write where there is nothing."""
    return "" if text is None or text.strip().lower() in EMPTY else clean(text, limit)


def check_energy(energy_kwh: float, duration_s: float) -> None:
    """Raise for an energy that no machine uses in this time."""
    if duration_s <= 0 < energy_kwh:
        raise RowRefused("there is energy, but the duration is 0")
    if energy_kwh * 3.6e6 > MAX_MEAN_W * duration_s:
        raise RowRefused(f"{energy_kwh:,.3g} kWh in {duration_s:,.0f} s are more than {MAX_MEAN_W:,.0f} W")
