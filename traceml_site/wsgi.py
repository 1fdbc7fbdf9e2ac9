"""The portal as a WSGI application; refuses to start with unsafe settings."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from traceml_site.checks import refuse_unsafe_start


def without_prefix(application, prefix: str):
    """Remove the path prefix of TRACEML_BASE_URL from requests if the proxy did not; links on pages include it."""

    def served(environ, start_response):
        path = environ["PATH_INFO"]
        if path == prefix or path.startswith(prefix + "/"):
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        return application(environ, start_response)

    return served if prefix else application


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "traceml_site.settings")
refuse_unsafe_start()
application = without_prefix(get_wsgi_application(), settings.PREFIX)
