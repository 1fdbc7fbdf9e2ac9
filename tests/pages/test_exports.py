"""Promise PS17: files of the whole filtered set, exact and harmless in a spreadsheet."""

import csv
import io
import json

import pytest

from runs.models import Run
from tests.pages.conftest import METERED
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
