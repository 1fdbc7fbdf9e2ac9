"""Edges of what the API takes: answers name the field or are empty, and nothing that is stored breaks a page."""

import base64

import pytest

from runs.models import Run
from tests.wire import Wire, batch, finish, header, sample

pytestmark = pytest.mark.django_db


def cursor(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("path", ["runs/{}", "runs/{}/batches/b-1", "runs/{}/finish"])
def test_an_empty_body_is_refused_with_a_sentence(wire, path):
    answer = wire.client.generic(
        "PUT",
        f"/api/v1/{path.format(wire.start())}",
        b"",
        content_type="application/json",
        headers=wire.headers,
        CONTENT_LENGTH="0",
    )
    assert (answer.status_code, answer.json()["detail"]) == (400, "The body is empty. Send a JSON object.")


@pytest.mark.parametrize("path", ["runs", "models", "hardware"])
@pytest.mark.parametrize(
    "text",
    [
        "p=9999-12-31T23:59:59-14:00",
        "p=0001-01-01T00:00:00%2B14:00",
        "p=9999-12-31T00:00",
        "p=%00",
        "p=%ED%A0%80",
        "p=" + "9" * 300,
        "o=-1",
        "o=x",
        "r=x",
        "p=1%2e400&r=1",
        "p=x%20y",
    ],
)
def test_a_cursor_that_no_list_gave_is_named(wire, path, text):
    answer = wire.get(path, cursor=cursor(text))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["cursor"]


@pytest.mark.parametrize("path", ["runs", "models", "hardware"])
@pytest.mark.parametrize("size", ["0", "-1", "x", "1.5", "9" * 400, "nan"])
def test_a_size_of_a_page_that_can_not_be_is_named(wire, path, size):
    answer = wire.get(path, page_size=size)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["page_size"]


def test_every_page_is_reached_by_the_cursors_that_the_list_gives_both_ways(wire):
    ids = [wire.start(model=f"m {n}") for n in range(7)][::-1]
    for path, key, expected in (("runs", "run_id", ids), ("models", "name", [f"m {n}" for n in range(7)])):
        page, there = wire.get(path, page_size=2).json(), []
        while True:
            there += [row[key] for row in page["results"]]
            if not page["next"]:
                break
            page = wire.client.get(page["next"], headers=wire.headers).json()
        assert there == expected
        back = wire.client.get(page["previous"], headers=wire.headers).json()
        assert [row[key] for row in back["results"]] == expected[4:6]


@pytest.mark.parametrize(
    "since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01", "1e400", "²"]
)
def test_a_time_out_of_bounds_is_named(wire, since):
    answer = wire.get("runs", since=since)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["since"]


def test_dropped_records_of_all_writers_add_up_beyond_32_bits(wire):
    run_id = wire.start()
    wire.start(run_id, writer="w-2")
    for writer in ("w-1", "w-2"):
        assert wire.finish(run_id, writer=writer, dropped_records=2**31 - 1).status_code == 200
    assert wire.get(f"runs/{run_id}").json()["dropped_records"] == 2**32 - 2


def test_the_largest_counts_of_everything_can_be_read(wire, client, people):
    """Calls, items, what was left out, stages, and work of the largest numbers, from several writers and runs."""
    most = 2**53
    left = [{"what": f"metric {n}", "reason": "too many", "count": most} for n in range(64)]
    for kind in ("inference", "training"):
        run_id = wire.start(kind=kind)
        for writer in ("w-1", "w-2"):
            wire.start(run_id, writer=writer)
            body = batch(
                [sample("gpu-0", 60, 30, 6e7)],
                writer=writer,
                calls=[{"method": f"m{n}", "calls": most, "items": most, "busy_s": 1e9} for n in range(600)],
                stages=[{"id": "1", "name": "epoch 1", "start_s": 0, "end_s": 1e9, "total": 2**31 - 1}],
                metrics=[
                    {"t_s": 1, "name": name, "value": value}
                    for name in ("samples", "tokens", "loss")
                    for value in (1.7e308, 1.7e308, -1.7e308, 1.7e308)
                ],
                left_out=left,
            )
            assert wire.send(run_id, f"b-{writer}", body).status_code == 201
    client.force_login(people.alice)
    for path in (
        *(f"/runs/{run.run_id}/" for run in Run.objects.all()),
        "/runs/?metric=loss&sort=-idle&group=kind",
        "/runs/?metric=loss&group=model&value=best",
        "/runs/export.csv",
        "/runs/export.json",
        "/models/digits/resnet-50/",
        "/models/digits/resnet-50/?metric=loss",
        "/compare/?" + "&".join(f"run={run.run_id}" for run in Run.objects.all()),
        "/compare/?by=steps&show=loss&" + "&".join(f"run={run.run_id}" for run in Run.objects.all()),
        "/",
    ):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert b"".join(answer) if answer.streaming else answer.content
    for run in wire.get("runs").json()["results"]:
        found = wire.get(f"runs/{run['run_id']}").json()
        assert max(row["count"] for row in found["left_out"]) == 2 * most


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "POST", "PATCH", "DELETE", "TRACE"])
@pytest.mark.parametrize("path", ["runs", "runs/00000000-0000-0000-0000-000000000000", "models/x", "factor", "schema"])
def test_other_verbs_are_answered(wire, method, path):
    assert wire.client.generic(method, f"/api/v1/{path}", headers=wire.headers).status_code < 500


@pytest.mark.parametrize(
    "plain_text",
    ["tml_\0bcdefabcdef_x", "tml_ab\0defabcdef_" + "x" * 43, "tml_²bcdefabcdef_x", "\0", "tml_" + "a" * 9999],
)
def test_what_is_no_token_is_401(client, people, plain_text):
    assert Wire(client, plain_text).get("runs").status_code == 401


@pytest.mark.parametrize("accept", ["text/html", "*", "application/xml", "/", "\0", "application/json;q=²"])
def test_what_a_client_would_rather_have_breaks_nothing(wire, accept):
    assert wire.client.get("/api/v1/runs", headers=wire.headers | {"Accept": accept}).status_code in (200, 406)


@pytest.mark.parametrize("content_type", ["", "x", "application/json; charset=", "multipart/form-data"])
def test_a_body_of_another_type_is_refused(wire, content_type):
    address = f"/api/v1/runs/{wire.start()}"
    answer = wire.client.generic("PUT", address, b"{}", content_type=content_type, headers=wire.headers)
    assert answer.status_code in (400, 415, 422)


TIMES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-29T02:30:00", "2026-11-28T10:00:00+23:59"]


@pytest.mark.parametrize("field", ["sent_at", "writer_started_at", "started_at", "ended_at"])
@pytest.mark.parametrize("time", TIMES)
def test_times_at_the_ends_of_the_calendar_are_corrected_or_named(wire, people, field, time):
    """Also for a browser's reader in Tokyo, whose session the client sends along."""
    type(people.alice).objects.update(time_zone="Asia/Tokyo")
    wire.client.force_login(people.alice)
    run_id = wire.start()
    bodies = {"": header(writer="w-9") | {field: time}, "/finish": finish(writer="w-8") | {field: time}}
    for path, body in bodies.items():
        answer = wire.put(f"runs/{run_id}{path}", body)
        assert answer.status_code in (200, 201, 422)
        assert answer.status_code != 422 or field in {error["field"] for error in answer.json()["errors"]}
    for address in ("/runs/", f"/runs/{run_id}/", "/"):
        assert wire.client.get(address).status_code == 200


@pytest.mark.parametrize("value", ["\ud800", "\udfff\ud800", "a\ud800b"])
def test_a_refusal_that_quotes_what_was_sent_can_be_sent_itself(wire, value):
    for body in (header(kind=value), header(started_at=value), header(tags=[value]), header(params={value: value})):
        answer = wire.put(f"runs/{wire.start()}", body)
        assert answer.status_code == 422
        assert answer.json()["errors"]
    assert wire.put(f"runs/{wire.start()}/finish", finish(status=value)).status_code == 422


@pytest.mark.parametrize("elapsed_s", [0.0, 5e-324, 1e-9, 1e-4])
@pytest.mark.parametrize("began", ["2000-01-01T00:00:00Z", "2026-10-25T02:30:00Z"])
def test_a_run_of_no_time_or_whose_writer_began_long_before_has_its_page(wire, client, people, elapsed_s, began):
    run_id = wire.start(writer_started_at=began)
    wire.send(run_id, "b-1", batch([sample("gpu-0", elapsed_s, elapsed_s, 1e-3)]))
    wire.finish(run_id)
    client.force_login(people.alice)
    for path in (
        f"/runs/{run_id}/",
        f"/runs/{run_id}/series",
        f"/compare/?run={run_id}&run={wire.start()}",
        "/",
        "/runs/",
    ):
        assert client.get(path).status_code == 200, path
    assert wire.get(f"runs/{run_id}").status_code == 200
