"""What people hand over, made fit to travel."""

import decimal
import fractions
import os
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest

from traceml_agent.inputs import metadata
from traceml_agent.inputs.left_out import LeftOut


class Size(IntEnum):
    BIG = 8


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("résumé", "résumé"),
        ("e\u0301", "é"),
        (" two\nlines ", "two lines"),
        ("nul\x00 and bell\x07", "nul and bell"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("\u202eevil", "evil"),
        ("x" * 500, "x" * 200),
        (42, "42"),
    ],
)
def test_text_is_what_every_database_can_hold(given, kept):
    assert metadata.text(given) == kept


def test_secrets_are_hidden_by_their_name_at_any_depth():
    found = metadata.params({"lr": 0.1, "API-Key": "abc", "opt": {"hf_token": "abc", "betas": (0.9, 0.99)}})
    assert found == {"lr": 0.1, "API-Key": "(hidden)", "opt": {"hf_token": "(hidden)", "betas": [0.9, 0.99]}}


def test_tokens_that_are_numbers_are_amounts_and_ids():
    given = {"max_new_tokens": 64, "eos_token_id": None, "model": {"num_token": 1.5}, "token": "abc", "tokens": ["abc"]}
    assert metadata.params(given) == given | {"token": "(hidden)", "tokens": "(hidden)"}
    assert metadata.params({"password": 1234}) == {"password": "(hidden)"}


def test_params_may_be_an_object_with_attributes():
    class Options:
        def __init__(self):
            self.lr = 0.1

    assert metadata.params(Options()) == {"lr": 0.1}


def test_params_are_capped_in_number_and_size():
    assert len(metadata.params({f"k{n}": n for n in range(300)})) == 200
    assert len(repr(metadata.params({f"k{n}": "x" * 500 for n in range(50)}))) < 16 * 1024


def test_seven_prompts_of_475_chinese_characters_are_kept():
    prompts = {f"prompt {n}": "模" * 475 for n in range(7)}
    assert metadata.params(prompts) == prompts


def test_where_parameters_are_too_large_together_the_largest_go_and_are_named():
    given = {"lr": 0.1, "small": "x" * 400} | {f"list {n}": ["y" * 400] * 10 * n for n in (1, 2, 3)} | {"seed": 7}
    left_out = LeftOut()
    assert list(metadata.params(given, left_out)) == ["lr", "small", "list 1", "list 2", "seed"]
    assert [row["what"] for row in left_out.rows()] == ["parameter 'list 3'"]


def test_what_json_does_not_know_becomes_text():
    assert metadata.params({"a": float("inf"), "b": {1, 2} - {2}, "c": 2**70, "d": 1 + 2j, "e": Path("x")}) == {
        "a": "inf",
        "b": [1],
        "c": str(2**70),
        "d": "(1+2j)",
        "e": "x",
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.int64(8), 8),
        (np.uint8(8), 8),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.1),
        (np.float16(0.1), 0.1),
        (np.longdouble(0.5), 0.5),
        (np.float32("nan"), "nan"),
        (np.bool_(True), True),
        (np.array(8), 8),
        (np.array([64, 64]), [64, 64]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.str_("adam"), "adam"),
        (np.datetime64("2026-01-01"), "2026-01-01"),
        (decimal.Decimal("0.1"), 0.1),
        (fractions.Fraction(1, 2), 0.5),
        (Size.BIG, 8),
        ((64, 64), [64, 64]),
        (None, None),
    ],
)
def test_numbers_are_numbers_whatever_their_type(given, kept):
    found = metadata.params({"x": given})["x"]
    assert (found, type(found)) == (kept, type(kept))


def test_parameters_that_json_knows_are_kept_as_they_are():
    given = {"layers": [64, 64], "optimizer:lr": 0.1, "prompt": "y" * 300, "s": None, "a.b": {"c": [True, {}]}}
    assert metadata.params(given) == given


def test_equal_sets_are_equal_in_every_process():
    code = (
        "from traceml_agent.inputs import metadata; print(metadata.params({'x': {'adam', 'sgd', 'lion', 'adagrad'}}))"
    )
    words = [sys.executable, "-c", code]
    told = {
        subprocess.run(words, env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


def test_tags_are_clean_and_once_each():
    assert metadata.tags(["a", "a", " b ", "", 3]) == ["a", "b", "3"]
    assert metadata.tags("one") == ["one"]
    assert metadata.tags(7) == ["7"]
    assert metadata.tags({"team": "vision", "hf_token": "abc"}) == ["team=vision", "hf_token=(hidden)"]


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (1, 1.0),
        (np.float64(0.5), 0.5),
        ("0.25", 0.25),
        ("low", None),
        (float("nan"), None),
        (None, None),
        ([1], None),
        (np.array([0.5]), 0.5),
        (np.array([1, 2]), None),
        (10**400, None),
        (decimal.Decimal("0.5"), 0.5),
    ],
)
def test_a_metric_is_a_finite_number_or_nothing(given, number):
    assert metadata.number(given) == number


@pytest.mark.parametrize(
    ("args", "kwargs", "rows"),
    [
        ((), {"loss": 0.5, "acc": 1}, [("loss", 0.5), ("acc", 1.0)]),
        (({"loss": 0.5},), {}, [("loss", 0.5)]),
        (({"loss": 0.5},), {"acc": 1}, [("loss", 0.5), ("acc", 1.0)]),
        (({"val": {"loss": 0.5, "top": {"1": 0.9}}},), {}, [("val.loss", 0.5), ("val.top.1", 0.9)]),
        (({0: 0.5},), {}, [("0", 0.5)]),
        (({},), {}, []),
        ((), {"": 1.0, "acc": 0.5}, [("acc", 0.5)]),
    ],
)
def test_metrics_come_as_keywords_and_mappings(args, kwargs, rows):
    assert metadata.metrics(args, kwargs) == rows


def test_a_run_keeps_as_many_names_as_the_portal_and_says_so():
    names: set[str] = set()
    left_out = LeftOut()
    assert len(metadata.metrics(({f"m{n}": n for n in range(101)},), {}, left_out, names)) == 100
    assert metadata.metrics((), {"m5": 1, "new": 1}, left_out, names) == [("m5", 1.0)]
    assert [row["what"] for row in left_out.rows()] == ["metric 'm100'", "metric 'new'"]


def test_an_odd_fact_of_a_device_leaves_the_others_as_they_are():
    given = {"key": "gpu-0", "kind": "gpu", "name": "A100\x00", "note": "n" * 600, "uuid": None, "share": 1.0}
    left_out = LeftOut()
    found = metadata.facts(given | {"memory_gb": float("nan"), "cores": -1, "power_limit_w": None}, left_out)
    assert found == {"key": "gpu-0", "kind": "gpu", "name": "A100", "note": "n" * 500, "uuid": "", "share": 1.0}
    assert [row["what"] for row in left_out.rows()] == [
        "the end of note of gpu-0",
        "memory_gb of gpu-0",
        "cores of gpu-0",
    ]
