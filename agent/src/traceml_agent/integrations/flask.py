"""Flask: `TraceML(app, model="my-model")` counts the application's requests by route."""

from __future__ import annotations

from flask import Flask
from flask import request as flask_request

from traceml_agent.integrations.serving import PROBES, Request, Service, count

__all__ = ["TraceML", "count"]

#: Where a request's environment has what is counted of it.
KEY = "traceml.request"


class TraceML:
    """Counts requests of a Flask application, with the time until the last byte of each answer.

    `ignore` are paths that are not counted. `options` are those of `traceml_agent.start`.
    """

    def __init__(self, app: Flask | None = None, model: str | None = None, ignore=PROBES, **options):
        self._arguments = model, options, ignore
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Count the requests of an application that a factory made."""
        model, options, ignore = self._arguments
        # Of an application without a folder of its own the import name is that of the main module.
        name = app.import_name if app.import_name != "__main__" else app.name
        service = Service(model or name, options, ignore)
        # It runs before everything that may answer early, and after the routing.
        app.url_value_preprocessor(_note_route)
        app.wsgi_app = _Counted(app.wsgi_app, service)  # type: ignore[method-assign]


def _note_route(endpoint, values) -> None:
    counted, rule = flask_request.environ.get(KEY), flask_request.url_rule
    if counted is not None and rule is not None:
        counted.route = rule.rule


class _Counted:
    """A WSGI application whose requests are counted."""

    def __init__(self, application, service: Service):
        self._application, self._service = application, service

    def __call__(self, environ, start_response):
        request = self._service.begins(environ.get("PATH_INFO", ""))
        if request is None:
            return self._application(environ, start_response)
        environ[KEY] = request
        answer = _Answer(request, environ["REQUEST_METHOD"])

        def starting(line: str, headers, *exc_info):
            answer.status = int(line[:3])
            return start_response(line, headers, *exc_info)

        try:
            answer.take(self._application(environ, starting))
        except BaseException:
            answer.status = 500
            answer.close()
            raise
        return answer


class _Answer:
    """The body of an answer. The server closes it after the last byte, or when the client has left."""

    def __init__(self, request: Request, method: str):
        self._request, self._method, self.status = request.__enter__(), method, 500
        self._body, self._chunks, self._is_over = None, iter(()), False

    def take(self, body) -> None:
        self._body, self._chunks = body, iter(body)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self._chunks)
        except StopIteration:
            self._end()
            raise
        except BaseException:
            self.status = 500
            self._end()
            raise

    def close(self) -> None:
        try:
            getattr(self._body, "close", lambda: None)()
        finally:
            self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._request.end(self._method, self.status)
            self._request.__exit__()
