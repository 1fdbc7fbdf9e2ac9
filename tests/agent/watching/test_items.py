"""What one call worked on: the items, however a batch is handed over."""

from collections import UserDict, namedtuple

import numpy as np
import pytest
from scipy import sparse

from traceml_agent.watching.items import items_of

BATCH = np.zeros((8, 3))
Record = namedtuple("Record", "age city")


class Framework:
    """An array of another library, known by its shape."""

    def __init__(self, *shape, dtype="float32"):
        self._shape, self.dtype = shape, dtype

    @property
    def shape(self):
        return self._shape


class MadeUp:
    """Makes up every attribute, as tracers' proxies do."""

    def __getattr__(self, name):
        return (99, 99)


class Broken:
    @property
    def shape(self):
        raise RuntimeError("not now")


@pytest.mark.parametrize(
    ("batch", "items"),
    [
        ([1, 2, 3], 3),
        ((1, 2), 2),
        ({1, 2}, 2),
        (range(4), 4),
        ([], 0),
        (BATCH, 8),
        (sparse.csr_matrix(BATCH), 8),
        (Framework(8, 2), 8),
        ("a prompt", 1),
        (b"bytes", 1),
        (np.zeros(3), 1),  # one sample of three numbers
        (np.float32(3), 1),
        (np.array(["a", "b", "c"]), 3),
        (np.array(["a", "b"], dtype=object), 2),
        (Framework(5, dtype="String"), 5),
        ({"age": 5, "city": "Bern"}, 1),
        (Record(5, "Bern"), 1),
        ({"x": BATCH, "mask": None}, 8),
        (UserDict(input_ids=Framework(8, 5), attention_mask=Framework(8, 5)), 8),
        ({"input_ids": [[1, 2], [3], [4]], "attention_mask": [[1, 1], [1], [1]]}, 3),
        ({"texts": ["a", "b"]}, 2),
        ({"embedding": [0.5, 0.25]}, 1),
        ([{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}], 1),
        ([{"age": 5}, {"age": 6}], 2),
        (None, 1),
        (7, 1),
        (object(), 1),
        (MadeUp(), 1),
        (Broken(), 1),
    ],
)
def test_the_items_of_a_batch(batch, items):
    assert items_of((batch,), {}) == items
    assert items_of((), {"x": batch}) == items


@pytest.mark.parametrize(
    ("args", "kwargs", "items"),
    [
        ((), {}, 1),
        ((None, {"x": BATCH}), {}, 8),
        ((), {"max_new_tokens": 5, "input_ids": BATCH}, 8),
        ((), {"stop": ["a", "b"], "prompt": "hello"}, 1),
        ((), {"model": "m", "texts": ["a", "b"]}, 2),
        ((), {"verbose": False, "mystery": BATCH}, 8),
        ((object(),), {"input_ids": BATCH}, 8),
        ((), {"messages": [{"role": "user", "content": "hello"}] * 3}, 1),
        ((), {"input": None, "inputs_embeds": BATCH}, 8),
    ],
)
def test_options_beside_the_batch_are_none(args, kwargs, items):
    assert items_of(args, kwargs) == items


def test_the_methods_own_parameters_tell_which_is_the_batch():
    assert items_of((["label"], {"input": BATCH}), {}, ("output_names", "input_feed")) == 8
    assert items_of((), {"question": "why", "history": ["a", "b"]}, ("question", "history")) == 1
    assert items_of(("model", ["a", "b"]), {}, ("model", "texts")) == 2
