"""Addresses for the world outside, whatever host a request claimed."""

from urllib.parse import urlsplit

from django.conf import settings


def origin() -> str:
    """Scheme and host of TRACEML_BASE_URL. Its path is left out: every path that `reverse` makes begins with it."""
    base = urlsplit(settings.TRACEML_BASE_URL)
    return f"{base.scheme}://{base.netloc}"
