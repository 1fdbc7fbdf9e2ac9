"""The portal's API as the agent uses it: three PUTs, and what an answer means for the record that was sent.

Loads requests, so only the uploader's process and the command line import it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from traceml_agent.inputs.config import Refused, check_url, is_loopback
from traceml_agent.version import __version__

MAX_REPLY_BYTES = 64 * 1024
#: A page of the catalogue has two hundred profiles and their names.
MAX_PAGE_BYTES = 1024 * 1024
CONNECT_S = 3.0
TOTAL_S = 10.0
#: For what the portal works on while a person waits, such as a small import.
ASKED_S = 60.0
ZIP_FROM_BYTES = 10_000
#: The portal unzips at most 100:1; a body that shrinks further is sent uncompressed.
MAX_ZIP_RATIO = 50
MAX_REASON = 400

DELIVERED, RETRY, STOP, QUARANTINE, GONE, RUN_UNKNOWN, BUSY, HELD = (
    "delivered",
    "retry",
    "stop",
    "quarantine",
    "gone",
    "run unknown",
    "busy",
    "held back",
)


class Answer(NamedTuple):
    """What to do with a record, and why. `retry` is after `after_s` (None: by our own backoff); `fields` are those that
    were refused; `body` is the answer's JSON.
    """

    outcome: str
    reason: str = ""
    after_s: float | None = None
    body: dict | None = None
    fields: tuple[str, ...] = ()

    @property
    def is_busy(self) -> bool:
        """Not an answer of the portal: another process has the file, or the disk refuses. Other files may continue."""
        return self.outcome == BUSY


class ReadAnswer(NamedTuple):
    """An answer to a GET: its status, body and ETag, the problem in words if it is one, and how long to wait."""

    status: int
    body: bytes
    etag: str
    reason: str
    after_s: float | None


class TooSlow(Exception):
    """The total deadline is over. Not an OSError, after which the next address of a host would be tried."""


class Client:
    """A persistent connection to one portal. The token goes only to its scheme, host and port; no redirect is followed.

    `is_guest` leaves the process's signals alone, so that only single reads have a deadline. Raises Refused for
    settings that can't be used.
    """

    def __init__(self, settings, is_guest: bool = False):
        check_url(settings.url, settings.allow_http)
        if settings.ca_file and not os.path.exists(settings.ca_file):
            raise Refused(f"TRACEML_AGENT_CA_FILE: no such file: {settings.ca_file}")
        self.url = settings.url
        #: The portal's last notice about this agent's version, with the remedy; empty for none.
        self.notice = ""
        self._token = settings.token
        self._deadline_s = 0.0 if is_guest else TOTAL_S
        self.session = requests.Session()
        # Otherwise ~/.netrc would replace the token. So proxies are read from the environment here.
        self.session.trust_env = False
        self.session.proxies = _proxies(self.url)
        self.session.verify = settings.ca_file or os.environ.get("REQUESTS_CA_BUNDLE") or True
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.session.headers.update(
            {
                "Authorization": f"Bearer {settings.token}",
                "User-Agent": f"traceml-agent/{__version__}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            }
        )

    def put_run(self, run_id: str, body: dict) -> Answer:
        return self._put(f"runs/{run_id}", encode(body | {"sent_at": _now()}), run_id, None)

    def put_finish(self, run_id: str, body: dict) -> Answer:
        return self._put(f"runs/{run_id}/finish", encode(body | {"sent_at": _now()}), run_id, None)

    def put_batch(self, run_id: str, batch_id: str, body: bytes) -> Answer:
        """Send a batch. `body` must be the same bytes each time, since the portal compares its digest."""
        return self._put(f"runs/{run_id}/batches/{batch_id}", body, run_id, batch_id)

    def get(self, path: str, etag: str = "") -> tuple[dict | None, str]:
        """A JSON object from the API with its ETag; None if it is unchanged since `etag`.

        Raises Refused, with the reason, for every other answer.
        """
        answer = self.ask(path, MAX_PAGE_BYTES, etag)
        if answer.status == 304:
            return None, answer.etag
        data = _parsed(answer.body)
        if answer.status != 200 or not data:
            raise Refused(answer.reason)
        return data, answer.etag

    def ask(self, path: str, most_bytes: int, etag: str = "") -> ReadAnswer:
        """The portal's answer to a GET, whatever it says. Raises Refused if there is none."""
        try:
            with (
                _within(self._deadline_s),
                self.session.get(
                    f"{self.url}/api/v1/{path}",
                    headers={"If-None-Match": etag} if etag else {},
                    timeout=(CONNECT_S, TOTAL_S),
                    allow_redirects=False,
                    stream=True,
                ) as reply,
            ):
                body = _read(reply, most_bytes)
        except (requests.RequestException, HTTPError, TooSlow, OSError, ValueError) as error:
            raise Refused(_unreachable(error)) from None
        data = _json(reply.headers, body)
        reason = _reason(str(data.get("detail") or f"{self.url} answered with status {reply.status_code}"), data)
        after_s = _retry_after_s(reply.headers.get("Retry-After", ""))
        return ReadAnswer(reply.status_code, body, reply.headers.get("ETag", ""), _plain(reason, self._token), after_s)

    def send(self, method: str, path: str, data: bytes | None = None, content_type: str = "application/json") -> dict:
        """The JSON answer to a request that a person waits for.

        Raises Refused, with the reason, unless the portal says that it has done what was asked.
        """
        try:
            with (
                _within(ASKED_S),
                self.session.request(
                    method,
                    f"{self.url}/api/v1/{path}",
                    data=data,
                    headers={"Content-Type": content_type, "Content-Length": str(len(data or b""))},
                    timeout=(CONNECT_S, ASKED_S),
                    allow_redirects=False,
                    stream=True,
                ) as reply,
            ):
                answer = _json(reply.headers, _read(reply, MAX_PAGE_BYTES))
        except (requests.RequestException, HTTPError, TooSlow, OSError, ValueError) as error:
            raise Refused(_unreachable(error)) from None
        if not 200 <= reply.status_code < 300 or (reply.status_code != 204 and not answer):
            detail = str(answer.get("detail") or f"{self.url} answered with status {reply.status_code}")
            raise Refused(_plain(_reason(detail, answer), self._token))
        return answer

    def check_token(self) -> Answer:
        """Check that the portal answers and accepts the token: an invalid header is refused only after that."""
        return self._put("runs/00000000-0000-0000-0000-000000000000", b"{}", "", None)

    def _put(self, path: str, body: bytes, run_id: str, batch_id: str | None) -> Answer:
        data, headers = _zipped(body) if batch_id else (body, {})
        try:
            with _within(TOTAL_S), self._request(path, data, headers) as reply:
                answer = judge(reply.status_code, reply.headers, _read(reply), (run_id, batch_id, _digest(body)))
        except (requests.RequestException, HTTPError, TooSlow, OSError, ValueError) as error:
            self.session.close()
            return Answer(RETRY, _unreachable(error))
        self.notice = _plain(str((answer.body or {}).get("notice") or ""), self._token) or self.notice
        return answer._replace(reason=_plain(answer.reason, self._token))

    def _request(self, path: str, data: bytes, headers: dict) -> requests.Response:
        return self.session.put(
            f"{self.url}/api/v1/{path}",
            data=data,
            headers=headers,
            timeout=(CONNECT_S, TOTAL_S),
            allow_redirects=False,
            stream=True,
        )


def _proxies(url: str) -> dict:
    """The environment's proxies for a URL; none for this machine itself, whose token would leave it unencrypted."""
    return {} if is_loopback(urlsplit(url).hostname or "") else requests.utils.get_environ_proxies(url)


def _zipped(body: bytes) -> tuple[bytes, dict]:
    """A batch's bytes as they are sent, with the HTTP header."""
    if len(body) < ZIP_FROM_BYTES:
        return body, {}
    data = gzip.compress(body, 6, mtime=0)
    return (data, {"Content-Encoding": "gzip"}) if len(body) < MAX_ZIP_RATIO * len(data) else (body, {})


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """A total deadline, or none for 0 s. A socket's timeout is per read, so a reply in drips never exceeds it.

    It uses the alarm signal, which interrupts connecting, TLS and reading alike; the process belongs to the uploader or
    the command line. Signals reach only the main thread, which is the only one that sends.
    """
    if not seconds or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGALRM, _expire)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})  # we may have been started by a thread that blocks it
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _expire(*_) -> None:
    raise TooSlow


def _read(reply, most_bytes: int = MAX_REPLY_BYTES) -> bytes:
    """The body of a reply, at most `most_bytes`."""
    parts, size = [], 0
    for part in reply.raw.stream(8192, decode_content=False):
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            raise ValueError("the reply is too long")
    return b"".join(parts)


def judge(status: int, headers, body: bytes, sent: tuple[str, str | None, str]) -> Answer:
    """What a reply means. Only JSON that echoes run, batch and digest is a delivery, since a captive portal says 200
    too."""
    data = _json(headers, body)
    return _judged(status, headers, data, sent)._replace(body=data)


def _judged(status: int, headers, data: dict, sent: tuple[str, str | None, str]) -> Answer:
    if 200 <= status < 300:
        echoed = (data.get("run_id"), data.get("batch_id"), data.get("sha256"))
        if echoed == sent:
            return Answer(DELIVERED)
        return Answer(RETRY, "the answer did not come from a TraceML portal")
    detail = str(data.get("detail") or f"status {status}")
    if status == 404 and data.get("type") == "run-unknown":
        return Answer(RUN_UNKNOWN, detail)
    if 300 <= status < 400:
        return Answer(STOP, "it redirects to another address; set TRACEML_AGENT_URL to that one")
    if status in (401, 403, 404):
        return Answer(STOP, detail)
    if status == 410:
        return Answer(GONE, detail)
    if status in (400, 409, 411, 413, 415, 422):
        return Answer(QUARANTINE, _reason(detail, data), fields=tuple(field for field, _ in _errors(data)))
    return Answer(RETRY, detail, _retry_after_s(headers.get("Retry-After", "")))


def _unreachable(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        remedy = "set TRACEML_AGENT_CA_FILE to a file with its authority's certificate"
        return f"the portal's certificate is not trusted here; {remedy}"
    return f"the portal can't be reached ({type(error).__name__})"


def _json(headers, body: bytes) -> dict:
    return _parsed(body) if "json" in headers.get("Content-Type", "") else {}


def _parsed(body: bytes) -> dict:
    """The JSON object that a body is; empty if it is none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _errors(data: dict) -> list[tuple[str, str]]:
    """The fields that a problem names, each with its message."""
    errors = data.get("errors")
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    return [(str(error.get("field", "")), str(error.get("message", ""))) for error in found]


def _reason(detail: str, data: dict) -> str:
    """A problem in the portal's words: its first fields, else its detail."""
    return "; ".join(f"{field}: {message}" for field, message in _errors(data)[:3]) or detail


def _retry_after_s(value: str) -> float | None:
    """Seconds that the portal asks to wait, 0 to 3600; None if invalid."""
    try:
        if re.fullmatch(r"[0-9]{1,9}", value.strip()):
            after_s = float(value)
        else:
            after_s = (parsedate_to_datetime(value) - datetime.now(timezone.utc)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return after_s if 0 <= after_s <= 3600 else None


def _plain(reason: str, token: str) -> str:
    """The portal's words for a log: one short line, without the token even if a server echoes it."""
    shown = reason.replace(token, "…") if token else reason
    return "".join(c if c.isprintable() else " " for c in shown)[:MAX_REASON]


def encode(body: dict) -> bytes:
    """JSON as bytes, always the same for the same body."""
    return json.dumps(body, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
