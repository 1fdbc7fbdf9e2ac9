"""Emails, sent by a task: at once by default, by `manage.py worker` if TRACEML_TASKS=database.

A failing mail server is logged. It never breaks a request, nor does its response time reveal anything.
"""

from functools import partial
from urllib.parse import urlsplit

from django.conf import settings
from django.core import mail
from django.db import transaction
from django.template.loader import render_to_string
from django_tasks import task

from runs.addresses import origin


@task()
def send(to: str, subject: str, body: str) -> None:
    """Send one text email; call `send.enqueue`."""
    mail.send_mail(subject, body, None, [to])


def send_text(to: str, template: str, context: dict) -> None:
    """Send `mail/<template>.txt`, whose first line is the subject, after the transaction commits."""
    text = render_to_string(
        f"mail/{template}.txt", context | {"base_url": settings.TRACEML_BASE_URL, "origin": origin()}
    )
    subject, _, body = text.partition("\n")
    transaction.on_commit(partial(send.enqueue, to, subject, body.strip() + "\n"), robust=True)


def portal_link(address: str) -> str:
    """The address below TRACEML_BASE_URL: a link in an email must not follow the Host header of a request."""
    parts = urlsplit(address)
    return origin() + parts.path + (f"?{parts.query}" if parts.query else "")
