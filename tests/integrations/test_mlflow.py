"""A run's figures in MLflow, with the real package and a database in a file."""

import json
import socket

import pytest

from tests.cases.conftest import status
from tests.integrations.arrivals import kept

#: What a script prints at its end: the MLflow run as MLflow reads it back, and our own summary.
TELL = """
import json
found = mlflow.get_run(run_id)
history = mlflow.MlflowClient().get_metric_history(run_id, "traceml/energy_kwh")
print(json.dumps({
    "params": found.data.params, "metrics": found.data.metrics, "tags": found.data.tags, "status": found.info.status,
    "energies": [metric.value for metric in history], "summary": run.summary,
}))
"""


@pytest.fixture
def told(run, mlflow_database):
    """What a script that ends with TELL says."""

    def play(code: str) -> dict:
        out, _ = run(code + TELL)
        return json.loads(out.splitlines()[-1])

    return play


def assert_same_figures(told: dict) -> None:
    names = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "duration_s", "measured_share")
    assert {name: told["metrics"][f"traceml/{name}"] for name in names} == {
        name: told["summary"][name] for name in names
    }
    assert told["metrics"]["traceml/energy_kwh"] > 0 and told["metrics"]["traceml/power_w"] > 0


TRAINING = """
import mlflow, time, traceml_agent

with mlflow.start_run() as active:
    run_id = active.info.run_id
    mlflow.log_param("lr", 0.1)
    with traceml_agent.track("digits", report_to="mlflow") as run:
        for epoch in run.epochs(range(3)):
            sum(range(10**6))
            time.sleep(1.1)
            mlflow.log_metric("loss", 1 / (epoch + 1), step=epoch)
"""


def test_the_active_run_has_the_figures_of_the_summary_and_the_url(told, arrived):
    found = told(TRAINING)
    assert_same_figures(found)
    assert len(found["energies"]) >= 3 and found["energies"] == sorted(found["energies"])
    (stored,) = arrived()
    assert status(stored) == "completed"
    assert found["tags"]["traceml/url"] == found["summary"]["url"]
    assert found["tags"]["traceml/url"].endswith(f"/runs/{found['tags']['traceml/run_id']}/")
    # What the training logs itself is as it was.
    assert (found["params"], found["status"]) == ({"lr": "0.1"}, "FINISHED")
    assert found["metrics"]["loss"] == pytest.approx(1 / 3)


FAILING = """
import mlflow, traceml_agent

try:
    with mlflow.start_run() as active, traceml_agent.track("digits", report_to="mlflow") as run:
        run_id = active.info.run_id
        sum(range(10**7))
        raise ValueError("diverged")
except ValueError:
    pass
"""


def test_a_training_that_fails_keeps_its_figures_with_the_portal_down_too(told, place, portal_down):
    found = told(FAILING)
    assert_same_figures(found)
    assert found["status"] == "FAILED"
    (stored,) = kept(place)
    assert (status(stored), stored["finishes"][-1]["exception"]) == ("failed", "ValueError")


def test_a_run_of_mlflow_that_begins_and_ends_within_the_block_is_found(told):
    found = told("""
import mlflow, traceml_agent

with traceml_agent.track("digits", report_to="mlflow") as run:
    with mlflow.start_run() as active:
        sum(range(10**7))
run_id = active.info.run_id
""")
    assert_same_figures(found)


def test_each_thread_reports_to_its_own_active_run(told):
    found = told("""
import mlflow, threading, traceml_agent

runs = {}

def train(name):
    with mlflow.start_run() as active, traceml_agent.track(name, report_to="mlflow") as run:
        sum(range(10**7))
    runs[name] = active.info.run_id, run

mlflow.set_experiment("threads")
threads = [threading.Thread(target=train, args=(name,)) for name in ("one", "two")]
for each in threads: each.start()
for each in threads: each.join()
for run_id, run in runs.values():
    assert mlflow.get_run(run_id).data.tags["traceml/run_id"] == run.run_id
""")
    assert_same_figures(found)


def test_no_active_run_and_what_mlflow_raises_are_warnings_that_are_counted(run, mlflow_database):
    out, err = run("""
        import mlflow, traceml_agent

        with traceml_agent.track("digits", report_to="mlflow") as run:
            sum(range(10**6))
        print(run.summary.energy_kwh > 0, run.summary.left_out)
        with mlflow.start_run() as active:
            pass
        mlflow.MlflowClient().delete_run(active.info.run_id)
        with traceml_agent.track("digits", report_to=[active]) as run:
            sum(range(10**6))
        print([row["what"] for row in run.summary.left_out])
    """)
    reason = "no run or experiment of it was active"
    assert out.splitlines() == [
        f"True [{{'what': 'a report to mlflow', 'reason': '{reason}', 'count': 1}}]",
        "['a report to mlflow']",
    ]
    assert f"a report to mlflow left out: {reason}" in err
    assert "a report to mlflow failed (MlflowException: " in err


def test_a_server_that_never_answers_does_not_hold_up_the_training(run, mlflow_database):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        out, _ = run(f"""
            import mlflow, traceml_agent

            with mlflow.start_run() as active:
                pass
            mlflow.set_tracking_uri("http://127.0.0.1:{silent.getsockname()[1]}")
            with traceml_agent.track("digits", report_to=[active]) as run:
                sum(range(10**6))
            print(run.summary.left_out)
        """)
    assert out == "[{'what': 'a report to mlflow', 'reason': 'it did not answer in time', 'count': 1}]\n"


def test_a_script_under_traceml_agent_run_reports_the_figures_so_far(run, mlflow_database, interpreter, arrived):
    command = (interpreter, "-m", "traceml_agent", "run", "--")
    out, _ = run(TRAINING.replace("range(3)", "range(1)") + TELL, before=command)
    found = json.loads(out.splitlines()[-1])
    arrived()
    assert 0 < found["metrics"]["traceml/energy_kwh"] <= found["summary"]["energy_kwh"]
    assert found["tags"]["traceml/url"] == found["summary"]["url"]


def test_the_callback_of_a_framework_takes_loggers_as_track_does(told, portal, arrived):
    found = told("""
import mlflow, numpy, traceml_agent, xgboost
from traceml_agent.integrations.xgboost import TraceMLCallback

with mlflow.start_run() as active:
    run_id = active.info.run_id
    data = xgboost.DMatrix(numpy.arange(40.0).reshape(20, 2), numpy.arange(20.0))
    xgboost.train({"nthread": 1}, data, 3, callbacks=[TraceMLCallback("digits", report_to="mlflow")])
run = traceml_agent.current_run()
""")
    assert found["metrics"]["traceml/energy_kwh"] > 0
    arrived()
    assert found["tags"]["traceml/run_id"] in portal.runs()
