"""Error responses: problem JSON below /api/, a plain page elsewhere, both with the request's id."""

import logging
import sys
from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import DataError, OperationalError
from django.http import JsonResponse
from django.shortcuts import render

logger = logging.getLogger(__name__)

DETAILS = {
    400: "The request could not be understood.",
    403: "You don't have permission to do this.",
    404: "This page does not exist, or you don't have permission to see it.",
    405: "This address only accepts forms. Open the page with the form and submit it there.",
    413: "What you sent is too large. The limit is 1 MB for a form and 2 MB for a file. Shorten it and try again.",
    429: "Too many attempts. Wait a few minutes, then try again.",
    500: "Something went wrong on our side. The error was logged. Please try again.",
    503: "The database is busy and nothing was changed. Try again in a few seconds.",
}


def _answer(request, status: int, detail: str = ""):
    request_id = getattr(request, "request_id", "")
    title, detail = HTTPStatus(status).phrase, detail or DETAILS[status]
    if request.path_info.startswith("/api/"):
        problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "errors": []}
        return JsonResponse(
            problem | {"request_id": request_id}, status=status, content_type="application/problem+json"
        )
    context = {"status": status, "title": title, "detail": detail, "request_id": request_id}
    return render(request, "error.html", context, status=status)


@login_not_required
def bad_request(request, exception=None):
    """503 for a busy database too: Django calls a session that could not be saved deleted."""
    return refused_by_database(request, exception) or _answer(request, 400, _sentence(exception))


def _sentence(exception) -> str:
    """What the code that refused the request wants the person to read.

    Only of these very classes: Django raises subclasses (an unknown host, a lost session) whose text is for its log.
    """
    return str(exception) if type(exception) in (BadRequest, SuspiciousOperation) else ""


@login_not_required
def forbidden(request, exception=None):
    return _answer(request, 403)


@login_not_required
def csrf_failed(request, reason=""):
    return _answer(request, 403, "This form has expired. Go back, reload the page and submit it again.")


@login_not_required
def not_found(request, exception=None):
    return _answer(request, 404)


@login_not_required
def server_error(request):
    """Also answers for middleware: saving a session may meet a busy database there."""
    return refused_by_database(request, sys.exc_info()[1]) or _answer(request, 500)


def refused_by_database(request, error):
    """503 where the database is busy or broke a deadlock, 400 for a value that no column can hold, None otherwise."""
    while error and not isinstance(error, (OperationalError, DataError)):
        error = error.__context__
    if isinstance(error, OperationalError):
        return busy(request)
    if isinstance(error, DataError):
        logger.warning("The database can't store what was sent: %s", error)
        return _answer(request, 400)
    return None


@login_not_required
def not_allowed(request, allowed: str):
    """Say what to do, where Django would send an empty page."""
    answer = _answer(request, 405, "" if "GET" not in allowed else "This page does not accept forms.")
    answer["Allow"] = allowed
    return answer


def too_large(request):
    return _answer(request, 413)


def busy(request):
    answer = _answer(request, 503)
    answer["Retry-After"] = "5"
    return answer


@login_not_required
def too_many_requests(request, exceeded=None):
    """Answer a refusal by runs.limits, which says how long to wait, or by allauth."""
    answer = _answer(request, 429, str(exceeded or ""))
    answer["Retry-After"] = str(exceeded.wait_s if exceeded else 60)
    return answer
