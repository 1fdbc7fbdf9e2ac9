"""Logging to stderr: lines with their request's id, as text or JSON, with secrets masked."""

import contextvars
import logging
import re

from gunicorn import glogging
from pythonjsonlogger.json import JsonFormatter

#: The id of the current request.
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="-")

_SLASH = "(?:/|%2f)"  # escaped in an address that is a parameter of another
#: Secrets anywhere in a line: paths of share links, badges, invitations, password resets and CodeCarbon's hook, API
#: tokens, passwords in URLs, and sign-on parameters.
SECRETS = [
    (
        re.compile(
            rf"(?i)({_SLASH}(?:s|join|badge|reset{_SLASH}key|confirm-email|hooks{_SLASH}codecarbon){_SLASH}+)(?:(?!{_SLASH})[^\s\"'?&])+"
        ),
        r"\1…",
    ),
    (re.compile(r"tml_[0-9A-Za-z_-]+"), "tml_…"),
    (re.compile(r"(?i)\b(bearer|basic) +[^\s\"',]+"), r"\1 …"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1…@"),
    (re.compile(r"(?i)([?&](?:code|state|token|key|secret|password)=)[^&\s\"']+"), r"\1…"),
]
LINE = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"
FIELDS = "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s"


def masked(text: str) -> str:
    """The text with secrets masked."""
    for secret, instead in SECRETS:
        text = secret.sub(instead, text)
    return text


def with_request_id(record: logging.LogRecord) -> bool:
    """A logging filter that adds the request id and drops nothing."""
    # Django adds its request object, even after the response: it is not JSON and must not be logged.
    answered = record.__dict__.pop("request", None)
    record.request_id = getattr(answered, "request_id", request_id.get())
    return True


class LineFormatter(logging.Formatter):
    """Text lines; tracebacks are masked too."""

    def format(self, record):
        return masked(super().format(record))


class JsonLineFormatter(JsonFormatter):
    """One JSON object per line, including `extra` fields."""

    def format(self, record):
        return masked(super().format(record))


def config(level: str, form: str, requests: bool) -> dict:
    """Django's LOGGING: `form` is `text` or `json`; with `requests`, every request is logged."""
    made = {
        "text": {"()": LineFormatter, "format": LINE},
        "json": {"()": JsonLineFormatter, "format": FIELDS, "json_ensure_ascii": False},
    }
    stderr = {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["request_id"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": lambda: with_request_id}},
        "formatters": {"chosen": made[form]},
        "handlers": {"stderr": stderr},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {"traceml.requests": {"level": "INFO" if requests else "WARNING"}},
    }


class ServerLog(glogging.Logger):
    """gunicorn's own log lines, masked because they quote what clients sent."""

    def setup(self, cfg):
        super().setup(cfg)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            own = handler.formatter
            handler.setFormatter(LineFormatter(own._fmt, own.datefmt) if own else LineFormatter())
