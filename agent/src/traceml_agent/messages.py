"""The agent's warnings: to the logger `traceml_agent`, each at most once a minute, never to stdout."""

import os
import sys
import time

AGAIN_AFTER_S = 60.0
_said: dict[str, float] = {}
#: `TRACEML_AGENT_STRICT=1` or `strict=True`: the agent's own errors raise, for developers.
raising = os.environ.get("TRACEML_AGENT_STRICT") == "1"


def warn(message: str) -> None:
    """Log a warning, unless it was logged within the last minute."""
    now = time.monotonic()
    if now - _said.get(message, -AGAIN_AFTER_S) < AGAIN_AFTER_S:
        return
    if len(_said) > 200:
        _said.clear()
    _said[message] = now
    try:
        import logging

        logging.getLogger("traceml_agent").warning("TraceML: %s", message)
    except (ImportError, OSError):  # no descriptor is left to load a module with
        _say(f"TraceML: {message}\n")
    except Exception as error:  # noqa: BLE001 (a handler of the user's: what it raises must not reach the training)
        let_handlers_through(error)


def _say(line: str) -> None:
    try:
        os.write(2, line.encode(errors="replace"))
    except OSError:
        pass


def iso(wall_s: float) -> str:
    """A wall-clock time as ISO 8601 in UTC, to the millisecond."""
    whole, milliseconds = divmod(round(wall_s * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{milliseconds:03d}Z"


def guarded(default=None):
    """Decorate a public call: an error inside the agent becomes a warning, and the caller gets `default`.

    A job that costs thousands must not end because of its tracker. `TRACEML_AGENT_STRICT=1` raises instead, for
    developers.
    """

    def decorate(call):
        def border(*args, **kwargs):
            try:
                return call(*args, **kwargs)
            except Exception as error:
                let_handlers_through(error)
                if raising:
                    raise
                warn(f"{call.__name__} failed ({_words(error)}). Tracking continues without it.")
                return default() if callable(default) else default

        # Like functools.wraps, whose import would cost milliseconds. Pickles find the function by module and name.
        border.__module__, border.__doc__ = call.__module__, call.__doc__
        border.__name__, border.__qualname__ = call.__name__, call.__qualname__
        border.__wrapped__ = call  # type: ignore[attr-defined]
        return border

    return decorate


def let_handlers_through(error: BaseException) -> None:
    """Raise `error` again if a signal handler raised it, as time limits do: it is meant for the training.

    Call this wherever the agent catches every exception in the training's own thread.
    """
    signal = sys.modules.get("signal")
    if signal is None or error.__traceback__ is None:
        return
    codes = set(_codes(error))
    handlers = (signal.getsignal(number) for number in signal.valid_signals())
    if any(getattr(handler, "__code__", None) in codes for handler in handlers if handler is not None):
        raise error


def _codes(error: BaseException):
    """The code of each frame that an exception passed through."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame.f_code
        traceback = traceback.tb_next


def _words(error: Exception) -> str:
    """An exception's type and text. The exception may be the user's own, and its text may fail."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as failure:  # noqa: BLE001
        let_handlers_through(failure)
        return type(error).__name__
