"""Functions of other packages that get a run around them, wherever they have been imported to."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import ModuleType


def replace(former: Callable, new: Callable) -> None:
    """Put `new` in the place of `former` in every module: `from xgboost import train` may have come first."""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            for name in [name for name, value in list(vars(module).items()) if value is former]:
                vars(module)[name] = new


def with_callback(function: Callable, callback: type, call: Callable) -> Callable:
    """`function`, called by `call` if a `callback` of ours is among its `callbacks`.

    `call` takes our callback, the function, and its arguments with their defaults.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def measured(*args, **kwargs):
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:  # which the function itself says better
            return function(*args, **kwargs)
        given = bound.arguments.get("callbacks")
        mine = [each for each in given if isinstance(each, callback)] if isinstance(given, (list, tuple)) else []
        if not mine:
            return function(*args, **kwargs)
        bound.apply_defaults()
        return call(mine[0], function, bound)

    return measured
