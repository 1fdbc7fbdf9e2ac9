"""Numbers for people: three significant digits, the unit scaled, the exact value kept beside it."""

import json
from types import SimpleNamespace

import pytest

from runs.figures import units
from runs.templatetags import units as tags


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1, "1"),
        (12, "12"),
        (1234567, "1,230,000"),
        (1234, "1,230"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.236, "1.24"),
        (0.12345, "0.123"),
        (0.00123, "0.00123"),
        (1.5, "1.5"),
        (1.004, "1.00"),
        (999.9, "1,000"),
        (-12.34, "-12.3"),
        (0.00000855, "8.55e-6"),
    ],
)
def test_a_figure_has_three_significant_digits(value, shown):
    assert units.significant(value) == shown


@pytest.mark.parametrize(
    ("quantity", "value", "shown"),
    [
        ("energy", 0.000012, "12 mWh"),
        ("energy", 0.0123, "12.3 Wh"),
        ("energy", 0.9999, "1.00 kWh"),
        ("energy", 12.34, "12.3 kWh"),
        ("energy", 12345, "12.3 MWh"),
        ("energy", 0, "0 kWh"),
        ("emissions", 0.0005, "500 mg"),
        ("emissions", 0.5, "500 g"),
        ("emissions", 1234.5, "1.23 t"),
        ("power", 0.3725, "373 mW"),
        ("power", 1234, "1.23 kW"),
        ("elapsed", 90, "1 min 30 s"),
        ("elapsed", 180_000, "2 d 2 h"),
        ("hours", 7200, "2 h"),
        ("share", 0.9371, "93.7 %"),
        ("count", 1234, "1,234"),
        ("energy", None, "not known"),
        ("energy", float("nan"), "not known"),
        ("energy", float("inf"), "not known"),
    ],
)
def test_the_unit_is_the_one_in_which_the_figure_reads_best(quantity, value, shown):
    assert units.text(quantity, value) == shown


def test_a_column_has_one_unit_that_of_its_largest_figure():
    rows = [{"kwh": 0.001}, {"kwh": 12.0}, {"kwh": None}]
    assert tags.unit_of("energy", rows, "kwh").symbol == "kWh"
    assert tags.unit_of("energy", [SimpleNamespace(kwh=0.02)], "kwh").symbol == "Wh"


def test_a_figure_keeps_its_exact_value_for_people_and_machines():
    html = tags.figure("energy", 0.012345678)
    assert 'value="0.012345678"' in html
    assert 'title="0.012345678 kWh"' in html
    assert ">12.3 <" in html
    assert "Wh</span>" in html


def test_a_tables_figure_leaves_the_unit_to_the_header():
    html = tags.figure("energy", 0.0123, units.Unit("kWh", 1.0))
    assert ">0.0123<" in html
    assert "unit" not in html


def test_an_unknown_figure_is_a_dash_that_says_so():
    assert 'title="not known">–<' in tags.figure("energy", None)


def test_a_range_has_one_unit():
    assert ">0.95–1.05 kWh<" in tags.low_high("energy", 0.95, 1.05)


def test_nothing_has_no_range():
    assert tags.low_high("energy", 0.0, 0.0) == ""


def test_a_change_is_absolute_and_in_percent():
    html = tags.change("emissions", 8.0, 10.0)
    assert ">−2\u00a0kg (−20\u00a0%)<" in html
    assert 'class="change down"' in html
    assert ">+2\u00a0kg (+20\u00a0%)<" in tags.change("emissions", 12.0, 10.0)


def test_more_runs_are_neither_good_nor_bad_news():
    assert 'class="change "' in tags.change("count", 12, 10)


def test_no_former_figure_makes_no_change():
    assert tags.change("emissions", 8.0, 0.0) == ""


@pytest.mark.parametrize(("value", "shown"), [(62.5, "62.5"), (400.0, "400"), (1e-05, "1e-5"), (None, "–")])
def test_a_data_sheets_number_has_the_digits_it_has(value, shown):
    assert units.plain(value) == shown


@pytest.mark.parametrize("value", [True, None, 3, 0.5, ["a", "ü"], {"lr": 1e-4}])
def test_a_logged_value_is_shown_as_json(value):
    assert json.loads(units.as_json(value)) == value


def test_a_logged_text_is_shown_as_it_is():
    assert units.as_json("Adam") == "Adam"
