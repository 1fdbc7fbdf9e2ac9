"""FastAPI, Starlette and other ASGI applications: `app.add_middleware(TraceMLMiddleware, model="my-model")`."""

from __future__ import annotations

from traceml_agent.integrations.serving import PROBES, Request, Service, clock, count, endpoint

__all__ = ["TraceMLMiddleware", "count"]

#: The status of an answer that never began.
UNANSWERED = 500
#: A connection's status once it was accepted, or if it was not; and its close code after an error in the service.
ACCEPTED, REFUSED, BROKEN = 101, 403, 1011


class TraceMLMiddleware:
    """Counts the requests of an ASGI application by route, with the time until the last byte of each answer.

    `ignore` are paths that are not counted. `options` are those of `traceml_agent.start`.
    """

    def __init__(self, app, model: str | None = None, ignore=PROBES, **options):
        self.app = app
        self._service = Service(model, options, ignore)

    async def __call__(self, scope, receive, send) -> None:
        kind = scope["type"]
        request = self._service.begins(scope["path"]) if kind != "lifespan" else None
        if request is None:
            await self.app(scope, receive, send)
        else:
            await (self._http if kind == "http" else self._websocket)(request, scope, receive, send)

    async def _http(self, request: Request, scope, receive, send) -> None:
        status = UNANSWERED

        async def sending(message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            # What runs after the last byte, such as a background task, is no part of the answer.
            if message["type"] == "http.response.body" and not message.get("more_body"):
                end()

        def end() -> None:
            request.route = route_of(scope)
            request.end(scope["method"], status)

        try:
            with request:
                await self.app(scope, receive, sending)
        except Exception:
            status = UNANSWERED
            raise
        finally:
            end()

    async def _websocket(self, request: Request, scope, receive, send) -> None:
        """A connection is one request; while it waits for its client, the service is not busy."""
        status = UNANSWERED

        async def receiving():
            began = clock()
            try:
                return await receive()
            finally:
                request.waited_s += clock() - began

        async def sending(message) -> None:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = ACCEPTED
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]
            elif message["type"] == "websocket.close" and status == UNANSWERED:
                status = REFUSED
            elif message["type"] == "websocket.close" and message.get("code") == BROKEN:
                status = UNANSWERED
            await send(message)

        try:
            with request:
                await self.app(scope, receiving, sending)
        except Exception:
            status = UNANSWERED
            raise
        finally:
            request.route = route_of(scope)
            request.end("WS", status)


def route_of(scope) -> str:
    """The template of the route that answered; empty if none did."""
    route = scope.get("route")
    template = getattr(route, "path_format", None)
    if not isinstance(template, str):
        return ""
    return endpoint(scope["path"], template, scope.get("path_params") or {})
