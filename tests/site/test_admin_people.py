"""Staff look after people, and never get more by it than they have."""

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.test import Client

from runs.models import AuditEntry, Membership, Team, User
from tests import people as cast

USERS = "/admin/runs/user/"
STAFF = ["view_user", "change_user", "add_user", "delete_user", "view_group", "change_group", "add_group"]
STAFF += ["change_emailaddress", "view_emailaddress", "delete_authenticator", "view_authenticator"]


@pytest.fixture
def root(db) -> User:
    return User.objects.create_superuser("root@example.org", cast.PASSWORD)


@pytest.fixture
def staff(people) -> User:
    """Somebody who looks after people, and is no superuser."""
    person = User.objects.create_user("staff@example.org", cast.PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=STAFF))
    return person


@pytest.fixture
def browser(staff) -> Client:
    return signed_in(staff)


def signed_in(person: User) -> Client:
    browser = Client()
    browser.force_login(person)
    return browser


def at_home(person: User) -> Client:
    """Signed in by the form, as people do."""
    browser = Client()
    browser.post("/accounts/login/", {"login": person.email, "password": cast.PASSWORD})
    assert browser.get("/settings/profile/").status_code == 200
    return browser


def save(browser: Client, person: User, **changes):
    """Send the form of a person as it stands, with these changes."""
    person.refresh_from_db()
    kept = {"email": person.email, "time_zone": person.time_zone, "theme": person.theme, "is_active": "on"}
    kept |= {"is_staff": "on"} if person.is_staff else {}
    kept |= {"is_superuser": "on"} if person.is_superuser else {}
    form = {name: value for name, value in (kept | changes).items() if value is not None}
    return browser.post(f"{USERS}{person.pk}/change/", form)


FORGED = {"is_superuser": "on", "is_staff": "on", "groups": "1", "user_permissions": "1", "password": "x", "id": "1"}


def test_rights_are_a_superusers_to_give(browser, staff, people):
    group = Group.objects.create(name="everything")
    group.permissions.set(Permission.objects.all())
    for person in (staff, people.bob):
        before = User.objects.filter(pk=person.pk).values().get()
        assert save(browser, person, first_name="New", **(FORGED | {"groups": group.pk})).status_code == 302
        after = User.objects.filter(pk=person.pk).values().get()
        assert after == before | {"first_name": "New"}
        assert not person.groups.exists()
        assert set(person.user_permissions.values_list("codename", flat=True)) == (
            {*STAFF} if person == staff else set()
        )


def test_a_new_account_comes_without_rights(browser):
    new = {
        "email": "Eve@Example.org",
        "usable_password": "true",
        "password1": cast.PASSWORD,
        "password2": cast.PASSWORD,
    }
    assert browser.post(f"{USERS}add/", new | FORGED).status_code == 302
    eve = User.objects.get(email="eve@example.org")
    assert (eve.is_staff, eve.is_superuser, eve.groups.exists(), eve.user_permissions.exists()) == (False,) * 4


def test_a_group_gets_no_right_from_who_is_no_superuser(browser, root):
    group = Group.objects.create(name="carers")
    one = Permission.objects.first().pk
    assert (
        browser.post(f"/admin/auth/group/{group.pk}/change/", {"name": "carers", "permissions": one}).status_code == 403
    )
    assert browser.post("/admin/auth/group/add/", {"name": "more", "permissions": one}).status_code == 403
    assert not Group.objects.filter(permissions=one).exists()
    signed_in(root).post(f"/admin/auth/group/{group.pk}/change/", {"name": "carers", "permissions": one})
    assert group.permissions.exists()


def stronger(kind: str) -> User:
    """Accounts that may more than the staff of these tests, each in its way."""
    boss = User.objects.create_user("boss@example.org", cast.PASSWORD, is_staff=True)
    right = Permission.objects.get(codename="delete_team")
    if kind in ("superuser", "locked superuser"):
        boss.is_superuser = True
    elif kind == "group":
        boss.groups.add(Group.objects.create(name="deleters"))
        boss.groups.get().permissions.add(right)
    else:
        boss.user_permissions.add(right)
    boss.is_active = not kind.startswith("locked")
    boss.save()
    return boss


@pytest.mark.parametrize("kind", ["superuser", "locked superuser", "group", "permission", "locked permission"])
def test_who_may_more_is_out_of_reach(browser, kind):
    boss = stronger(kind)
    state = User.objects.filter(pk=boss.pk).values().get()
    address = EmailAddress.objects.create(user=boss, email="mine@example.net")
    factor = Authenticator.objects.create(user=boss, type="totp", data={"secret": "x"})
    for at, form in [
        (f"{USERS}{boss.pk}/change/", {"email": "mine@example.net", "time_zone": "UTC", "is_active": "on"}),
        (
            f"{USERS}{boss.pk}/password/",
            {"usable_password": "true", "password1": "a b c d e f g", "password2": "a b c d e f g"},
        ),
        (f"{USERS}{boss.pk}/delete/", {"post": "yes"}),
        (USERS, {"action": "delete_selected", "_selected_action": [boss.pk], "post": "yes"}),
        ("/admin/account/emailaddress/", {"action": "confirm", "_selected_action": [address.pk]}),
        (f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"}),
    ]:
        assert browser.post(at, form).status_code in (302, 403), at
    assert User.objects.filter(pk=boss.pk).values().get() == state
    address.refresh_from_db()
    assert not address.verified
    assert Authenticator.objects.filter(pk=factor.pk).exists()


def test_an_address_that_is_anothers_is_neither_given_nor_confirmed(browser, people, root):
    for taken in ("root@example.org", "ROOT@example.org"):
        assert save(browser, people.bob, email=taken).status_code == 200
    EmailAddress.objects.create(user=people.charlie, email="second@example.org", verified=True)
    assert save(browser, people.bob, email="second@example.org").status_code == 200
    squat = EmailAddress.objects.create(user=people.bob, email="root@example.org")
    browser.post("/admin/account/emailaddress/", {"action": "confirm", "_selected_action": [squat.pk]})
    squat.refresh_from_db()
    assert not squat.verified


@pytest.fixture
def moved(browser, people, settings) -> dict:
    """Bob, signed in, with a link to a new password on its way, when staff change his address."""
    EmailAddress.objects.create(user=people.bob, email="bob@example.org", verified=True, primary=True)
    bobs = at_home(people.bob)
    Client().post("/accounts/password/reset/", {"email": "bob@example.org"})
    link = next(line.strip() for line in mail.outbox[-1].body.splitlines() if "/password/reset/key/" in line)
    assert save(browser, people.bob, email="robert@example.org").status_code == 302
    people.bob.refresh_from_db()
    return {"browser": bobs, "link": link.replace("http://testserver", ""), "bob": people.bob}


def test_the_old_address_ends_at_once(moved):
    assert moved["bob"].email == "robert@example.org"
    assert list(EmailAddress.objects.values_list("email", "primary")) == [("robert@example.org", True)]
    for address, opens in (("bob@example.org", False), ("robert@example.org", True)):
        fresh = Client()
        fresh.post("/accounts/login/", {"login": address, "password": cast.PASSWORD})
        assert ("_auth_user_id" in fresh.session) is opens


def test_its_links_and_sessions_end_with_it(moved):
    assert moved["browser"].get("/settings/profile/").status_code == 302
    assert not UserSession.objects.filter(user=moved["bob"]).exists()
    mail.outbox.clear()
    Client().post("/accounts/password/reset/", {"email": "bob@example.org"})
    assert not [each for each in mail.outbox if "/password/reset/key/" in each.body]
    answer = Client().get(moved["link"], follow=True)
    assert b"password1" not in answer.content


def test_the_team_reads_what_staff_did_to_an_account(moved, browser, people):
    save(browser, people.bob, is_active=None)
    pair = {"usable_password": "true", "password1": "quite another phrase", "password2": "quite another phrase"}
    browser.post(f"{USERS}{people.bob.pk}/password/", pair)
    factor = Authenticator.objects.create(user=people.bob, type="totp", data={"secret": "x"})
    browser.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"})
    told = AuditEntry.objects.filter(team=people.project.team, action="account changed").order_by("pk")
    assert list(told.values_list("subject", flat=True)) == [
        "robert@example.org: address was bob@example.org",
        "robert@example.org: password set by staff",
        "robert@example.org: second factor removed",
    ]


def test_a_session_deleted_in_the_admin_is_signed_out(people, root):
    bobs = at_home(people.bob)
    session = UserSession.objects.get(user=people.bob)
    signed_in(root).post(f"/admin/usersessions/usersession/{session.pk}/delete/", {"post": "yes"})
    assert bobs.get("/settings/profile/").status_code == 302


def test_sessions_are_searched(people, root):
    at_home(people.bob)
    page = signed_in(root).get("/admin/usersessions/usersession/", {"q": "bob"})
    assert page.context["cl"].result_count == 1


@pytest.mark.parametrize("zone", ["Mars/Phobos", "Europe", "../../etc/passwd", "", "x" * 64, "Berlin"])
def test_an_unknown_time_zone_is_refused_and_where_it_is_stored_pages_show_utc(people, root, zone):
    answer = save(signed_in(root), people.bob, time_zone=zone)
    assert (answer.status_code, "time_zone" in answer.context["adminform"].form.errors) == (200, True)
    User.objects.filter(pk=people.bob.pk).update(time_zone=zone)
    for page in ("/", "/runs/", "/settings/profile/", "/models/"):
        assert signed_in(people.bob).get(page).status_code in (200, 302)
    assert signed_in(root).get(f"{USERS}{people.bob.pk}/change/").status_code == 200


def test_the_last_owner_of_a_team_is_not_deleted(people, root):
    browser = signed_in(root)
    chosen = {"action": "delete_selected", "_selected_action": [people.alice.pk], "post": "yes"}
    page = browser.post(f"{USERS}{people.alice.pk}/delete/", {"post": "yes"})
    assert "Ownership of Vision lab: make another member its owner first" in page.content.decode()
    browser.post(USERS, chosen)
    assert User.objects.filter(pk=people.alice.pk).exists()


def test_two_owners_are_not_deleted_together(people, root):
    Membership.objects.filter(user=people.bob).update(role="owner")
    Membership.objects.create(team=people.project.team, user=people.charlie, role="viewer")
    both = {"action": "delete_selected", "_selected_action": [people.alice.pk, people.bob.pk], "post": "yes"}
    signed_in(root).post(USERS, both)
    assert Membership.objects.filter(team=people.project.team).owners().count() == 2


def test_a_deleted_members_team_reads_it_and_a_team_of_ones_own_goes(people, root):
    own = Team.found("Bob's", people.bob)
    signed_in(root).post(f"{USERS}{people.bob.pk}/delete/", {"post": "yes"})
    assert not Team.objects.filter(pk=own.pk).exists()
    entry = AuditEntry.objects.get(team=people.project.team)
    assert (entry.action, entry.subject) == ("member removed", "bob@example.org (account deleted)")
