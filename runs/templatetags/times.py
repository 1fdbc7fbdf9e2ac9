"""Moments for people as HTML, the exact one in ISO beside them; and durations."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html

from runs.figures.times import words
from runs.figures.units import span

register = template.Library()
register.filter(span)


@register.filter
def when(moment: datetime | None):
    if moment is None:
        return "–"
    iso = timezone.localtime(moment).isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, iso, words(moment, timezone.now()))
