"""The methodology page: the numbers that the code uses, so that the two can't drift apart."""

import pytest

from runs.figures.equivalences import EQUIVALENCES
from runs.models import EmissionFactor, Pue
from tests.screens.html import Page
from traceml_agent import estimation


def test_it_gives_the_factor_in_force_with_year_and_source(alice, db):
    factor = EmissionFactor.objects.active()
    text = alice.read("/methodology/").text
    assert f"{factor.kg_per_kwh:.7g} kg CO₂e per kWh" in text
    assert f"the world average of {factor.year}" in text
    assert factor.source in text


def test_another_factor_in_force_is_the_one_it_gives(alice, db):
    EmissionFactor.objects.active()
    EmissionFactor.objects.update(kg_per_kwh=0.321)
    assert "0.321 kg CO₂e per kWh" in alice.read("/methodology/").text


def test_it_gives_the_pue_in_force_with_its_source(alice, db):
    assert "On this portal it is 1" in alice.read("/methodology/").text
    Pue.objects.create(value=1.25, source="our own meters, 2025").put_in_force()
    text = alice.read("/methodology/").text
    assert "On this portal it is 1.25" in text
    assert "our own meters, 2025" in text


def test_it_gives_the_range_of_every_basis(alice, db):
    rows = alice.read("/methodology/").table(0)
    given_ranges = [tuple(map(float, given.split("–"))) for _, _, given in rows[: len(estimation.GIVEN)]]
    assert given_ranges == list(estimation.RANGE_BY_BASIS.values())
    assert [given for _, _, given in rows[len(given_ranges) :]] == ["by device class, see below"] * 2


def test_every_equivalence_has_its_source_and_year(alice, db):
    page = alice.read("/methodology/")
    for each in EQUIVALENCES:
        assert each.explained in page.text
        assert f"{each.source}, {each.year}" in page.text.replace(" ,", ",")
        assert each.url in page.links()
    assert len(EQUIVALENCES) <= 3


def test_it_gives_shares_ranges_and_source_of_every_class(alice, db):
    rows = alice.read("/methodology/").table(1)
    assert len(rows) == len(estimation.POWER_CLASSES)
    for (label, idle, idle_range, full_load, full_load_range, source), each in zip(
        rows, estimation.POWER_CLASSES, strict=True
    ):
        assert (label, source) == (each.label, each.source)
        assert (float(idle), float(full_load)) == pytest.approx((100 * each.idle_share, 100 * each.full_load_share))
        assert tuple(map(float, idle_range.split("–"))) == each.idle_range
        assert tuple(map(float, full_load_range.split("–"))) == each.full_load_range


def test_a_stranger_reads_it_without_signing_in(client, db):
    assert "world average" in Page(client.get("/methodology/")).text


def test_a_factor_that_runs_still_have_is_named_beside_the_one_in_force(alice, run):
    run()
    EmissionFactor.objects.create(kg_per_kwh=0.51, year=2026, source="Another average").put_in_force()
    page = alice.read("/methodology/")
    assert "0.51 kg CO₂e per kWh" in page.text
    assert "0.458 kg CO₂e per kWh" in page.by_id("former-factors").text
