"""`watch`: a stand-in that counts, and is the model in everything else."""

import asyncio
import copy
import pickle

import numpy as np
import pytest

from traceml_agent.watch import Watched, _stand_in


class Model:
    threshold = 0.5

    def predict(self, batch):
        return [0] * len(batch)

    def generate(self, prompt):
        yield from prompt.split()

    async def ainvoke(self, prompt):
        await asyncio.sleep(0)
        return prompt

    def transform(self, batch):
        raise KeyError("no such thing")

    def __call__(self, batch):
        return batch

    def __len__(self):
        return 7


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def model(watched):
    return _stand_in(Model(), watched)


def counts(watched, method):
    return next(row for row in watched.calls() if row["method"] == method)


def test_calls_and_items_are_counted_by_method(model, watched):
    assert model.predict([1, 2, 3]) == [0, 0, 0]
    model.predict([1])
    model(np.zeros((5, 2)))
    assert [counts(watched, "predict")[name] for name in ("calls", "items")] == [2, 4]
    assert [counts(watched, "__call__")[name] for name in ("calls", "items")] == [1, 5]


def test_a_prompt_is_one_item(model, watched):
    list(model.generate("a b c"))
    assert counts(watched, "generate")["items"] == 1


def test_busy_is_the_time_that_a_generator_works_not_that_its_user_takes(watched):
    import time

    class Slow:
        def stream(self, prompt):
            for word in prompt:
                time.sleep(0.02)
                yield word

    for _ in _stand_in(Slow(), watched).stream("abc"):
        time.sleep(0.2)
    assert 0.06 <= counts(watched, "stream")["busy_s"] < 0.5


def test_a_coroutine_is_counted_when_awaited(model, watched):
    assert asyncio.run(model.ainvoke("hello")) == "hello"
    assert counts(watched, "ainvoke")["calls"] == 1


def test_an_exception_passes_and_its_call_is_counted(model, watched):
    with pytest.raises(KeyError):
        model.transform([1])
    assert counts(watched, "transform")["calls"] == 1


def test_the_stand_in_is_the_model_in_everything_else(model):
    assert isinstance(model, Model)
    assert (len(model), model.threshold) == (7, 0.5)
    model.threshold = 0.9
    assert model.threshold == 0.9


def test_a_saved_or_copied_model_holds_no_trace_of_the_agent(model):
    assert type(pickle.loads(pickle.dumps(model))) is Model
    assert type(copy.deepcopy(model)) is Model


def test_methods_that_were_not_called_are_not_reported(model, watched):
    assert watched.calls() == []


def test_no_call_is_lost_between_threads(model, watched):
    import threading

    threads = [threading.Thread(target=lambda: [model.predict([1]) for _ in range(5000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts(watched, "predict")["calls"] == 20_000
