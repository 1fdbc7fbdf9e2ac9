"""System checks of promise PS20: unsafe settings that the portal refuses to start with, each with its remedy."""

import sys
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error, Tags, register

from traceml_site import environment as env

#: Prefixes of keys that are public: Django's, those of examples, and this repository's for debugging and tests.
KNOWN_KEYS = ("changeme", "secret", "django-insecure-", "insecure", "example", "debug-only-", "tests-only-")


@register(Tags.security)
def secret_key_is_secret(app_configs, **kwargs):
    key = settings.SECRET_KEY
    if settings.DEBUG or (len(key) >= 50 and len(set(key)) >= 5 and not key.lower().startswith(KNOWN_KEYS)):
        return []
    return [
        Error("SECRET_KEY is too short or publicly known; set it to at least 50 random characters", id="traceml.E001")
    ]


@register(Tags.security)
def hosts_are_named(app_configs, **kwargs):
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [Error("ALLOWED_HOSTS must name hosts, not *", id="traceml.E002")]


@register(Tags.security)
def debug_stays_on_this_machine(app_configs, **kwargs):
    if not settings.DEBUG or all(map(is_loopback, _reached_by())):
        return []
    return [Error("DEBUG exposes code and settings; unset it, or set HOST to 127.0.0.1", id="traceml.E003")]


def _reached_by() -> list[str]:
    """Hosts under which the portal can be reached, from settings and the command line."""
    hosts = [env.text("HOST", "127.0.0.1"), urlsplit(settings.TRACEML_BASE_URL).hostname or ""]
    if "runserver" in sys.argv and (bound := [word for word in sys.argv[2:] if not word.startswith("-")]):
        hosts.append(bound[0].rpartition(":")[0] or "127.0.0.1")
    return hosts


@register(Tags.security)
def data_is_private(app_configs, **kwargs):
    """The database and the key must not be readable by every account on the machine."""
    database = settings.DATABASES["default"]
    files = [settings.DATA_DIR / "secret-key"]
    if database["ENGINE"].endswith("sqlite3"):
        files.append(Path(database["NAME"]))
    return [
        Error(f"{path} can be read by every account on this machine; run chmod o-rwx {path}", id="traceml.E005")
        for path in files
        if path.is_file() and path.stat().st_mode & 0o007 and path.parent.stat().st_mode & 0o001
    ]


@register
def the_agent_is_here(app_configs, **kwargs):
    if (settings.AGENT_DIR / "pyproject.toml").is_file():
        return []
    return [Error(f"{settings.AGENT_DIR} is missing; the portal builds its agent download from it", id="traceml.E004")]


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_unsafe_start() -> None:
    """Exit with one line if a check of this module fails (a WSGI server does not run checks itself)."""
    for check in (
        secret_key_is_secret,
        hosts_are_named,
        debug_stays_on_this_machine,
        data_is_private,
        the_agent_is_here,
    ):
        for error in check(None):
            env.refuse(error.msg)
