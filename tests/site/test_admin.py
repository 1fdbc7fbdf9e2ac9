"""Promise PS21: what the admin shows of accounts, and that it shows no secret."""

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.test import Client

from runs.models import ApiToken, User

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def staff(people) -> Client:
    root = User.objects.create_superuser("root@example.org", "a long phrase of the root")
    browser = Client()
    browser.force_login(root)
    return browser


@pytest.fixture
def lists(staff) -> dict[str, bytes]:
    """Every list and every first entry of the admin."""
    pages = {}
    for model in admin.site._registry:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        pages[base] = staff.get(base).content
        if first := model._default_manager.first():
            pages[f"{base}{first.pk}/change/"] = staff.get(f"{base}{first.pk}/change/").content
    return pages


def test_no_page_of_it_shows_a_secret(people, request):
    Authenticator.objects.create(user=people.alice, type="totp", data={"secret": SECRET})
    token, plain_text = ApiToken.issue(people.project, "laptop", ["ingest"])
    for path, content in request.getfixturevalue("lists").items():
        for secret in (SECRET, plain_text, plain_text.rpartition("_")[2], token.secret_hmac):
            assert secret.encode() not in content, path


def test_mails_that_wait_and_sign_on_elsewhere_have_no_page(lists):
    assert not [path for path in lists if "dbtaskresult" in path or "socialaccount" in path]


def test_staff_remove_a_second_factor_that_was_lost_and_add_or_change_none(staff, people):
    factor = Authenticator.objects.create(user=people.alice, type="totp", data={"secret": SECRET})
    base = "/admin/mfa/authenticator/"
    assert staff.get(f"{base}add/").status_code == 403
    assert staff.post(f"{base}{factor.pk}/change/", {"type": "webauthn"}).status_code == 403
    staff.post(f"{base}{factor.pk}/delete/", {"post": "yes"})
    assert not Authenticator.objects.exists()
