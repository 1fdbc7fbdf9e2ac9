"""Remembers a project's last refused request, so that its members see why no run arrives."""

import logging
import re

from django.db import DatabaseError, IntegrityError

from runs.models import ApiToken, Refusal

logger = logging.getLogger(__name__)

#: Names of fields as the serializers have them; a key of the client's own making is not repeated.
FIELD = re.compile(r"(params|environment)(?=[.\[])|[\w.\[\]-]{1,60}\Z", re.ASCII)


def remember(request, problem: dict) -> None:
    """Record a refusal that its sender can fix, if the token identifies a project; never fail the response."""
    status = problem["status"]
    if status >= 500 or (status == 404 and request.method == "GET"):
        return
    try:
        token = request.auth or ApiToken.objects.looked_up(_sent(request))
        if token:
            Refusal.note(token, status, _reason(token, problem))
    except IntegrityError:
        return  # its project was deleted in the meantime, so nobody waits for it
    except DatabaseError:
        logger.warning("a refusal could not be recorded", exc_info=True)


def _sent(request) -> str:
    return next((one.plain_text(request) or "" for one in request.authenticators), "")


def _reason(token: ApiToken, problem: dict) -> str:
    if problem["status"] == 401:
        return why_unusable(token)
    return " ".join(map(_told, problem["errors"][:3])) or problem["detail"]


def why_unusable(token: ApiToken) -> str:
    """Why a request with this token was refused, and what to do."""
    if token.state in ("expired", "revoked"):
        return f"The token {token.prefix} is {token.state}. Create a new one."
    if token.state == "resting":
        return f"The account that created the token {token.prefix} is deactivated. Create a new token."
    return f"The secret part of the token {token.prefix} is wrong. Copy the whole token."


def _told(error: dict) -> str:
    """Field and message, without the value that the client sent."""
    named = FIELD.match(error["field"])
    field = named.group() if named else "a field"
    message = "this value is not allowed" if '"' in error["message"] else error["message"].rstrip(".")
    return f"{field}: {message}."
