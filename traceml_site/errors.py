"""Error answers: problem JSON below /api/, a plain page elsewhere, the request's id in both."""

import logging
import sys
from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.db import DataError, OperationalError
from django.http import JsonResponse
from django.shortcuts import render

logger = logging.getLogger(__name__)

DETAILS = {
    400: "The request could not be understood.",
    403: "You may not do this.",
    404: "There is nothing at this address, or you may not see it.",
    405: "This address takes only what a form of the portal sends. Open the page of the form and send it there.",
    413: "What you sent is too large: a form may have 1 MB, a file 2 MB. Shorten it, then send it again.",
    429: "Too many tries. Wait a few minutes, then try again.",
    500: "Something went wrong on our side. It was logged; please try again.",
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
    """Of a session that a busy database doesn't save, Django says that it was deleted."""
    return refused_by_database(request, exception) or _answer(request, 400)


@login_not_required
def forbidden(request, exception=None):
    return _answer(request, 403)


@login_not_required
def csrf_failed(request, reason=""):
    return _answer(request, 403, "This form has expired. Go back, reload the page and send it again.")


@login_not_required
def not_found(request, exception=None):
    return _answer(request, 404)


@login_not_required
def server_error(request):
    """For what middleware raises too: a session that can't be saved meets a busy database there."""
    return refused_by_database(request, sys.exc_info()[1]) or _answer(request, 500)


def refused_by_database(request, error):
    """503 where it is busy, or met two requests in a circle; 400 for what no column can hold; None for other errors."""
    while error and not isinstance(error, (OperationalError, DataError)):
        error = error.__context__
    if isinstance(error, OperationalError):
        return busy(request)
    if isinstance(error, DataError):
        logger.warning("The database can't hold what was sent: %s", error)
        return _answer(request, 400)
    return None


@login_not_required
def not_allowed(request, allowed: str):
    """In place of Django's empty page: what to do."""
    answer = _answer(request, 405, "" if "GET" not in allowed else "This page can be read, but takes no forms.")
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
    """The answer to what runs.limits refused, which says for how long, or to what allauth did."""
    answer = _answer(request, 429, str(exceeded or ""))
    answer["Retry-After"] = str(exceeded.wait_s if exceeded else 60)
    return answer
