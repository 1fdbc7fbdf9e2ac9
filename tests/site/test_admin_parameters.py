"""The admin's own parameters: whatever is asked, the answer is a page, an empty list or 400, never a fault."""

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from runs.models import ApiToken, User
from tests import people as cast
from tests.site.test_admin_walk import ACTIONS, MODELS, objects  # noqa: F401 (a fixture)

HUGE = "9" * 40
ODD = ["", "abc", "-1", HUGE, "a\x00b", '"', "(", "a " * 900]
OWN = ["q", "p", "o", "e", "all", "_popup", "_to_field", "_facets", "_changelist_filters", "_selected_action", "pk"]
FILTERS = [
    *("created_at__year", "created_at__month", "created_at__day", "created_at__gte", "id__in", "name__regex", "kind"),
    *("kind__exact", "edited__exact", "edited__isnull", "groups__id__exact", "is_staff__exact", "type__exact"),
    *("action__exact", "status__exact", "provider", "vendor__isnull", "user__email", "password__startswith"),
]
FIELDS_GIVEN = ["name", "slug", "user", "team", "profile", "groups", "created_by", "version", "reason", "kind", "tdp_w"]
PARAMETERS = [*OWN, *FILTERS, *FIELDS_GIVEN]
WORDS = some.sampled_from([*ODD, "2026", "1.-2", "13", "9999", "secret_hmac", "email", "runs", "user", "membership"])
LISTS = [f"/admin/{label.replace('.', '/')}/" for label in MODELS]


@pytest.fixture
def root(people) -> Client:
    browser = Client(raise_request_exception=False)
    browser.force_login(User.objects.create_superuser("root@example.org", cast.PASSWORD))
    return browser


def refused(answer) -> bool:
    return answer.status_code == 400


def sound(browser: Client, at: str, query=None, data=None) -> None:
    """Ask, and take back whatever that did."""
    with transaction.atomic():
        answer = browser.get(at, query) if data is None else browser.post(at, data, query_params=query)
        transaction.set_rollback(True)
    assert answer.status_code < 500, (at, query, data)


@pytest.mark.parametrize("at", LISTS)
def test_no_list_fails_on_a_parameter(root, objects, at):  # noqa: F811
    for name in OWN:
        for value in ODD:
            sound(root, at, {name: value})


@pytest.mark.parametrize("at", LISTS)
def test_no_form_fails_on_what_it_is_given(root, objects, at):  # noqa: F811
    for value in ODD:
        given_values = dict.fromkeys(PARAMETERS, value)
        sound(root, f"{at}add/", given_values)
        sound(root, f"{at}add/", data=given_values)
    for key in ("abc", HUGE, "-1", "_00"):
        for page in ("change", "delete", "history"):
            sound(root, f"{at}{key}/{page}/")
            for value in ("", "abc", "secret_hmac"):
                sound(root, f"{at}{key}/{page}/", {"_to_field": value, "p": value, "page": value})


@pytest.mark.parametrize(("label", "action"), ACTIONS)
def test_no_action_fails_on_what_is_selected(root, objects, label, action):  # noqa: F811
    at = f"/admin/{label.replace('.', '/')}/"
    for value in ODD:
        for more in ({}, {"select_across": "1"}, {"index": value}, {"post": "yes"}):
            sound(root, at, data={"action": action, "_selected_action": [value]} | more)


FIELDS = ["user", "profile", "team", "apitoken", "membership", "groups", "project", "id", "members", "nonsense", "\x00"]


@pytest.mark.parametrize("field", FIELDS)
def test_no_choice_fails_on_what_is_asked(root, objects, field):  # noqa: F811
    for model in ("runs.membership", "runs.user", "runs.team", "runs.project", "hardware.cloudinstance", "auth.group"):
        app, name = model.split(".")
        for value in ODD:
            asked = {"app_label": app, "model_name": name, "field_name": field}
            sound(root, "/admin/autocomplete/", asked | {"term": value})
            sound(root, "/admin/autocomplete/", asked | {"page": value})


def test_no_other_page_fails(root, objects):  # noqa: F811
    for value in ["abc", HUGE, "1", "%00"]:
        for page in (f"r/{value}/{value}/", f"runs/unknowndevice/resolve/?name={value}", f"{value}/", "jsi18n/"):
            sound(root, f"/admin/{page}")
        sound(root, "/admin/runs/unknowndevice/resolve/", data={"name": value, "profile": value})
        sound(root, f"/admin/runs/user/{value}/password/", data={"password1": value})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=some.sampled_from([*LISTS, *(f"{at}add/" for at in LISTS), "/admin/hardware/hardwareprofile/export/"]),
    query=some.dictionaries(some.sampled_from(PARAMETERS), WORDS | some.text(max_size=30), max_size=5),
)
def test_no_combination_of_parameters_is_a_fault(root, objects, at, query):  # noqa: F811
    sound(root, at, {name: value.encode(errors="replace").decode() for name, value in query.items()})


@pytest.mark.parametrize(
    ("at", "lookup"),
    [
        ("/admin/runs/apitoken/", "secret_hmac__startswith"),
        ("/admin/usersessions/usersession/", "session_key__startswith"),
        ("/admin/mfa/authenticator/", "data__secret__startswith"),
        ("/admin/runs/user/", "password__startswith"),
        ("/admin/runs/apitoken/", "created_by__password__startswith"),
    ],
)
def test_a_secret_can_not_be_found_letter_by_letter(root, objects, at, lookup):  # noqa: F811
    ApiToken.objects.update(secret_hmac="a" * 64)
    assert refused(root.get(at, {lookup: "a"}))
    assert refused(root.get(at, {lookup: "b"}))


def test_what_a_list_offers_to_narrow_it_by_works(root, objects):  # noqa: F811
    """Every address in every list's own filters and dates."""
    for model, model_admin in admin.site._registry.items():
        at = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        page = root.get(at)
        filters = page.context["cl"].filter_specs if "cl" in page.context else []
        for choice in (choice for spec in filters for choice in spec.choices(page.context["cl"])):
            assert root.get(at + choice["query_string"]).status_code == 200, choice
        if model_admin.date_hierarchy:
            asked = {f"{model_admin.date_hierarchy}__{part}": "1" for part in ("year", "month", "day")}
            assert root.get(at, asked | {f"{model_admin.date_hierarchy}__year": "2026"}).status_code == 200
