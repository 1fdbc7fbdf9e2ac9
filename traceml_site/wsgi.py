"""The portal as a WSGI application; refuses to start with settings that would not be safe."""

import os

from django.core.wsgi import get_wsgi_application

from traceml_site.checks import refuse_unsafe_start

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "traceml_site.settings")
refuse_unsafe_start()
application = get_wsgi_application()
