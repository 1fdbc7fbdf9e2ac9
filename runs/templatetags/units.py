"""Figures as HTML: the words are those of runs/figures/units.py, the exact value is beside them.

It is in `title`, and in the `value` of the `<data>` element, so that a page can be read by a machine too.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from django import template
from django.utils.html import format_html

from runs.figures.units import (
    LOWER_IS_BETTER,
    NEWS_OF_MORE,
    UNKNOWN,
    Unit,
    between,
    digits,
    exact,
    is_known,
    number,
    plain,
    range_text,
    significant,
    span,
    text,
    unit_for,
)

register = template.Library()
for words in (span, plain, digits):
    register.filter(words)
register.simple_tag(text, name="figure_text")

NOT_KNOWN = format_html('<span class="figure soft" title="not known">{}</span>', UNKNOWN)


@register.simple_tag
@lru_cache(4_000)  # a page says most figures twice, and one that is polled says them again
def figure(quantity: str, value: float | None, unit: Unit | None = None):
    """A figure as HTML. With `unit` it is a table's cell whose header names the unit, else it names its own."""
    if not is_known(value):
        return NOT_KNOWN
    if quantity == "elapsed" and unit is None:
        words = span(value)
    elif unit or not (own := unit_for(quantity, [value])).symbol:
        words = number(quantity, value, unit or own)
    else:
        words = format_html('{} <span class="unit">{}</span>', number(quantity, value, own), own.symbol)
    return format_html(
        '<data class="figure" value="{}" title="{}">{}</data>', repr(float(value)), exact(quantity, value), words
    )


@register.simple_tag
def cells(rows: Iterable[Sequence], units: Sequence[Unit | None]) -> list[tuple]:
    """The figures of a long table for `{% each %}`, each column in its unit."""
    return [tuple(map(_cell, row, units)) for row in rows]


@lru_cache(10_000)
def _cell(value, unit: Unit | None):
    """A figure; without a unit, a day or a name. Its exact value is in `value` alone: hundreds of titles are long."""
    if unit is None:
        return value
    if not is_known(value):
        return NOT_KNOWN
    return format_html(
        '<data class="figure" value="{}">{}</data>', repr(float(value)), significant(value / unit.size, unit.digits)
    )


@register.simple_tag
def unit_of(quantity: str, rows: Iterable, *names: str) -> Unit:
    """The unit of a column: `{% unit_of "energy" runs "energy_kwh" as unit %}`."""
    return unit_for(quantity, [_value(row, name) for row in rows for name in names])


def _value(row, name: str) -> float | None:
    return row[name] if isinstance(row, dict) else getattr(row, name)


@register.simple_tag
def low_high(quantity: str, low: float | None, high: float | None, of: float | None = None, unit: Unit | None = None):
    """The range of the figure `of` in that figure's unit, `11.8–13.0 kWh`; with `unit` a table's cell whose header
    names it. Nothing where there is nothing to range over: where both ends read the same."""
    if not (is_known(low) and is_known(high)):
        return UNKNOWN
    ends = between(quantity, low, high, unit) if unit else range_text(quantity, low, high, of or high)
    title = f"{exact(quantity, low)} to {exact(quantity, high)}"
    return format_html('<span class="figure" title="{}">{}</span>', title, ends) if ends else ""


@register.simple_tag
def change(quantity: str, now: float, before: float, better: str | None = None):
    """The difference to a former figure, absolute and in percent; nothing where there was none.

    In the colour of good or bad news where `lower` or `higher` is better, which by itself the quantity says; in none
    where nothing is.
    """
    if not before:
        return ""
    difference = float(f"{now - before:.12g}")  # without the noise of 0.6 - 0.4
    direction = "up" if difference > 0 else "down" if difference < 0 else "same"
    sign = {"up": "+", "down": "−", "same": "±"}[direction]
    better = better if better is not None else "lower" if quantity in LOWER_IS_BETTER else ""
    look = {"lower": direction, "higher": NEWS_OF_MORE.get(direction, direction)}.get(better, "")
    if quantity == "share":
        return _changed("change", quantity, before, f"{sign}{significant(abs(difference) * 100, 2)} points")
    percent = significant(abs(difference / before) * 100, 2)
    amount = text(quantity, abs(difference)).replace(" ", "\u00a0")
    return _changed(f"change {look}", quantity, before, f"{sign}{amount} ({sign}{percent}\u00a0%)")


def _changed(look: str, quantity: str, before: float, words: str):
    return format_html('<span class="{}" title="before: {}">{}</span>', look, exact(quantity, before), words)
