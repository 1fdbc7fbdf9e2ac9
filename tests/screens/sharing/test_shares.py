"""Settings of share links and badges: who makes, sees and revokes them, and what is kept of their secrets."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from runs.models import AuditEntry, Badge, Membership, Project, Right, Run, ShareLink
from tests.screens.html import Page

TEAM = "/settings/teams/vision-lab"
PATH = f"{TEAM}/shares/"
BADGES = f"{TEAM}/badges/"


def run_of(run_id: str) -> str:
    return f"run:digits/{run_id}"


def share(reader, of: str, days: int = 30, **more):
    return reader.post(f"{PATH}new/", {"of": of, "days": days} | more, follow=True)


def address(answer) -> str:
    return Page(answer).by_id("made").text


@pytest.mark.parametrize("of", ["project:digits", "model:digits/resnet-50", "run"])
def test_what_one_works_on_can_be_shared(bob, run, of):
    run_id = run()
    made = address(share(bob, run_of(run_id) if of == "run" else of))
    assert re.fullmatch(r"http://testserver/s/[\w-]{43}/", made)
    assert ShareLink.objects.get().kind == of.split(":")[0]


def test_the_secret_is_stored_nowhere_and_shown_once(alice, run):
    run()
    secret = address(share(alice, "project:digits")).split("/")[-2]
    (row,) = ShareLink.objects.values()
    assert secret not in str(row)
    assert secret not in str(AuditEntry.objects.values())
    later = alice.read(PATH).text
    assert secret not in later
    assert f"/s/{secret[:6]}…" in later


def test_a_link_ends_when_it_was_told_to(alice, run):
    run()
    share(alice, "project:digits", days=7)
    left = ShareLink.objects.get().expires_at - timezone.now()
    assert timedelta(days=6.9) < left < timedelta(days=7.1)


@pytest.mark.parametrize("days", ["0", "36500", "x", ""])
def test_no_other_lifetime_is_taken(alice, run, days):
    run()
    assert share(alice, "project:digits", days=days).status_code == 200
    assert not ShareLink.objects.exists()


def test_the_page_of_a_run_and_of_a_model_lead_to_sharing_it(alice, run):
    run_id = run()
    for page in (f"/runs/{run_id}/", "/models/digits/resnet-50/"):
        (link,) = (link for link in alice.read(page).links() if link.startswith(f"{PATH}?of="))
        assert "Create link" in alice.read(link).text


def test_a_revoked_link_is_gone_from_the_list_and_opens_nothing(alice, client, run):
    run()
    made = address(share(alice, "project:digits"))
    assert client.get(made).status_code == 200
    alice.post(f"{PATH}{ShareLink.objects.get().pk}/revoke/")
    assert client.get(made).status_code == 404
    assert "No active links." in alice.read(PATH).text


def test_a_viewer_can_neither_share_nor_see_what_is_shared(bob, alice, people, run):
    run()
    share(alice, "project:digits")
    Membership.objects.filter(user=people.bob).update(role=Membership.Role.VIEWER)
    assert share(bob, "project:digits").status_code == bob.get(PATH).status_code == 403
    assert bob.post(f"{PATH}{ShareLink.objects.get().pk}/revoke/").status_code == 403
    assert not any("shares" in link for link in bob.read("/models/digits/resnet-50/").links())


def test_a_role_in_one_team_is_none_in_another(bob, people, run):
    """Bob works in a team of his own, and only looks on in Alice's, where she works."""
    run()
    Membership.objects.filter(user=people.bob).update(role=Membership.Role.VIEWER)
    Membership.objects.create(team=people.charlies_project.team, user=people.bob, role=Membership.Role.OWNER)
    assert share(bob, "project:digits").status_code == 403
    assert set(Project.objects.for_user(people.bob, Right.SHARE)) == {people.charlies_project}


@pytest.mark.parametrize(
    "of",
    [
        "project:digits",
        "model:digits/resnet-50",
        "run",
        "project:",
        "run:digits/x",
        "x",
        "team:vision-lab",
        ":/",
        "project:a\x00",
    ],
)
def test_what_one_may_not_see_is_not_there_to_share(charlie, run, of):
    run_id = run()
    of = run_of(run_id) if of == "run" else of
    assert share(charlie, of).status_code == 404
    assert charlie.get(PATH, {"of": of}).status_code == 404
    assert not ShareLink.objects.exists()


def test_another_teams_list_is_not_there(charlie, alice, run):
    run()
    share(alice, "project:digits")
    alice.post(f"{BADGES}new/", {"of": "project:digits", "label": "x"})
    assert charlie.get(PATH).status_code == 404
    assert charlie.post(f"{PATH}{ShareLink.objects.get().pk}/revoke/").status_code == 404
    assert charlie.post(f"{BADGES}{Badge.objects.get().pk}/revoke/").status_code == 404
    assert ShareLink.objects.exists()
    assert Badge.objects.exists()


def test_one_teams_page_revokes_nothing_of_another(charlie, alice, run):
    run()
    share(alice, "project:digits")
    own = "/settings/teams/other-lab/shares/"
    assert charlie.post(f"{own}{ShareLink.objects.get().pk}/revoke/").status_code == 404
    assert charlie.get(own, {"of": "project:digits"}).status_code == 404
    assert charlie.post(f"{own}new/", {"of": "project:digits", "days": 7}).status_code == 404
    assert "No active links." in charlie.read(own).text


def test_every_deed_is_written_down_without_its_secret(alice, run):
    run()
    share(alice, "project:digits")
    alice.post(f"{PATH}{ShareLink.objects.get().pk}/revoke/")
    alice.post(f"{BADGES}new/", {"of": "project:digits", "label": "emissions"})
    alice.post(f"{BADGES}{Badge.objects.get().pk}/revoke/")
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["share link made", "share link revoked", "badge made", "badge revoked"]


def test_a_badge_is_of_a_model_or_a_project_never_of_a_run(alice, run):
    run_id = run()
    assert alice.post(f"{BADGES}new/", {"of": run_of(run_id), "label": "x"}).status_code == 404
    assert not Badge.objects.exists()


@pytest.mark.parametrize("label", ["", "x" * 41, "a\u202eb", "a\x00b"])
def test_words_that_may_not_be_stored_are_refused_with_a_sentence(alice, run, label):
    run()
    answer = alice.post(f"{BADGES}new/", {"of": "project:digits", "label": label})
    assert len([each for each in Page(answer).root.all("ul") if each.attributes.get("class") == "errorlist"]) == 1
    assert not Badge.objects.exists()


@pytest.mark.parametrize("table", [ShareLink, Badge])
def test_a_team_has_so_many_out_at_a_time_as_fit_on_the_page(alice, people, run, monkeypatch, table):
    monkeypatch.setattr("runs.sharing.links.MOST_OUT", 1)
    run()
    asked = {"of": "project:digits", "label": "x", "days": "7"}
    path = f"{PATH}new/" if table is ShareLink else f"{BADGES}new/"
    alice.post(path, asked)
    assert "Revoke one" in alice.post(path, asked).content.decode()
    assert table.objects.count() == 1


def test_the_badges_snippet_holds_its_address(alice, run):
    run()
    alice.post(f"{BADGES}new/", {"of": "project:digits", "label": "emissions"})
    assert f"![emissions](http://testserver/badge/{Badge.objects.get().key}.svg)" in alice.read(PATH).text


def test_a_link_goes_with_its_run(alice, client, run):
    run_id = run()
    made = address(share(alice, run_of(run_id)))
    Run.objects.all().delete()
    assert client.get(made).status_code == 404
