"""Requests of a service, counted by endpoint on the board of its run, as `watch` counts calls of a model.

The middlewares for ASGI, WSGI and Django are built on this. A request costs a few microseconds: two clock readings and
three additions in shared memory; no lock, no sensor reading and nothing that waits. A worker that is killed loses no
request.
"""

from __future__ import annotations

import os
import sys
import time
from contextvars import ContextVar

from traceml_agent.host import identity
from traceml_agent.host.endings import began_at
from traceml_agent.host.system import read
from traceml_agent.inputs import config
from traceml_agent.messages import guarded, let_handlers_through, warn
from traceml_agent.track import current_run, start
from traceml_agent.tracking.interface import RunInterface
from traceml_agent.watch import Counts, Watched

#: Paths by which orchestrators and monitors ask whether a service lives: no use of the model.
PROBES = ("/health", "/healthz", "/live", "/livez", "/ready", "/readyz", "/ping", "/metrics", "/favicon.ico")
#: Programs that start workers: those of one server count in one run.
SERVERS = ("gunicorn", "uvicorn", "hypercorn", "granian", "daphne", "waitress-serve", "uwsgi", "flask", "manage.py")
#: Methods that are counted by name; a client may send any word. Those that ask about an endpoint don't use it.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WS")
ASKING = ("HEAD", "OPTIONS")
#: Most endpoints that are told apart: names of routes are few, unless somebody makes routes from data.
MOST_ENDPOINTS = 100
#: What an endpoint's failed requests are counted under.
FAILED = " (failed)"

clock = time.perf_counter
#: The request that the current code answers; correct in threads, under asyncio, and while a body is streamed.
_request: ContextVar[Request | None] = ContextVar("traceml_request", default=None)


class Request:
    """One request while it is answered; as a context manager, the code that answers it.

    `route` is the template of its route once that is known, `items` the predictions in it if the service says how many,
    `waited_s` for how long the service waited for the client.
    """

    __slots__ = ("_began", "_is_over", "_service", "_tokens", "items", "route", "waited_s")

    def __init__(self, service: Service):
        self._service, self._tokens, self._is_over = service, [], False  # type: ignore[var-annotated]
        self.items: int | None = None
        self.route, self.waited_s = "", 0.0
        self._began = clock()

    def __enter__(self) -> Request:
        self._tokens.append(_request.set(self))
        return self

    def __exit__(self, *error) -> None:
        try:
            _request.reset(self._tokens.pop())
        except ValueError:  # left in another task or thread than it was entered in
            _request.set(None)

    def end(self, method: str, status: int) -> None:
        """Count it once, under its route. Never raises."""
        if self._is_over:
            return
        self._is_over = True
        try:
            self._service.add(method, self.route, status, self.items, clock() - self._began - self.waited_s)
        except Exception as error:  # noqa: BLE001 (the service answers, whatever happens here)
            let_handlers_through(error)
            warn(f"a request could not be counted ({type(error).__name__}: {error})")

    def log(self, work: dict) -> None:
        """Log useful work for its service's run."""
        if self._service.run:
            self._service.run.log(work)


class Service:
    """A service and its run: the run in progress, else one of kind `inference` that lasts until the process ends.

    `options` are those of `traceml_agent.start`; `ignored` are paths that are not counted.
    """

    def __init__(self, model: str | None, options: dict, ignored=PROBES):
        self.ignored = frozenset(ignored)
        self.run: RunInterface | None = None
        self._counts: dict[str, Counts] = {}
        self._watched: Watched | None = None
        self._begin(model or program(), options)

    @guarded()
    def _begin(self, model: str, options: dict) -> None:
        name = "" if config.load().run_id else server()
        shared = {"run_id": f"{name}/{model}/{{day}}"} if name else {}
        self.run = current_run() or start(**{"model": model, "kind": "inference"} | shared | options)
        if self.run and self.run.board is not None:
            self._watched = Watched(self.run.board)
            self.run.watched.append(self._watched)

    def begins(self, path: str) -> Request | None:
        """A request for this path that is to be counted."""
        return None if self._watched is None or path in self.ignored else Request(self)

    def add(self, method: str, route: str, status: int, items: int | None, busy_s: float) -> None:
        """Count a request. One without a route, or that was refused, holds no predictions."""
        if items is None:
            items = 1 if status < 400 and route and method not in ASKING else 0
        method = method if method in METHODS else "OTHER"
        label = f"{method} {route or '/…'}"
        if status >= 500:
            label, items = label + FAILED, 0
        counts = self._counts.get(label)
        if counts is None:
            if len(self._counts) >= MOST_ENDPOINTS:
                label = f"{method} /… (further endpoints)"
            counts = self._counts[label] = self._watched.counts(label)  # type: ignore[union-attr]
        counts.add(items, max(busy_s, 0.0))


@guarded()
def count(items: int | None = None, tokens: int | None = None, prompt_tokens: int | None = None) -> None:
    """Say what the current request holds: how many predictions (`items`), and tokens of the answer and of the prompt.

    May be called several times, also while a body is streamed; amounts add up. Does nothing outside a request.
    """
    request = _request.get()
    if request is None:
        return
    if items is not None:
        request.items = (request.items or 0) + max(int(items), 0)
    work = {"tokens": tokens, "prompt_tokens": prompt_tokens}
    if given := {name: amount for name, amount in work.items() if amount}:
        request.log(given)


def server() -> str:
    """A name that all workers of this server share and no other server has; empty if this process is no worker."""
    parent = os.getppid()
    multiprocessing = sys.modules.get("multiprocessing.process")
    is_child = getattr(multiprocessing, "parent_process", lambda: None)() is not None
    words = (read("proc", str(parent), "cmdline") or "").split("\0")
    # Some name themselves: `gunicorn: master [app]`.
    names = {os.path.basename(word).partition(":")[0] for word in words}
    if not (is_child or names.intersection(SERVERS)):
        return ""
    return f"server/{identity.host_name()}/{parent}/{began_at(parent)}"


def program() -> str:
    """The name of a service that was not named: its folder, which says more than that of the server's program."""
    return os.path.basename(os.getcwd()) or "service"


def endpoint(path: str, template: str, params: dict) -> str:
    """The whole path's template, from that of its last part: `/v1/users/{id}` for `/users/{id}` below `/v1`.

    Frameworks tell the template of the innermost route only, and values in front of it must not become names.
    """
    filled: str = _filled(template, params)
    before = path[: -len(filled)] if filled and path.endswith(filled) else ""
    names = {str(value): name for name, value in params.items()}
    parts = [f"{{{names[part]}}}" if part in names else part for part in before.split("/")]
    return "/".join(parts) + template


def _filled(template: str, params: dict) -> str:
    try:
        return template.format_map(params)
    except (ValueError, KeyError, IndexError, AttributeError):  # braces that are no names
        return ""
