"""Promise PS17: files of the whole filtered set, exact and harmless in a spreadsheet."""

import csv
import io
import json

import pytest

from runs.models import Run
from tests.screens.conftest import METERED
from tests.wire import CPU, batch, sample


def text(answer) -> str:
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


def rows(answer) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text(answer), newline="")))


def test_the_csv_has_the_filtered_set_in_its_order_and_beyond_a_page(alice, run, people):
    run(kwh=1.0, name="one")
    first = Run.objects.get()
    about = {name: getattr(first, name) for name in ("project", "tracked_model", "started_at", "factor")}
    Run.objects.bulk_create(Run(run_id=f"{n:032x}", name=f"copy {n}", **about) for n in range(1, 70))
    found = rows(alice.get("/runs/export.csv?q=copy&sort=name"))
    assert [row["name"] for row in found] == sorted(f"copy {n}" for n in range(1, 70))


def test_numbers_are_exact_and_units_are_in_the_names(alice, run):
    run(kwh=1 / 3, name="one", tags=["a", "b"])
    (row,) = rows(alice.get("/runs/export.csv"))
    stored = Run.objects.get()
    assert float(row["energy_kwh"]) == stored.energy_kwh
    assert float(row["emissions_kg"]) == stored.emissions_kg
    assert row["started_at"] == stored.started_at.isoformat()
    assert json.loads(row["params"]) == stored.params
    assert row["hardware"] == "NVIDIA A100 SXM4 40GB"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_name_is_never_a_formula(alice, run, name):
    run(name=name)
    (row,) = rows(alice.get("/runs/export.csv"))
    assert row["name"] == f"'{name}"


@pytest.mark.parametrize("name", ['a,"b"', "line\u2028two", "نموذج", "🚀", "</script>"])
def test_any_name_comes_back_as_it_was(alice, run, name):
    run(name=name)
    assert rows(alice.get("/runs/export.csv"))[0]["name"] == name
    assert json.loads(text(alice.get("/runs/export.json")))[0]["name"] == name


def test_the_json_has_the_same_rows(alice, run):
    run(kwh=2.0)
    (row,) = json.loads(text(alice.get("/runs/export.json?over=1")))
    assert row["energy_kwh"] == Run.objects.get().energy_kwh
    assert json.loads(text(alice.get("/runs/export.json?over=3"))) == []


def test_charlie_exports_none_of_theirs(charlie, run):
    run_id = run()
    assert rows(charlie.get("/runs/export.csv")) == []
    assert charlie.get(f"/runs/{run_id}/series.csv").status_code == 404


def test_every_sample_of_a_run_is_exported(alice, wire, profile):
    run_id = wire.start()
    samples = [sample("gpu-0", t, t / 2, 100.0 * t) for t in (10.0, 20.0)] + [sample("cpu-0", 10.0, 5.0)]
    wire.send(run_id, "b-1", batch(samples, [METERED, CPU]))
    found = rows(alice.get(f"/runs/{run_id}/series.csv"))
    assert [(row["device"], row["t_s"], row["measured_energy_j"]) for row in found] == [
        ("gpu-0", "10.0", "1000.0"),
        ("gpu-0", "20.0", "2000.0"),
        ("cpu-0", "10.0", ""),
    ]
    assert float(found[2]["counted_energy_j"]) > 0
    assert len(json.loads(text(alice.get(f"/runs/{run_id}/series.json")))) == 3


@pytest.mark.parametrize("path", ["/runs/export.xls", "/compare/export.pdf"])
def test_there_is_no_other_form(alice, run, path):
    run()
    assert alice.get(path).status_code == 404


def log(wire, run_id: str, *values: tuple[float, str, float]) -> None:
    metrics = [{"t_s": t_s, "name": name, "value": value} for t_s, name, value in values]
    assert wire.send(run_id, "b-metrics", batch([], [], metrics=metrics)).status_code == 201


def test_metrics_are_columns_of_the_csv_and_whole_in_the_json(alice, wire, run):
    from runs.models import MetricDirection, Project

    log(
        wire,
        run(name="one"),
        (1, "loss", 1 / 3),
        (2, "loss", 0.5),
        (3, "samples", 100),
        (4, "=quirk", 1),
        (5, "=quirk", 2),
    )
    log(wire, run(name="two"), (1, "loss", 0.25))
    run(name="none")
    MetricDirection.objects.create(project=Project.objects.get(slug="digits"), name="=quirk", lower=True)
    found = {row["name"]: row for row in rows(alice.get("/runs/export.csv"))}
    assert [found["one"][name] for name in ("loss.last", "loss.best", "samples.total", "'=quirk.best")] == [
        "0.5", repr(1 / 3), "100.0", "1.0",
    ]  # fmt: skip
    assert (found["two"]["loss.last"], found["two"]["samples.total"], found["none"]["loss.last"]) == ("0.25", "", "")
    whole = {row["name"]: row["metrics"] for row in json.loads(text(alice.get("/runs/export.json")))}
    assert whole["one"]["loss"] == {
        "last": 0.5, "best": 1 / 3, "lowest": 1 / 3, "highest": 0.5, "lower_is_better": True, "count": 2,
    }  # fmt: skip
    assert whole["one"]["samples"] == {"total": 100.0, "count": 1}
    assert whole["none"] == {}


def test_of_very_many_metrics_the_csv_keeps_the_rest_in_one_column(alice, wire, run, monkeypatch):
    monkeypatch.setattr("runs.run_list.export_rows.MOST_METRICS", 1)
    log(wire, run(name="one"), (1, "loss", 0.5), (2, "rare", 7.0))
    log(wire, run(name="two"), (1, "loss", 0.25))
    found = {row["name"]: row for row in rows(alice.get("/runs/export.csv"))}
    assert found["one"]["loss.last"] == "0.5"
    assert json.loads(found["one"]["other_metrics"])["rare"]["last"] == 7.0
    assert "rare.last" not in found["one"]


def test_a_file_is_in_the_order_of_the_metric_that_the_list_has(alice, wire, run):
    for name, loss in (("a", 2.0), ("b", 1.0), ("c", 3.0)):
        log(wire, run(name=name), (1, "loss", loss))
    run(name="none")
    links = alice.read("/runs/", metric="loss").one("thead").all("a")
    sort = next(link.attributes["href"] for link in links if link.text == "loss")
    assert [row["name"] for row in rows(alice.get("/runs/export.csv" + sort))] == ["c", "a", "b", "none"]
