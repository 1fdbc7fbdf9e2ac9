"""Settings from environment variables; an invalid one is refused with one clear line."""

import os
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured


def refuse(message: str) -> NoReturn:
    """Exit with one line on stderr and exit code 1, so that no traceback hides the reason."""
    raise SystemExit(f"traceml: {message}")


def text(name: str, default: str = "") -> str:
    """The variable's text without surrounding whitespace."""
    return os.environ.get(name, default).strip()


def flag(name: str, default: bool = False) -> bool:
    """A boolean; anything else is refused."""
    value = text(name, str(int(default))).lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("", "0", "false", "no", "off"):
        return False
    refuse(f"{name} must be 0 or 1, not {value!r}")


def choice(name: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words; the first is the default."""
    value = text(name, allowed[0]).lower()
    if value not in allowed:
        refuse(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def whole_number(name: str, default: int) -> int:
    """A whole number of at least 0."""
    value = text(name, str(default))
    if not value.isdecimal():
        refuse(f"{name} must be a whole number, not {value!r}")
    return int(value)


def rates(name: str, defaults: dict[str, int]) -> dict[str, int]:
    """Whole numbers by name, such as `reads=600,uploads=9000`; missing ones keep their defaults."""
    given = dict(word.partition("=")[::2] for word in words(name))
    if any(each not in defaults or not value.strip().isdecimal() for each, value in given.items()):
        refuse(f"{name} must be one or more of {'=600,'.join(defaults)}=600, not {text(name)!r}")
    return defaults | {each: int(value) for each, value in given.items()}


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def secret_key(key_file: Path, debug: bool) -> str:
    """SECRET_KEY, else the key that `make run` generated in the data folder; an empty variable is refused."""
    if "SECRET_KEY" not in os.environ and key_file.is_file():
        return key_file.read_text().strip()
    key = text("SECRET_KEY")
    if not key and debug:
        return "debug-only-" + "insecure-" * 6
    if not key:
        refuse("SECRET_KEY is missing; set it to at least 50 random characters, or set DEBUG=1 on your own machine")
    return key


def mail(name: str) -> dict:
    """Django's EMAIL_… settings from a URL; without one, email goes to the console."""
    url = text(name)
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    try:
        config = environ.Env.email_url_config(url)
    except (ImproperlyConfigured, ValueError):
        refuse(f"{name} must look like smtp+tls://user:password@host:587")  # the URL holds a password: don't repeat it
    return {setting: value for setting, value in config.items() if setting.startswith("EMAIL_")}


def openid_providers() -> list[dict]:
    """allauth's app for the OpenID Connect provider of the OIDC_… variables, or an empty list."""
    url = text("OIDC_URL")
    if not url:
        return []
    named = {name: text(name) for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")}
    if missing := [name for name, value in named.items() if not value]:
        refuse(f"OIDC_URL needs {' and '.join(missing)} too")
    if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in ("localhost", "127.0.0.1"):
        refuse(f"OIDC_URL must be an https address, not {url!r}")
    return [
        {
            "provider_id": "oidc",
            "name": text("OIDC_NAME", "single sign-on"),
            "client_id": named["OIDC_CLIENT_ID"],
            "secret": named["OIDC_CLIENT_SECRET"],
            "settings": {"server_url": url},
        }
    ]
