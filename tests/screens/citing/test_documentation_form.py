"""The EU's form: the units and digits that it asks for, and nothing claimed that no run said."""

import json

import pytest
from django.utils import timezone

from runs.citing import documentation_form, texts
from runs.citing.documentation_form import scientific, training_range
from runs.citing.facts import cited
from runs.models import Metric, Run
from tests.screens.citing.test_texts import facts, tracked

pytestmark = pytest.mark.django_db


def entries(found) -> dict[tuple[str, str], str]:
    return {(each.section, each.item): each.text for each in documentation_form.form_items(found, "measured")}


def log(run: Run, name: str, value: float) -> None:
    about = {"last": value, "lowest": value, "highest": value, "last_at": timezone.now(), "count": 1}
    Metric.objects.create(project=run.project, run=run, name=name, **about)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (123.4, "1.23×10^2"), (0.006, "6.00×10^-3"), (9.999e24, "1.00×10^25")]
)
def test_amounts_have_more_than_two_significant_figures_and_a_power_of_ten(value, text):
    assert scientific(value) == text


@pytest.mark.parametrize(
    ("days", "words"),
    [(1, "less than 1 month"), (40, "1 to 3 months"), (99, "3 to 6 months"), (400, "more than 6 months")],
)
def test_training_time_falls_into_a_range_of_the_form(days, words):
    assert training_range(days) == words


def test_energy_is_in_mwh_with_its_range_and_the_final_runs_part(people):
    said = entries(facts(tracked(people), "both"))["Energy consumption", "Amount of energy used for training"]
    assert said == "6.00×10^-3 MWh (4.80×10^-3 to 7.20×10^-3 MWh); of this, 4.00×10^-3 MWh by the final run"


def test_the_method_says_how_the_energy_is_known_and_what_it_leaves_out(people):
    text = texts.text(facts(tracked(people)), "eu")
    assert "50 % of the energy measured by the hardware's counters or sensors" in text
    assert "without network, storage, power conversion and cooling" in text
    assert "PUE, which is set to 1 in TraceML" in text


def test_hardware_days_name_the_hardware(people):
    assert entries(facts(tracked(people)))["Training time", "Hardware"] == "8.33×10^-2 nvidia-tesla-t4 days"


def test_computation_is_left_to_the_provider_where_no_run_logged_it(people):
    found = facts(tracked(people))
    assert found.computation is None
    said = entries(found)
    assert said["Computation of training", "Amount of computation used for training"].startswith(
        "To be filled in by the provider"
    )


def test_computation_is_what_the_runs_logged_as_metric_or_parameter(people):
    model = tracked(people)
    trained, tuned = model.run_set.get(kind="training"), model.run_set.get(kind="finetuning")
    log(trained, "training_flop", 2e21)
    log(trained, "total_flos", 9e30)
    Run.objects.filter(pk=tuned.pk).update(params={"training_flop": 5e20, "total_flos": "many"})
    found = facts(model)
    assert (found.computation.flop, found.computation.runs) == (2.5e21, 2)
    said = entries(found)["Computation of training", "Amount of computation used for training"]
    assert said == "2.50×10^21 floating-point operations"
    assert json.loads(texts.program(found))["training_flop"] == 2.5e21


@pytest.mark.parametrize("value", [True, "1e21", None, -1, 0, [1], {"a": 1}, 1.7e308])
def test_a_parameter_that_is_no_amount_counts_for_nothing(people, value):
    model = tracked(people)
    model.run_set.update(params={"training_flop": value})
    assert facts(model).computation is None


def test_operations_of_inference_are_not_those_of_training(people):
    model = tracked(people)
    log(model.run_set.get(kind="inference"), "training_flop", 1e20)
    assert facts(model).computation is None
    assert facts(model, "life").computation.flop == 1e20


def test_a_whole_life_has_no_form_as_the_form_is_about_training(people):
    found = facts(tracked(people), "life")
    assert "eu" not in texts.forms_of("life")
    assert json.loads(texts.program(found))["model_documentation"] is None


def test_a_hostile_name_stays_text(people):
    model = tracked(people, "a | b\\ `c` <b> # d")
    lines = texts.text(cited(model, "both", timezone.now()), "eu").splitlines()
    assert lines[0].endswith("a \\| b\\\\ \\`c\\` \\<b\\> \\# d")
    assert len([line for line in lines if line.startswith("- **")]) == 9
