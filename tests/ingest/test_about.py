"""What a run says of itself while it goes on: it is enriched, and the totals move along exactly."""

import pytest
from django.core.management import call_command

from runs.ingest.removal import remove_run
from runs.models import DailyUsage, Run, TrackedModel
from tests.ingest.test_usage import everything, like
from tests.wire import A100, CPU, batch, sample
from traceml_agent.limits import MAX_KEYS, MAX_TAGS

pytestmark = pytest.mark.django_db


def told(wire, run_id: str, batch_id: str = "b-9", **about):
    answer = wire.send(run_id, batch_id, batch(about=about))
    assert answer.status_code in (200, 201), answer.content
    return Run.objects.get(run_id=run_id)


def test_parameters_are_merged_and_the_later_value_counts(wire):
    run_id = wire.start(params={"lr": 0.1, "seed": 1})
    told(wire, run_id, params={"lr": 0.2, "layers": [64, 64]})
    assert Run.objects.get().params == {"lr": 0.2, "seed": 1, "layers": [64, 64]}


def test_the_environment_is_merged_like_parameters(wire):
    run_id = wire.start(environment={"python": "3.11.7", "os": "Linux"})
    told(wire, run_id, environment={"python": "3.13.1", "torch": "2.13.0"})
    assert Run.objects.get().environment == {"python": "3.13.1", "os": "Linux", "torch": "2.13.0"}


def test_tags_are_added_and_a_name_is_given_to_a_run_that_has_none(wire):
    run_id = wire.start(tags=["a"])
    run = told(wire, run_id, "b-1", tags=["b", "a"], name="first")
    assert (run.tags, run.name) == (["a", "b"], "first")
    assert told(wire, run_id, "b-2", name="second").name == "first"


def test_the_model_and_the_kind_are_replaced(wire):
    run = told(wire, wire.start(model="python", kind="other"), model="resnet-50", kind="training")
    assert (run.tracked_model.name, run.kind) == ("resnet-50", "training")


@pytest.mark.parametrize("about", [None, {}])
def test_nothing_said_changes_nothing(wire, about):
    run_id = wire.start(name="n", tags=["t"], params={"lr": 1})
    assert wire.send(run_id, "b-1", batch(about=about)).status_code == 201
    run = Run.objects.get()
    assert (run.name, run.tags, run.params, run.tracked_model.name) == ("n", ["t"], {"lr": 1}, "resnet-50")


def enriched(wire) -> str:
    """A run of two devices that failed, and was given another model, kind and tag by its second batch of two."""
    run_id = wire.start(model="python", kind="inference", tags=["night"])
    rows = [sample("gpu-0", 600, 60), sample("cpu-0", 600, 300)]
    wire.send(run_id, "b-1", batch(rows, [A100, CPU]))
    about = {"model": "resnet-50", "kind": "training", "tags": ["sweep"]}
    later = [sample("gpu-0", 900, 90), sample("cpu-0", 900, 500)]
    for _ in range(2):
        wire.send(run_id, "b-2", batch(later, [A100, CPU], about=about))
    wire.finish(run_id, status="failed")
    return run_id


def test_all_totals_are_those_that_rebuilding_gives(wire, catalogue):
    wire.whole_run(model="python", tags=["night"])
    enriched(wire)
    before = everything()
    call_command("rebuild_usage", verbosity=0)
    assert everything() == like(before)


def test_totals_are_those_of_a_run_that_said_all_of_it_at_once(wire, catalogue):
    enriched(wire)
    run = Run.objects.get()
    rows = dict(DailyUsage.objects.exclude(energy_kwh__lt=1e-12).values_list("kind", "tracked_model__name"))
    assert rows == {"training": "resnet-50"}
    assert sum(DailyUsage.objects.values_list("failed_kwh", flat=True)) == pytest.approx(run.energy_kwh)
    remove_run(run)
    assert everything() == {}


def test_parameters_for_which_there_is_no_room_are_left_out_and_counted(wire):
    run_id = wire.start(params={f"p{n}": n for n in range(MAX_KEYS - 1)})
    run = told(wire, run_id, params={"one": 1, "two": 2, "p0": "changed"})
    assert len(run.params) == MAX_KEYS
    assert (run.params["one"], run.params["p0"]) == (1, "changed")
    assert run.left_out == [{"what": "parameter 'two'", "reason": "a run keeps at most 200 parameters", "count": 1}]


def test_parameters_that_are_too_long_together_are_left_out_and_the_former_value_stays(wire):
    run_id = wire.start(params={"prompt": "short"})
    run = told(wire, run_id, "b-1", params={"text": "x" * 10_000})
    run = told(wire, run_id, "b-2", params={"prompt": "y" * 10_000, "lr": 0.1})
    assert (run.params["prompt"], run.params["lr"]) == ("short", 0.1)
    assert [each["what"] for each in run.left_out] == ["parameter 'prompt'"]


def test_tags_for_which_there_is_no_room_are_left_out_and_counted(wire):
    run_id = wire.start(tags=[f"t{n}" for n in range(MAX_TAGS - 1)])
    run = told(wire, run_id, tags=["one", "two"])
    assert (len(run.tags), run.tags[-1]) == (MAX_TAGS, "one")
    assert [each["what"] for each in run.left_out] == ["tag 'two'"]


def test_a_model_of_another_project_is_not_touched(wire, charlies_wire):
    charlies_wire.start(model="resnet-50")
    told(wire, wire.start(model="python"), model="resnet-50")
    assert sorted(TrackedModel.objects.values_list("project__slug", "name")) == [
        ("digits", "python"),
        ("digits", "resnet-50"),
        ("secrets", "resnet-50"),
    ]


@pytest.mark.parametrize(
    ("about", "field"), [({"kind": "cooking"}, "about.kind"), ({"model": ""}, "about.model"), ("x", "about")]
)
def test_a_field_that_is_not_right_is_named(wire, about, field):
    answer = wire.send(wire.start(), "b-1", batch(about=about))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
