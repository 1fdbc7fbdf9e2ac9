"""What the agent lets through, the portal takes: whatever people hand over, and the same count on both sides."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runs.api import serializers
from runs.api.parsers import parse_object
from runs.models import Metric, Run
from tests import wire as bodies
from traceml_agent import limits
from traceml_agent.delivery.client import encode
from traceml_agent.delivery.pruning import prune
from traceml_agent.inputs import metadata
from traceml_agent.inputs.left_out import LeftOut

ANY_TEXT = st.text(st.characters(), max_size=600) | st.sampled_from(["\u0958" * 200, "🜁" * 600, "\u202ex", "\ud800"])
PLAIN = (st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT, st.binary(max_size=600))
SCALARS: st.SearchStrategy = st.one_of(*PLAIN, st.decimals(), st.fractions(), st.dates(), st.complex_numbers())
KEYS = ANY_TEXT | st.integers() | st.none() | st.binary(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.tuples(inner, inner), max_leaves=30
)
RANGES = tuple(limits.DEVICE_RANGES)
many = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def faults(serializer, body: dict) -> dict:
    """The errors of a body as it comes out of the agent's encoder and the portal's parser."""
    checked = serializer(data=parse_object(encode(body)))
    checked.is_valid()
    return checked.errors


@many
@given(st.dictionaries(KEYS, VALUES, max_size=60), st.lists(SCALARS, max_size=60), SCALARS, SCALARS)
def test_any_header_of_the_agent_passes(params, tags, name, model):
    left_out = LeftOut()
    about = {
        "params": metadata.params(params, left_out),
        "tags": metadata.tags(tags, left_out),
        "name": metadata.text(name, left_out, "name"),
        "model": metadata.text(model, left_out, "model") or "unnamed",
    }
    assert faults(serializers.HeaderSerializer, bodies.header(**about)) == {}


@many
@given(st.dictionaries(KEYS, VALUES, max_size=20), st.lists(SCALARS, max_size=5), SCALARS)
def test_any_batch_and_finish_of_the_agent_passes(logged, stages, exception):
    left_out = LeftOut()
    metrics = [{"t_s": 1.0, "name": name, "value": value} for name, value in metadata.metrics((logged,), {}, left_out)]
    names = [metadata.text(name, left_out, "stage name") or "stage" for name in stages]
    rows = [{"id": str(number), "name": name, "start_s": 1.0} for number, name in enumerate(names)]
    told = left_out.rows()
    assert faults(serializers.BatchBodySerializer, bodies.batch(metrics=metrics, stages=rows, left_out=told)) == {}
    ended = bodies.finish(exception=metadata.text(exception, left_out, "exception"), left_out=told)
    assert faults(serializers.FinishSerializer, ended) == {}


@many
@given(st.fixed_dictionaries({"name": SCALARS}, optional=dict.fromkeys(("uuid", "note", "method", *RANGES), SCALARS)))
def test_any_device_of_the_agent_passes(odd):
    device = metadata.facts({"key": "gpu-0", "kind": "gpu", "basis": ""} | odd, LeftOut())
    assert faults(serializers.BatchBodySerializer, bodies.batch(devices=[device])) == {}


@many
@given(st.dictionaries(ANY_TEXT.map(limits.clean).filter(bool), st.lists(ANY_TEXT.map(limits.clean)), max_size=210))
def test_the_rest_fits_once_the_excess_keys_are_out(given_params):
    excess = limits.excess_keys(given_params)
    rest = {key: value for key, value in given_params.items() if key not in excess}
    assert len(rest) <= limits.MAX_KEYS
    assert limits.metadata_bytes(rest) <= limits.MAX_METADATA_BYTES
    fitted = len(given_params) <= limits.MAX_KEYS
    assert bool(excess) != (fitted and limits.metadata_bytes(given_params) <= limits.MAX_METADATA_BYTES)


def test_a_header_of_exactly_sixteen_kibibytes_of_any_script_passes_and_one_byte_more_does_not():
    for sign in ("x", "é", "模", "🜁", '"'):
        width = limits.metadata_bytes(sign) - 2
        room = limits.MAX_METADATA_BYTES - limits.metadata_bytes({"a": ""})
        params = {"a": sign * (room // width) + "x" * (room % width)}
        assert limits.metadata_bytes(params) == limits.MAX_METADATA_BYTES
        assert faults(serializers.HeaderSerializer, bodies.header(params=params)) == {}
        assert "params" in faults(serializers.HeaderSerializer, bodies.header(params={"a": params["a"] + "x"}))


@pytest.mark.django_db
def test_seven_prompts_of_475_chinese_characters_arrive(wire):
    prompts = {f"prompt {number}": "模" * 475 for number in range(7)}
    wire.start(params=metadata.params(prompts))
    assert Run.objects.get().params == prompts


FAULTY_HEADERS = [
    {"params": {"lr": 0.1, "a.b": "\x00"}},
    {"params": {"lr": 0.1, "x": {"y": [1, {"z": "\x00"}], "kept": 1}}},
    {"params": {"lr": 0.1, 'quoted "key"]': "\x00", "": "\x00", "\ud800": 1, "模.": "\x07", "0": "\x07"}},
    {"params": {"lr": 0.1, "non_field_errors": "\x00"}},
    {"params": {"lr": 0.1} | {f"prompt {number}": "模" * 4000 for number in range(9)}},
    {"params": {"lr": 0.1} | {f"k{number}": number for number in range(200)}},
    {"params": [1]},
    {"environment": {"python": "3.11", "os": "\x00"}},
    {"tags": ["a", "", "b\x00", "x" * 201, "c"]},
    {"tags": [f"tag {number}" for number in range(300)]},
    {"tags": "a", "name": "\x00", "host": ["x"], "kind": "cooking", "flush_s": -1, "agent_version": "x" * 65},
    {"devices": [bodies.A100 | {"note": "\x00", "share": 2, "memory_gb": -1, "cores": "many"}]},
]


@pytest.mark.django_db
@pytest.mark.parametrize("faulty", FAULTY_HEADERS, ids=str)
def test_a_header_without_what_the_portal_names_is_taken(wire, faulty):
    body, run_id = bodies.header(**faulty), "7d9e3a52-6f0a-4c35-9f8a-1b2c3d4e5f60"
    for _ in range(5):
        answer = wire.put(f"runs/{run_id}", body)
        if answer.status_code == 201:
            break
        body, taken_out = prune(body, [error["field"] for error in answer.json()["errors"]])
        assert taken_out, answer.json()
    run = Run.objects.get()
    assert run.params.get("lr", 0.1) == run.params.get("x", {"kept": 1}).get("kept") / 10
    assert {"a", "c"} <= set(run.tags) or len(run.tags) in (0, 50)
    assert [device.name for device in run.devices.all()] == [device["name"] for device in faulty.get("devices", [])]


@pytest.mark.django_db
def test_a_batch_without_what_the_portal_names_is_taken_and_keeps_all_else(wire):
    good = {"t_s": 1, "name": "loss", "value": 0.5}
    bad = [good | {"name": ""}, good | {"value": "low"}, good | {"t_s": -1}, good | {"name": "x" * 201}]
    samples: list = [bodies.sample("gpu-0", n, n / 2) for n in range(1, 50)]
    samples[10:10] = [bodies.sample("gpu-0", -1, 0), bodies.sample("gpu-0", 1, 9), {"device": 7}, None]
    body = bodies.batch(
        samples,
        metrics=[*bad * 50, good],
        stages=[{"id": "1", "name": "", "start_s": 1}, {"id": "2", "name": "epoch", "start_s": 1}],
        calls=[{"method": "predict", "calls": 1, "items": -1}, {"method": "encode", "calls": 1, "items": 1}],
        left_out=[{"what": "", "reason": "x", "count": 1}],
    )
    run_id = wire.start()
    for _ in range(5):
        answer = wire.send(run_id, "b-1", body)
        if answer.status_code == 201:
            break
        body, taken_out = prune(body, [error["field"] for error in answer.json()["errors"]])
        assert taken_out
    run = Run.objects.get()
    assert (run.devices.get().busy_s, Metric.objects.get().last) == (24.5, 0.5)
    assert [stage.name for stage in run.stages.all()] == ["epoch"]
    assert [call.method for call in run.calls.all()] == ["encode"]


def test_the_bytes_of_metadata_are_those_of_its_utf_8():
    value = {"a": ["é模🜁", 1.5, None, True]}
    assert limits.metadata_bytes(value) == len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
