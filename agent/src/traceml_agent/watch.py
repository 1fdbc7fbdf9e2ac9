"""`watch`: a model in use. Counts calls, items and busy time per method; its energy is the share of the run's window.

A call costs about a microsecond: two clock readings and three additions, no lock, no reading of any sensor.
"""

from __future__ import annotations

import time
import types

from traceml_agent.messages import guarded

#: Methods of common libraries that use a model; others are passed through.
METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "transform",
    "inverse_transform",
    "generate",
    "encode",
    "decode",
    "embed",
    "forward",
    "infer",
    "invoke",
    "ainvoke",
    "stream",
    "astream",
    "complete",
    "chat",
    "classify",
    "translate",
    "run",
)
#: Special methods that Python looks up on the type, so that a stand-in must have them itself.
SPECIAL = ("__len__", "__getitem__", "__iter__", "__contains__", "__enter__", "__exit__", "__aenter__", "__aexit__")
_COUNTED = (list, tuple)
_ONE = (str, bytes, dict, int, float)
_LAZY = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)


class Counts:
    """Calls, items and busy seconds of one method so far."""

    __slots__ = ("busy_s", "calls", "items", "method")

    def __init__(self, method: str):
        self.method, self.calls, self.items, self.busy_s = method, 0, 0, 0.0

    def as_wire(self) -> dict:
        return {"method": self.method, "calls": self.calls, "items": self.items, "busy_s": round(self.busy_s, 6)}


class Watched:
    """What is counted of one watched object."""

    def __init__(self):
        self._counts: list[Counts] = []

    def counts(self, method: str) -> Counts:
        counts = Counts(method)
        self._counts.append(counts)
        return counts

    def calls(self) -> list[dict]:
        """The counts of every method that was called, as the wire wants them."""
        return [counts.as_wire() for counts in self._counts if counts.calls]


def watch(model, name=None, run=None, **settings):
    """A stand-in for `model` whose predict, generate, transform, encode …, and whose own call, are counted.

    Belongs to `run`, else to the run that is under way, else to a run of kind `inference` of its own that lasts until
    the process ends: one for a service, not one per call. Everything else, isinstance and pickling included, is the
    model's. Never raises; what can't be watched is returned as it is.
    """
    return _watch(model, name, run, settings) or model


@guarded()
def _watch(model, name, run, settings):
    from traceml_agent import run as runs
    from traceml_agent.track import start

    target = run or runs.current() or start(name or type_name(model), kind="inference", **settings)
    watched = Watched()
    stand_in = _stand_in(model, watched)
    target.watched.append(watched)
    return stand_in


def type_name(model) -> str:
    return getattr(model, "__name__", None) or type(model).__name__


def _stand_in(model, watched: Watched):
    """An object of a class of its own: special methods work on the type only."""
    own = {"__slots__": ("__dict__", "__weakref__"), "__getattr__": lambda self, name: getattr(model, name)}
    own |= {name: _forwarded(model, name) for name in SPECIAL if hasattr(type(model), name)}
    own["__class__"] = property(lambda self: type(model))  # isinstance sees the model's own class
    own["__setattr__"] = lambda self, name, value: setattr(model, name, value)
    own["__delattr__"] = lambda self, name: delattr(model, name)
    own["__dir__"] = lambda self: dir(model)
    own["__repr__"] = lambda self: repr(model)
    own["__reduce_ex__"] = lambda self, protocol: (_itself, (model,))  # saved models hold no trace of the agent
    own["__deepcopy__"] = lambda self, memo: _copy(model, memo)
    if callable(model):
        own["__call__"] = counted(lambda self, *args, **kwargs: model(*args, **kwargs), watched.counts("__call__"), 1)
    stand_in = type(f"Watched{type(model).__name__}", (), own)()
    for method in METHODS:
        function = getattr(model, method, None)
        if callable(function):
            stand_in.__dict__[method] = counted(function, watched.counts(method), 0)
    return stand_in


def _forwarded(model, name: str):
    def forward(self, *args):
        return getattr(type(model), name)(model, *args)

    return forward


def _itself(model):
    return model


def _copy(model, memo):
    import copy

    return copy.deepcopy(model, memo)


def counted(function, counts: Counts, first: int, clock=time.perf_counter):
    """`function` with its calls, items and busy time added to `counts`; the items are those of argument `first`."""

    def call(*args, **kwargs):
        began = clock()
        try:
            result = function(*args, **kwargs)
        finally:
            counts.busy_s += clock() - began
            counts.calls += 1
            counts.items += items_of(args[first]) if len(args) > first else 1
        return result if type(result) not in _LAZY else _timed(result, counts)

    return call


def items_of(batch) -> int:
    """How many items a call worked on: the length of a list or the first dimension of an array, else one."""
    if type(batch) in _COUNTED:
        return len(batch)
    if type(batch) in _ONE:
        return 1
    shape = getattr(batch, "shape", None)
    try:
        return int(shape[0]) if shape is not None and len(shape) > 1 else 1
    except (TypeError, ValueError):
        return 1


def _timed(result, counts: Counts):
    """A generator, coroutine or async generator whose own time counts as busy as well."""
    if isinstance(result, types.CoroutineType):
        return _awaited(result, counts)
    return _iterated(result, counts) if isinstance(result, types.GeneratorType) else _async_iterated(result, counts)


def _iterated(generator, counts: Counts):
    """Busy while it makes the next item, not while its user works on the last."""
    try:
        while True:
            began = time.perf_counter()
            try:
                item = next(generator)
            except StopIteration as end:
                return end.value
            finally:
                counts.busy_s += time.perf_counter() - began
            yield item
    finally:
        generator.close()


async def _awaited(coroutine, counts: Counts):
    began = time.perf_counter()
    try:
        return await coroutine
    finally:
        counts.busy_s += time.perf_counter() - began


async def _async_iterated(generator, counts: Counts):
    try:
        while True:
            began = time.perf_counter()
            try:
                item = await anext(generator)
            except StopAsyncIteration:
                return
            finally:
                counts.busy_s += time.perf_counter() - began
            yield item
    finally:
        await generator.aclose()
