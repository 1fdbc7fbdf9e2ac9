"""`yield from` for async generators: passes on what they are sent, thrown or closed with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext


def async_generator(begin: Callable, around: Callable = nullcontext) -> Callable:
    """An async generator function that behaves like `begin(…)`, including `asend`, `athrow` and `aclose`.

    `begin` returns an async generator, or anything with those three methods. `around` makes a context manager that
    surrounds it.
    """

    async def call(*args, **kwargs):
        with around():
            inner = begin(*args, **kwargs)
            step, given = inner.asend, None
            try:
                while True:
                    try:
                        item = await step(given)
                    except StopAsyncIteration:
                        return
                    try:
                        step, given = inner.asend, (yield item)
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 (whatever its user throws goes to the inner one)
                        step, given = inner.athrow, error
            finally:
                await inner.aclose()

    return call
