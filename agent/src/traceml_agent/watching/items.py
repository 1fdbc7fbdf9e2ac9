"""How many items a call worked on: the rows of its batch, however the batch is passed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from traceml_agent.messages import let_handlers_through

#: Names of parameters for a batch, in the libraries whose methods `watch` knows.
BATCHES = frozenset((
    "X", "x", "input", "inputs", "input_ids", "inputs_embeds", "input_values", "input_features", "input_feed",
    "pixel_values", "batch", "data", "dataset", "examples", "samples", "instances", "features", "src", "texts", "text",
    "sentences", "sentence", "prompts", "prompt", "documents", "queries", "query", "messages", "images", "image",
    "audio",
))  # fmt: skip
#: Values that are options, never a batch or an item.
_OPTION = (bool, int, float, complex, type(None))
_TEXT = (str, bytes, bytearray)
_SEVERAL = (list, tuple, set, frozenset, range, Sequence)
#: How many values of a mapping are checked, since a record may have thousands.
_LOOKED_AT = 8


def items_of(args, kwargs, parameters=()) -> int:
    """The length of a list, the first dimension of an array or of the arrays in a mapping; 1 for a text or a record.

    `parameters` are the names of positional arguments, so that a batch counts the same by name and by position. Nothing
    is raised, although the arguments are the user's objects, whose attributes may fail.
    """
    try:
        return _items(args, kwargs, parameters)
    except Exception as error:  # noqa: BLE001
        let_handlers_through(error)
        return 1


def _items(args, kwargs, parameters) -> int:
    given = dict(zip(parameters, args, strict=False)) | kwargs if parameters else kwargs
    named = [value for name, value in given.items() if name in BATCHES and value is not None]
    in_order = [given[name] for name in parameters if name in given] if parameters else args
    for value in (*named, *in_order):
        rows = _rows(value)
        if rows is not None:
            return rows
    others = (_rows(value) for name, value in kwargs.items() if not isinstance(value, _TEXT))
    return next((rows for rows in others if rows is not None), 1)


def _rows(value) -> int | None:
    """The items of one argument; None if it is an option."""
    if isinstance(value, _OPTION):
        return None
    if isinstance(value, _TEXT):
        return 1
    # Read from the type, so that an object which invents attributes, such as a tracer's proxy, does not notice.
    if getattr(type(value), "shape", None) is not None:
        return _first_dimension(value)
    if isinstance(value, Mapping) or (hasattr(type(value), "keys") and hasattr(type(value), "values")):
        return _rows_of_mapping(value)
    if isinstance(value, _SEVERAL):
        return 1 if hasattr(value, "_fields") or _is_conversation(value) else len(value)
    if hasattr(type(value), "num_row"):  # XGBoost's and CatBoost's matrices
        return int(value.num_row())
    return None


def _first_dimension(array) -> int:
    """The first dimension: 1 for a vector of numbers, which is one sample; the length of a vector of texts."""
    shape = array.shape
    if len(shape) > 1 or (len(shape) == 1 and _holds_texts(array)):
        return int(shape[0])
    return 1


def _holds_texts(array) -> bool:
    kind = getattr(getattr(array, "dtype", None), "kind", None)  # of NumPy and pandas: O, S, U, T, and V for records
    return kind in "OSUTV" if kind else "str" in str(getattr(array, "dtype", "")).lower()


def _is_conversation(values) -> bool:
    """Whether these are messages, each with its role, which together are one prompt."""
    return isinstance(values, (list, tuple)) and bool(values) and isinstance(values[0], dict) and "role" in values[0]


def _rows_of_mapping(mapping) -> int:
    """The rows of tensors or columns by name; 1 for a record."""
    values = list(itertools.islice(mapping.values(), _LOOKED_AT))
    for value in values:
        if getattr(type(value), "shape", None) is not None and len(value.shape):
            rows = _first_dimension(value)
            if len(value.shape) > 1 or rows > 1:
                return rows
    columns = [value for value in values if isinstance(value, (list, tuple))]
    are_columns = columns and len(columns) == len(values) and not isinstance(next(iter(columns[0]), 0), (int, float))
    return len(columns[0]) if are_columns else 1
