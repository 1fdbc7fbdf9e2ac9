"""The agent's figures in a terminal and the portal's on a page are the same for the same number."""

from random import Random

import pytest

from runs.figures import units
from runs.templatetags.units import low_high
from traceml_agent import figures

RANDOM = Random(13)
VALUES = [
    0.0, 1.0, 12.0, 12.25, 12.45, 0.125, 999.4, 999.5, 999.9, 1000.0, 1234.5, 130.0, 750.0, 59.96, 60.0, 3599.6, 3600.0,
    5472.0, 90_061.0, 0.00005, 1e-7, *(10 ** RANDOM.uniform(-7, 7) for _ in range(2000)),
]  # fmt: skip


def test_a_number_reads_the_same():
    for value in VALUES:
        assert figures.significant(value) == units.significant(value)
        assert figures.energy(value) == units.text("energy", value)
        assert figures.emissions(value) == units.text("emissions", value)
        assert figures.power(value) == units.text("power", value)
        assert figures.duration(value) == units.span(value)
        assert figures.share(value / 1e7) == units.text("share", value / 1e7)


def test_a_range_has_its_figures_unit_on_both_sides():
    for value in VALUES[1:]:
        low, high = 0.4 * value, 2.5 * value
        unit = units.unit_for("energy", [value])
        shown = f"{units.text('energy', value)} ({units.between('energy', low, high, unit)})"
        assert figures.energy_with_range(value, low, high) == shown
        assert units.range_text("energy", low, high, value).endswith(f" {unit.symbol}")


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (11.3, 11.3), (11.2999, 11.3001)])
def test_a_range_that_the_digits_do_not_show_is_none(low, high):
    assert "(" not in figures.energy_with_range((low + high) / 2, low, high)
    assert low_high("energy", low, high, (low + high) / 2) == ""


def test_what_was_seen_in_a_terminal_reads_plainly():
    assert figures.energy_with_range(0.342, 0.13, 0.75) == "342 Wh (130–750)"
    assert figures.energy_with_range(0.000821, 0.000343, 0.00199) == "821 mWh (343–1,990)"
    assert figures.energy_with_range(0.0, 0.0, 0.0) == "0 kWh"
