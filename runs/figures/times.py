"""Times in words: relative for less than a week, then a date in the reader's zone. As HTML: templatetags/times.py."""

from datetime import datetime, timedelta

from django.utils import timezone

STEPS = [(timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")]
RELATIVE_FOR = timedelta(days=7)


def words(moment: datetime, now: datetime) -> str:
    """Return `4 min ago`, `2 d ago`, or the date after a week (and for future times)."""
    age = now - moment
    if not timedelta(0) <= age < RELATIVE_FOR:
        return timezone.localtime(moment).strftime("%-d %b %Y, %H:%M")
    return next((f"{age // step} {name} ago" for step, name in STEPS if age >= step), "just now")
