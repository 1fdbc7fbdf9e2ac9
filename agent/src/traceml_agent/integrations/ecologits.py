"""Hosted models through EcoLogits: `track_api()` counts every answer of the installed clients.

EcoLogits wraps the clients' methods and adds its impacts to each answer. Here its methods are wrapped once more, to
count an answer when it is whole: a streamed one has impacts in each chunk, of which the last is that of the answer.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ecologits import EcoLogits
from ecologits.tracers.utils import ImpactsOutput
from pydantic import PrivateAttr
from wrapt import wrap_function_wrapper

from traceml_agent.integrations import hosted
from traceml_agent.integrations.hosted import log
from traceml_agent.messages import guarded, warn

__all__ = ["log", "track_api"]

#: The package of each provider's client, and the module of EcoLogits that wraps it.
CLIENTS = {
    "openai": ("openai", "openai_tracer"),
    "anthropic": ("anthropic", "anthropic_tracer"),
    "mistralai": ("mistralai", "mistralai_tracer"),
    "huggingface_hub": ("huggingface_hub", "huggingface_tracer"),
    "cohere": ("cohere", "cohere_tracer"),
    "google_genai": ("google.genai", "google_genai_tracer"),
    "litellm": ("litellm", "litellm_tracer"),
}
#: Clients whose streams EcoLogits hands out as objects of its own: their answers are counted when it calculates them,
#: which it does once each.
ONCE = ("anthropic",)
_tracked: set[str] = set()


class CountedImpacts(ImpactsOutput):
    """EcoLogits' impacts of an answer, with what they were calculated from: provider, model, tokens, seconds."""

    _of: tuple[str, str, int, float] = PrivateAttr(default=("", "", 0, 0.0))


@guarded()
def track_api(providers: list[str] | None = None, **options) -> None:
    """Count requests to hosted models from now on: of these providers, else of all whose clients are installed.

    Each model gets a run of its own. `options` are those of `traceml_agent.start`: tags, params, settings.
    """
    for name in providers or CLIENTS:
        if name not in CLIENTS:
            warn(f"EcoLogits knows no provider {name!r}, only {', '.join(CLIENTS)}")
        elif name not in _tracked and _is_installed(CLIENTS[name][0]):
            try:
                _track(name, options)
            except ImportError as error:  # EcoLogits needs more for some clients, which may be there for other reasons
                if providers:
                    warn(f"{name} is not tracked ({error}): pip install 'ecologits[{name.replace('_', '-')}]'")


def _track(name: str, options: dict) -> None:
    """Have EcoLogits wrap a provider's client, and count its answers. Raises ImportError."""
    tracer: Any = import_module(f"ecologits.tracers.{CLIENTS[name][1]}")
    EcoLogits.init(providers=[name])
    _tracked.add(name)
    tracer.llm_impacts = _noting(tracer.llm_impacts, options if name in ONCE else None)
    instrumentor = next(each for key, each in vars(tracer).items() if key.endswith("Instrumentor"))
    for method in instrumentor().wrapped_methods if name not in ONCE else ():
        wrap_function_wrapper(method["module"], method["name"], _counting(options))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package within one that is missing
        return False


def _noting(calculate: Callable[..., ImpactsOutput], options: dict | None) -> Callable[..., ImpactsOutput]:
    """EcoLogits' calculation, whose result knows what it is of; with `options` it is of a whole answer, and counts."""

    @functools.wraps(calculate)
    def llm_impacts(provider, model_name, output_token_count, request_latency, *args, **kwargs):
        found = calculate(provider, model_name, output_token_count, request_latency, *args, **kwargs)
        noted = CountedImpacts(**dict(found))
        noted._of = provider, model_name, output_token_count, request_latency
        if options is not None:
            _count(noted, None, options)
        return noted

    return llm_impacts


def _counting(options: dict):
    """A wrapper of a client's method that counts its answers."""

    def wrapper(wrapped, instance, args, kwargs):
        return _counted(wrapped(*args, **kwargs), options)

    return wrapper


def _counted(answer, options: dict):
    """The answer, counted now, or when it has arrived or its stream has ended."""
    if inspect.iscoroutine(answer):
        return _awaited(answer, options)
    if inspect.isgenerator(answer):
        return _streamed(answer, options)
    if inspect.isasyncgen(answer):
        return _async_streamed(answer, options)
    _count(getattr(answer, "impacts", None), getattr(answer, "usage", None), options)
    return answer


async def _awaited(answer, options: dict):
    return _counted(await answer, options)


def _streamed(chunks, options: dict):
    last = None
    try:
        for chunk in chunks:
            last = getattr(chunk, "impacts", None) or last
            yield chunk
    finally:
        chunks.close()
        _count(last, None, options)


async def _async_streamed(chunks, options: dict):
    last = None
    try:
        async for chunk in chunks:
            last = getattr(chunk, "impacts", None) or last
            yield chunk
    finally:
        await chunks.aclose()
        _count(last, None, options)


@guarded()
def _count(impacts, usage, options: dict) -> None:
    """Count an answer; one without impacts, as of another kind of call, is none."""
    if isinstance(impacts, CountedImpacts):
        provider, model, tokens, latency_s = impacts._of
        prompt_tokens = getattr(usage, "prompt_tokens", None) or getattr(usage, "input_tokens", None) or 0
        hosted.add(provider, model, impacts, tokens, prompt_tokens, 1, latency_s, options)
