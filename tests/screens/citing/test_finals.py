"""The runs that a model came out of: its final training, and the finetuning that followed it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.citing.facts import cited
from runs.citing.finals import final_runs
from runs.citing.texts import markdown, model_card, program
from runs.figures.run_links import newest
from runs.models import TrackedModel
from tests.screens.figures.test_lifetime import make_run
from tests.screens.rows import usage

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(people) -> TrackedModel:
    return TrackedModel.named(people.project, "resnet-50")


def begun(days: int) -> dict:
    return {"started_at": timezone.now() - timedelta(days=days), "last_seen_at": timezone.now() - timedelta(days=days)}


def names(model: TrackedModel, most: int = 500) -> list[str]:
    return [run.name for run in final_runs(model, newest(model, most), most)]


def test_pretraining_does_not_vanish_behind_its_tuning(model):
    make_run(model, 1.0, name="first", **begun(9))
    make_run(model, 10.0, name="pretraining", **begun(8))
    make_run(model, 0.1, name="lora", kind="finetuning", **begun(2))
    make_run(model, 0.1, name="lora again", kind="finetuning", **begun(1))
    assert names(model) == ["pretraining", "lora again"]


def test_a_tuning_of_what_was_trained_anew_since_is_past(model):
    make_run(model, 0.1, name="lora", kind="finetuning", **begun(3))
    make_run(model, 1.0, name="anew", **begun(1))
    assert names(model) == ["anew"]


def test_what_did_not_complete_is_final_for_nobody(model):
    make_run(model, 1.0, name="whole", **begun(3))
    make_run(model, 1.0, name="broken", status="failed", **begun(2))
    make_run(model, 1.0, name="lora", kind="finetuning", status="cancelled", **begun(1))
    assert names(model) == ["whole"]
    assert final_runs(model, [], 500) == []


def test_older_ones_are_looked_up_not_searched_for(model):
    with CaptureQueriesContext(connection) as asked:
        final_runs(model, [], 0)
    (sql,) = (query["sql"].partition(" WHERE ")[2] for query in asked)
    assert " IS NULL" not in sql, "to which SQLite answers by reading every run of the portal"


def test_beyond_the_newest_runs_the_database_is_asked(model):
    make_run(model, 1.0, name="whole", **begun(9))
    make_run(model, 1.0, name="lora", kind="finetuning", **begun(8))
    for _ in range(3):
        make_run(model, 1.0, kind="inference")
    assert names(model, most=2) == ["whole", "lora"]


def test_one_sentence_has_all_attempts_and_the_final_run_with_its_tuning(people, model):
    make_run(model, 4.0, status="failed", **begun(9))
    make_run(model, 10.0, **begun(8))
    make_run(model, 1.0, kind="finetuning", **begun(2))
    usage(people.project, kg=7.0, kind="training", device_kind="gpu", runs=2)
    usage(people.project, kg=0.5, kind="finetuning", device_kind="gpu", runs=1)
    facts = cited(model, "both", timezone.now())
    told = markdown(facts).replace("\u00a0", " ")
    assert told.startswith("Training resnet-50 (3 runs, ")
    assert "1 of them failed, cancelled or lost) used 15 kWh of electricity" in told
    assert "GPU-hour" in told
    assert "Of this, the final training run and its finetuning (" in told
    assert told.endswith("used 11 kWh (9.9–12.1 kWh), 5.5 kg CO₂e (4.95–6.05 kg).\n")
    assert "5,500 g of it by the final training run and its finetuning alone" in model_card(facts)
    assert '"kinds": [\n      "training",\n      "finetuning"\n    ]' in program(facts)
