"""`manage.py load_demo`: a story by seed, told to the ingest code, and gone without a trace."""

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from runs.api import serializers
from runs.demo.bodies import bodies
from runs.demo.load import OWNER, TEAM
from runs.demo.story import episodes
from runs.models import Batch, DailyUsage, Device, Membership, MonthlyUsage, Project, Run, Team, TrackedModel, User
from tests.wire import A100, sample

UNTIL = datetime(2026, 5, 20, 12, 30, tzinfo=UTC)


@pytest.fixture
def demo(db):
    call_command("load_demo", size=0.04, verbosity=0)


def test_a_seed_tells_one_story_and_another_seed_another():
    assert episodes(1, 1.0, UNTIL) == episodes(1, 1.0, UNTIL)
    assert episodes(1, 1.0, UNTIL) != episodes(2, 1.0, UNTIL)
    first = episodes(1, 0.1, UNTIL)[0]
    assert bodies(first) == bodies(first)


def test_it_is_half_a_year_of_several_models_with_failures_losses_and_use():
    story = episodes(1, 1.0, UNTIL)
    assert 400 < len(story) < 700
    assert (story[-1].started_at - story[0].started_at).days > 150
    assert len({episode.work.model for episode in story}) >= 6
    assert {episode.outcome for episode in story} == {"completed", "failed", "cancelled", "stopped", "lost", "running"}
    assert {"training", "finetuning", "evaluation", "inference"} <= {episode.work.kind for episode in story}
    assert max(episode.started_at for episode in story) < UNTIL


def test_the_size_multiplies_the_runs():
    assert len(episodes(1, 2.0, UNTIL)) > 1.8 * len(episodes(1, 1.0, UNTIL))


def test_every_body_would_pass_the_gates_of_the_api():
    for episode in episodes(3, 0.05, UNTIL):
        sent = bodies(episode)
        header = {**sent.header, "started_at": sent.header["started_at"].isoformat()}
        for gate, body in [
            (serializers.HeaderSerializer, header),
            *((serializers.BatchBodySerializer, batch) for batch in sent.batches),
        ]:
            checked = gate(data={**body, "devices": [_on_the_wire(device) for device in body["devices"]]})
            assert checked.is_valid(), checked.errors


def _on_the_wire(device: dict) -> dict:
    """A device by the names of the wire, where `measured_by` is called `basis`."""
    return {{"measured_by": "basis"}.get(name, name): value for name, value in device.items()}


def test_the_days_add_up_to_the_runs(demo):
    days = DailyUsage.objects.aggregate(runs=Sum("runs"), energy_kwh=Sum("energy_kwh"))
    assert days["runs"] == Run.objects.count() > 10
    assert days["energy_kwh"] == pytest.approx(Run.objects.aggregate(sum=Sum("energy_kwh"))["sum"])


def test_the_owner_signs_in_with_the_password_that_is_printed(client, db, capsys):
    call_command("load_demo", size=0.02)
    password = capsys.readouterr().out.split()[-1]
    assert client.login(email=OWNER, password=password)


def test_a_person_can_be_made_its_owner_too(people):
    call_command("load_demo", size=0.02, email="alice@example.org", verbosity=0)
    assert Membership.objects.get(team__name=TEAM, user=people.alice).role == "owner"


def test_it_is_not_loaded_twice(demo):
    with pytest.raises(CommandError, match="already loaded"):
        call_command("load_demo", size=0.02)


def test_removing_it_leaves_all_else_as_it_was(wire, people, capsys):
    Team.objects.create(name=TEAM, slug="demo-lab")  # a real team that is called the same
    wire.whole_run([sample("gpu-0", 3600, 1800)], [A100])
    tables = (User, Team, Membership, Project, TrackedModel, Run, Device, Batch, DailyUsage, MonthlyUsage)
    before = {table: list(table.objects.order_by("pk").values()) for table in tables}
    call_command("load_demo", size=0.02)
    call_command("load_demo", remove=True)
    assert {table: list(table.objects.order_by("pk").values()) for table in tables} == before
    call_command("load_demo", remove=True)
    assert capsys.readouterr().out.endswith("No demo is loaded.\n")
