"""Numbers for people: the only place in the portal that formats figures (the agent's traceml_agent/figures.py follows
the same rules: tests/test_figures_agree.py; so do the numbers of static/js/charts.js).

Three significant digits, ties away from zero, the unit scaled per figure or per column. A duration has its two largest
units, a share is never finer than LEAST_SHARE, and a range has the unit of its figure. As HTML:
runs/templatetags/units.py.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from math import floor, isfinite, log10
from typing import NamedTuple, TypeGuard

DIGITS = 3
#: Many times the error of floating-point sums: a figure that was calculated in two ways, one of which ends just below a
#: tie (12.45) or a whole number (20), reads the same.
NOISE = 1e-12
#: Smaller shares are shown as less than this; more digits would claim what no estimate knows.
LEAST_SHARE = 0.0001
MOST_COUNTED = 1e9
UNKNOWN = "–"


class Unit(NamedTuple):
    """A unit for people: symbol, size in the unit that the portal stores, and number of significant digits."""

    symbol: str
    size: float
    digits: int = DIGITS


#: The units of each quantity from small to large; the one of size 1 is what the portal stores.
SCALES = {
    "energy": [Unit("mWh", 1e-6), Unit("Wh", 1e-3), Unit("kWh", 1.0), Unit("MWh", 1e3), Unit("GWh", 1e6)],
    # Of a token: so little that people know it in joules.
    "joules": [Unit("mJ", 1e-3), Unit("J", 1.0), Unit("kJ", 1e3), Unit("MJ", 1e6)],
    "emissions": [Unit("mg", 1e-6), Unit("g", 1e-3), Unit("kg", 1.0), Unit("t", 1e3)],
    "power": [Unit("mW", 1e-3), Unit("W", 1.0), Unit("kW", 1e3), Unit("MW", 1e6)],
    "time": [Unit("ms", 1e-3), Unit("s", 1.0), Unit("min", 60.0), Unit("h", 3600.0)],
    "hours": [Unit("h", 3600.0)],
    "elapsed": [Unit("s", 1.0), Unit("min", 60.0), Unit("h", 3600.0), Unit("d", 86400.0)],
    "share": [Unit("%", 0.01)],
    "factor": [Unit("kg/kWh", 1.0)],
    "count": [Unit("", 1.0)],
    # Models are chosen by differences in the fourth digit.
    "metric": [Unit("", 1.0, digits=5)],
}
STORED = {
    quantity: next((unit for unit in scale if unit.size == 1.0), Unit("", 1.0)) for quantity, scale in SCALES.items()
}
STORED["hours"] = Unit("s", 1.0)
#: Quantities for which a change is good or bad news; more runs or hours are neither.
LOWER_IS_BETTER = ("energy", "emissions")
NEWS_OF_MORE = {"up": "up gain", "down": "down loss"}


#: From here on numbers have an exponent: nobody counts three hundred digits.
LONGEST = 1e15


@lru_cache(4_000)  # a page says most figures twice, as a square or bar and in the table below it
def significant(value: float, digits: int = DIGITS) -> str:
    """Return `value` with `digits` significant digits and thousands separators, without trailing zeros."""
    if value == 0:
        return "0"
    rounded = _rounded(value, digits)
    if not 1e-4 <= abs(rounded) < LONGEST:
        return _short_exponent(f"{rounded:.{digits - 1}e}")
    decimals = digits - 1 - floor(log10(abs(rounded)))
    text = f"{rounded:,.{max(0, decimals)}f}"
    is_exact = abs(rounded - value) <= NOISE * abs(value)
    return text.rstrip("0").rstrip(".") if is_exact and "." in text else text


def _rounded(value: float, digits: int = DIGITS) -> float:
    """Round to the digits shown, so that 999.9 Wh becomes 1 kWh and not 1,000 Wh."""
    rounded = float(f"{value * (1 + NOISE):.{digits}g}")
    return rounded if isfinite(rounded) else value  # nothing is above the largest float


def _short_exponent(number: str) -> str:
    """Return `8.55e-6` for Python's `8.55e-06`."""
    return number.replace("e-0", "e-").replace("e+0", "e+")


def unit_for(quantity: str, values: Iterable[float | None]) -> Unit:
    """Return the unit in which the largest of `values` reads best."""
    scale = SCALES[quantity]
    largest = max(map(abs, filter(is_known, values)), default=0.0)
    if largest == 0:
        return STORED[quantity] if STORED[quantity] in scale else scale[0]
    return next((unit for unit in reversed(scale) if _rounded(largest / unit.size) >= 1), scale[0])


def named(quantity: str, symbol: str) -> Unit:
    """Return the unit with this symbol; if there is none, the one that the portal stores."""
    return next((unit for unit in SCALES[quantity] if unit.symbol == symbol), STORED[quantity])


def text(quantity: str, value: float | None) -> str:
    """Return a figure with its unit as plain text, for sentences and attributes."""
    if not is_known(value):
        return "not known"
    if quantity == "elapsed":
        return span(value)
    unit = unit_for(quantity, [value])
    return f"{number(quantity, value, unit)} {unit.symbol}".strip()


def number(quantity: str, value: float | None, unit: Unit) -> str:
    """Return a figure's digits in a unit."""
    if not is_known(value):
        return UNKNOWN
    if quantity == "factor":
        return plainly(value)
    if quantity == "share" and 0 < value < LEAST_SHARE:
        return f"<{significant(LEAST_SHARE / unit.size)}"
    if quantity == "count" and float(value).is_integer() and abs(value) < MOST_COUNTED:
        return f"{int(value):,}"  # counts are exact
    return significant(value / unit.size, unit.digits)


def span(seconds: float | None) -> str:
    """Return a duration in its two largest units: `3 h 12 min`, `2 min 5 s`, `8.25 s`."""
    if seconds is None:
        return UNKNOWN
    if _rounded(seconds) < 60:
        return f"{significant(seconds)} s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count)


def counted(number: int, noun: str) -> str:
    """Return `1 run`, `1,234 runs`: counts keep all digits."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def exact(quantity: str, value: float) -> str:
    """Return all digits of a figure in the unit that the portal stores, without the noise after the fifteenth."""
    return f"{plainly(value)} {STORED[quantity].symbol}".strip()


def plainly(value: float) -> str:
    """Return a number as people type it: 0.47294, not 0.47293999999999997."""
    return _short_exponent(f"{value:.15g}")


def is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and isfinite(value)


def range_text(quantity: str, low: float, high: float, of: float) -> str:
    """Return the range of the figure `of` as plain text, in that figure's unit: `343–1,990 mWh`."""
    unit = unit_for(quantity, [of])
    ends = between(quantity, low, high, unit)
    return f"{ends} {unit.symbol}" if ends else ""


def between(quantity: str, low: float, high: float, unit: Unit, dash: str = "–") -> str:
    """Return both ends of a range in one unit; empty if they read the same."""
    ends = [number(quantity, value, unit) for value in (low, high)]
    return "" if ends[0] == ends[1] else dash.join(ends)


def plain(value: float | None) -> str:
    """Return a number from a data sheet or a setting with its own digits: 62.5, 400, 0.47294."""
    return _short_exponent(f"{value:,.10g}") if is_known(value) else UNKNOWN


def digits(value: float | None) -> str:
    """Return a number of a calculation with enough digits to follow it by hand."""
    return _short_exponent(f"{value:,.7g}") if is_known(value) else UNKNOWN


def as_json(value) -> str:
    """Return a logged value as its author wrote it: text unchanged, everything else as JSON (`true`, not `True`)."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
