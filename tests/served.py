"""The settings of a portal that a test starts as a process of its own: those of the tests, with the real limits."""

from tests.settings import *  # noqa: F403
from traceml_site.settings import TRACEML_LIMITS  # noqa: F401
