"""How many items a call worked on: the rows of its batch, whichever way the batch is handed over."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

#: Parameters that take the batch, in the libraries that `watch` knows methods of.
BATCHES = frozenset((
    "X", "x", "input", "inputs", "input_ids", "inputs_embeds", "input_values", "input_features", "input_feed",
    "pixel_values", "batch", "data", "dataset", "examples", "samples", "instances", "features", "src", "texts", "text",
    "sentences", "sentence", "prompts", "prompt", "documents", "queries", "query", "messages", "images", "image",
    "audio",
))  # fmt: skip
#: Values that are never a batch, nor an item: options.
_OPTION = (bool, int, float, complex, type(None))
_TEXT = (str, bytes, bytearray)
_SEVERAL = (list, tuple, set, frozenset, range, Sequence)
#: Values of a mapping that are looked at: a record may have thousands.
_LOOKED_AT = 8


def items_of(args, kwargs, parameters=()) -> int:
    """The length of a list, the first dimension of an array or of the arrays in a mapping; one for a text or a record.

    `parameters` are the names of the positional ones: a batch handed over by name counts as the same by position.
    Whatever the arguments are, nothing is raised: they are the caller's own objects, whose attributes may fail.
    """
    try:
        return _items(args, kwargs, parameters)
    except Exception:  # noqa: BLE001
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
    """The items of one argument; none if it is an option."""
    if isinstance(value, _OPTION):
        return None
    if isinstance(value, _TEXT):
        return 1
    # Asked of the type: an object that makes up its attributes, as a tracer's proxy does, is not to notice.
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
    """Of a vector of numbers, which is one sample, one; of a vector of texts their number."""
    shape = array.shape
    if len(shape) > 1 or (len(shape) == 1 and _holds_texts(array)):
        return int(shape[0])
    return 1


def _holds_texts(array) -> bool:
    kind = getattr(getattr(array, "dtype", None), "kind", None)  # of NumPy and pandas: O, S, U, T, and V for records
    return kind in "OSUTV" if kind else "str" in str(getattr(array, "dtype", "")).lower()


def _is_conversation(values) -> bool:
    """Messages, each with its role, make one prompt together."""
    return isinstance(values, (list, tuple)) and bool(values) and isinstance(values[0], dict) and "role" in values[0]


def _rows_of_mapping(mapping) -> int:
    """Of tensors or columns by name, their rows; of a record, one."""
    values = list(itertools.islice(mapping.values(), _LOOKED_AT))
    for value in values:
        if getattr(type(value), "shape", None) is not None and len(value.shape):
            rows = _first_dimension(value)
            if len(value.shape) > 1 or rows > 1:
                return rows
    columns = [value for value in values if isinstance(value, (list, tuple))]
    are_columns = columns and len(columns) == len(values) and not isinstance(next(iter(columns[0]), 0), (int, float))
    return len(columns[0]) if are_columns else 1
