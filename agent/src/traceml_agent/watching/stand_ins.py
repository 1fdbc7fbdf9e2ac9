"""Stand-ins for functions and objects of C types, which can't be patched: they count, and pass on everything else."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import types
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from traceml_agent.watching import counting

#: The classes of stand-ins, each with the object behind and its counts.
_behind: weakref.WeakKeyDictionary[type, tuple] = weakref.WeakKeyDictionary()
#: Special methods that make or hold an object instead of using it.
_OWN = frozenset((
    "__class__", "__new__", "__init__", "__del__", "__getattribute__", "__getattr__", "__setattr__", "__delattr__",
    "__init_subclass__", "__subclasshook__", "__class_getitem__", "__reduce__", "__reduce_ex__", "__getstate__",
    "__copy__", "__deepcopy__", "__get__", "__call__",
))  # fmt: skip


def behind(model):
    """The object behind a stand-in; any other object itself."""
    return _behind[type(model)][0] if type(model) in _behind else model


def watched_of(model):
    """The counts of a stand-in; None for any other object."""
    return _behind[type(model)][1] if type(model) in _behind else None


def is_function(value) -> bool:
    """Whether a value is a function in any form, not just a callable object: a layer named `encode` is a layer."""
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        return True
    return callable(value) and not isinstance(value, type) and hasattr(value, "__wrapped__")


def stand_in(model, watched, methods: tuple[str, ...], name: str = "__call__", inside: ContextVar | None = None):
    """An object that behaves like `model` but counts its `methods`, and its own call as `name`."""
    inside = inside or ContextVar("inside", default=False)
    kind = type(model)
    own: dict[str, Callable] = {
        "__reduce_ex__": lambda self, protocol: _reduced(self, model, protocol),
        "__copy__": lambda self: _instead(self, model, copy.copy(model)),
        "__deepcopy__": lambda self, memo: _instead(self, model, copy.deepcopy(model, memo)),
    }
    if callable(model):
        own["__call__"] = _counted(lambda: model, watched.counts(name), inside)
    if hasattr(kind, "__get__"):
        own["__get__"] = lambda self, of, owner=None: self if of is None else types.MethodType(self, of)
    for method in methods:
        if is_function(getattr(model, method, None)):
            own[method] = _counted(functools.partial(getattr, model, method), watched.counts(method), inside)
    made = type(kind.__name__, (), _body(model, kind, own))
    _behind[made] = model, watched
    return made()


def _body(model, kind: type, own: dict[str, Callable]) -> dict[str, Any]:
    """The body of the stand-in's class, where Python looks up special methods; `__getattribute__` finds everything
    else."""

    def getattribute(self, name):
        if name in own:
            return types.MethodType(own[name], self)
        value = getattr(model, name)
        if getattr(value, "__self__", None) is not model or name.startswith("__"):
            return value

        def method(*args, **kwargs):  # which may return the object itself
            return _instead(self, model, value(*args, **kwargs))

        return functools.update_wrapper(method, value)

    special = {name: raw for each in reversed(kind.__mro__) for name, raw in vars(each).items() if _is_special(name)}
    body: dict[str, Any] = {name: _forwarded(model, name) for name, raw in special.items() if inspect.isroutine(raw)}
    body |= {name: None for name, raw in special.items() if raw is None}  # `__hash__` of what has none
    body |= {name: function for name, function in own.items() if name.startswith("__")}
    body["__slots__"] = ("__weakref__",)
    body["__getattribute__"] = getattribute
    body["__setattr__"] = lambda self, name, value: setattr(model, name, value)
    body["__delattr__"] = lambda self, name: delattr(model, name)
    return body


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _OWN


def _forwarded(model, name: str) -> Callable:
    def forward(self, *args, **kwargs):
        given = [behind(each) for each in args]
        return _instead(self, model, getattr(type(model), name)(model, *given, **kwargs))

    return forward


def _instead(stand_in, model, result):
    """A result, or the stand-in if the result is the model itself."""
    return stand_in if result is model else result


def _counted(bare: Callable, counts, inside: ContextVar) -> Callable:
    through = types.SimpleNamespace(call=lambda self, *args, **kwargs: _instead(self, bare(), bare()(*args, **kwargs)))
    return counting.counted(through, "call", through.call, counts, inside, counting.parameters_of(bare()))


def _reduced(stand_in, model, protocol):
    """The pickle of a stand-in: the object behind without a trace of the agent, or its name if the stand-in has taken
    it."""
    found = sys.modules.get(getattr(model, "__module__", None) or "")
    name = getattr(model, "__qualname__", None)
    for part in name.split(".") if name else ():
        found = getattr(found, part, None)
    if name and found is stand_in:
        return name
    reduced = None if isinstance(model, types.FunctionType) else model.__reduce_ex__(protocol)
    return reduced if isinstance(reduced, tuple) else (copy.copy, (model,))  # a function's copy is the function
