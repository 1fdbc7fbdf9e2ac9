"""What a portal refuses is taken out of a body, and no more."""

import copy
from typing import Any

import pytest

from traceml_agent.delivery.pruning import prune

BODY: dict[str, Any] = {
    "model": "m",
    "started_at": "2026-01-01T00:00:00Z",
    "writer": "w-1",
    "name": "first",
    "tags": ["a", "b", "c"],
    "params": {"lr": 0.1, "a.b": 1, 'q"]': 2, "0": 3, "x": {"y": [1, 2], "z": 4}},
    "metrics": [{"name": f"m{n}"} for n in range(12)],
    "samples": [{"device": "gpu-0", "busy_s": 1}, {"device": "cpu-0"}],
    "devices": [{"key": "gpu-0", "kind": "gpu", "name": "A100", "note": "?", "uuid": "?"}],
    "calls": [{"method": "predict", "items": -1}],
    "stages": [{"name": ""}],
}


def without(**changes) -> dict:
    """The body with other values; None leaves a key out."""
    return {key: value for key, value in (BODY | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("fields", "left", "taken_out"),
    [
        (["metrics[3].value"], without(metrics=[*BODY["metrics"][:3], *BODY["metrics"][4:]]), ["metric 'm3'"]),
        (
            ["metrics[2].name", "metrics[10]", "metrics[2].value"],
            without(metrics=[row for n, row in enumerate(BODY["metrics"]) if n not in (2, 10)]),
            ["metric 'm2'", "metric 'm10'"],
        ),
        (["tags[2]"], without(tags=["a", "b"]), ["tag 'c'"]),
        (["samples[1].t_s"], without(samples=BODY["samples"][:1]), ["sample of 'cpu-0'"]),
        (["calls[0].items"], without(calls=[]), ["calls of 'predict'"]),
        (["stages[0].name"], without(stages=[]), ["stage ''"]),
        (["name"], without(name=None), ["name"]),
        (["params"], without(params=None), ["all params"]),
        (["metrics"], without(metrics=None), ["all metrics"]),
        (["devices[0].name"], without(devices=[]), ["device 'gpu-0'"]),
    ],
)
def test_the_named_rows_go_and_are_told(fields, left, taken_out):
    given = copy.deepcopy(BODY)
    assert prune(given, fields) == (left, taken_out)
    assert given == BODY


@pytest.mark.parametrize(
    ("field", "keys"),
    [
        ("params.lr", {"a.b", 'q"]', "0", "x"}),
        ('params["a.b"]', {"lr", 'q"]', "0", "x"}),
        (r'params["q\"]"]', {"lr", "a.b", "0", "x"}),
        ("params.0", {"lr", "a.b", 'q"]', "x"}),
        ("params.x", {"lr", "a.b", 'q"]', "0"}),
    ],
)
def test_one_parameter_goes_whatever_its_key(field, keys):
    assert set(prune(BODY, [field])[0]["params"]) == keys


def test_a_part_of_a_parameter_goes_and_no_item_of_a_list_alone():
    kept, taken_out = prune(BODY, ["params.x.y[1]"])
    assert kept["params"]["x"] == {"z": 4}
    assert taken_out == ["parameter 'x.y'"]


def test_a_device_goes_without_a_fact_that_is_not_right():
    kept, taken_out = prune(BODY, ["devices[0].note", "devices[0].uuid"])
    assert kept["devices"] == [{"key": "gpu-0", "kind": "gpu", "name": "A100"}]
    assert sorted(taken_out) == ["note of a device", "uuid of a device"]


@pytest.mark.parametrize(
    "field",
    [
        "model",
        "started_at",
        "writer",
        "unknown",
        "metrics[99]",
        "metrics[-1]",
        "params.nothing",
        "params[",
        "",
        "..",
        "[0]",
    ],
)
def test_what_can_not_go_or_is_not_there_leaves_the_body_as_it_is(field):
    assert prune(BODY, [field]) == (BODY, [])
