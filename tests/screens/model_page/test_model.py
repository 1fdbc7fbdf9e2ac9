"""A model's page: the footprint of its whole life."""

import pytest

from runs.models import TrackedModel
from tests.screens.conftest import METERED
from tests.screens.html import Element, Page
from tests.wire import ago, batch, sample

PATH = "/models/digits/resnet-50/"


def section(page: Page, title: str) -> Element:
    (found,) = (each for each in page.root.all("section") if each.attributes.get("aria-labelledby") == title)
    return found


def rows(part: Element) -> list[list[str]]:
    body = part.all("table")[0].all("tbody")[0]
    return [[cell.text for cell in row.children if isinstance(cell, Element)] for row in body.all("tr")]


@pytest.fixture
def used(wire, profile):
    """Makes an inference run that counted its predictions."""

    def make(kwh: float, items: int, **header) -> str:
        run_id = wire.start(kind="inference", **header)
        calls = [{"method": "predict", "calls": 10, "items": items, "busy_s": 60}]
        wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 1800, kwh * 3.6e6)], [METERED], calls=calls))
        wire.finish(run_id)
        return run_id

    return make


@pytest.fixture
def trained(wire, profile):
    """Makes a training run that logged its accuracy."""

    def make(kwh: float, accuracy: float, status: str = "completed", **header) -> str:
        run_id = wire.start(**header)
        metrics = [{"t_s": 10, "name": "accuracy", "value": accuracy}]
        wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 1800, kwh * 3.6e6)], [METERED], metrics=metrics))
        wire.finish(run_id, status=status)
        return run_id

    return make


def test_alice_and_bob_see_the_whole_life(alice, bob, run):
    run(kwh=1.0, started_at=ago(days=400))
    run(kwh=2.0, kind="inference")
    page = alice.read(PATH)
    _, energy, runs, *_ = page.root.all("dl")[0].all("div")
    assert energy.figures[0] == pytest.approx(3.0)
    assert runs.figures[0] == 2
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


def test_training_counts_all_attempts_and_the_final_run_stands_alone(alice, trained, run):
    trained(1.0, 0.5, name="first", started_at=ago(days=3))
    final = trained(2.0, 0.6, name="second", started_at=ago(days=2))
    trained(4.0, 0.7, name="third", status="failed", started_at=ago(days=1))
    run(kwh=1.0, kind="inference")
    life = section(alice.read(PATH), "life-title")
    table = rows(life)
    assert [row[:3] for row in table] == [
        ["Training, all attempts", "3", "7"],
        ["of which the final run, second", "1", "2"],
        ["Inference", "1", "1"],
        ["Whole life", "4", "8"],
    ]
    assert f"/runs/{final}/" in [link.attributes["href"] for link in life.all("a")]
    assert "1 failed run used 4 kWh" in life.text
    assert "50 % of the total" in life.text


def test_no_completed_training_means_no_final_run(alice, trained):
    trained(1.0, 0.5, status="cancelled")
    life = section(alice.read(PATH), "life-title")
    assert "This model has no final run yet" in life.text
    assert "of which" not in life.text


def test_a_thousand_predictions_have_a_cost_and_say_what_it_rests_on(alice, used, run):
    used(2.0, 4000)
    used(1.0, 2000)
    run(kwh=5.0, kind="inference")
    use = section(alice.read(PATH), "use-title")
    emissions_kg, energy_kwh, predictions = (use.figures[n] for n in (0, 1, 2))
    assert energy_kwh == pytest.approx(0.5)
    assert emissions_kg == pytest.approx(0.5 * 0.458)
    assert predictions == 6000
    assert "From 2 of 3 inference runs: items counted by watch" in use.text


def test_predictions_that_nobody_counted_are_not_known_and_there_is_a_remedy(alice, run):
    run(kwh=1.0, kind="inference")
    use = section(alice.read(PATH), "use-title")
    assert "Unknown: no inference run of this model counted its predictions." in use.text
    assert "watch(model)" in use.all("pre")[0].text


def test_break_even_is_a_sentence(alice, run, used):
    run(kwh=1.0, started_at=ago(days=3))
    even = section(alice.read(PATH), "even-title")
    assert "No inference with this model has been tracked yet" in even.text
    used(2.0, 1000)
    assert "Using this model has cost more than training it since" in section(alice.read(PATH), "even-title").text


def test_growth_ends_at_the_total_in_chart_and_table(alice, run):
    run(kwh=1.0, started_at=ago(days=3))
    run(kwh=2.0)
    page = alice.read(PATH, show="kwh")
    assert page.data("growth-data")["series"][0]["values"][-1] == pytest.approx(3.0)
    table = section(page, "growth-title").all("table")[0]
    assert table.all("tbody")[0].figures[-1] == pytest.approx(3.0)


def test_each_run_is_a_point_that_leads_to_it_and_a_row_of_the_table(alice, trained):
    run_id = trained(2.0, 0.5, name="mine")
    page = alice.read(PATH)
    data, runs = page.data("energies-data"), page.data("runs-data")
    assert (data["y"], data["runs"], data["front"]) == ([pytest.approx(2.0)], [0], [])
    assert runs == {"kinds": ["training"], "states": ["completed"], "names": ["mine"], "ids": [run_id], "url": "/runs/"}
    part = section(page, "energies-title")
    assert rows(part)[0][0] == "mine"
    assert part.all("tbody")[0].figures == [pytest.approx(2.0)]


def test_the_charts_of_points_share_their_runs(alice, trained, used):
    trained(1.0, 0.5, name="first")
    used(1.0, 100, name="second")
    trained(2.0, 0.4, name="third")
    page = alice.read(PATH)
    names = page.data("runs-data")["names"]
    assert sorted(names) == ["first", "second", "third"]
    compared = page.data("tradeoff-data")
    assert [names[number] for number in compared["runs"]] == ["third", "first"]
    assert [names[compared["runs"][n]] for n in compared["front"]] == ["first"]


def test_a_metric_against_emissions_marks_the_front(alice, trained):
    trained(1.0, 0.5, name="cheap")
    trained(2.0, 0.4, name="beaten")
    trained(4.0, 0.9, name="best")
    page = alice.read(PATH)
    fronts = {row[0] for row in rows(section(page, "tradeoff-title")) if "on the Pareto front" in row[0]}
    assert fronts == {"cheap on the Pareto front", "best on the Pareto front"}
    lower = alice.read(PATH, metric="accuracy", better="lower")
    fronts = {row[0] for row in rows(section(lower, "tradeoff-title")) if "on the Pareto front" in row[0]}
    assert fronts == {"cheap on the Pareto front", "beaten on the Pareto front"}


def test_the_choice_of_a_metric_keeps_what_else_was_asked(alice, trained):
    trained(1.0, 0.5)
    hidden = section(alice.read(PATH, show="kwh"), "tradeoff-title").all("form")[0].all("input")
    assert [(field.attributes["name"], field.attributes["value"]) for field in hidden] == [("show", "kwh")]


def test_without_metrics_it_says_how_to_log_one(alice, run):
    run()
    assert "No training run of this model logged a metric." in alice.read(PATH).text


def test_hardware_has_its_share(alice, run):
    run(kwh=1.0)
    assert rows(section(alice.read(PATH), "hardware-title"))[0][0] == "NVIDIA A100 SXM4 40GB"


def test_archived_runs_are_in_the_totals_and_in_no_chart(alice, run):
    from runs.models import Run

    run(kwh=1.0)
    run(kwh=2.0)
    Run.objects.filter(energy_kwh__gt=1.5).update(archived_at=ago(days=0))
    page = alice.read(PATH)
    assert len(page.data("energies-data")["y"]) == 1
    assert "1 run is not shown" in section(page, "energies-title").text
    assert rows(section(page, "life-title"))[-1][1] == "2"


def test_a_model_whose_runs_used_nothing_says_so(alice, wire):
    wire.start(devices=[])
    page = alice.read(PATH)
    assert "This model has not used any energy yet." in page.text
    assert page.root.all("canvas") == []


def test_a_model_without_runs_says_so(alice, people):
    TrackedModel.named(people.project, "resnet-50")
    assert "This model has no runs" in alice.read(PATH).text


def test_it_lists_its_latest_runs_and_leads_to_all_of_them(alice, run):
    run(name="mine")
    run(name="not-mine", model="bert")
    page = alice.read(PATH)
    assert [row[0].split()[0] for row in rows(section(page, "runs-title"))] == ["mine"]
    assert "/runs/?model=digits/resnet-50" in page.links()


def test_a_stranger_with_a_link_sees_no_metric_no_name_and_no_way_on(people, client, trained, used, alice):
    from runs.models import ShareLink

    trained(1.0, 0.5, name="secret-name", status="failed")
    used(1.0, 100, name="secret-name")
    model = TrackedModel.objects.get()
    model.notes = "secret note"
    model.save()
    for with_details in (False, True):
        _, secret = ShareLink.make(model, 7, with_details, people.alice)
        page = Page(client.get(f"/s/{secret}/"))
        assert ("accuracy" in page.text, "secret-name" in page.text, "secret note" in page.text) == (with_details,) * 3
        assert not any(link.startswith(("/runs/", "/models/", "/hardware/")) for link in page.links())
        data = page.data("runs-data")
        assert data["url"] == "" and data.keys() == {"kinds", "states", "url"}


def test_beyond_the_runs_read_one_by_one_sums_stay_whole_and_the_page_says_so(alice, trained, used, monkeypatch):
    monkeypatch.setattr("runs.model_page.page.MOST_READ", 2)
    trained(1.0, 0.5, name="trained-once", started_at=ago(days=3))
    for _ in range(3):
        used(1.0, 100)
    page = alice.read(PATH)
    table = rows(section(page, "life-title"))
    assert [row[:2] for row in table] == [
        ["Training, all attempts", "1"],
        ["of which the final run, trained-once", "1"],
        ["Inference", "3"],
        ["Whole life", "4"],
    ]
    assert "From 2 of 2 inference runs among the newest 2 runs" in section(page, "use-title").text
    assert len(page.data("energies-data")["y"]) == 2
    assert "2 runs are not shown" in section(page, "energies-title").text
