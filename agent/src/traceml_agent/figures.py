"""Figures in words for a terminal, by the portal's rules (a test compares the two).

Three significant digits, ties away from zero, in the unit that reads best; a range in the unit of its figure.
"""

from __future__ import annotations

from math import floor, log10

DIGITS = 3
#: Far more than the rounding error of a sum of floating-point numbers.
NOISE = 1e-12
LEAST_SHARE = 0.0001

#: Units from large to small, with their sizes in kWh, kg and W.
ENERGY = (("GWh", 1e6), ("MWh", 1e3), ("kWh", 1.0), ("Wh", 1e-3), ("mWh", 1e-6))
EMISSIONS = (("t", 1e3), ("kg", 1.0), ("g", 1e-3), ("mg", 1e-6))
POWER = (("MW", 1e6), ("kW", 1e3), ("W", 1.0), ("mW", 1e-3))


def significant(value: float) -> str:
    """`value` with three significant digits and separated thousands, without meaningless zeros."""
    if value == 0:
        return "0"
    rounded = _rounded(value)
    if abs(rounded) < 1e-4:
        return f"{rounded:.{DIGITS - 1}e}".replace("e-0", "e-")
    text = f"{rounded:,.{max(0, DIGITS - 1 - floor(log10(abs(rounded))))}f}"
    is_exact = abs(rounded - value) <= NOISE * abs(value)
    return text.rstrip("0").rstrip(".") if is_exact and "." in text else text


def energy(kwh: float) -> str:
    return _with_unit(kwh, ENERGY)


def emissions(kg: float) -> str:
    """Emissions without the `CO2e` that follows them."""
    return _with_unit(kg, EMISSIONS)


def power(watts: float) -> str:
    return _with_unit(watts, POWER)


def energy_with_range(kwh: float, low_kwh: float, high_kwh: float) -> str:
    """`821 mWh (343–1,990)`: with the range in the figure's unit, or none if both ends read the same."""
    _, size = _unit(kwh, ENERGY)
    low, high = significant(low_kwh / size), significant(high_kwh / size)
    return f"{energy(kwh)}{'' if low == high else f' ({low}–{high})'}"


def share(part: float) -> str:
    """A share, 0 to 1, as a percentage."""
    return f"<{LEAST_SHARE:.2%}".replace("%", " %") if 0 < part < LEAST_SHARE else f"{significant(100 * part)} %"


def counted(number: int, thing: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A duration in its two largest units: `3 h 12 min`, `2 min 5 s`, `8.25 s`."""
    if _rounded(seconds) < 60:
        return f"{significant(seconds)} s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count)


def _with_unit(value: float, units) -> str:
    symbol, size = _unit(value, units)
    return f"{significant(value / size)} {symbol}"


def _unit(value: float, units) -> tuple[str, float]:
    """The largest unit of which the rounded value is at least one; for zero the unit of size 1."""
    if value == 0:
        return next(unit for unit in units if unit[1] == 1.0)
    return next((unit for unit in units if abs(_rounded(value / unit[1])) >= 1), units[-1])


def _rounded(value: float) -> float:
    return float(f"{value * (1 + NOISE):.{DIGITS}g}")
