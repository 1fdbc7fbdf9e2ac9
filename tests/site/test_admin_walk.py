"""Every page and action of the admin, a library's too, by every permission. Who may what: `who_may.py`."""

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.test import Client, RequestFactory
from django.urls import get_resolver
from django.utils import timezone

from hardware.models import CloudInstance, HardwareProfile
from runs.admin.jobs import Job
from runs.models import (
    ApiToken,
    AuditEntry,
    EmissionFactor,
    Membership,
    Project,
    Pue,
    Reestimation,
    Run,
    Team,
    User,
)
from tests import people as cast
from tests.site.test_doors import routes
from tests.site.test_walk import ask
from tests.site.who_may import ADMIN_DOORS, ADMIN_PAGES, MODEL_PAGES, MODELS, PASSWORD, SUPERUSERS, TAKES_ALL
from tests.wire import Wire

VERBS = ("get", "post", "put")
KINDS = ("view", "add", "change", "delete")


def models() -> dict[str, type]:
    return {model._meta.label_lower: model for model in admin.site._registry}


def route_name(label: str, page: str) -> str:
    return PASSWORD if page == "password" else f"{label.replace('.', '_')}_{page}"


def model_routes() -> dict[str, str]:
    """The routes that belong to a model, by name; a page without one leads to the page of a change."""
    own = ADMIN_PAGES | ADMIN_DOORS
    found = routes(get_resolver().url_patterns)
    return {name: route for name, route in found if route.startswith("/admin/") and name and name not in own}


def test_the_walk_knows_every_model_page_and_action_of_the_admin(rf, admin_user):
    assert set(models()) == set(MODELS)
    pages = {route_name(label, page) for label in MODELS for page in MODEL_PAGES}
    assert set(model_routes()) <= pages | set(TAKES_ALL) | {PASSWORD}
    request = rf.get("/admin/")
    request.user = admin_user
    for label, model in models().items():
        actions = set(admin.site.get_model_admin(model).get_actions(request)) - {"delete_selected"}
        assert actions == set(MODELS[label][1]) - {"delete_selected"}, label


@pytest.fixture
def objects(people, client) -> dict[str, object]:
    """One of every registered model, that nothing else hangs on."""
    run = Run.objects.get(run_id=Wire(client, cast.token(people.project)).whole_run())
    person = User.objects.create_user("eve@example.org", cast.PASSWORD)
    team = Team.objects.create(name="Empty lab", slug="empty-lab")
    Membership.objects.create(team=team, user=people.charlie, role="owner")
    profile, other = (HardwareProfile.objects.create(slug=slug, name=slug, kind="gpu", tdp_w=100) for slug in "xy")
    made = [
        EmailAddress.objects.create(user=people.bob, email="bob@example.net"),
        UserSession.objects.create(user=people.bob, ip="192.0.2.1", user_agent="x", session_key="k"),
        Authenticator.objects.create(user=people.bob, type="totp", data={"secret": "x"}),
        Group.objects.create(name="carers"),
        profile,
        CloudInstance.objects.create(provider="p", name="x.large", profile=other, count=1),
        EmissionFactor.objects.create(kg_per_kwh=0.4, year=2024, source="x"),
        Pue.objects.create(value=1.2, source="x"),
        Reestimation.objects.create(reason="x"),
        person,
        team,
        Project.objects.create(team=people.project.team, name="Empty", slug="empty"),
        ApiToken.issue(people.project, "laptop", ["ingest"], people.alice)[0],
        run,
        AuditEntry.objects.create(action="team renamed", subject="x", team=people.project.team),
        Job.objects.create(
            task_path="runs.mail.send", args_kwargs={}, backend_name="default", run_after=timezone.now()
        ),
    ]
    return {each._meta.label_lower: each for each in made} | {"runs.unknowndevice": run.devices.get()}


@pytest.fixture
def staff(people) -> User:
    return User.objects.create_user("staff@example.org", cast.PASSWORD, is_staff=True)


def permissions(label: str, kinds) -> list[Permission]:
    app, model = label.split(".")
    names = [f"{kind}_{model}" for kind in kinds]
    return list(Permission.objects.filter(content_type__app_label=app, codename__in=names))


def all_but(label: str) -> list[Permission]:
    """Every permission that there is but those of one model."""
    app, model = label.split(".")
    return list(Permission.objects.exclude(content_type__app_label=app, codename__in=[f"{k}_{model}" for k in KINDS]))


def browser_of(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def allowed(label: str, page: str, verb: str, kinds: set[str], offered: set[str]) -> bool:
    """Whether these permissions of the model open the page to this verb."""
    name = route_name(label, page)
    if name in TAKES_ALL:
        app, model = label.split(".")
        return "all" in kinds or TAKES_ALL[name] <= {f"{app}.{kind}_{model}" for kind in kinds}
    takes = MODEL_PAGES[page].get(verb, set()) if page != "password" else {"change"}
    return bool(takes & kinds & (offered | ({"change"} if verb == "get" else set())))


def walked(objects, label: str, browser: Client, kinds: set[str], offered: set[str]) -> list[str]:
    """What answered otherwise than it should, of all pages of a model."""
    pages = [*MODEL_PAGES, *(["password"] if label == "runs.user" else []), "resolve"]
    wrong = []
    for page in pages:
        if not (route := model_routes().get(route_name(label, page))):
            continue
        at = route.replace("<path:object_id>", str(objects[label].pk)).replace("<id>", str(objects[label].pk))
        for verb in VERBS:
            found, written = ask(browser, verb, at, {"post": "yes"} if verb == "post" else None)
            may = allowed(label, page, verb, kinds, offered)
            shows = allowed(label, page, "get", kinds, offered)
            only_shows = verb not in MODEL_PAGES.get(page, {"post": ()})
            good = {"in"} if may else {"403", "405"} | ({"in"} if shows and only_shows else set())
            if found not in good or (written and not may):
                wrong.append(f"{verb} {at} with {sorted(kinds)}: {found} {written}")
    return wrong


@pytest.mark.parametrize("label", MODELS)
def test_a_model_opens_to_its_own_permissions_and_no_others(objects, staff, label):
    offered = MODELS[label][0]
    wrong = []
    for kinds in (set(), {"view"}, {"view", "change"}, {"add"}, {"delete"}, set(KINDS)):
        staff.user_permissions.set(permissions(label, kinds))
        wrong += walked(objects, label, browser_of(staff), kinds, offered)
    staff.user_permissions.set(all_but(label))
    wrong += walked(objects, label, browser_of(staff), set(), offered)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("label", MODELS)
def test_a_superuser_gets_what_the_admin_offers_of_a_model(objects, admin_client, label):
    offered = SUPERUSERS.get(label, MODELS[label])[0]
    wrong = walked(objects, label, admin_client, {*KINDS, "all"}, offered)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("who", ["stranger", "outsider", "owner"])
def test_nobody_but_staff_gets_into_the_admin(objects, people, who):
    browser = Client() if who == "stranger" else browser_of(people.charlie if who == "outsider" else people.alice)
    wrong = []
    for name, route in routes(get_resolver().url_patterns):
        if not route.startswith("/admin/") or name in ADMIN_DOORS:
            continue
        for verb in VERBS:
            found, written = ask(browser, verb, route.replace("<path:object_id>", "1").replace("<id>", "1"))
            wrong += [f"{verb} {route}: {found}"] if found != "login" or written else []
    assert not wrong, "\n".join(wrong)


ACTIONS = [(label, action) for label, (_, actions) in MODELS.items() for action in actions]


@pytest.mark.parametrize(("label", "action"), ACTIONS)
def test_an_action_takes_its_permission(objects, staff, label, action):
    takes = MODELS[label][1][action]
    at = model_routes()[route_name(label, "changelist")]
    chosen = {"action": action, "_selected_action": [objects[label].pk], "post": "yes", "_confirmed": "1"}
    for kinds in ({"view"}, set(KINDS) - {takes}, {"view", takes}):
        staff.user_permissions.set([*all_but(label), *permissions(label, kinds)])
        found, written = ask(browser_of(staff), "post", at, chosen)
        may = takes in kinds
        assert (found, bool(written)) == (("in", True) if may else ("403", False)), (kinds, written)


@pytest.mark.parametrize("label", MODELS)
def test_what_a_list_does_not_offer_is_refused(objects, admin_client, label):
    at = model_routes()[route_name(label, "changelist")]
    for action in ("delete_selected", "revoke", "put_in_force", "make_verified", "export_admin_action", "nonsense"):
        if action not in (MODELS[label][1] | SUPERUSERS.get(label, (0, {}))[1]):
            found, written = ask(admin_client, "post", at, {"action": action, "_selected_action": [objects[label].pk]})
            assert found == "403" or label == "runs.unknowndevice", action
            assert not written


def test_an_action_that_names_no_permission_is_offered_to_nobody(admin_user):
    class Careless(admin.ModelAdmin):
        actions = ["wipe"]

        def wipe(self, request, queryset):
            """Says nothing of who may."""

    from traceml_site.admin import Site

    site = Site()
    site.register(Team, Careless)
    request = RequestFactory().get("/admin/")
    request.user = admin_user
    assert set(site.get_model_admin(Team).get_actions(request)) == {"delete_selected"}
