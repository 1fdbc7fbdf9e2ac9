"""A model's page: the footprint of its whole life."""

import pytest

from runs.models import TrackedModel
from tests.wire import ago

PATH = "/models/digits/resnet-50/"


def test_alice_and_bob_see_the_whole_life(alice, bob, run):
    run(kwh=1.0, started_at=ago(days=400))
    run(kwh=2.0, kind="inference")
    page = alice.read(PATH)
    _, energy, _, runs, _ = page.root.all("dl")[0].all("div")
    assert energy.figures[0] == pytest.approx(3.0)
    assert runs.figures == [2]
    assert bob.read(PATH).text == page.text


def test_charlie_gets_404_though_he_has_a_model_of_that_name(charlie, run, charlies_wire):
    run()
    charlies_wire.start()
    assert charlie.get(PATH).status_code == 404
    assert charlie.get("/models/secrets/resnet-50/").status_code == 200


@pytest.mark.parametrize("path", ["/models/digits/nosuch/", "/models/nosuch/resnet-50/"])
def test_a_model_that_is_not_there_is_404(alice, run, path):
    run()
    assert alice.get(path).status_code == 404


def test_the_footprint_is_split_into_training_inference_and_other(alice, run):
    run(kwh=3.0)
    run(kwh=1.0, kind="inference")
    pairs = alice.read(PATH).root.all("dl")[1]
    shares = {term.text: value.figures[1] for term, value in zip(pairs.all("dt"), pairs.all("dd"), strict=True)}
    assert shares == {"Training": 0.75, "Inference": 0.25, "Other": 0}


def test_growth_ends_at_the_total_in_chart_and_table(alice, run):
    run(kwh=1.0, started_at=ago(days=3))
    run(kwh=2.0)
    page = alice.read(PATH, show="kwh")
    assert page.data("growth-data")["series"][0]["values"][-1] == pytest.approx(3.0)
    assert page.root.all("table")[0].all("tbody")[0].figures[-1] == pytest.approx(3.0)


def test_a_model_whose_runs_used_nothing_says_so(alice, wire):
    wire.start(devices=[])
    page = alice.read(PATH)
    assert "This model has used no energy yet." in page.text
    assert page.root.all("canvas") == []


def test_a_model_without_runs_says_so(alice, people):
    TrackedModel.named(people.project, "resnet-50")
    assert "No run is left of this model" in alice.read(PATH).text


def test_it_lists_its_latest_runs_and_leads_to_all_of_them(alice, run):
    run(name="mine")
    run(name="not-mine", model="bert")
    page = alice.read(PATH)
    assert [row[0].split()[0] for row in page.table(1)] == ["mine"]
    assert "/runs/?model=digits/resnet-50" in page.links()
