"""The portal's own settings, with what a test run needs: a key, quick passwords, plain static files."""

import hashlib
import os
import tempfile
from pathlib import Path

# Of this checkout and account alone: the portal refuses a key that stands in the repository.
os.environ.setdefault("SECRET_KEY", hashlib.sha512(f"{__file__} {os.getuid()}".encode()).hexdigest())
os.environ.setdefault("TRACEML_BASE_URL", "http://testserver")

from traceml_site.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
# Walks over everything ask for more in a minute than people do; tests/site/test_limits.py has limits of its own.
TRACEML_LIMITS = dict.fromkeys(TRACEML_LIMITS, 0)  # noqa: F405
TRACEML_REESTIMATE = "manual"  # a process of its own would work on another database
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file, not memory: only a file has the locks that concurrent uploads meet in earnest.
    name = Path(tempfile.gettempdir()) / f"traceml-tests-{os.getpid()}.sqlite3"
    DATABASES["default"]["TEST"] = {"NAME": str(name)}  # noqa: F405
