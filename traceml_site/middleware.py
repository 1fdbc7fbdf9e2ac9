"""Middleware: request ids, privacy headers, size limits, rate limits, and times in the reader's zone."""

import logging
import uuid
from datetime import UTC

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.handlers.exception import convert_exception_to_response
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.urls import resolve
from django.utils import timezone

from traceml_site import errors, logs

logger = logging.getLogger(__name__)
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


def request_id(get_response):
    """Give each request an id, which error pages and the log show."""

    def middleware(request):
        request.request_id = uuid.uuid4().hex[:16]
        logged = logs.request_id.set(request.request_id)
        try:
            response = get_response(request)
        finally:
            logs.request_id.reset(logged)
        response["X-Request-ID"] = request.request_id
        return response

    return middleware


def private_by_default(get_response):
    """Forbid caching, unless a view allows it."""

    def middleware(request):
        response = get_response(request)
        response.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        if "Cache-Control" not in response:
            response["Cache-Control"] = "no-store"
        return response

    return middleware


def bounded_forms(get_response):
    """Refuse a large form or file by its length, before it is read. Django does not limit files, which go to disk."""

    def middleware(request):
        length = request.META.get("CONTENT_LENGTH") or "0"
        is_large = not length.isdecimal() or int(length) > settings.FILE_UPLOAD_MAX_MEMORY_SIZE
        if is_large and not request.path_info.startswith("/api/"):
            return errors.too_large(request)
        return get_response(request)

    return middleware


def probe(get_response):
    """Answer `/healthz` before the host is checked: probes use the address of a pod or machine."""

    def middleware(request):
        return healthz(request) if request.path_info == "/healthz" else get_response(request)

    return middleware


def uploads(get_response):
    """Answer uploads without what serves people: they have a token, and no session, form, language or file.

    That was a fifth of an upload's time.
    """

    @convert_exception_to_response
    def answer(request):
        match = request.resolver_match = resolve(request.path_info)
        response = match.func(request, *match.args, **match.kwargs).render()
        response["Content-Length"] = str(len(response.content))  # else it is sent in chunks
        return response

    def middleware(request):
        is_upload = request.method == "PUT" and request.path_info.startswith("/api/v1/runs/")
        return answer(request) if is_upload else get_response(request)

    return middleware


@login_not_required
def healthz(request):
    """For load balancers: 200 if the database answers, else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.error("The database does not respond: %s", error)
        return _plain(b"no database", 503)
    return _plain(b"ok", 200)


def _plain(text: bytes, status: int) -> HttpResponse:
    return HttpResponse(text, "text/plain", status, headers={"Content-Length": str(len(text))})


class RefusingDatabase:
    """Answers database refusals in words: it is busy, or a value does not fit any column."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        return errors.refused_by_database(request, exception)


class Limits:
    """Rate limits of signed-in people, and the response when any limit is exceeded."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        from runs import limits  # imported late: its models need the settings, which name this module

        if request.path_info.startswith("/api/") or not request.user.is_authenticated:
            return None
        try:
            limits.spend_page(request)
        except limits.Exceeded as error:
            return errors.too_many_requests(request, error)
        return None

    def process_exception(self, request, exception):
        from runs.limits import Exceeded

        return errors.too_many_requests(request, exception) if isinstance(exception, Exceeded) else None


def says_what_to_do(get_response):
    """Replace Django's empty response to an unsupported method by a page with advice."""

    def middleware(request):
        response = get_response(request)
        empty = response.status_code == 405 and not response.content
        return errors.not_allowed(request, response["Allow"]) if empty else response

    return middleware


def time_zone(get_response):
    """Show times in the person's time zone."""

    def middleware(request):
        with timezone.override(request.user.zone if request.user.is_authenticated else UTC):
            return get_response(request)

    return middleware
