"""Figures to cite: true to the data in every language, and whole whatever people call things."""

import json
import re
from datetime import timedelta

import pytest
import yaml
from django.utils import timezone
from markdown_it import MarkdownIt

from hardware.models import HardwareProfile
from runs.citing import texts as citing
from runs.citing.facts import SCOPES, cited
from runs.exports import escapes
from runs.models import EmissionFactor, TrackedModel
from tests.screens.figures.test_lifetime import make_run
from tests.screens.rows import usage
from tests.screens.test_hostile_names import NAMES

LATEX_SPECIALS = re.compile(r"(?<!\\)[&%$#_^]")


def facts(model: TrackedModel, scope: str = "training"):
    return cited(model, scope, timezone.now())


def tracked(people, name: str = "resnet-50") -> TrackedModel:
    """Two trainings, one of which failed, an inference; half of the energy was measured."""
    model = TrackedModel.named(people.project, name)
    EmissionFactor.objects.active()
    for kwh, about in ((4.0, {}), (2.0, {"status": "failed", "kind": "finetuning"}), (10.0, {"kind": "inference"})):
        make_run(model, kwh, **about)
        usage(people.project, name, kg=kwh / 2, kind=about.get("kind", "training"), device_kind="gpu", runs=1)
    return model


@pytest.mark.parametrize(("scope", "kg", "runs"), [("training", 3.0, 2), ("final", 2.0, 1), ("life", 8.0, 3)])
def test_a_scope_holds_its_runs_alone(people, scope, kg, runs):
    found = facts(tracked(people), scope)
    assert (found.amounts.emissions_kg, found.amounts.runs) == (kg, runs)


def test_a_model_card_gives_grams_by_the_keys_of_the_hub_and_claims_no_place(people):
    (card,) = (each for each in yaml.safe_load_all(citing.model_card(facts(tracked(people)))) if each)
    assert set(card) == {"co2_eq_emissions"}
    about = card["co2_eq_emissions"]
    assert set(about) == {"emissions", "source", "training_type", "hardware_used"}
    assert about["emissions"] == 3000.0
    assert about["training_type"] == "pre-training and fine-tuning"
    assert about["hardware_used"] == "nvidia-tesla-t4 (2 GPU-hours)"
    assert "50 % of the energy measured" in about["source"]
    assert "0.458 kg CO2e per kWh (world average 2025), PUE 1" in about["source"]


def test_the_card_of_the_final_run_has_its_type_alone(people):
    card = yaml.safe_load(citing.model_card(facts(tracked(people), "final")).strip("-\n"))
    assert card["co2_eq_emissions"]["training_type"] == "pre-training"


def test_the_sentence_says_how_much_how_sure_and_by_which_factor(people):
    told = citing.markdown(facts(tracked(people))).replace("\u00a0", " ")
    today = f"{timezone.now():%-d %b %Y}"
    assert told == (
        f"Training resnet-50 (2 runs, {today}, 1 of them failed, cancelled or lost) used 6 kWh of electricity "
        "(4.8–7.2 kWh; 50 % of the energy measured by the hardware's counters or sensors, "
        "the rest estimated from its profiles) "
        "on nvidia-tesla-t4 (2 GPU-hours), processors and memory included, "
        "which corresponds to 3 kg CO₂e (2.4–3.6 kg) at 0.458 kg CO₂e per kWh, "
        f"the world average of 2025, and a PUE of 1, as tracked by TraceML until {today}.\n"
    )


def test_the_latex_sentence_cites_keys_that_the_bibliography_has(people):
    found = facts(tracked(people))
    (keys,) = re.findall(r"\\cite\{([^}]*)\}", citing.latex(found))
    entries = re.findall(r"^@\w+\{([^,]+),$", citing.bibliography(found), re.MULTILINE)
    assert set(keys.split(",")) <= set(entries)
    assert len(entries) == len(set(entries)) == 5


def test_runs_of_two_factors_name_both(people):
    model = tracked(people)
    old = EmissionFactor.objects.create(kg_per_kwh=0.5, year=2020, source="Old {source}", url="https://a.example/{x}")
    run = model.run_set.get(status="failed")
    run.factor = old
    run.save()
    found = facts(model)
    told = citing.markdown(found).replace("\u00a0", " ")
    assert "0.5 kg CO₂e per kWh, the world average of 2020 and 0.458 kg CO₂e per kWh, the world average of 2025" in told
    assert [each["year"] for each in json.loads(citing.program(found))["emission_factors"]] == [2020, 2025]


def test_facts_as_json_have_their_units_in_their_names(people):
    told = json.loads(citing.program(facts(tracked(people))))
    assert (told["emissions_kg"], told["energy_kwh"], told["energy_low_kwh"]) == (3.0, 6.0, pytest.approx(4.8))
    assert (told["runs"], told["runs_failed_cancelled_or_lost"], told["measured_share"]) == (2, 1, 0.5)
    assert told["kinds"] == ["training", "finetuning"]
    assert told["predictions"] is None


def test_nothing_used_is_nothing_to_cite(people):
    model = TrackedModel.named(people.project, "resnet-50")
    assert [facts(model, scope) for scope in SCOPES] == [None] * len(SCOPES)
    make_run(model, 0.0)
    assert [facts(model, scope) for scope in SCOPES] == [None] * len(SCOPES)


@pytest.fixture(params=NAMES.values(), ids=NAMES.keys())
def hostile(request, people):
    """Facts in which everything that has a name has a hostile one."""
    profile = {"slug": "nvidia-tesla-t4", "vendor": "x", "kind": "gpu", "tdp_w": 70}
    HardwareProfile.objects.create(name=request.param[:100], **profile)
    EmissionFactor.objects.active()
    EmissionFactor.objects.update(source=request.param)
    return request.param, facts(tracked(people, request.param))


def test_yaml_and_json_hold_a_hostile_name_as_it_is(hostile):
    name, found = hostile
    card = yaml.safe_load(citing.model_card(found).strip("-\n"))
    assert card["co2_eq_emissions"]["hardware_used"] == f"{name[:100]} (2 GPU-hours)"
    assert set(card) == {"co2_eq_emissions"}
    told = json.loads(citing.program(found))
    assert (told["model"], told["emission_factors"][0]["source"]) == (name, name)


def test_markdown_shows_a_hostile_name_as_text(hostile):
    name, found = hostile
    tokens = MarkdownIt("gfm-like", {"linkify": False}).disable("linkify").parse(citing.markdown(found))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {child.type for child in tokens[1].children} <= {"text", "text_special"}
    shown = "".join(child.content for child in tokens[1].children)
    assert shown.startswith(f"Training {name} (")


def test_latex_and_bibtex_read_nothing_in_a_hostile_name_as_their_own(hostile):
    _, found = hostile
    for text in (citing.latex(found), re.sub(r"url = .*", "", citing.bibliography(found))):
        assert not LATEX_SPECIALS.search(text.replace("\\\\", ""))
        assert text.isprintable() or "\n" in text
    assert _balanced(citing.bibliography(found))


def _balanced(text: str) -> bool:
    """Whether braces close in order, as BibTeX counts them: whatever stands before one."""
    depth = 0
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize("text", ["}{", "\\", "{{{", "a}b\\", "100% & $5 #1 _x_ ^2 ~", "@misc{x,"])
def test_a_field_of_bibtex_stays_one_field(text):
    escaped = escapes.bibtex(text)
    assert _balanced(escaped)
    assert "@" not in escaped
    assert not LATEX_SPECIALS.search(escaped)


def test_an_address_can_not_end_its_field():
    assert escapes.bibtex_url("https://a.example/{x}\\y?q=1%20") == "https://a.example/%7Bx%7D%5Cy?q=1%20"


def test_a_run_that_fell_silent_counts_among_those_that_ended_badly(people):
    model = tracked(people)
    make_run(model, 1.0, status="running", last_seen_at=timezone.now() - timedelta(days=1))
    make_run(model, 1.0, status="running", kind="inference", last_seen_at=timezone.now() - timedelta(days=1))
    assert [facts(model, scope).bad_ends for scope in SCOPES] == [2, 2, 0, 3]
