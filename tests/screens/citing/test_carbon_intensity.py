"""The operational part of the SCI: E · I per functional unit, labelled as using a world average and without M."""

import json

import pytest
from django.utils import timezone

from runs.citing import texts
from runs.citing.carbon_intensity import intensities
from runs.citing.facts import cited
from runs.models import TrackedModel
from tests.screens.citing.test_texts import facts, tracked

pytestmark = pytest.mark.django_db


def test_without_counted_predictions_the_only_unit_is_what_is_cited(people):
    (whole,) = intensities(facts(tracked(people)))
    assert whole.functional_unit == "1 model trained, with all attempts"
    assert (whole.energy_kwh, whole.operational_g) == (6.0, 3000.0)


def test_predictions_are_a_functional_unit_where_they_were_counted(wire, alice, run, people):
    used = run(kwh=2.0, kind="inference")
    calls = [{"method": "predict", "calls": 10, "items": 4000}]
    assert wire.send(used, "calls", {"writer": "w-1", "devices": [], "samples": [], "calls": calls}).status_code == 201
    per_1000, _ = intensities(cited(TrackedModel.objects.get(), "life", timezone.now()))
    assert per_1000.functional_unit == "1,000 predictions"
    assert per_1000.energy_kwh == pytest.approx(0.5)
    assert per_1000.intensity_g_per_kwh == pytest.approx(458)
    assert per_1000.operational_g == pytest.approx(0.5 * 458)


def test_every_text_says_world_average_and_that_m_is_missing(people):
    found = facts(tracked(people))
    told = json.loads(texts.program(found))["software_carbon_intensity"]
    for said in (texts.text(found, "sci"), told["note"]):
        assert "world average" in said
        assert "M, the emissions of making the hardware, is not included" in said
        assert "not a conformant score" in said
    assert told["embodied_g"] is None
    assert "458 g/kWh, the world average of 2025, times a PUE of 1" in texts.text(found, "sci")
