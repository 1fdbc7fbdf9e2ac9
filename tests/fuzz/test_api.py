"""Promise PS3 on the API: no request gives a 500, and nothing that it stores breaks a page or a list.

Requests come from the API's own OpenAPI document, by schemathesis; and from whole bodies of the wire of which some
values lie at the edge of what they may be, as hardly a body made at random is taken.
"""

import base64
import json
import uuid

import pytest
import schemathesis
from django.urls import reverse
from hypothesis import strategies as st
from schemathesis import GenerationMode

from runs.models import Run
from tests.fuzz import each, parts
from tests.fuzz.values import LEAVES, ODD, TIMES, query, quoted, texts
from tests.fuzz.world import World
from tests.wire import A100, CPU, MEMORY, ago, batch, finish, header, sample

SHARED = {"held_s": 50.0, "shared_held_s": 5.0, "shared_busy_s": 1.0, "shared_energy_j": 2.0}
CARD = A100 | {"basis": "counter", "memory_gb": 40, "share": 1.0, "power_limit_w": 400, "method": "NVML", "note": "n"}
MORE = {
    "sent_at": ago(),
    "writer_started_at": ago(hours=1),
    "host": "node-1",
    "left_out": [{"what": "tag 'x'", "reason": "too many", "count": 2**53}],
    "overlaps": [{"run": str(uuid.UUID(int=5)), "shares": "device"}],
}
ABOUT = {"model": "bert", "kind": "finetuning", "name": "second", "tags": ["t"], "params": {"a.b": [1, {"c": None}]}}
#: One of everything that a body may hold.
BODIES = {
    "": header(name="n", rank=0, flush_s=30, tags=["a"], params={"lr": 0.1}, environment={"os": "x"}) | MORE,
    "/batches/{batch_id}": batch(
        [sample("gpu-0", 60.0, 30.0, 9e3) | SHARED, sample("cpu-0", 60.0, 30.0)],
        [CARD, CPU, MEMORY],
        stages=[{"id": "1", "name": "epoch 1/3", "parent": "", "start_s": 0.0, "end_s": 50.0, "total": 3}],
        metrics=[{"t_s": 5.0, "name": name, "value": 0.5} for name in ("loss", "samples", "tokens")],
        calls=[{"method": "predict", "calls": 3, "items": 30, "busy_s": 1.0}],
        about=ABOUT,
        **MORE,
    ),
    "/finish": finish(exception="E", dropped_records=2**31 - 1, samples=[sample("gpu-0", 60.0, 30.0)], devices=[CARD])
    | MORE,
}
LISTS = ["runs", "models", "hardware", "runs/{run_id}", "runs/{run_id}/series", "runs/{run_id}/metrics", "summary"]
LISTS += ["runs/totals", "runs/{run_id}/stages", "models/resnet-50", "models/resnet-50/citation", "usage", "compare"]
LISTS += ["plan", "hardware/nvidia-a100-sxm4-40gb", "project"]
NAMES = ["cursor", "page_size", "since", "q", "kind", "status", "model", "after", "name", "format", "until", "state"]
NAMES += ["used_since", "used_until", "tag", "param", "hardware", "main_hardware", "member", "exception", "over_kwh"]
NAMES += ["archived", "include", "by", "against", "of", "run", "count", "hours", "utilisation", "speed_up"]


@pytest.fixture
def document(client, db) -> dict:
    return json.loads(client.get(reverse("api-schema"), {"format": "json"}).content)


def leaves(value, path=()) -> list[tuple]:
    """The paths to everything in a body, lists and objects too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in leaves(item, (*path, key)))]


def changed(value, path: tuple, to):
    """The body with another value at this path."""
    if not path:
        return to
    key, *rest = path
    inner = changed(value[key], tuple(rest), to)
    return value | {key: inner} if isinstance(value, dict) else [*value[:key], inner, *value[key + 1 :]]


def edged(body: dict) -> st.SearchStrategy[dict]:
    """The body with up to three of its values at an edge, or of another type."""
    change = st.tuples(st.sampled_from(leaves(body)[1:]), st.one_of(st.sampled_from(LEAVES), st.sampled_from(TIMES)))

    def with_all(changes):
        made = body
        for path, to in changes:
            try:
                made = changed(made, path, to)
            except (KeyError, IndexError, TypeError):  # an earlier change took what it is in
                continue
        return made

    return st.lists(change, min_size=1, max_size=3).map(with_all)


def writes(world: World) -> st.SearchStrategy:
    """PUTs of such bodies, to the runs there are and to a new one."""
    run_ids = st.sampled_from([*world.run_ids, str(uuid.UUID(int=77))])
    batch_ids = st.sampled_from(["b-1", "b-2", *(f"b-{n}" for n in range(10, 500))])
    of = [st.tuples(st.just(path), edged(body), run_ids, batch_ids) for path, body in BODIES.items()]
    return st.one_of(*of).map(lambda drawn: _put(world, *drawn))


def _put(world: World, path: str, body: dict, run_id: str, batch_id: str):
    address = f"/api/v1/runs/{run_id}{path.format(batch_id=batch_id)}"
    sent = json.dumps(body).encode("utf-8", "surrogatepass")
    return lambda: world.ask("PUT", address, data=sent, content_type="application/json", headers=world.wire.headers)


def cursors() -> st.SearchStrategy[str]:
    """Cursors of the right form that hold what a database may not be able to compare."""
    position = st.one_of(st.sampled_from(ODD), st.text(max_size=20)).map(quoted)
    rest = st.sampled_from(["", "&r=1", "&o=99", "&o=-1", "&r=x", "&o=" + "9" * 400])
    return st.builds(lambda p, more: base64.b64encode(f"p={p}{more}".encode()).decode(), position, rest)


def reads(world: World) -> st.SearchStrategy:
    """GETs of every list and object, with whatever in their query strings."""
    pair = st.one_of(
        st.tuples(st.just("cursor"), cursors()),
        st.tuples(st.sampled_from(NAMES), texts(["training", "completed", "resnet-50", "loss", "2", "json"])),
    )
    drawn = st.tuples(st.sampled_from(LISTS), st.sampled_from(world.run_ids), st.lists(pair, max_size=3))
    return drawn.map(lambda drawn: _get(world, *drawn))


def _get(world: World, path: str, run_id: str, pairs):
    address = f"/api/v1/{path.format(run_id=run_id)}?{query(pairs)}"
    return lambda: world.ask("GET", address, headers=world.wire.headers)


def documented(world: World, document: dict) -> st.SearchStrategy:
    """What schemathesis makes of the API's own document, right and wrong, mostly about runs that there are."""
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    cases = [each.as_strategy(generation_mode=mode) for each in operations for mode in GenerationMode]
    about = st.sampled_from([{}, *({"run_id": run_id} for run_id in world.run_ids)])
    return st.tuples(st.one_of(*cases), about).map(lambda drawn: _documented(world, *drawn))


def _documented(world: World, case, about: dict):
    case.path_parameters = {**case.path_parameters, **{k: v for k, v in about.items() if k in case.path_parameters}}
    sent = case.as_transport_kwargs(base_url="http://testserver")
    address = sent["url"].removeprefix("http://testserver")
    pairs = [(name, str(one)) for name, value in (sent.get("params") or {}).items() for one in _all_of(value)]
    body = sent["data"] if sent.get("data") is not None else json.dumps(sent["json"]) if "json" in sent else b""
    more = {"data": body, "content_type": "application/json", "headers": world.wire.headers}
    return lambda: world.ask(case.method, f"{address}?{query(pairs)}", **more)


def _all_of(value) -> list:
    return value if isinstance(value, list) else [value]


def answers(request) -> None:
    answer = request()
    assert answer.status_code < 500, answer.content
    if answer.status_code == 422:
        assert all(error["field"] for error in answer.json()["errors"]), answer.content


@pytest.mark.parametrize("count", parts(usual=450))
def test_no_request_breaks_the_api_or_a_page(world, document, count):
    each(count // 3, writes(world), answers)
    each(count // 3, reads(world), answers)
    each(count // 3, documented(world, document), answers)
    pages = [f"/runs/{run.run_id}/" for run in Run.objects.all()[:200]]
    world.answered += pages + [f"{page}series.csv" for page in pages] + [f"/compare/?run={'&run='.join(world.run_ids)}"]
    assert world.broken() == []
    ours = world.wire.get("runs", page_size=200)
    assert ours.status_code == 200
    assert {world.wire.get(f"runs/{run['run_id']}").status_code for run in ours.json()["results"]} == {200}
    assert {world.wire.get(path).status_code for path in ("models", "summary", "hardware", "factor")} == {200}


def test_most_of_what_is_written_is_taken(world):
    """Bodies that are all refused would show nothing of what is stored."""
    for path, body in BODIES.items():
        assert _put(world, path, body, world.run_ids[0], "b-9")().status_code in (200, 201)
    assert Run.objects.get(run_id=world.run_ids[0]).left_out_in_all
