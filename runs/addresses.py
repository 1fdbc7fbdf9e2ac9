"""Public addresses, independent of the Host header of a request."""

from urllib.parse import urlsplit

from django.conf import settings


def origin() -> str:
    """Scheme and host of TRACEML_BASE_URL, without its path: every path from `reverse` already starts with it."""
    base = urlsplit(settings.TRACEML_BASE_URL)
    return f"{base.scheme}://{base.netloc}"
