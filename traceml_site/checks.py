"""System checks of promise PS20: what the portal refuses to start with, each with its remedy."""

from ipaddress import ip_address

from django.conf import settings
from django.core.checks import Error, Tags, register

from traceml_site import environment as env

KNOWN_KEYS = ("changeme", "secret", "django-insecure-", "insecure", "example")


@register(Tags.security)
def secret_key_is_secret(app_configs, **kwargs):
    key = settings.SECRET_KEY
    if settings.DEBUG or (len(key) >= 50 and len(set(key)) >= 5 and not key.lower().startswith(KNOWN_KEYS)):
        return []
    return [Error("SECRET_KEY is short or known; set it to at least 50 random characters", id="traceml.E001")]


@register(Tags.security)
def hosts_are_named(app_configs, **kwargs):
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [Error("ALLOWED_HOSTS must name hosts, not *", id="traceml.E002")]


@register(Tags.security)
def debug_stays_on_this_machine(app_configs, **kwargs):
    if not settings.DEBUG or is_loopback(env.text("HOST", "127.0.0.1")):
        return []
    return [Error("DEBUG shows code and settings; unset it, or bind HOST to 127.0.0.1", id="traceml.E003")]


@register
def the_agent_is_here(app_configs, **kwargs):
    if (settings.AGENT_DIR / "pyproject.toml").is_file():
        return []
    return [Error(f"{settings.AGENT_DIR} is missing; the portal hands out its agent from there", id="traceml.E004")]


def is_loopback(host: str) -> bool:
    """Whether a bind address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_unsafe_start() -> None:
    """End the process with one line where a check of this module fails (a WSGI server runs no checks itself)."""
    for check in (secret_key_is_secret, hosts_are_named, debug_stays_on_this_machine, the_agent_is_here):
        for error in check(None):
            env.refuse(error.msg)
