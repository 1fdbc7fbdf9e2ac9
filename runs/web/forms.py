"""Redirect after POST: addresses that accept only forms, and secrets that the next page shows once.

Reloading that page does not submit the form again.
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

#: The cookie that carries a secret to the page after a form, and its lifetime in seconds.
ONCE, ONCE_S = "once", 120


def posts(page: str, *parts: str):
    """Decorate a view that accepts the form on `page`; `parts` are the view's arguments that the page's address needs.

    A GET redirects there and changes nothing: it happens when someone had to sign in after submitting the form.
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
    """Answer a request without a form: redirect to the page with the form."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["POST"])
    messages.info(request, "Nothing was changed, because the form did not arrive. Submit it again here.")
    return redirect(address)


def _box() -> Fernet:
    key = hmac.digest(settings.SECRET_KEY.encode(), b"traceml.shown-once", "sha256")
    return Fernet(base64.urlsafe_b64encode(key))


def show_once(request, address: str, **shown):
    """Redirect to a page that shows a secret, without storing it in session or database.

    The browser carries it in an encrypted cookie, valid for two minutes and only for this account.
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
    """Decorate a page that shows a secret once, from `request.shown_once`."""

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
