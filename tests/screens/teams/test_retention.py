"""How long a project keeps samples: set by its admins, told on the pages of the runs that lost theirs."""

import pytest

from runs.ingest.removal import remove_series
from runs.models import AuditEntry, Membership, Project, Run
from tests.screens.conftest import METERED
from tests.screens.html import Page
from tests.wire import batch, sample

PATH = "/settings/teams/vision-lab/projects/digits/"
SENTENCE = "The samples and logged metrics of this run were removed"


def save(reader, days: str):
    return reader.post(f"{PATH}retention/", {"keep_series_days": days})


@pytest.mark.parametrize(("typed", "kept"), [("30", 30), ("", None)])
def test_an_owner_says_for_how_many_days(alice, typed, kept):
    Project.objects.update(keep_series_days=5)
    assert save(alice, typed)["Location"] == PATH
    assert Project.objects.get(slug="digits").keep_series_days == kept
    assert AuditEntry.objects.get().action == "project changed"


@pytest.mark.parametrize("typed", ["0", "-1", "36501", "soon", "9" * 30, "1.5"])
def test_what_is_no_number_of_days_is_refused_with_a_sentence(alice, typed):
    page = Page(save(alice, typed))
    assert [each for each in page.root.all("ul") if each.attributes.get("class") == "errorlist"]
    assert Project.objects.get(slug="digits").keep_series_days is None


@pytest.mark.parametrize(("role", "status"), [("admin", 302), ("member", 403), ("viewer", 403)])
def test_it_takes_an_admin(bob, people, role, status):
    Membership.objects.filter(user=people.bob).update(role=role)
    assert save(bob, "30").status_code == status


def test_it_sets_nothing_else(alice):
    alice.post(f"{PATH}retention/", {"keep_series_days": "3", "name": "x", "slug": "x", "team": "2"})
    assert Project.objects.values_list("name", "slug", "team__slug").get(slug="digits") == (
        "Digits",
        "digits",
        "vision-lab",
    )


def test_a_run_without_its_samples_says_so_and_keeps_its_totals(alice, wire, profile):
    run_id = wire.start()
    stages = [{"id": "1", "name": "epoch 1", "start_s": 0, "end_s": 1800}]
    wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 1800, 3.6e6)], [METERED], stages=stages))
    wire.finish(run_id)
    before = alice.read(f"/runs/{run_id}/")
    assert SENTENCE not in before.text
    remove_series(Run.objects.get())
    after = alice.read(f"/runs/{run_id}/")
    assert SENTENCE in after.text
    assert "figure" not in after.tags
    assert after.by_id("energy").figures == before.by_id("energy").figures
    (stage,) = after.by_id("stages").all("tbody")[0].all("tr")
    assert stage.text == "epoch 1 30 min – –"
