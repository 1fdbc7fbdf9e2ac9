"""Promise PA25: one bad value costs itself alone, whatever it is and wherever it is given."""

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import itertools
import pathlib
import random
import types
import warnings
from typing import NamedTuple

import numpy as np
import pytest

from traceml_agent import messages
from traceml_agent.inputs import metadata
from traceml_agent.inputs.left_out import LeftOut


@pytest.fixture(autouse=True)
def unsaid(monkeypatch):
    monkeypatch.setattr(messages, "_said", {})


@pytest.fixture
def left_out() -> LeftOut:
    return LeftOut()


def raising(*arguments):
    raise RuntimeError("no")


class Hostile:
    """Whatever it is asked for, it raises."""

    __str__ = __repr__ = __len__ = __iter__ = __float__ = __int__ = __bool__ = __hash__ = __eq__ = raising
    __getattr__ = __getitem__ = keys = items = raising


class HostileProperties:
    __class__ = __dict__ = property(raising)  # type: ignore[assignment]


class HostileText(str):
    __slots__ = ()
    __str__ = __len__ = __getitem__ = strip = encode = isascii = raising


class HostileNumber(int):
    __str__ = __int__ = __index__ = __float__ = __abs__ = __lt__ = bit_length = raising


class HostileFloat(float):
    __str__ = __float__ = __abs__ = is_integer = raising


class HostileDict(dict):
    keys = items = __iter__ = __len__ = __getitem__ = get = raising


class HalfMapping(collections.abc.Mapping):
    """As of OmegaConf: a mapping with a value that is missing."""

    def __init__(self, **values):
        self._values = values

    def __iter__(self):
        return iter([*self._values, "missing"])

    def __len__(self):
        return len(self._values) + 1

    def __getitem__(self, key):
        return self._values[key]


class Endless(collections.abc.Mapping):
    def __iter__(self):
        return itertools.count()

    def __len__(self):
        return 10**18

    def __getitem__(self, key):
        return self


class LyingTensor:
    """Has what a tensor has, and nothing behind it."""

    shape, dtype = (2, "x"), None
    detach = item = tolist = numpy = raising


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Options:
    lr: float = 0.1
    layers: tuple = (64, 64)


@dataclasses.dataclass
class Slots:
    __slots__ = ("lr",)
    lr: float


class Named(NamedTuple):
    lr: float


def torn():
    yield "a"
    raise RuntimeError("no")


def itself() -> dict:
    loop: dict = {}
    loop["loop"] = [loop] * 60
    return loop


ODD = {
    "hostile": Hostile(),
    "hostile properties": HostileProperties(),
    "hostile text": HostileText("x"),
    "hostile number": HostileNumber(8),
    "hostile float": HostileFloat(0.5),
    "hostile dict": HostileDict(a=1),
    "half a mapping": HalfMapping(a=1),
    "endless mapping": Endless(),
    "lying tensor": LyingTensor(),
    "huge number": 10**5000,
    "large number": -(2**64),
    "nan": float("nan"),
    "infinite": float("-inf"),
    "empty": "",
    "white": " \n\t\u2003",
    "nul": "\x00",
    "lone surrogate": "\ud800",
    "bidi": "\u202ea\u2066",
    "ten megabytes": "é" * 10_000_000,
    "grows in NFC": "\u0958" * 300,
    "astral": "🜁" * 5000,
    "bytes": b"\xff" * 10_000_000,
    "set": {1, "a", None},
    "generator": (n for n in range(3)),
    "torn generator": torn(),
    "endless generator": itertools.count(),
    "NumPy's bool": np.bool_(True),
    "NumPy's time": np.datetime64("2020-01-01T00:00:00", "ns"),
    "array": np.zeros((1000, 1000)),
    "empty array": np.zeros((0, 3)),
    "structured": np.zeros(2, dtype=[("a", "i4"), ("b", "S3")]),
    "complex": 1 + 2j,
    "decimal": decimal.Decimal("sNaN"),
    "fraction": fractions.Fraction(1, 3),
    "time": datetime.datetime.now(datetime.timezone.utc),
    "path": pathlib.Path("/data\udcff"),
    "enum": Colour.RED,
    "type": Hostile,
    "dataclass": Options(),
    "namespace": argparse.Namespace(lr=0.1, none=None),
    "itself": itself(),
    "deep": [[[[[[[[1]]]]]]]],
    "keys of any type": {1: 1, None: 2, (1, 2): 3, "": 4, b"x": 5, Colour.RED: 6},
    "many keys": {f"k{n}": n for n in range(100_000)},
    "module": random,
    "function": raising,
    "nothing": None,
    "object": object(),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_parameter_leaves_the_others_as_they_are(odd, left_out):
    kept = metadata.params({"lr": 0.1, "odd": ODD[odd], "seed": 7}, left_out)
    assert {name: value for name, value in kept.items() if name != "odd"} == {"lr": 0.1, "seed": 7}
    assert "odd" in kept or any("'odd" in row["what"] for row in left_out.rows())


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_value_in_a_parameter_leaves_the_rest_of_it(odd, left_out):
    kept = metadata.params({"optimizer": {"lr": 0.1, "odd": ODD[odd]}, "seed": 7}, left_out)
    assert (kept["optimizer"]["lr"], kept["seed"]) == (0.1, 7)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_metric_leaves_the_others_as_they_are(odd, left_out):
    for kept in (
        metadata.metrics((), {"loss": 0.5, "odd": ODD[odd], "acc": 1}, left_out),
        metadata.metrics(({"loss": 0.5, "odd": ODD[odd]}, {"acc": 1}), {}, left_out),
    ):
        assert [row for row in kept if not row[0].startswith("odd")] == [("loss", 0.5), ("acc", 1.0)]
        assert len(kept) > 2 or left_out.rows()


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_tag_leaves_the_others_as_they_are(odd, left_out):
    kept = metadata.tags(["a", ODD[odd], "b"], left_out)
    assert (kept[0], kept[-1], len(kept) in (2, 3)) == ("a", "b", True)


@pytest.mark.parametrize("odd", ODD)
def test_nothing_raises_whatever_the_whole_is(odd, left_out):
    value = ODD[odd]
    assert isinstance(metadata.params(value, left_out), dict)
    assert isinstance(metadata.tags(value, left_out), list)
    assert isinstance(metadata.text(value, left_out, "name"), str)
    assert isinstance(metadata.metrics((value, 3), {"x": value}, left_out), list)
    assert metadata.kind(value) is None


@pytest.mark.parametrize("odd", [name for name, value in ODD.items() if name != "ten megabytes" and value is not None])
def test_an_odd_key_leaves_the_other_parameters_and_metrics(odd, left_out):
    class Pairs(dict):
        """One pair of any key, also of one that can't be hashed."""

    key = ODD[odd]
    try:
        given = Pairs({"lr": 0.1, key: 1, "seed": 7})
    except (TypeError, RuntimeError):
        return
    assert {"lr": 0.1, "seed": 7}.items() <= metadata.params(given, left_out).items()
    assert {("lr", 0.1), ("seed", 7.0)} <= set(metadata.metrics((given,), {}, left_out))


def test_a_value_that_can_not_be_read_is_named_with_the_reason_once(left_out, caplog):
    for _ in range(3):
        metadata.params({"lr": 0.1, "x": Hostile(), "seed": 10**5000}, left_out)
    assert left_out.rows() == [
        {"what": "parameter 'x'", "reason": "reading it raised RuntimeError", "count": 3},
        {"what": "parameter 'seed'", "reason": "the number is too large", "count": 3},
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "TraceML: parameter 'x' left out: reading it raised RuntimeError",
        "TraceML: parameter 'seed' left out: the number is too large",
    ]


def test_a_tag_generator_that_raises_midway_keeps_what_it_gave(left_out):
    assert metadata.tags(torn(), left_out) == ["a"]
    assert left_out.rows()[0]["what"] == "the rest of the tags"


def test_an_iterator_among_the_parameters_is_not_used_up(left_out):
    batches = iter([1, 2, 3])
    metadata.params({"batches": batches}, left_out)
    metadata.metrics((), {"batches": batches}, left_out)
    assert list(batches) == [1, 2, 3]


def test_keys_that_come_to_the_same_name_keep_the_first(left_out):
    assert metadata.params({"lr": 1, " lr ": 2, "l\x00r": 3}, left_out) == {"lr": 1}
    assert left_out.rows() == [{"what": "parameter 'lr'", "reason": "another one has the same name", "count": 2}]


def test_a_name_that_is_no_text_gives_none_and_is_said(left_out):
    assert metadata.text(Hostile(), left_out, "name") == ""
    assert metadata.text("\x00", left_out, "model") == ""
    assert [row["what"] for row in left_out.rows()] == ["name", "model"]


def test_what_is_cut_is_counted(left_out):
    metadata.text("x" * 201, left_out, "name")
    metadata.tags([f"tag {n}" for n in range(60)], left_out)
    metadata.params(
        {"prompt": "x" * 501, "layers": range(3), "all": [0] * 210} | {f"k{n}": n for n in range(210)}, left_out
    )
    assert {row["what"]: row["count"] for row in left_out.rows()} == {
        "the end of name": 1,
        "the other tags": 10,
        "the end of parameter 'prompt'": 1,
        "the rest of parameter 'all'": 10,
        "the rest of params": 13,
    }


def test_a_tensor_with_a_gradient_is_read_without_a_warning(left_out):
    class Tensor:
        """As torch's: turned to a number where it has a gradient, it warns."""

        shape, dtype = (), "float32"

        def __init__(self, has_gradient=True):
            self.has_gradient = has_gradient

        def detach(self):
            return Tensor(has_gradient=False)

        def item(self):
            if self.has_gradient:
                warnings.warn("Converting a tensor with requires_grad=True to a scalar", stacklevel=2)
            return 0.5

        __float__ = tolist = item

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metadata.metrics((), {"loss": Tensor()}, left_out) == [("loss", 0.5)]
        assert metadata.params({"temperature": Tensor()}, left_out) == {"temperature": 0.5}


@pytest.mark.parametrize("given", [Options(), argparse.Namespace(lr=0.1, layers=[64, 64]), HalfMapping(lr=0.1)])
def test_parameters_come_in_many_shapes(given, left_out):
    assert metadata.params(given, left_out)["lr"] == 0.1
    assert metadata.params({"options": given}, left_out)["options"]["lr"] == 0.1


def test_an_object_with_slots_a_simple_namespace_and_a_named_tuple_are_parameters(left_out):
    for given in (Slots(0.1), types.SimpleNamespace(lr=0.1), Named(0.1)):
        assert metadata.params(given, left_out) == {"lr": 0.1}


@pytest.mark.parametrize("given", [5, "lr=0.1", ["lr"], object(), len])
def test_what_has_no_names_is_said_to_have_none(given, left_out):
    assert metadata.params(given, left_out) == {}
    assert left_out.rows() == [
        {"what": "params", "reason": "neither a mapping nor an object with attributes", "count": 1}
    ]
