"""Figures of the past that moved say so where they stand: on totals, charts and citations, in the audit log, beside the
numbers of the hardware that was corrected."""

import json

import pytest
from django.test import Client

from hardware.models import HardwareProfile
from runs.ingest.tags import tag_run
from runs.jobs import reestimate
from runs.models import AuditEntry, Correction, DailyUsage, EmissionFactor, Run, ShareLink, TrackedModel
from tests.hardware.test_admin import save
from tests.hardware.test_care import again
from tests.screens.html import Page
from tests.wire import A100, sample

MODEL = "/models/digits/resnet-50/"


@pytest.fixture
def corrected(wire, catalogue) -> Run:
    """An estimated run of an hour whose card draws twice of what the catalogue had said."""
    run_id = wire.whole_run([sample("gpu-0", 3600, 3600)], [A100])
    card = HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb")
    card.full_load_w = 2 * card.tdp_w
    card._change_reason = "Measured at the wall"
    card.save()
    reestimate.request("Measured at the wall")
    reestimate.work_off()
    return Run.objects.get(run_id=run_id)


def moved_words(run: Run) -> str:
    before = run.revisions.get()
    from runs.figures import units

    kg, kwh = run.emissions_kg - before.emissions_kg, run.energy_kwh - before.energy_kwh
    return f"+{units.text('emissions', kg)} of CO₂e, +{units.text('energy', kwh)}"


@pytest.mark.parametrize("path", ["/", MODEL, f"{MODEL}cite/"])
def test_totals_and_citations_say_when_by_how_much_and_why(alice, corrected, path):
    text = alice.read(path).text
    assert "Recalculated" in text
    assert moved_words(corrected) in text.replace(" :", ":")
    assert "Measured at the wall" in text


def test_of_a_tag_it_says_that_runs_without_it_moved_too(alice, corrected):
    tag_run(corrected, "night")
    text = alice.read("/", tag="night").text
    assert f"{moved_words(corrected)} of runs with and without the tag" in text.replace(" :", ":")
    assert "Recalculated" not in alice.read("/", tag="night").by_id("trend-words").text
    assert "without the tag" not in alice.read("/").text


def test_charts_say_it_in_their_captions(alice, corrected):
    words = f"Recalculated {corrected.revisions.get().reestimation.created_at:%-d %b %Y}: {moved_words(corrected)}."
    assert words in alice.read("/").by_id("trend-words").text
    captions = [caption.text for caption in alice.read(MODEL).root.all("figcaption")]
    assert any(words in caption for caption in captions)


def test_a_citation_carries_it_along(alice, corrected):
    assert ", last recalculated " in alice.get(f"{MODEL}cite.md").content.decode()
    assert "; recalculated " in alice.get(f"{MODEL}cite.yaml").content.decode()
    (moved,) = json.loads(alice.get(f"{MODEL}cite.json").content)["reestimations"]
    assert moved["emissions_kg"] == pytest.approx(corrected.emissions_kg - corrected.revisions.get().emissions_kg)
    (of_final,) = json.loads(alice.get(f"{MODEL}cite.json", {"of": "final"}).content)["reestimations"]
    assert of_final == pytest.approx(moved)


def test_what_the_days_were_moved_by_adds_up_to_what_they_are_now(corrected):
    before = corrected.revisions.get()
    (row,) = Correction.objects.all()
    assert row.energy_kwh == pytest.approx(corrected.energy_kwh - before.energy_kwh, rel=1e-12)
    now_kg = sum(DailyUsage.objects.values_list("emissions_kg", flat=True))
    assert now_kg == pytest.approx(before.emissions_kg + row.emissions_kg, rel=1e-12)


def test_other_days_and_other_projects_were_not_moved(alice, charlie, corrected):
    assert "Recalculated" not in alice.read("/", since="2020-01-01", until="2020-12-31").text
    assert "Recalculated" not in charlie.read("/").text


def test_nothing_moved_is_nothing_said(alice, wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 3600)], [A100])
    for path in ("/", MODEL, f"{MODEL}cite/"):
        assert "Recalculated" not in alice.read(path).text


def test_strangers_are_told_that_and_how_much_but_not_what_an_admin_wrote(people, corrected):
    _, secret = ShareLink.make(TrackedModel.objects.get(), 7, True, people.alice)
    text = Page(Client().get(f"/s/{secret}/")).text
    assert "Recalculated" in text
    assert "Measured at the wall" not in text


def test_a_factor_that_past_runs_took_is_told_too(alice, wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 3600)], [A100])
    EmissionFactor.objects.create(kg_per_kwh=0.4, year=2025, source="Another").put_in_force()
    reestimate.request("Emission factor of 2025", takes_factor=True)
    reestimate.work_off()
    assert ": −" in alice.read("/").by_id("trend-words").text


def test_the_page_of_the_hardware_tells_old_and_new_values_and_why(alice, corrected):
    page = alice.read("/hardware/nvidia-a100-sxm4-40gb/")
    assert "full-load power" in page.by_id("changes").text
    assert "→ 800 W" in page.by_id("changes").text
    assert "Measured at the wall" in page.by_id("changes").text
    assert page.text.count("edited") >= 2  # beside the number, and beside the source that says another one


def test_the_audit_log_names_the_profile_and_old_and_new_values(admin_client, wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 3600)], [A100])
    card = HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb")
    again(admin_client, save(admin_client, card, tdp_w="500"))
    subject = AuditEntry.objects.get().subject
    assert subject.startswith("Profile NVIDIA A100 SXM4 40GB edited: A datasheet says so. (TDP 400 W → 500 W")
