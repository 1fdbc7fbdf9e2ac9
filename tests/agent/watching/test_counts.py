"""`watch`: which calls count, and what of them."""

import asyncio
import inspect
import os
import threading
import time

import pytest

from tests.agent.watching.test_watch import Model, double
from traceml_agent.watch import _counted


@pytest.fixture
def model(watch):
    return watch(Model())


def test_a_method_made_of_others_is_one_call(model, counts):
    model.predict([1, 2, 3])
    model.predict_proba([1])
    assert counts() == {"predict": (1, 3), "predict_proba": (1, 1)}


def test_what_training_asks_of_the_model_is_no_use_of_it(model, counts):
    model.fit([1, 2, 3])
    assert counts() == {}


def test_an_exception_passes_and_its_call_is_counted(model, counts):
    with pytest.raises(KeyError):
        model.transform([1])
    model.predict([1])
    assert counts() == {"transform": (1, 1), "predict": (1, 1)}


def test_busy_is_the_time_that_a_generator_works_not_that_its_user_takes(watch, all_watched):
    class Slow:
        def stream(self, prompt):
            for word in prompt:
                time.sleep(0.02)
                yield word

    for _ in watch(Slow()).stream("abc"):
        time.sleep(0.2)
    assert 0.06 <= all_watched[0].calls()[0]["busy_s"] < 0.5


def test_a_generator_hears_what_it_is_sent_and_thrown(model, counts):
    words = model.generate("a b")
    assert [next(words), words.send("sent"), next(words)] == ["a", "sent", "b"]
    with pytest.raises(ZeroDivisionError):
        words.throw(ZeroDivisionError)
    assert counts() == {"generate": (1, 1)}


def test_an_async_generator_hears_what_it_is_sent_thrown_and_closed_with(model, counts):
    async def use():
        words = model.astream("a b")
        heard = [await anext(words), await words.asend("sent"), await anext(words), await words.athrow(KeyError)]
        await words.aclose()
        return heard

    assert asyncio.run(use()) == ["a", "sent", "b", "caught"]
    assert counts() == {"astream": (1, 1)}


def test_between_two_items_of_a_generator_calls_come_from_outside(model, counts):
    for _ in model.generate("a b"):
        model.predict([1])
    assert counts()["predict"][0] == 4


def test_a_call_beside_one_that_waits_comes_from_outside(model, counts):
    async def use():
        waiting = asyncio.create_task(model.ainvoke("hello"))
        await asyncio.sleep(0)
        model.predict([1])
        return await waiting

    assert asyncio.run(use()) == "hello"
    assert counts() == {"ainvoke": (1, 1), "predict": (1, 1)}


def test_a_task_that_the_model_starts_is_inside(watch, counts):
    class Gathering(Model):
        async def ainvoke(self, prompts):
            return await asyncio.gather(*(self.aembed(prompt) for prompt in prompts))

        async def aembed(self, prompt):
            return self.predict([prompt])

    asyncio.run(watch(Gathering()).ainvoke([0, 1]))
    assert counts() == {"ainvoke": (1, 2)}


def test_an_async_call_is_counted(watch, counts):
    class Service:
        async def __call__(self, batch):
            return batch

    service = watch(Service())
    assert inspect.iscoroutinefunction(service.__call__)
    assert asyncio.run(service([1, 2])) == [1, 2]
    assert counts() == {"__call__": (1, 2)}


def test_no_call_is_lost_between_threads(model, counts):
    threads = [threading.Thread(target=lambda: [model.predict([1]) for _ in range(5000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts() == {"predict": (20_000, 20_000)}


def test_a_model_inside_of_another_has_its_own_counts(watch, counts):
    class Pipeline:
        def __init__(self, step):
            self.step = step

        def run(self, batch):
            return self.step.predict(batch)

    watch(Pipeline(watch(Model()))).run([1, 2])
    assert counts() == {"run": (1, 2), "predict": (1, 2)}


def test_watched_twice_for_one_run_it_counts_once(watch, counts, all_watched):
    model = watch(watch(Model()))
    model.predict([1])
    function = watch(watch(double))
    function([1])
    assert counts() == {"predict": (1, 1), "__call__": (1, 1)}
    assert len(all_watched) == 2


def test_watched_for_another_run_it_counts_there_alone(watch, counts):
    model, others = watch(Model()), []
    _counted(model, others).predict([1])
    assert counts() == {}
    assert [row["calls"] for row in others[0].calls()] == [1]


def test_a_child_process_that_is_forked_counts_on(model, all_watched):
    """Each for itself: what becomes of its counts is the run's affair."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        model.predict([1])
        os.write(writer, str(all_watched[0].calls()[0]["calls"]).encode())
        os._exit(0)
    os.wait()
    assert os.read(reader, 10) == b"1"
