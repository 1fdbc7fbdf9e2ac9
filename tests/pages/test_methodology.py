"""The methodology page: the numbers that the code uses, so that the two can't drift apart."""

from runs.dashboards.equivalences import EQUIVALENCES
from runs.models import EmissionFactor
from tests.pages.html import Page
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


def test_it_gives_the_range_of_every_basis(alice, db):
    rows = alice.read("/methodology/").table(0)
    assert [(float(low), float(high)) for _, _, low, high in rows] == list(estimation.RANGE_BY_BASIS.values())


def test_every_equivalence_has_its_source_and_year(alice, db):
    page = alice.read("/methodology/")
    for each in EQUIVALENCES:
        assert each.explained in page.text
        assert f"{each.source}, {each.year}" in page.text.replace(" ,", ",")
        assert each.url in page.links()
    assert len(EQUIVALENCES) <= 3


def test_it_gives_the_shares_of_tdp_of_every_kind(alice, db):
    rows = alice.read("/methodology/").table(1)
    assert [float(idle) / 100 for _, idle, _ in rows] == list(estimation.IDLE_SHARE_OF_TDP.values())
    assert [float(full) / 100 for _, _, full in rows] == list(estimation.FULL_LOAD_SHARE_OF_TDP.values())


def test_a_stranger_reads_it_without_signing_in(client, db):
    assert "world average" in Page(client.get("/methodology/")).text


def test_a_factor_that_runs_still_have_is_named_beside_the_one_in_force(alice, run):
    run()
    EmissionFactor.objects.create(kg_per_kwh=0.51, year=2025, source="Another average").put_in_force()
    page = alice.read("/methodology/")
    assert "0.51 kg CO₂e per kWh" in page.text
    assert "0.47294 kg CO₂e per kWh" in page.by_id("former-factors").text
