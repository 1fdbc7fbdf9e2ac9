"""Times for people: relative for under a week, in the reader's zone, ISO in `title`."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html

from runs.templatetags.units import span

register = template.Library()
register.filter(span)

STEPS = [(timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")]
RELATIVE_FOR = timedelta(days=7)


def words(moment: datetime, now: datetime) -> str:
    """`4 min ago`, `2 d ago`, or the date once a week has gone by (and for what lies ahead)."""
    age = now - moment
    if not timedelta(0) <= age < RELATIVE_FOR:
        return timezone.localtime(moment).strftime("%-d %b %Y, %H:%M")
    return next((f"{age // step} {name} ago" for step, name in STEPS if age >= step), "just now")


@register.filter
def when(moment: datetime | None):
    if moment is None:
        return "–"
    iso = timezone.localtime(moment).isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, iso, words(moment, timezone.now()))
