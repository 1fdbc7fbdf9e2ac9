"""Wrappers around counted methods: functions, coroutines, generators or async generators, like the methods
themselves."""

from __future__ import annotations

import functools
import inspect
import time
import types
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any

from traceml_agent.watching.forwarding import async_generator
from traceml_agent.watching.items import BATCHES, items_of

#: Methods whose list may be the messages of one conversation.
CONVERSING = ("__call__", "chat", "invoke", "ainvoke", "stream", "astream", "complete", "generate", "run")
_LAZY = frozenset((types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType))


class _Door:
    """Everything that a counted function needs from the agent, in one object that is not pickled.

    Pickling by value, as cloudpickle does with `model.predict`, includes a function's cells. Unpickled, the function
    finds no door and is the bare function. For the same reason it refers to no name of this module.
    """

    __slots__ = ("add", "enter", "is_inside", "items_of", "leave", "otherwise", "timed")

    def __init__(self, otherwise: Callable, inside: ContextVar, counts=None):
        self.otherwise, self.add, self.items_of = otherwise, counts and counts.add, items_of
        self.is_inside, self.enter, self.leave = inside.get, inside.set, inside.reset
        self.timed = lambda result: _timed(result, _Step(counts, inside))

    def __reduce__(self):
        return type(None), ()


def counted(owner, name: str, otherwise: Callable, counts, inside: ContextVar, parameters=()):
    """A function that calls `owner.name` with the object and its arguments, and adds each call to `counts`.

    `inside` is true while this thread or task is in the watched object already, so `predict` that calls `predict_proba`
    is one call. If somebody replaces `owner.name`, as tests do, `otherwise` is called with the same arguments.
    """
    bare, door = getattr(owner, name), _Door(otherwise, inside, counts)
    clock, lazy = time.perf_counter, _LAZY
    # The most common batch is counted right here, since a call of `items_of` costs as much as the rest. Not if it may
    # be the second argument, or if a list may be a conversation.
    is_first = not parameters or parameters[0] in BATCHES or BATCHES.isdisjoint(parameters)
    on_the_spot = is_first and name not in CONVERSING

    def call(*args, **kwargs):  # the first is the object: passing on one tuple costs less than two
        if door is None:
            return bare(*args, **kwargs)
        function = bare if getattr(owner, name) is bare else door.otherwise
        if door.is_inside():
            return function(*args, **kwargs)
        if on_the_spot and len(args) > 1 and type(args[1]) is list:
            items = len(args[1])
        else:
            items = door.items_of(args[1:], kwargs, parameters)
        token = door.enter(True)
        began = clock()
        try:
            result = function(*args, **kwargs) if kwargs else function(*args)
        finally:
            door.add(items, clock() - began)
            door.leave(token)
        return result if type(result) not in lazy else door.timed(result)

    return call


def entered(owner, name: str, otherwise: Callable, inside: ContextVar):
    """Like `counted`, for a method such as `fit` that is not use of the model, nor is what it calls."""
    bare, door = getattr(owner, name), _Door(otherwise, inside)

    def call(*args, **kwargs):
        if door is None:
            return bare(*args, **kwargs)
        function = bare if getattr(owner, name) is bare else door.otherwise
        token = door.enter(True)
        try:
            return function(*args, **kwargs)
        finally:
            door.leave(token)

    return call


def like(call: Callable, bare: Callable) -> Callable:
    """`call` as a function of `bare`'s kind, name, docstring and signature, for code that inspects it."""
    function = call
    if inspect.iscoroutinefunction(bare):

        async def function(*args, **kwargs):
            return await call(*args, **kwargs)

    elif inspect.isasyncgenfunction(bare):
        function = async_generator(call)
    elif inspect.isgeneratorfunction(bare) and not bare.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE:

        def function(*args, **kwargs):
            return (yield from call(*args, **kwargs))

    functools.update_wrapper(function, bare)
    try:
        function.__signature__ = inspect.signature(bare)  # type: ignore[attr-defined]  # what getfullargspec reads
    except (TypeError, ValueError):  # written in C, without a signature
        pass
    return function


def parameters_of(function) -> tuple[str, ...]:
    """The names of a function's positional parameters; empty if unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD))


class _Step:
    """A step of something lazy: its time is busy time, and calls in it are inside."""

    def __init__(self, counts, inside: ContextVar):
        self._counts, self._inside = counts, inside

    def __enter__(self):
        self._token, self._began = self._inside.set(True), time.perf_counter()

    def __exit__(self, *error):
        self._counts.add(0, time.perf_counter() - self._began, calls=0)
        try:
            self._inside.reset(self._token)
        except ValueError:  # closed by another task, as an event loop does with unfinished ones
            self._inside.set(False)


def _timed(result, step: _Step):
    """The generator, coroutine or async generator, with its own time counted as busy too."""
    timed: Any
    if isinstance(result, types.CoroutineType):
        timed = _awaited(result, step)
    elif isinstance(result, types.AsyncGeneratorType):
        timed = async_generator(lambda: _TimedSteps(result, step))()
    elif result.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE:  # a coroutine of before `async def`
        return result
    else:
        timed = _iterated(result, step)
    timed.__name__, timed.__qualname__ = result.__name__, result.__qualname__
    return timed


async def _awaited(coroutine, step: _Step):
    with step:
        return await coroutine


def _iterated(generator: Generator, step: _Step):
    """Busy while it makes the next item, not while its user works on the last one: `yield from`, in steps."""
    resume, given = generator.send, None
    while True:
        try:
            with step:
                item = resume(given)
        except StopIteration as end:
            return end.value
        try:
            resume, given = generator.send, (yield item)
        except GeneratorExit:
            with step:
                generator.close()
            raise
        except BaseException as error:  # noqa: BLE001 (whatever its user throws goes to the inner one)
            resume, given = generator.throw, error  # type: ignore[assignment]


class _TimedSteps:
    """An async generator's three methods, each step of it timed."""

    def __init__(self, generator, step: _Step):
        self._generator, self._step = generator, step

    async def asend(self, value):
        with self._step:
            return await self._generator.asend(value)

    async def athrow(self, error):
        with self._step:
            return await self._generator.athrow(error)

    async def aclose(self):
        with self._step:
            await self._generator.aclose()
