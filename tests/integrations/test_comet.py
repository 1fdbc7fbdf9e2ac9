"""A run's figures in Comet, with the real package offline."""

import json

import pytest

from tests.cases.conftest import status

TRAINING = """
import comet_ml, glob, json, time, traceml_agent, zipfile

experiment = comet_ml.OfflineExperiment(offline_directory="comet", log_env_details=False, log_code=False)
try:
    with traceml_agent.track("digits", report_to="comet") as run:
        experiment.log_metric("loss", 0.5, step=7)
        for epoch in run.epochs(range(2)):
            sum(range(10**6))
            time.sleep(1.1)
        {ending}
except ValueError:
    pass
experiment.log_metric("after", 1.0)
experiment.end()
metrics, others = [], {{}}
for line in zipfile.ZipFile(*glob.glob("comet/*.zip")).read("messages.json").splitlines():
    message = json.loads(line)
    if message["type"] == "metric_msg":
        metrics.append(message["payload"]["metric"])
    elif message["type"] == "log_other":
        others[message["payload"]["key"]] = message["payload"]["value"]
print(json.dumps([metrics, others, run.summary]))
"""


def assert_same_figures(metrics: list[dict], summary: dict) -> None:
    last = {metric["metricName"]: metric["metricValue"] for metric in metrics}
    for name in ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "duration_s", "measured_share"):
        assert last[f"traceml/{name}"] == pytest.approx(summary[name], rel=1e-9)
    assert last["traceml/energy_kwh"] > 0


def test_the_experiment_has_the_figures_of_the_summary_and_the_url(run, arrived):
    out, _ = run(TRAINING.format(ending=""))
    metrics, others, summary = json.loads(out.splitlines()[-1])
    assert_same_figures(metrics, summary)
    assert others["traceml/url"] == summary["url"]
    assert status(arrived()[0]) == "completed"
    # The training's own metrics and steps are as they were.
    own = [(metric["metricName"], metric["metricValue"], metric["step"]) for metric in metrics]
    assert ("loss", 0.5, 7) in own
    assert ("after", 1.0, 7) in own
    assert len([name for name, _, _ in own if name == "traceml/energy_kwh"]) >= 2


def test_a_training_that_fails_keeps_its_figures_with_the_portal_down_too(run, portal_down):
    out, _ = run(TRAINING.format(ending='raise ValueError("diverged")'))
    metrics, _, summary = json.loads(out.splitlines()[-1])
    assert_same_figures(metrics, summary)
    assert summary["left_out"] == []
