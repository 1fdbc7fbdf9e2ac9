"""Numbers for people: the only place that formats a figure.

Three significant digits, the unit scaled per figure or per column, the exact value in `title` and in the `value`
of the `<data>` element, so that a page can be read by a machine too.
"""

from collections.abc import Iterable
from math import floor, isfinite, log10
from typing import NamedTuple, TypeGuard

from django import template
from django.utils.html import format_html
from django.utils.safestring import mark_safe

register = template.Library()

DIGITS = 3
UNKNOWN = "–"
NOT_KNOWN = f'<span class="figure soft" title="not known">{UNKNOWN}</span>'


class Unit(NamedTuple):
    """A unit for people: its symbol, its size in the unit that the portal stores, and how many digits say enough."""

    symbol: str
    size: float
    digits: int = DIGITS

    def number(self, value: float) -> str:
        """The digits of a stored value in this unit."""
        return significant(value / self.size, self.digits)


#: Per quantity the units from small to large; the one of size 1 is what the portal stores.
SCALES = {
    "energy": [Unit("mWh", 1e-6), Unit("Wh", 1e-3), Unit("kWh", 1.0), Unit("MWh", 1e3), Unit("GWh", 1e6)],
    "emissions": [Unit("mg", 1e-6), Unit("g", 1e-3), Unit("kg", 1.0), Unit("t", 1e3)],
    "power": [Unit("mW", 1e-3), Unit("W", 1.0), Unit("kW", 1e3), Unit("MW", 1e6)],
    "time": [Unit("ms", 1e-3), Unit("s", 1.0), Unit("min", 60.0), Unit("h", 3600.0)],
    "hours": [Unit("h", 3600.0)],
    "elapsed": [Unit("s", 1.0), Unit("min", 60.0), Unit("h", 3600.0), Unit("d", 86400.0)],
    "share": [Unit("%", 0.01)],
    "count": [Unit("", 1.0)],
    # Models are chosen by what differs in the fourth digit.
    "metric": [Unit("", 1.0, digits=5)],
}
STORED = {
    quantity: next((unit for unit in scale if unit.size == 1.0), Unit("", 1.0)) for quantity, scale in SCALES.items()
}
STORED["hours"] = Unit("s", 1.0)
#: Quantities of which a change is good or bad news; more runs or hours are neither.
LOWER_IS_BETTER = ("energy", "emissions")
NEWS_OF_MORE = {"up": "up gain", "down": "down loss"}


def significant(value: float, digits: int = DIGITS) -> str:
    """`value` with `digits` significant digits and thousands separated; zeros that say nothing are left out."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    decimals = digits - 1 - floor(log10(abs(rounded)))
    if abs(rounded) < 1e-4:
        return _short_exponent(f"{value:.{digits - 1}e}")
    text = f"{rounded:,.{max(0, decimals)}f}"
    return text.rstrip("0").rstrip(".") if rounded == value and "." in text else text


def _short_exponent(number: str) -> str:
    """`8.55e-6` for Python's `8.55e-06`."""
    return number.replace("e-0", "e-").replace("e+0", "e+")


def unit_for(quantity: str, values: Iterable[float | None]) -> Unit:
    """The unit in which the largest of `values` reads best."""
    scale = SCALES[quantity]
    largest = max((abs(value) for value in values if _is_known(value)), default=0.0)
    if largest == 0:
        return STORED[quantity] if STORED[quantity] in scale else scale[0]
    return next((unit for unit in reversed(scale) if _rounded(largest / unit.size) >= 1), scale[0])


def named(quantity: str, symbol: str) -> Unit:
    """The unit with this symbol; what the portal stores where there is none."""
    return next((unit for unit in SCALES[quantity] if unit.symbol == symbol), STORED[quantity])


def text(quantity: str, value: float | None) -> str:
    """A figure with its unit in plain text, for sentences and attributes."""
    if not _is_known(value):
        return "not known"
    unit = unit_for(quantity, [value])
    return f"{unit.number(value)} {unit.symbol}".strip()


def exact(quantity: str, value: float) -> str:
    """All digits of a figure in the unit that the portal stores."""
    return f"{value!r} {STORED[quantity].symbol}".strip()


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and isfinite(value)


def _rounded(value: float) -> float:
    """Rounded to the digits shown, so that 999.9 Wh is called 1 kWh and not 1,000 Wh."""
    return float(f"{value:.{DIGITS}g}")


@register.simple_tag
def figure(quantity: str, value: float | None, unit: Unit | None = None):
    """A figure as HTML. With `unit` it is a table's cell whose header names the unit, else it names its own."""
    shown = unit or unit_for(quantity, [value])
    symbol = "" if unit or not shown.symbol else f' <span class="unit">{shown.symbol}</span>'
    return mark_safe(figure_html(quantity, value, shown, symbol))  # noqa: S308


def figure_html(quantity: str, value: float | None, unit: Unit, symbol: str = "") -> str:
    """A figure as text of HTML: digits and symbols of ours alone, so nothing is to be escaped."""
    if not _is_known(value):
        return NOT_KNOWN
    return (
        f'<data class="figure" value="{float(value)!r}" title="{exact(quantity, value)}">'
        f"{unit.number(value)}{symbol}</data>"
    )


def cell_html(value: float | None, unit: Unit) -> str:
    """A figure of a long table as text of HTML. Its exact value is in `value` alone: hundreds of titles weigh a lot."""
    if not _is_known(value):
        return NOT_KNOWN
    return f'<data class="figure" value="{float(value)!r}">{unit.number(value)}</data>'


@register.simple_tag
def unit_of(quantity: str, rows: Iterable, *names: str) -> Unit:
    """The unit of a column: `{% unit_of "energy" runs "energy_kwh" as unit %}`."""
    return unit_for(quantity, [_value(row, name) for row in rows for name in names])


def _value(row, name: str) -> float | None:
    return row[name] if isinstance(row, dict) else getattr(row, name)


@register.simple_tag
def low_high(quantity: str, low: float | None, high: float | None):
    """A range in one unit, `11.8–13.0 kWh`; nothing where there is nothing to range over."""
    if not (_is_known(low) and _is_known(high)):
        return UNKNOWN
    if high == 0:
        return ""
    unit = unit_for(quantity, [high])
    return format_html(
        '<span class="figure" title="{} to {}">{}–{} {}</span>',
        exact(quantity, low),
        exact(quantity, high),
        significant(low / unit.size),
        significant(high / unit.size),
        unit.symbol,
    )


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
        points = significant(abs(difference) * 100, 2)
        return format_html(
            '<span class="change" title="before: {}">{}{} points</span>', exact(quantity, before), sign, points
        )
    percent = significant(abs(difference / before) * 100, 2)
    return format_html(
        '<span class="change {}" title="before: {}">{}{} ({}{}\u00a0%)</span>',
        look, exact(quantity, before), sign, text(quantity, abs(difference)).replace(" ", "\u00a0"), sign, percent,
    )  # fmt: skip


@register.filter
def plain(value: float | None) -> str:
    """A number from a data sheet, with the digits it has: 62.5, 400."""
    return _short_exponent(f"{value:,.10g}") if _is_known(value) else UNKNOWN


@register.filter
def digits(value: float | None) -> str:
    """A number of a calculation, with digits enough to follow it by hand."""
    return _short_exponent(f"{value:,.7g}") if _is_known(value) else UNKNOWN


@register.simple_tag
def figure_text(quantity: str, value: float | None) -> str:
    return text(quantity, value)
