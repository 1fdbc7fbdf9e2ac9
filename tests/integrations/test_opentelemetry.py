"""Metrics of runs for OpenTelemetry, with the real SDK."""

import json

from tests.cases.conftest import status

TRAINING = """
import json, time, traceml_agent
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

reader = InMemoryMetricReader()
provider = MeterProvider([reader])

def read():
    found = {}
    for scope in reader.get_metrics_data().resource_metrics[0].scope_metrics:
        for metric in scope.metrics:
            points = [[dict(point.attributes), point.value] for point in metric.data.data_points]
            found[metric.name] = [metric.unit, getattr(metric.data, "is_monotonic", None), points]
    return found

try:
    with traceml_agent.track("digits", report_to=provider) as run:
        sum(range(10**7))
        time.sleep(1.1)
        during = read()
        sum(range(10**7))
        raise ValueError("diverged")
except ValueError:
    pass
print(json.dumps([during, read(), run.summary, run.run_id]))
"""


def test_devices_and_runs_have_names_and_units_of_the_conventions_and_still_after_the_end(run, arrived):
    out, _ = run(TRAINING)
    during, after, summary, run_id = json.loads(out.splitlines()[-1])
    unit, is_monotonic, points = after["hw.energy"]
    assert (unit, is_monotonic) == ("J", True)
    by_type = {attributes["hw.type"]: (attributes, value) for attributes, value in points}
    assert set(by_type) == {"cpu", "memory"}
    attributes, energy_j = by_type["cpu"]
    cpu = next(device for device in summary["devices"] if device["kind"] == "cpu")
    assert energy_j == cpu["energy_j"] > 0
    assert (attributes["hw.name"], attributes["traceml.run.id"]) == (cpu["name"], run_id)
    assert attributes["hw.id"]
    assert energy_j > next(value for attributes, value in during["hw.energy"][2] if attributes["hw.type"] == "cpu")
    assert during["hw.power"][0] == "W"
    assert max(value for _, value in during["hw.power"][2]) > 0
    about = {"traceml.run.id": run_id, "traceml.model": "digits"}
    assert after["traceml.emissions"] == ["kg", True, [[about, summary["emissions_kg"]]]]
    assert after["traceml.duration"] == ["s", True, [[about, summary["duration_s"]]]]
    assert after["traceml.measured_share"] == ["1", None, [[about, summary["measured_share"]]]]
    assert status(arrived()[0]) == "failed"


def test_the_names_are_those_of_the_conventions_package(run):
    out, _ = run("""
        from opentelemetry.semconv._incubating.attributes import hw_attributes
        from opentelemetry.semconv._incubating.metrics import hw_metrics

        print(hw_metrics.HW_ENERGY, hw_metrics.HW_POWER)
        print(hw_attributes.HW_ID, hw_attributes.HW_NAME, hw_attributes.HW_TYPE)
        print(hw_attributes.HwTypeValues.MEMORY.value)
    """)
    assert out.split() == ["hw.energy", "hw.power", "hw.id", "hw.name", "hw.type", "memory"]


def test_several_runs_of_the_global_provider_are_told_apart_with_the_portal_down(run, portal_down):
    out, _ = run(
        TRAINING.partition("try:")[0]
        + """
from opentelemetry import metrics

metrics.set_meter_provider(provider)
for model in ("one", "two"):
    with traceml_agent.track(model, report_to="opentelemetry"):
        sum(range(10**6))
print(json.dumps([attributes["traceml.model"] for attributes, value in read()["traceml.emissions"][2]]))
"""
    )
    assert json.loads(out) == ["one", "two"]
