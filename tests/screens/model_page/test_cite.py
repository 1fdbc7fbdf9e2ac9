"""The page with a model's figures to cite, and each of them as a file."""

import json

import pytest
import yaml

from runs.citing.texts import FORMS
from runs.models import Badge, Membership, TrackedModel
from tests.screens.conftest import METERED
from tests.wire import MEMORY, sample

PATH = "/models/digits/resnet-50/cite/"


def file(form: str) -> str:
    return f"/models/digits/resnet-50/cite.{form}"


def test_every_text_stands_on_the_page_and_is_a_file(alice, run):
    run(kwh=2.0)
    page = alice.read(PATH)
    for form in FORMS:
        answer = alice.get(file(form))
        ending = FORMS[form].ending
        assert answer.headers["Content-Disposition"] == f'attachment; filename="resnet-50-{ending}"'
        assert page.by_id(f"text-{form}").text == " ".join(answer.content.decode().split())
        assert f"{file(form)}?of=both" in page.links()


def test_a_model_card_and_json_are_what_the_page_of_the_model_says(alice, run):
    run(kwh=2.0)
    card = yaml.safe_load(alice.get(file("yaml")).content.decode().strip("-\n"))
    assert card["co2_eq_emissions"]["emissions"] == pytest.approx(2 * 458)
    assert card["co2_eq_emissions"]["hardware_used"] == "NVIDIA A100 SXM4 40GB (1 GPU-hour)"
    told = json.loads(alice.get(file("json")).content)
    assert (told["model"], told["project"], told["energy_kwh"]) == ("resnet-50", "Digits", pytest.approx(2.0))


def test_what_is_cited_is_chosen_in_the_address(alice, run):
    run(kwh=2.0)
    run(kwh=1.0, kind="inference")
    energies = {
        scope: json.loads(alice.get(file("json"), {"of": scope}).content)["energy_kwh"]
        for scope in ("training", "final", "life", "nosuch")
    }
    assert energies == pytest.approx({"training": 2.0, "final": 2.0, "life": 3.0, "nosuch": 2.0})
    assert alice.read(PATH, of="life").one("main").text.count("Over its whole life") == 2


def test_with_nothing_to_cite_the_page_says_so_and_there_is_no_file(alice, run):
    run(kwh=1.0, kind="inference")
    assert "Nothing to cite yet" in alice.read(PATH).text
    assert alice.get(file("yaml")).status_code == 404
    assert alice.get(file("yaml"), {"of": "life"}).status_code == 200


def test_a_form_that_there_is_not_is_404(alice, run):
    run()
    assert alice.get(file("docx")).status_code == 404


def test_charlie_finds_neither_page_nor_file(charlie, run):
    run()
    assert charlie.get(PATH).status_code == 404
    assert charlie.get(file("json")).status_code == 404


def test_badges_that_are_out_stand_there_with_what_a_readme_needs(alice, run, people):
    run()
    assert any("shares" in link for link in alice.read(PATH).links())
    badge = Badge.make(TrackedModel.objects.get(), "emissions", people.alice)
    page = alice.read(PATH)
    assert page.by_id(f"badge-{badge.pk}").text.startswith("![emissions](http")
    assert f"/badge/{badge.key}.svg" in page.by_id(f"badge-{badge.pk}").text


def test_a_viewer_cites_and_is_offered_no_badge_to_make(bob, run, people):
    run()
    Membership.objects.filter(user=people.bob).update(role="viewer")
    assert not any("shares" in link for link in bob.read(PATH).links())


def test_the_final_run_names_its_cards_with_how_many_there_were(alice, wire, profile):
    cards = [METERED | {"key": f"gpu-{n}", "uuid": f"GPU-{n}"} for n in range(2)]
    wire.whole_run([sample(card["key"], 3600, 1800, 3.6e6) for card in cards], [*cards, MEMORY])
    told = json.loads(alice.get(file("json"), {"of": "final"}).content)
    assert told["hardware"] == ["2 × NVIDIA A100 SXM4 40GB (2 GPU-hours)"]
