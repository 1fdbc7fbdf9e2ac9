"""When a run that never ended counts as lost: one rule, in Python and in SQL.

`tests/models/test_lost.py` holds both to one table of cases.
"""

from datetime import datetime, timedelta

from django.db.models import DateTimeField, F, Value
from django.db.models.lookups import GreaterThan

from runs.sql.lookups import SecondsBetween

#: A run is lost when it was silent for longer than this many of its upload intervals.
LOST_AFTER_INTERVALS = 3
#: A run of a tool that never says that it ended is over after so many, before it would count as lost.
OVER_AFTER_INTERVALS = 2


def longest_silence(upload_interval_s: float) -> timedelta:
    """How long a run may be silent before it counts as lost."""
    return timedelta(seconds=LOST_AFTER_INTERVALS * upload_interval_s)


def is_silent(last_seen_at: datetime, upload_interval_s: float, now: datetime) -> bool:
    """Whether a run that was last heard of then has been silent for too long."""
    return now - last_seen_at > longest_silence(upload_interval_s)


def silent_in_sql(now: datetime) -> GreaterThan:
    """The same as a condition on rows of runs."""
    return _silent_for(LOST_AFTER_INTERVALS, now)


def over_in_sql(now: datetime) -> GreaterThan:
    """Whether a run of a tool that never says that it ended is over, as a condition on rows of runs."""
    return _silent_for(OVER_AFTER_INTERVALS, now)


def _silent_for(intervals: int, now: datetime) -> GreaterThan:
    silent_s = SecondsBetween(Value(now, DateTimeField()), F("last_seen_at"))
    return GreaterThan(silent_s, intervals * F("upload_interval_s"))
