"""Mail: where it goes by setting, that it leaves by a task, and that a server that fails breaks nothing."""

import pytest
from django.core import mail as outbox
from django.core.management import call_command
from django.test import Client

from runs import mail
from tests.screens.signing_in import RESET
from traceml_site import environment

DATABASE = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "long"]}}


def test_it_leaves_at_once_by_default(db):
    mail.send.enqueue("alice@example.org", "Hello", "World")
    assert [(letter.to, letter.subject, letter.body) for letter in outbox.outbox] == [
        (["alice@example.org"], "Hello", "World")
    ]


def test_by_the_database_it_waits_for_the_worker(transactional_db, settings):
    settings.TASKS = DATABASE
    mail.send.enqueue("alice@example.org", "Hello", "World")
    assert outbox.outbox == []
    call_command("worker", batch=True)
    assert [letter.subject for letter in outbox.outbox] == ["Hello"]


def test_a_mail_server_that_fails_breaks_nothing_and_is_logged(settings, people, caplog):
    settings.EMAIL_BACKEND = "nowhere.Backend"
    assert Client().post(RESET, {"email": "alice@example.org"}).status_code == 302
    assert "failed" in caplog.text.lower()


def test_a_link_starts_with_the_portals_own_address_whatever_it_came_with(settings):
    settings.TRACEML_BASE_URL = "https://traceml.example"
    assert mail.portal_link("http://evil.example/join/x/?a=1") == "https://traceml.example/join/x/?a=1"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}),
        (
            "smtp+tls://me:p%40ss@mail.example:587",
            {"EMAIL_HOST": "mail.example", "EMAIL_PORT": 587, "EMAIL_HOST_PASSWORD": "p@ss", "EMAIL_USE_TLS": True},
        ),
        ("smtp+ssl://mail.example:465", {"EMAIL_USE_SSL": True, "EMAIL_PORT": 465}),
    ],
)
def test_the_server_is_named_by_one_url(monkeypatch, url, expected):
    monkeypatch.setenv("EMAIL_URL", url)
    assert expected.items() <= environment.mail("EMAIL_URL").items()
