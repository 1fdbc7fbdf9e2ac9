"""What people hand over, made fit to travel."""

import numpy as np
import pytest

from traceml_agent import metadata


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


def test_params_may_be_an_object_with_attributes():
    class Options:
        def __init__(self):
            self.lr = 0.1

    assert metadata.params(Options()) == {"lr": 0.1}


def test_params_are_capped_in_number_and_size():
    assert len(metadata.params({f"k{n}": n for n in range(200)})) == 50
    assert len(repr(metadata.params({f"k{n}": "x" * 500 for n in range(50)}))) < 16 * 1024


def test_what_json_does_not_know_becomes_text():
    assert metadata.params({"a": float("inf"), "b": {1, 2} - {2}, "c": np.float32(0.5), "d": 2**70}) == {
        "a": "inf",
        "b": [1],
        "c": "0.5",
        "d": str(2**70),
    }


def test_tags_are_clean_and_once_each():
    assert metadata.tags(["a", "a", " b ", "", 3]) == ["a", "b", "3"]
    assert metadata.tags("one") == ["one"]


@pytest.mark.parametrize(
    ("given", "number"),
    [(1, 1.0), (np.float64(0.5), 0.5), ("0.25", 0.25), ("low", None), (float("nan"), None), (None, None), ([1], None)],
)
def test_a_metric_is_a_finite_number_or_nothing(given, number):
    assert metadata.number(given) == number
