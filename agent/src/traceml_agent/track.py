"""`track` and `start`, which begin a run."""

from __future__ import annotations

import contextvars

from traceml_agent.host import forks  # here, as a fork must wait from the first module on
from traceml_agent.messages import guarded, warn

TYPE_CHECKING = False  # the one in typing would cost its import
if TYPE_CHECKING:
    from traceml_agent.tracking.interface import RunInterface

#: The run of the block that the current code is in; correct in threads and under asyncio.
_block: contextvars.ContextVar[RunInterface | None] = contextvars.ContextVar("traceml_run", default=None)
#: The class for no run. The first call loads it, since nothing can be loaded while the interpreter shuts down.
_inert_run = None
#: What finds the run outside of a block. The first call loads it.
_outside = None


class _NotYet:
    """Stands for a run in a signal's handler that came while the first call was loading what runs are made of: modules
    that are half loaded can't be used. Every call of a run is possible, and none does anything."""

    url, run_id = None, ""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *given, **named):
        return self

    __getitem__ = __enter__ = __call__

    def __exit__(self, *exception) -> None:
        pass

    def __bool__(self) -> bool:
        return False

    def __float__(self) -> float:
        return 0.0

    def epochs(self, iterable, *given, **named):
        return iterable


def _inert(model=None) -> RunInterface:
    global _inert_run
    try:
        if _inert_run is None:
            from traceml_agent.tracking.inert import InertRun

            _inert_run = InertRun
        return _inert_run(model)
    except (ImportError, AttributeError):
        return _NotYet()  # type: ignore[return-value]


@guarded(_inert)
def start(
    model=None,
    kind="training",
    name=None,
    tags=None,
    params=None,
    *,
    budget_kwh=None,
    budget_kg=None,
    on_budget="warn",
    **settings,
) -> RunInterface:
    """Start a run and return it. End it with `stop()`, or let the end of the process do so. Never raises.

    `model` is the model's name, which stays the same over its whole life; `kind` is training, finetuning, evaluation,
    inference or other. With `budget_kwh` or `budget_kg` (CO2e), `on_budget` says what happens when more is used:
    `warn`, `stop` (`run.epochs()` begins no further epoch), or a function that takes the run. `settings` are those of
    agent/README.md (url, token, spool_dir, report_to …) and override the environment. In a notebook, the run that the
    same cell started before ends.
    """
    with forks.loading():
        from traceml_agent.tracking import current, notebook
    run = _begun(model, kind, name, tags, params, budget_kwh, budget_kg, on_budget, **settings)
    notebook.end_former(run, current.active())
    return run


@guarded(_inert)
def _begun(
    model, kind, name, tags, params, budget_kwh=None, budget_kg=None, on_budget="warn", **settings
) -> RunInterface:
    """A run in progress: a new one, or the one by which an ancestor measures this process."""
    with forks.loading():  # else a child that another thread forks meanwhile could never load these
        from traceml_agent import messages
        from traceml_agent.host import job
        from traceml_agent.inputs import config
        from traceml_agent.tracking import handle
        from traceml_agent.tracking.budget import Budget
        from traceml_agent.tracking.run import Run

        none = _inert(model)
        chosen = config.load(**settings)
    messages.raising |= chosen.strict
    if chosen.disabled:
        return none
    budget = Budget(budget_kwh, budget_kg, on_budget)
    if outer := handle.outer():
        outer.tell(model, kind, name, tags, params)
        outer.keep_to(budget)
        _report(outer, chosen.report_to)
        if settings.get("devices"):
            warn("devices is ignored: another process measures this one. Declare them there, as with `run --device`.")
        return outer
    if job.local_size() < job.size():
        budget.only_warns("ranks of several hosts")
    block = _block.get()
    around = block.run_id if block is not None and block.is_measuring else ""
    with forks.loading():
        run = Run(model, kind, name, tags, params, chosen, budget, around=around)
    run.begin()
    _report(run, chosen.report_to)
    return run


def _report(run: RunInterface, loggers: list) -> None:
    """Report the run to the user's loggers, if any: only then is the module loaded."""
    if loggers:
        with forks.loading():
            from traceml_agent.integrations import reporting
        reporting.report(run, loggers)


@guarded(_inert)
def current_run() -> RunInterface:
    """The run that the current code belongs to: the run of its block, else the run started last, else the run of the
    process that measures this one. Never None: if nothing is tracked, a run that keeps nothing and is false."""
    global _outside
    if _outside is None:
        with forks.loading():
            from traceml_agent.tracking import handle
        _outside = handle.last_or_outer
    block = _block.get()
    return (block if block and block.is_open else None) or _outside() or _inert()


class track:
    """A run around a block or a function.

    A context manager, `with track("resnet-50") as run:`, or a decorator, `@track("resnet-50")` or just `@track`: then
    each call is a run of its own. It decorates functions, coroutines, generators, async generators, class and static
    methods, but not classes, which it leaves alone. If a function returns a coroutine, a generator or a future, the run
    lasts until that is finished. Takes the arguments of `start`. An exception ends the run as failed
    (KeyboardInterrupt as cancelled) and propagates unchanged.
    """

    def __new__(cls, model=None, *args, **options):
        if not args and not options and (callable(model) or hasattr(type(model), "__get__")):  # plain `@track`
            return cls(_name(model))(model)
        return super().__new__(cls)

    def __init__(self, model=None, kind="training", name=None, tags=None, params=None, **settings):
        if "report_to" in settings:
            from traceml_agent.inputs.config import Loggers

            settings["report_to"] = Loggers.of(settings["report_to"])
        self._arguments = (model, kind, name, tags, params)
        self._options = settings
        self._runs: list[tuple[RunInterface, contextvars.Token]] = []

    def __enter__(self) -> RunInterface:
        run = _begun(*self._arguments, **self._options)
        self._runs.append((run, _block.set(run)))
        return run

    def __exit__(self, kind, error, traceback) -> None:
        if self._runs:
            # Several threads or tasks may enter one `track` and leave it in any order.
            here = _block.get()
            mine = [number for number, (run, _) in enumerate(self._runs) if run is here] or [-1]
            run, token = self._runs.pop(mine[-1])
            try:
                _block.reset(token)
            except ValueError:  # left in another thread or task than it was entered in
                pass
            run.__exit__(kind, error, traceback)

    def __copy__(self) -> track:
        return self

    def __deepcopy__(self, memo) -> track:
        return self

    def __reduce__(self):
        """A copy in another process has not begun."""
        return _track_of, (self._arguments, self._options)

    async def __aenter__(self) -> RunInterface:
        return self.__enter__()

    async def __aexit__(self, kind, error, traceback) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function):
        """The function, with a run around each call."""
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self(function.__func__))
        if isinstance(function, property):
            return function.getter(self(function.fget))
        if isinstance(function, type) or not callable(function):
            warn(f"@track needs a function, not {_name(function)}. Decorate the method that does the work.")
            return function
        import functools

        model, *others = self._arguments
        arguments = (_name(function) if model is None else model, *others)
        wrapper = _wrapper(function)(lambda: track(*arguments, **self._options), function)
        return functools.update_wrapper(wrapper, function)


def _track_of(arguments: tuple, options: dict) -> track:
    return track(*arguments, **options)


def _name(function) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _wrapper(function):
    """The kind of wrapper that behaves like the function, or like the call of an object."""
    import inspect

    for each in (function, type(function).__call__):
        if inspect.iscoroutinefunction(each):
            return _coroutine
        if inspect.isasyncgenfunction(each):
            return _async_generator
        if inspect.isgeneratorfunction(each):
            is_awaited = each.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE
            return _old_coroutine if is_awaited else _generator
    return _plain


def _plain(again, function):
    """A run that lasts until the call is finished, and until what it returned is, if that is still to run."""
    import contextlib
    import types
    import weakref

    lasting = {
        types.CoroutineType: _coroutine,
        types.GeneratorType: _generator,
        types.AsyncGeneratorType: _async_generator,
    }

    def call(*args, **kwargs):
        with contextlib.ExitStack() as block:
            block.enter_context(again())
            result = function(*args, **kwargs)
            if type(result) in lasting:
                rest = block.pop_all()
                whole = lasting[type(result)](lambda: rest, lambda: result)()
                weakref.finalize(whole, rest.close).atexit = False  # if it is never started
                return whole
            if hasattr(type(result), "add_done_callback"):
                _last_as(result, block.pop_all())
            return result

    return call


@guarded()
def _last_as(future, rest) -> None:
    """End the run with the future. Its exception stays unread, so that asyncio still reports those nobody asked for."""

    def over(future):
        error = getattr(future, "_exception", None)
        rest.__exit__(type(error) if error else None, error, None)

    future.add_done_callback(over)


def _coroutine(again, function):
    async def call(*args, **kwargs):
        with again():
            return await function(*args, **kwargs)

    return call


def _generator(again, function):
    def call(*args, **kwargs):
        with again():
            return (yield from function(*args, **kwargs))

    return call


def _old_coroutine(again, function):
    import types

    return types.coroutine(_generator(again, function))


def _async_generator(again, function):
    from traceml_agent.watching.forwarding import async_generator

    return async_generator(function, again)
