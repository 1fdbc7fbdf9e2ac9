"""The portal as a WSGI application; refuses to start with settings that would not be safe."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "traceml_site.settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from traceml_site.checks import refuse_unsafe_start  # noqa: E402 (after Django is set up)

refuse_unsafe_start()
