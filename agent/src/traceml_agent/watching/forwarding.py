"""Async generators have no `yield from`: what one is sent, thrown or closed with reaches the inner one by this."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext


def async_generator(begin: Callable, around: Callable = nullcontext) -> Callable:
    """An async generator function that is `begin(…)` in everything: `asend`, `athrow` and `aclose` included.

    `begin` returns an async generator, or whatever has those three methods; `around` makes a context manager that
    lasts from before it until after its end.
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
                    except BaseException as error:  # noqa: BLE001 (whatever its user throws is the inner one's)
                        step, given = inner.athrow, error
            finally:
                await inner.aclose()

    return call
