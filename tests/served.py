"""The settings of a portal that a test starts as a process of its own: those of the tests, with the real cache."""

from tests.settings import *  # noqa: F403

CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}}
