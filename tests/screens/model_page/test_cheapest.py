"""The cheapest run that is nearly as good as the best, on the page of a model."""

import pytest

from tests.screens.conftest import METERED
from tests.wire import batch, sample

PATH = "/models/digits/resnet-50/"


@pytest.fixture
def trained(wire, profile):
    """Makes a completed training with a loss; returns its id."""

    def make(kwh: float, loss: float, **about) -> str:
        status = about.pop("status", "completed")
        run_id = wire.start(**about)
        metrics = [{"t_s": 60, "name": "loss", "value": loss}]
        wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 1800, kwh * 3.6e6)], [METERED], metrics=metrics))
        wire.finish(run_id, status=status)
        return run_id

    return make


@pytest.fixture
def sweep(trained) -> dict[str, str]:
    return {
        "best": trained(10.0, 0.5000, name="best"),
        "near": trained(2.0, 0.5050, name="near"),
        "nearer": trained(4.0, 0.5010, name="nearer"),
        "cheap": trained(1.0, 0.6000, name="cheap"),
        "broken": trained(0.5, 0.4000, name="broken", status="failed"),
        "tuned": trained(3.0, 0.5002, name="tuned", kind="finetuning"),
    }


def test_it_is_named_with_its_value_its_emissions_and_what_it_saves(alice, sweep):
    told = alice.read(PATH).by_id("cheapest")
    assert f"/runs/{sweep['near']}/" in [link.attributes["href"] for link in told.all("a")]
    assert "within 2 % of the best loss" in told.text.replace("\u00a0", " ")
    assert "0.505" in told.text
    assert "80 % less than the best" in told.text


@pytest.mark.parametrize(("within", "expected"), [("0", "best"), ("0.5", "tuned"), ("2", "near"), ("30", "cheap")])
def test_how_good_is_good_enough_is_in_the_address(alice, sweep, within, expected):
    links = [link.attributes["href"] for link in alice.read(PATH, within=within).by_id("cheapest").all("a")]
    assert links[0] == f"/runs/{sweep[expected]}/"


@pytest.mark.parametrize("within", ["x", "-1", "101", "nan", "inf"])
def test_what_is_no_percentage_is_the_usual_one(alice, sweep, within):
    assert "within 2" in alice.read(PATH, within=within).by_id("cheapest").text


def test_a_kind_of_run_alone_can_be_asked_for(alice, sweep):
    page = alice.read(PATH, of="finetuning")
    assert f"/runs/{sweep['tuned']}/" in page.links()
    assert len(page.data("tradeoff-data")["x"]) == 1


def test_more_may_be_better(alice, sweep):
    links = [link.attributes["href"] for link in alice.read(PATH, better="higher").by_id("cheapest").all("a")]
    assert links == [f"/runs/{sweep['cheap']}/"]


def test_the_table_is_exact_and_sorted_as_asked(alice, sweep):
    page = alice.read(PATH, sort="value")
    (table,) = (each for each in page.root.all("table") if "loss" in each.all("thead")[0].text)
    values = [row.all("data")[-1].text for row in table.all("tbody")[0].all("tr")]
    assert values == ["0.4", "0.5", "0.5002", "0.501", "0.505", "0.6"]
    emissions = alice.read(PATH, sort="-emissions")
    (table,) = (each for each in emissions.root.all("table") if "loss" in each.all("thead")[0].text)
    assert table.all("tbody")[0].all("tr")[0].all("a")[0].text == "best"


def test_with_no_completed_run_there_is_none(alice, trained):
    trained(1.0, 0.5, status="failed")
    assert "cheapest" not in alice.read(PATH).text
