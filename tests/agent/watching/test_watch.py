"""`watch`: the object stays what it is, and its calls are counted. Real libraries: test_watch_sklearn and …_torch."""

import asyncio
import copy
import dataclasses
import functools
import inspect
import pickle
import subprocess
import sys
import types
from unittest import mock

import cloudpickle
import pytest

from traceml_agent import messages


class Model:
    threshold = 0.5

    def predict(self, batch):
        return [int(p > self.threshold) for p in self.predict_proba(batch)]

    def predict_proba(self, batch):
        return [0.9] * len(batch)

    def fit(self, batch):
        self.predict(batch)
        return self

    def to(self, device):
        return self

    def generate(self, prompt):
        for word in prompt.split():
            yield (yield word) or word

    async def ainvoke(self, prompt):
        await asyncio.sleep(0.01)
        return prompt

    async def astream(self, prompt):
        for word in prompt.split():
            try:
                yield (yield word) or word
            except KeyError:
                yield "caught"

    def transform(self, batch):
        raise KeyError("no such thing")

    def __call__(self, batch):
        return batch

    def __len__(self):
        return 7

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def double(values):
    """Each of them twice."""
    return [2 * value for value in values]


async def wait_for(value):
    return value


@pytest.fixture
def model(watch):
    return watch(Model())


def test_it_is_the_very_object(watch):
    model = Model()
    assert watch(model) is model
    assert (model.__class__, type(model).__name__, len(model), vars(model)) == (Model, "Model", 7, {})
    assert dir(model) == dir(Model())
    assert "traceml" not in repr(model)


def test_methods_keep_their_kind_name_and_signature(model):
    bare = Model()
    for name in ("predict", "generate", "ainvoke", "astream"):
        ours, theirs = getattr(model, name), getattr(bare, name)
        assert (ours.__qualname__, inspect.signature(ours)) == (theirs.__qualname__, inspect.signature(theirs))
        assert inspect.getfullargspec(ours) == inspect.getfullargspec(theirs)
        for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            assert kind(ours) == kind(theirs)


def test_what_returns_the_model_returns_the_watched_one(model, counts):
    with model.to("cpu").fit([1]) as entered:
        entered.predict([1, 2])
    assert counts() == {"predict": (1, 2)}


def test_other_objects_of_the_class_are_left_alone(model, counts):
    Model().predict([1])
    assert counts() == {}
    assert Model.predict.__module__ == __name__ and not hasattr(Model.predict, "__wrapped__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_holds_no_trace_of_the_agent(model, protocol):
    assert pickle.dumps(model, protocol) == pickle.dumps(Model(), protocol)
    assert type(pickle.loads(pickle.dumps(model.predict, protocol)).__self__) is Model


def test_a_pickle_by_value_of_a_method_loads_without_the_agent(tmp_path):
    """As Ray, Dask and Spark send what a notebook defines."""
    write = """
        import sys; import cloudpickle; from traceml_agent.watch import _counted
        class Model:
            def predict(self, batch): return [self.transform(x) for x in batch]
            def transform(self, x): return 2 * x
        sys.stdout.buffer.write(cloudpickle.dumps(_counted(Model(), []).predict))
    """
    read = """
        import sys; sys.modules["traceml_agent"] = None
        import pickle; print(pickle.load(sys.stdin.buffer)([1, 2]))
    """
    code = [sys.executable, "-c"]
    written = subprocess.run([*code, inspect.cleandoc("\n" + write)], stdout=subprocess.PIPE, check=True).stdout
    output = subprocess.run([*code, inspect.cleandoc("\n" + read)], input=written, stdout=subprocess.PIPE, check=True)
    assert output.stdout == b"[2, 4]\n"


def test_a_copy_is_a_bare_one(model, counts):
    for made in (copy.copy(model), copy.deepcopy(model), copy.deepcopy({"model": model})["model"]):
        assert type(made) is Model
        made.predict([1])
    assert counts() == {}


def test_a_copy_that_the_class_makes_itself_is_a_bare_one(watch):
    class Copied(Model):
        def __copy__(self):
            return type(self)()

    assert type(copy.copy(watch(Copied()))) is Copied


def test_no_registry_of_subclasses_takes_it_for_a_new_model(watch):
    known = {}

    class Registered:
        def __init_subclass__(cls, key):
            known[key] = cls

    class Mine(Registered, key="mine"):
        def predict(self, batch):
            return batch

    watch(Mine()).predict([1])
    assert known == {"mine": Mine}


def test_slots_and_frozen_dataclasses_may_be_watched(watch, counts):
    @dataclasses.dataclass(frozen=True, slots=True)
    class Frozen:
        threshold: float = 0.5

        def predict(self, batch):
            return self.threshold

    model = watch(Frozen())
    assert model.predict([1, 2]) == 0.5
    assert (model, hash(model)) == (Frozen(), hash(Frozen()))
    assert dataclasses.replace(model, threshold=0.6) == Frozen(0.6)
    assert counts() == {"predict": (1, 2)}


def test_an_object_that_becomes_another_class_stays_watched(model, counts):
    class Quantised(Model):
        threshold = 0.1

    model.__class__ = Quantised
    assert (model.__class__, model.threshold) == (Quantised, 0.1)
    model.predict([1, 2])
    assert counts() == {"predict": (1, 2)}


def test_class_static_and_found_methods_count(watch, counts):
    class Found:
        def __init__(self):
            self.predict = lambda batch: batch
            self.encode = Model()  # a part of it that may be called is no method

        @classmethod
        def transform(cls, batch):
            return cls

        @staticmethod
        def embed(batch):
            return batch

        def __getattr__(self, name):
            if name == "translate":
                return double
            raise AttributeError(name)

    model = watch(Found())
    assert model.transform([1]) is Found
    assert model.predict([1, 2]) == model.embed([1, 2]) == [1, 2]
    assert model.translate([1]) == [2]
    assert type(model.encode) is Model
    assert not hasattr(model, "invoke")
    assert counts() == {"transform": (1, 1), "predict": (1, 2), "embed": (1, 2), "translate": (1, 1)}
    model.predict = double
    assert model.predict([1]) == [2]
    assert vars(model)["predict"] is double


def test_a_test_may_replace_the_method_on_the_class(model):
    with mock.patch.object(Model, "predict") as replaced:
        model.predict([1])
    replaced.assert_called_once_with([1])


# What stands in for functions


@pytest.mark.parametrize(
    "function", [double, len, functools.partial(double), functools.lru_cache(len), Model().predict]
)
def test_a_function_is_stood_in_for(watch, counts, function):
    ours = watch(function)
    argument = ("a", "b")
    assert ours(argument) == function(argument)
    assert counts() == {"__call__": (1, 2)}
    assert isinstance(ours, type(function))
    assert (ours.__doc__, repr(ours), hash(ours)) == (function.__doc__, repr(function), hash(function))
    assert ours == function
    assert inspect.isfunction(ours) == inspect.isfunction(function)


@pytest.mark.parametrize("function", [double, len, functools.partial(double), Model().__len__])
def test_a_pickle_of_a_stand_in_is_one_of_the_function(watch, function):
    pickled = pickle.dumps(watch(function))
    assert b"traceml" not in pickled.replace(__name__.encode(), b"")
    assert type(pickle.loads(pickled)) is type(function)


def test_a_function_watched_under_its_own_name_pickles_by_it(watch, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "double", watch(double))
    assert pickle.loads(pickle.dumps(double)) is double
    assert cloudpickle.loads(cloudpickle.dumps(double))([1]) == [2]


def test_a_watched_coroutine_function_is_still_one(watch, counts):
    ours = watch(wait_for)
    assert asyncio.iscoroutinefunction(ours)
    assert asyncio.run(ours([1, 2])) == [1, 2]
    assert counts() == {"__call__": (1, 2)}


def test_a_watched_function_becomes_a_method_in_a_class(watch, counts):
    class Service:
        predict = watch(lambda self, batch: (self, batch))

    service = Service()
    assert service.predict([1]) == (service, [1])
    assert counts() == {"__call__": (1, 1)}


@pytest.mark.parametrize("model", [Model, None, 5, "text", [1], object()])
def test_what_can_not_be_watched_is_returned_with_a_word(watch, all_watched, monkeypatch, caplog, model):
    monkeypatch.setattr(messages, "_said", {})
    assert watch(model) is model
    assert (len(caplog.messages), all_watched) == (1, [])


def test_a_module_may_be_watched(watch, counts):
    module = types.ModuleType("served")
    module.predict = double
    assert watch(module).predict([1, 2]) == [2, 4]
    assert counts() == {"predict": (1, 2)}
