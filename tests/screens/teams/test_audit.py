"""The audit log: for owners and admins, filtered, in pages, and as CSV."""

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.utils import timezone

from runs.models import AuditEntry, Membership
from runs.models.audit import Action

PATH = "/settings/teams/vision-lab/audit/"
CSV = "/settings/teams/vision-lab/audit.csv"


def entry(people, action=Action.RUN_DELETED, subject="a run", actor=None, days_ago=0, team=True) -> AuditEntry:
    made = AuditEntry.objects.create(
        team=people.project.team if team else None,
        actor=actor or people.alice,
        action=action,
        subject=subject,
        address="192.0.2.0/24",
    )
    AuditEntry.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(days=days_ago))
    return made


def rows_of(answer) -> list[list[str]]:
    return list(csv.reader(StringIO(b"".join(answer.streaming_content).decode(), newline="")))


def subjects(page) -> list[str]:
    return [cell.split(" ", 2)[-1] for cell in page.column()]


def test_it_says_who_did_what_when_and_from_where(alice, people):
    entry(people)
    (row,) = alice.read(PATH).table()
    assert row == ["Run deleted a run", "alice@example.org", "just now", "192.0.2.0/24"]


@pytest.mark.parametrize(("role", "status"), [("owner", 200), ("admin", 200), ("member", 403), ("viewer", 403)])
def test_it_is_for_owners_and_admins(bob, people, role, status):
    Membership.objects.filter(user=people.bob).update(role=role)
    assert bob.get(PATH).status_code == bob.get(CSV).status_code == status


def test_another_teams_log_is_not_there(charlie, people):
    entry(people, subject="secret")
    assert charlie.get(PATH).status_code == charlie.get(CSV).status_code == 404
    assert "Nothing yet" in charlie.read("/settings/teams/other-lab/audit/").text


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"action": "token issued"}, ["new"]),
        ({"person": "bob@example.org"}, ["old"]),
        ({"since": str((timezone.now() - timedelta(days=2)).date())}, ["new"]),
        ({"until": str((timezone.now() - timedelta(days=2)).date())}, ["old"]),
        ({"action": "token issued", "person": "bob@example.org"}, []),
        ({}, ["new", "old"]),
    ],
)
def test_it_can_be_narrowed_and_the_csv_is_what_the_page_shows(alice, people, asked, found):
    entry(people, Action.RUN_DELETED, "old", people.bob, days_ago=5)
    entry(people, Action.TOKEN_ISSUED, "new")
    page = alice.read(PATH, **asked)
    assert (subjects(page) if found else "No entry matches" in page.text) == (found or True)
    assert [row[3] for row in rows_of(alice.get(CSV, asked))[1:]] == found


@pytest.mark.parametrize("asked", [{"since": "soon"}, {"action": "nonsense"}, {"person": "a\x00b"}, {"page": "x"}])
def test_what_can_not_be_understood_is_no_error(alice, people, asked):
    entry(people)
    assert len(alice.read(PATH, **asked).table()) == 1


def test_it_comes_in_pages(alice, people):
    for number in range(60):
        entry(people, subject=f"{number}")
    first, second = alice.read(PATH), alice.read(PATH, page=2)
    assert (len(first.table()), len(second.table())) == (50, 10)
    assert "Page 1 of 2" in first.text


def test_the_deployments_changes_are_told_but_not_who_made_them(alice, people):
    entry(people, Action.FACTOR_CHANGED, "0.5 kg/kWh", actor=people.charlie, team=False)
    page = alice.read(PATH)
    assert page.table()[0][:2] == ["Emission factor changed 0.5 kg/kWh", "Portal administrator"]
    assert "charlie" not in page.text
    assert "No entry matches" in alice.read(PATH, person="charlie@example.org").text
    assert rows_of(alice.get(CSV))[1][1:] == [
        "Portal administrator",
        "emission factor changed",
        "0.5 kg/kWh",
        "",
    ]


def test_what_the_command_line_did_says_so(alice, people):
    AuditEntry.note(None, people.project.team, Action.TOKEN_ISSUED, "laptop")
    assert alice.read(PATH).table()[0][1] == "the command line"


def test_a_subject_is_text_in_a_spreadsheet_as_well(alice, people):
    entry(people, subject='=HYPERLINK("http://evil.example")')
    assert rows_of(alice.get(CSV))[1][3] == '\'=HYPERLINK("http://evil.example")'


def test_the_csv_keeps_to_the_same_number_of_queries(alice, people, django_assert_max_num_queries):
    for number in range(30):
        entry(people, subject=f"{number}")
    with django_assert_max_num_queries(12):
        assert len(rows_of(alice.get(CSV))) == 31
    with django_assert_max_num_queries(12):
        alice.read(PATH)


def test_members_that_staff_change_are_written_down(admin_client, people):
    team = people.project.team
    alice, bob = (Membership.objects.get(user=person) for person in (people.alice, people.bob))
    rows = [
        {"id": alice.pk, "team": team.pk, "user": people.alice.pk, "role": "owner"},
        {"id": bob.pk, "team": team.pk, "user": people.bob.pk, "role": "admin"},
        {"id": "", "team": team.pk, "user": people.charlie.pk, "role": "viewer"},
    ]
    form = {"name": team.name, "slug": team.slug}
    form |= {f"membership_set-{n}-{name}": value for n, row in enumerate(rows) for name, value in row.items()}
    form |= {"membership_set-TOTAL_FORMS": 3, "membership_set-INITIAL_FORMS": 2}
    assert admin_client.post(f"/admin/runs/team/{team.pk}/change/", form).status_code == 302
    written = set(AuditEntry.objects.for_team(team).values_list("action", "subject"))
    assert written == {
        ("member joined", "charlie@example.org, viewer"),
        ("role changed", "bob@example.org, admin"),
    }


def test_a_token_that_staff_revoke_is_written_down(admin_client, people):
    from runs.models import ApiToken

    token, _ = ApiToken.issue(people.project, "laptop", ["read"])
    admin_client.post("/admin/runs/apitoken/", {"action": "revoke", "_selected_action": [token.pk]})
    written = AuditEntry.objects.get()
    assert (written.action, written.team) == ("token revoked", people.project.team)


def test_a_token_of_the_command_line_is_written_down_without_its_secret(people):
    from django.core.management import call_command

    out = StringIO()
    call_command("issue_token", team="Vision lab", project="Digits", stdout=out)
    written = AuditEntry.objects.get()
    assert written.action == "token issued"
    assert out.getvalue().strip().split("_", 2)[2] not in written.subject


def test_staff_read_the_whole_log_and_change_nothing(admin_client, people):
    made = entry(people)
    assert admin_client.get("/admin/runs/auditentry/").status_code == 200
    assert admin_client.get("/admin/runs/auditentry/add/").status_code == 403
    assert admin_client.post(f"/admin/runs/auditentry/{made.pk}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(f"/admin/runs/auditentry/{made.pk}/change/", {"subject": "other"})
    assert AuditEntry.objects.get().subject == "a run"
