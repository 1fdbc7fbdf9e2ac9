"""Addresses that only forms are sent to: a GET leads to the page of the form, where a secret is shown once, too.

Whoever reloads the page after the form was sent reloads a page, and sends nothing again.
"""

import base64
import hmac
import json
from functools import wraps

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse

#: The cookie that carries a secret from the answer of a form to the page after it, and how long at most.
ONCE, ONCE_S = "once", 120


def posts(page: str, *parts: str):
    """A change by a form that stands on `page`, an address with these parts of the view's own.

    A GET leads there and changes nothing: it is what comes of a form whose sender had to sign in first.
    """

    def door(view):
        @wraps(view)
        def guarded(request, *args, **given):
            if request.method == "POST":
                return view(request, *args, **given)
            return to_the_form(request, reverse(page, kwargs={name: given[name] for name in parts}))

        return guarded

    return door


def to_the_form(request, address: str):
    """The answer of an address that takes forms to whatever is no form."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["POST"])
    messages.info(request, "Nothing was changed: the form did not arrive. Send it again from here.")
    return redirect(address)


def _box() -> Fernet:
    key = hmac.digest(settings.SECRET_KEY.encode(), b"traceml.shown-once", "sha256")
    return Fernet(base64.urlsafe_b64encode(key))


def show_once(request, address: str, **shown):
    """Lead to a page of ours that shows a secret, which neither session nor database ever hold.

    The browser brings it there, sealed: under another account or two minutes later it opens no more.
    """
    sealed = _box().encrypt(json.dumps({"user": request.user.pk, "shown": shown}).encode()).decode()
    answer = redirect(address)
    answer.set_cookie(
        ONCE,
        sealed,
        max_age=ONCE_S,
        path=reverse("overview"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return answer


def shows_once(view):
    """A page that may show a secret, in `request.shown_once`; asked again it shows it no more."""

    @wraps(view)
    def showing(request, *args, **given):
        request.shown_once = _opened(request)
        answer = view(request, *args, **given)
        if ONCE in request.COOKIES:
            answer.delete_cookie(ONCE, path=reverse("overview"), samesite="Strict")
        return answer

    return showing


def _opened(request) -> dict:
    try:
        found = json.loads(_box().decrypt(request.COOKIES.get(ONCE, ""), ttl=ONCE_S))
    except (InvalidToken, ValueError):
        return {}
    return found["shown"] if found["user"] == request.user.pk else {}
