"""Notices to agents of another release than the portal's, which they state in the User-Agent header."""

import re
from http import HTTPStatus

from django.conf import settings
from rest_framework import exceptions

from runs.agent_wheel import wheel

AGENT = re.compile(r"traceml-agent/((\d{1,4})\.(\d{1,4})[\w.+-]{0,24})(?:\s|\Z)", re.ASCII)
MAX_NOTICE = 200
#: The oldest release whose requests the portal understands, and what it has to be raised to with a change of the wire.
OLDEST = (0, 0)


class AgentTooOld(exceptions.APIException):
    """403: the agent keeps its spool and tries again later, so nothing is lost once it is updated."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "agent-too-old"


def refuse_too_old(request) -> None:
    """Raise AgentTooOld for an agent whose requests would be misunderstood."""
    found = _agent(request)
    if found and found[1] < OLDEST:
        raise AgentTooOld(notice(request))


def notice(request) -> str:
    """A sentence with a remedy for agents of an earlier or later release; empty for other clients.

    Releases are compared by their first two numbers; versions that only differ in the third work together.
    """
    found, own = _agent(request), _release(wheel().version)
    if found is None or found[1] == own:
        return ""
    version, release = found
    if release > own:
        return _with_remedy(f"traceml-agent {version} is newer than this portal ({wheel().version}). Install its own")
    word = "too old for" if release < OLDEST else "older than"
    return _with_remedy(f"traceml-agent {version} is {word} this portal. Update")


def _with_remedy(text: str) -> str:
    """The text with the install command, or with the page that shows it if that would be too long."""
    told = f'{text}: pip install "traceml-agent @ {wheel().url}"'
    return told if len(told) <= MAX_NOTICE else f"{text}: {settings.TRACEML_BASE_URL}/start/"[:MAX_NOTICE]


def _agent(request) -> tuple[str, tuple[int, int]] | None:
    """The sending agent's version and release, or None for other clients."""
    match = AGENT.match(request.META.get("HTTP_USER_AGENT", ""))
    return (match[1], (int(match[2]), int(match[3]))) if match else None


def _release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
