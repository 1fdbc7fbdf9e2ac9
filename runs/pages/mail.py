"""Mail to people: a subject and a text from templates/mail, sent once the change it tells of is stored."""

from functools import partial

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string


def send(to: str, template: str, context: dict) -> None:
    """Send `mail/<template>.txt`, whose first line is the subject. A mail server that fails is logged, no more."""
    text = render_to_string(f"mail/{template}.txt", context | {"base_url": settings.TRACEML_BASE_URL})
    subject, _, body = text.partition("\n")
    transaction.on_commit(partial(send_mail, subject, body.strip() + "\n", None, [to]), robust=True)
