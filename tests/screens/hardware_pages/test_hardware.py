"""The hardware catalogue for readers, and what a profile meant in one's own runs."""

import pytest

from hardware.models import HardwareAlias, HardwareProfile
from tests.screens.conftest import METERED
from tests.wire import sample

SEEN = " In your runs"
PATH = "/hardware/nvidia-a100-sxm4-40gb/"


@pytest.fixture
def two(profile):
    """Two profiles, the card with an alias."""
    HardwareAlias.objects.create(profile=profile, name="GRID A100DX-40C")
    HardwareProfile.objects.create(slug="acme-cpu", name="Acme 9000", vendor="Acme", kind="cpu", tdp_w=65.5, cores=8)


def found(page) -> list[str]:
    return [row[0].removesuffix(SEEN) for row in page.table()] if page.root.all("table") else []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["Acme 9000", "NVIDIA A100 SXM4 40GB"]),
        ({"q": "nvidia 40gb"}, ["NVIDIA A100 SXM4 40GB"]),
        ({"q": "grid a100dx"}, ["NVIDIA A100 SXM4 40GB"]),
        ({"q": "acme"}, ["Acme 9000"]),
        ({"kind": "cpu"}, ["Acme 9000"]),
        ({"q": "nvidia", "kind": "cpu"}, []),
        ({"q": "%"}, []),
        ({"kind": "toaster"}, []),
    ],
    ids=str,
)
def test_the_query_string_searches_names_and_aliases(alice, two, query, expected):
    assert found(alice.read("/hardware/", **query)) == expected


def test_a_row_has_its_power_and_size(alice, two):
    assert alice.read("/hardware/", q="acme").table() == [["Acme 9000", "CPU", "65.5", "–", "–", "8", "–", "Estimate"]]


def test_each_sees_as_seen_what_their_own_runs_used(alice, bob, charlie, two, run):
    run()
    assert found(alice.read("/hardware/", seen="1")) == ["NVIDIA A100 SXM4 40GB"]
    assert found(bob.read("/hardware/", seen="1")) == ["NVIDIA A100 SXM4 40GB"]
    assert found(charlie.read("/hardware/", seen="1")) == []


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("tdp", ["Acme 9000", "NVIDIA A100 SXM4 40GB"]),
        ("-tdp", ["NVIDIA A100 SXM4 40GB", "Acme 9000"]),
        ("idle", ["NVIDIA A100 SXM4 40GB", "Acme 9000"]),
        ("-idle", ["NVIDIA A100 SXM4 40GB", "Acme 9000"]),
        ("nosuch", ["Acme 9000", "NVIDIA A100 SXM4 40GB"]),
    ],
)
def test_it_sorts_by_a_figure_and_what_lacks_it_comes_last(alice, two, sort, expected):
    assert found(alice.read("/hardware/", sort=sort)) == expected


def test_what_ones_own_runs_used_comes_first_and_is_marked(alice, charlie, two, run):
    run()
    assert [row[0] for row in alice.read("/hardware/").table()] == [f"NVIDIA A100 SXM4 40GB{SEEN}", "Acme 9000"]
    assert [row[0] for row in charlie.read("/hardware/").table()] == ["Acme 9000", "NVIDIA A100 SXM4 40GB"]


def test_a_profile_tells_its_mean_power_in_the_readers_own_runs(alice, charlie, run):
    run(kwh=0.2)  # of one card in one hour
    assert "Mean power in your runs 200 W 50 % of TDP, 100 % measured" in alice.read(PATH).text
    assert "Idle 50 W, mean in your runs 200 W, full load 400 W." in alice.read(PATH).text
    assert "Mean power" not in charlie.read(PATH).text


def test_an_empty_catalogue_and_an_empty_search_differ(alice, db):
    assert "The catalogue is empty" in alice.read("/hardware/").text
    assert "No matching profiles" in alice.read("/hardware/", q="x").text


def test_a_profile_shows_its_powers_and_where_they_come_from(alice, profile):
    tdp, idle, full = alice.read(PATH).root.all("dl")[0].all("div")
    assert tdp.text == "TDP 400 W of the whole device"
    assert idle.text == "Idle power 50 W measured on real devices"
    assert full.text == "Full-load power 400 W assumed share of TDP"


def test_a_profile_shows_what_it_meant_in_the_readers_own_runs(alice, charlie, run):
    run(kwh=2.0, name="mine")
    page = alice.read(PATH)
    assert "2 kWh over 1 h of device time, 100 % measured" in page.text
    assert "mine" in page.text
    assert "None of your runs used this device." in charlie.read(PATH).text


def test_a_run_with_several_cards_of_the_kind_is_listed_once(alice, wire, profile):
    cards = [METERED | {"key": f"gpu-{n}", "uuid": f"GPU-{n}"} for n in range(4)]
    wire.whole_run([sample(card["key"], 3600, 0, 3.6e6) for card in cards], cards)
    assert len(alice.read(PATH).table()) == 1


def test_a_profile_that_is_not_there_is_404(alice, db):
    assert alice.get("/hardware/nosuch/").status_code == 404


def test_a_source_that_is_an_address_is_a_link_and_nothing_else_is(alice, profile):
    HardwareProfile.objects.update(source="https://example.org/sheet.pdf")
    assert "https://example.org/sheet.pdf" in alice.read(PATH).links()
    HardwareProfile.objects.update(source="javascript:alert(1)")
    assert not any("alert" in link for link in alice.read(PATH).links())


def test_unknown_devices_of_ones_own_runs_are_listed_and_nobody_elses(alice, catalogue, wire, charlies_wire):
    for each, name in ((wire, "Acme Thinker 9"), (charlies_wire, "Secret Chip")):
        each.whole_run([sample("gpu-0", 3600, 1800)], [{"key": "gpu-0", "kind": "gpu", "name": name}])
    assert "is from devices that are not in the catalogue" in alice.read("/hardware/").text
    page = alice.read("/hardware/", seen="unknown")
    assert "Acme Thinker 9" in page.text
    assert "Secret Chip" not in page.text
