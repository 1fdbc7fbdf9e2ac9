"""Energy of hosted models: calculated by a method, shown apart from what was measured, with no PUE on top."""

import json

import pytest

from runs.models import Pue, Run
from tests.screens.conftest import METERED
from tests.screens.run_list.test_exports import rows
from tests.screens.sharing.test_shared import opened
from tests.wire import batch, sample

HOSTED = {"key": "hosted", "kind": "other", "name": "gpt-4o-mini (openai)", "basis": "modelled"}
HOSTED |= {"method": "EcoLogits 0.11.3", "range_low": 0.9, "range_high": 1.2, "note": "Calculated, not measured"}


@pytest.fixture
def asked(wire, profile):
    """Makes a run of a hosted model that used this much."""

    def make(kwh: float, model: str = "gpt-4o-mini") -> str:
        run_id = wire.start(model=model, kind="inference")
        facts = sample("hosted", 60, None, kwh * 3.6e6)
        calls = [{"method": "requests", "calls": 50, "items": 50, "busy_s": 9.0}]
        metrics = [{"t_s": 1.0, "name": "tokens", "value": 36_000.0}]
        wire.send(run_id, "b-1", batch([facts], [HOSTED], calls=calls, metrics=metrics))
        wire.finish(run_id)
        return run_id

    return make


@pytest.fixture
def measured(wire, profile):
    def make(kwh: float, **header) -> str:
        run_id = wire.start(**header)
        wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 1800, kwh * 3.6e6)], [METERED]))
        wire.finish(run_id)
        return run_id

    return make


def modelled(page) -> str:
    """The tile of a page, as it is read."""
    (tile,) = (each for each in page.root.all("div") if each.attributes.get("id") == "modelled")
    return tile.text


def test_a_hosted_models_run_has_the_energy_and_the_range_of_its_method(asked):
    asked(0.01)
    run = Run.objects.get()
    figures = (run.energy_kwh, run.energy_low_kwh, run.energy_high_kwh, run.measured_kwh, run.modelled_kwh)
    assert figures == pytest.approx((0.01, 0.009, 0.012, 0.0, 0.01))


def test_no_pue_is_applied_to_it_since_it_is_in_the_method(asked, measured):
    Pue.objects.create(value=1.5, source="the building's meter").put_in_force()
    asked(1.0)
    measured(1.0, model="resnet-50")
    hosted, local = Run.objects.order_by("pk")
    assert (hosted.pue, hosted.pue_included, local.pue, local.pue_included) == (1.0, True, 1.5, False)
    assert local.emissions_kg == pytest.approx(1.5 * hosted.emissions_kg)


@pytest.mark.parametrize("path", ["/", "/models/digits/gpt-4o-mini/", "/report/"])
def test_pages_tell_it_apart_where_there_is_any(alice, asked, measured, path):
    measured(0.03, model="gpt-4o-mini")
    assert 'id="modelled"' not in alice.get(path).content.decode()
    asked(0.01)
    told = "Of which modelled, hosted models 10 Wh 25 % of the energy; calculated, not measured"
    assert modelled(alice.read(path)).split() == told.split()


def test_a_shared_project_tells_it_apart(client, asked, people):
    asked(0.01)
    assert modelled(opened(client, people.project)).startswith("Of which modelled, hosted models")


def test_its_runs_page_says_how_it_was_calculated(alice, asked):
    page = alice.read(f"/runs/{asked(0.01)}/")
    assert "Calculated by EcoLogits 0.11.3, and not measured by TraceML" in page.text
    assert "Between 0.009 and 0.012 kWh" in page.text


def test_nothing_is_said_of_hardware_that_nobody_knows(alice, asked):
    page = alice.read(f"/runs/{asked(0.01)}/")
    assert "TDP" not in page.text
    assert "Utilisation of" not in page.text
    assert "Mean power of" not in page.text
    assert "Unknown device" not in page.by_id("devices").text
    assert "Hosted models" in alice.read("/").text


def test_a_citation_says_that_it_is_modelled(alice, asked, measured):
    asked(0.01)
    cite = "/models/digits/gpt-4o-mini/cite.{}?of=life"
    assert json.loads(alice.get(cite.format("json")).content)["modelled_kwh"] == pytest.approx(0.01)
    assert "modelled for a hosted model, not measured" in alice.get(cite.format("yaml")).content.decode()
    measured(0.03, model="gpt-4o-mini")
    assert "25 % of it modelled for hosted models" in alice.get(cite.format("yaml")).content.decode()


def test_the_api_and_exports_have_it(alice, wire, asked):
    run_id = asked(0.01)
    assert wire.get(f"runs/{run_id}").json()["modelled_kwh"] == pytest.approx(0.01)
    assert wire.get("summary").json()["total"]["total_modelled_kwh"] == pytest.approx(0.01)
    (row,) = rows(alice.get("/runs/export.csv"))
    assert float(row["modelled_kwh"]) == pytest.approx(0.01)
