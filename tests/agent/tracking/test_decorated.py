"""`@track`: what is decorated behaves as it did, and its run lasts until it is over."""

import asyncio
import functools
import gc
import inspect
import types

import pytest

from traceml_agent import messages, track
from traceml_agent.tracking import current
from traceml_agent.tracking import run as runs


@pytest.fixture(autouse=True)
def offline(home, monkeypatch):
    monkeypatch.setenv("TRACEML_AGENT_SPOOL_DIR", str(home / "spool"))


def running() -> int:
    """The runs under way."""
    return sum(run.is_measuring for run in current.started)


def last_status(monkeypatch):
    """How runs end from now on."""
    ended = []
    real = runs.Run._end
    monkeypatch.setattr(runs.Run, "_end", lambda self, *how: (ended.append(how), real(self, *how)))
    return ended


def test_an_async_generator_hears_what_it_is_sent_thrown_and_closed_with(monkeypatch):
    heard, ended = [], last_status(monkeypatch)

    @track
    async def stream():
        try:
            while True:
                try:
                    heard.append((yield running()))
                except KeyError:
                    heard.append("caught")
        finally:
            heard.append("closed")

    async def use():
        steps = stream()
        taken = [await anext(steps), await steps.asend("hi"), await steps.athrow(KeyError)]
        await steps.aclose()
        return taken

    assert inspect.isasyncgenfunction(stream)
    assert asyncio.run(use()) == [1, 1, 1]
    assert heard == ["hi", "caught", "closed"]
    assert ended == [("cancelled", "GeneratorExit")]


def test_an_error_in_an_async_generator_passes_and_its_run_has_failed(monkeypatch):
    ended = last_status(monkeypatch)

    @track
    async def stream():
        yield 1
        raise ValueError("no")

    async def use():
        async for _ in stream():
            pass

    with pytest.raises(ValueError, match="no"):
        asyncio.run(use())
    assert ended == [("failed", "ValueError")]


def test_a_generator_hears_what_it_is_sent_and_thrown_and_returns():
    @track
    def steps():
        try:
            got = yield running()
            yield got
        except KeyError:
            return "caught"

    one = steps()
    assert [next(one), one.send("hi")] == [1, "hi"]
    with pytest.raises(StopIteration, match="caught"):
        one.throw(KeyError)
    assert running() == 0


async def _counts():
    await asyncio.sleep(0)
    return running()


def _steps():
    yield running()


async def _async_steps():
    yield running()


async def _first(steps):
    return await anext(steps)


@pytest.mark.parametrize(
    ("kind", "begin", "finish"),
    [
        (types.CoroutineType, _counts, asyncio.run),
        (types.GeneratorType, _steps, next),
        (types.AsyncGeneratorType, _async_steps, lambda steps: asyncio.run(_first(steps))),
    ],
)
def test_the_run_of_a_function_that_returns_something_lazy_lasts_until_that_is_over(kind, begin, finish):
    decorated = track("lazy")(lambda: begin())
    lazy = decorated()
    assert type(lazy) is kind
    assert running() == 1
    assert finish(lazy) == 1
    del lazy
    gc.collect()
    assert running() == 0


@pytest.mark.filterwarnings("ignore:coroutine")
def test_the_run_of_something_lazy_that_nobody_begins_ends_with_it():
    lazy = track("lazy")(lambda: _counts())()
    del lazy
    gc.collect()
    assert running() == 0


def test_the_run_of_a_function_that_starts_a_task_lasts_as_long_as_the_task(monkeypatch):
    ended = last_status(monkeypatch)

    async def fail():
        await asyncio.sleep(0)
        raise ValueError

    async def use():
        task = track("task")(lambda: asyncio.ensure_future(fail()))()
        assert running() == 1
        await asyncio.wait([task])
        await asyncio.sleep(0)
        return type(task.exception()), running()

    assert asyncio.run(use()) == (ValueError, 0)
    assert ended == [("failed", "ValueError")]


def test_an_object_with_an_async_call_is_awaited():
    class Step:
        async def __call__(self):
            return await _counts()

    decorated = track(Step())
    assert asyncio.iscoroutinefunction(decorated)
    assert asyncio.run(decorated()) == 1


def test_a_coroutine_of_before_async_def_is_awaited():
    @track
    @types.coroutine
    def old():
        yield
        return running()

    async def use():
        return await old()

    assert asyncio.run(use()) == 1


class Trainer:
    @track
    @classmethod
    def named(cls):
        return cls, running()

    @classmethod
    @track("inner")
    def inner(cls):
        return cls, running()

    @track("free")
    @staticmethod
    def free():
        return running()

    @track
    @property
    def accuracy(self):
        return running()

    @track
    def fit(self):
        return self, running()


def test_methods_of_every_kind_may_be_decorated():
    trainer = Trainer()
    assert Trainer.named() == trainer.named() == trainer.inner() == (Trainer, 1)
    assert Trainer.free() == trainer.free() == trainer.accuracy == 1
    assert trainer.fit() == (trainer, 1)
    assert running() == 0


def test_a_partial_may_be_decorated():
    assert track(functools.partial(lambda x: (x, running()), 5))() == (5, 1)


@pytest.mark.parametrize("decorate", [track, track("named"), track(kind="evaluation")])
def test_a_class_is_left_as_it_is_with_a_word(decorate, monkeypatch, caplog):
    monkeypatch.setattr(messages, "_said", {})

    @decorate
    class Model:
        pass

    class Larger(Model):
        pass

    assert isinstance(Larger(), Model)
    assert running() == 0
    assert len(caplog.messages) == 1


def test_one_decorator_names_each_function_that_it_is_given():
    names = []
    decorate = track(kind="evaluation")

    @decorate
    def first():
        names.append(current.last().model)

    @decorate
    def second():
        names.append(current.last().model)

    first(), second()
    assert names == ["first", "second"]
