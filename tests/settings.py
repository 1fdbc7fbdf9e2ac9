"""The portal's own settings, with what a test run needs: a key, quick passwords, plain static files."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("SECRET_KEY", "tests-only-" + "0123456789abcdef" * 4)
os.environ.setdefault("TRACEML_BASE_URL", "http://testserver")

from traceml_site.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
TRACEML_REESTIMATE = "manual"  # a process of its own would work on another database
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file, not memory: only a file has the locks that concurrent uploads meet in earnest.
    name = Path(tempfile.gettempdir()) / f"traceml-tests-{os.getpid()}.sqlite3"
    DATABASES["default"]["TEST"] = {"NAME": str(name)}  # noqa: F405
