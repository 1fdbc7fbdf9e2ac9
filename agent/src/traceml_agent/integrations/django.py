"""Django: one line in MIDDLEWARE, `"traceml_agent.integrations.django.TraceMLMiddleware"`, and a setting:
`TRACEML = {"model": "my-model"}` with the arguments of `traceml_agent.start`; `ignore` are paths not to count."""

from __future__ import annotations

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings

from traceml_agent.integrations.serving import PROBES, Request, Service, count

__all__ = ["TraceMLMiddleware", "count"]


class TraceMLMiddleware:
    """Counts requests by route, under WSGI and ASGI, with the time until the last byte of each answer."""

    sync_capable = async_capable = True

    def __init__(self, get_response):
        options = dict(getattr(settings, "TRACEML", {}))
        name = settings.ROOT_URLCONF.partition(".")[0]
        self._service = Service(options.pop("model", name), options, options.pop("ignore", PROBES))
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request):
        counted = self._service.begins(request.path_info)
        if self._is_async:
            return self._awaited(request, counted)
        if counted is None:
            return self._get_response(request)
        with counted:
            response = self._get_response(request)  # Django makes an answer of every exception
        return _ended(counted, request, response)

    async def _awaited(self, request, counted: Request | None):
        if counted is None:
            return await self._get_response(request)
        with counted:
            response = await self._get_response(request)
        return _ended(counted, request, response)


def _ended(counted: Request, request, response):
    """The response. Its request is counted now, or at the end of a body that is streamed."""
    match = request.resolver_match
    # A pattern that is a regular expression begins with a circumflex.
    counted.route = f"/{match.route.lstrip('^/')}" if match else ""
    if not response.streaming:
        counted.end(request.method, response.status_code)
        return response
    body = response.streaming_content
    streamed = _async_streamed if hasattr(body, "__aiter__") else _streamed
    response.streaming_content = streamed(body, counted, request.method, response.status_code)
    return response


def _streamed(body, counted: Request, method: str, status: int):
    chunks = iter(body)
    try:
        while True:
            with counted:
                try:
                    chunk = next(chunks)
                except StopIteration:
                    return
            yield chunk
    except Exception:
        status = 500
        raise
    finally:
        counted.end(method, status)


async def _async_streamed(body, counted: Request, method: str, status: int):
    chunks = aiter(body)
    try:
        while True:
            with counted:
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    return
            yield chunk
    except Exception:
        status = 500
        raise
    finally:
        counted.end(method, status)
