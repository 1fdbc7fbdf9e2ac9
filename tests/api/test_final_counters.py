"""What a finish brings is kept like any batch, so that chart, series and file tell the same samples."""

import csv
import io

from django.test import Client

from runs.models import Batch, Run
from tests import people as cast
from tests.wire import A100, batch, sample

FIRST, LAST = sample("gpu-0", 60, 30), sample("gpu-0", 90, 45)


def times(people, wire, run_id: str) -> dict[str, list[float]]:
    """Seconds of the samples as the API's series, the file and the page's chart know them."""
    client = Client()
    client.force_login(people.alice)
    (series,) = wire.get(f"runs/{run_id}/series").json()["devices"]
    rows = csv.DictReader(io.StringIO(b"".join(client.get(f"/runs/{run_id}/series.csv").streaming_content).decode()))
    drawn = client.get(f"/runs/{run_id}/series").json()
    return {"api": series["t_s"], "file": [float(row["t_s"]) for row in rows], "chart": drawn["edges"][-1:]}


def test_final_counters_are_in_the_series_the_file_and_the_chart(people, wire):
    run_id = wire.whole_run([FIRST])
    wire.finish(run_id, devices=[A100], samples=[LAST])
    found = times(people, wire, run_id)
    assert found["api"] == found["file"] == [60.0, 90.0]
    assert found["chart"] == [90.0]


def test_final_counters_that_a_batch_brought_already_are_kept_once(people, wire):
    run_id = wire.start()
    wire.send(run_id, "b-1", batch([FIRST, LAST]))
    wire.finish(run_id, devices=[A100], samples=[LAST])
    assert Batch.objects.filter(run__run_id=run_id).count() == 1
    assert times(people, wire, run_id)["file"] == [60.0, 90.0]


def test_a_finish_that_is_sent_again_keeps_its_counters_once(people, wire):
    run_id = wire.start()
    for status in ("completed", "failed", "failed"):
        wire.finish(run_id, status=status, devices=[A100], samples=[LAST])
    assert times(people, wire, run_id)["file"] == [90.0]
    assert Run.objects.get(run_id=run_id).duration_s == 90.0


def test_a_later_finish_adds_what_it_knows_more(people, wire):
    run_id = wire.start()
    wire.finish(run_id, devices=[A100], samples=[FIRST])
    wire.finish(run_id, devices=[A100], samples=[LAST])
    assert times(people, wire, run_id)["api"] == [60.0, 90.0]


def test_no_agent_can_take_the_name_of_final_counters(people, wire):
    run_id = wire.start()
    wire.finish(run_id, devices=[A100], samples=[LAST])
    name = Batch.objects.get(run__run_id=run_id).batch_id
    assert wire.put(f"runs/{run_id}/batches/{name}", batch([FIRST])).status_code in (404, 422)


def test_strangers_read_none_of_it(people, wire):
    run_id = wire.start()
    wire.finish(run_id, devices=[A100], samples=[LAST])
    charlies = type(wire)(Client(), cast.token(people.charlies_project))
    assert charlies.get(f"runs/{run_id}/series").status_code == 404
