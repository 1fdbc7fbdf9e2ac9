"""Metrics of runs for Prometheus: the real client's registry, and textfiles as node_exporter reads them."""

import json

import pytest

from tests.cases.conftest import status

#: A function that gives the samples of a text as Prometheus' own parser reads it.
READ = """
import json, time, traceml_agent
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

def read(text):
    families = list(text_string_to_metric_families(text))
    types = {family.name: family.type for family in families}
    return types, [[sample.name, sample.labels, sample.value] for family in families for sample in family.samples]
"""


SECOND = 'the "second" \\ model'


def value_of(samples: list, name: str) -> float:
    """The sum of a metric's samples."""
    return sum(value for each, _, value in samples if each == name)


def test_a_registry_has_joules_and_grams_of_a_run_that_fails_too(run, arrived):
    out, _ = run(
        READ
        + """
registry = CollectorRegistry()
try:
    with traceml_agent.track("digits", report_to=registry) as run:
        sum(range(10**7))
        time.sleep(1.1)
        during = read(generate_latest(registry).decode())
        raise ValueError("diverged")
except ValueError:
    pass
print(json.dumps([during, read(generate_latest(registry).decode()), run.summary, run.run_id]))
"""
    )
    (_, during), (types, after), summary, run_id = json.loads(out)
    assert types == {
        "traceml_energy_joules": "counter",
        "traceml_emissions_grams": "counter",
        "traceml_duration_seconds": "counter",
        "traceml_measured_ratio": "gauge",
        "traceml_run_info": "gauge",
    }
    assert value_of(after, "traceml_energy_joules_total") == pytest.approx(summary["energy_kwh"] * 3.6e6)
    assert value_of(after, "traceml_emissions_grams_total") == pytest.approx(summary["emissions_kg"] * 1000)
    energy_j = value_of(during, "traceml_energy_joules_total")
    assert 0 < energy_j <= value_of(after, "traceml_energy_joules_total")
    info = next(labels for name, labels, _ in after if name == "traceml_run_info")
    assert info == {"run": run_id, "model": "digits", "kind": "training", "url": summary["url"]}
    assert status(arrived()[0]) == "failed"


def test_the_default_registry_has_all_runs_of_the_process_with_the_portal_down(run, portal_down):
    out, _ = run(
        READ
        + r"""
import prometheus_client

for model in ("one", 'the "second" \\ model'):
    with traceml_agent.track(model, report_to="prometheus"):
        sum(range(10**6))
_, samples = read(generate_latest(prometheus_client.REGISTRY).decode())
print(json.dumps([labels["model"] for name, labels, _ in samples if name == "traceml_run_info"]))
"""
    )
    assert json.loads(out) == ["one", SECOND]


def test_a_textfile_holds_all_runs_of_the_process_and_no_draft_is_left(run, tmp_path):
    out, _ = run(
        READ
        + r"""
import os

os.mkdir("node_exporter")
for model in ("one", 'the "second" \\ model'):
    with traceml_agent.track(model, report_to="node_exporter/job.prom") as run:
        sum(range(10**7))
_, samples = read(open("node_exporter/job.prom").read())
print(json.dumps([samples, run.summary, os.listdir("node_exporter")]))
"""
    )
    samples, summary, files = json.loads(out)
    assert files == ["job.prom"]
    second = [sample for sample in samples if sample[1]["model"] == SECOND]
    assert value_of(second, "traceml_energy_joules_total") == pytest.approx(summary["energy_kwh"] * 3.6e6)
    assert value_of(samples, "traceml_run_info") == 2


def test_the_command_line_writes_a_textfile(run, interpreter, tmp_path, arrived):
    path = tmp_path / "job.prom"
    words = (interpreter, "-m", "traceml_agent", "run", "--prometheus-textfile", str(path), "--")
    run("import time; time.sleep(1.5)", before=words)
    arrived()
    assert "traceml_energy_joules_total{" in path.read_text()


def test_a_folder_that_is_missing_is_a_warning_that_is_counted(run):
    out, _ = run("""
        import traceml_agent

        with traceml_agent.track("digits", report_to="nowhere/job.prom") as run:
            sum(range(10**6))
        print([row["what"] for row in run.summary.left_out])
    """)
    assert out == "['a report to prometheus']\n"
