"""`traceml_agent.autolog()` with the real MLflow: its runs become runs, with its parameters and metrics."""

import json

import pytest

from tests.cases.conftest import metrics, status
from tests.integrations.arrivals import params


def by_model(runs: list[dict]) -> dict[str, dict]:
    return {stored["headers"][-1]["model"]: stored for stored in runs}


SKLEARN = """
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

mlflow.sklearn.autolog(log_models=False, log_datasets=False)
RandomForestClassifier(n_estimators=5).fit(*load_iris(return_X_y=True))
"""

KERAS = """
import keras, numpy

mlflow.keras.autolog(log_models=False, log_datasets=False)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
model.compile("adam", "mse", metrics=["mae"])
model.fit(numpy.zeros((8, 4)), numpy.zeros((8, 2)), epochs=2, verbose=0)
"""

HUGGING_FACE = """
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

tiny = {"vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}
model = BertForSequenceClassification(BertConfig(**tiny, max_position_embeddings=8))
rows = [{"input_ids": torch.zeros(4, dtype=torch.long), "labels": torch.tensor(0)}] * 4
how = {"report_to": "mlflow", "logging_steps": 1, "use_cpu": True, "disable_tqdm": True, "save_strategy": "no"}
Trainer(model, TrainingArguments("out", num_train_epochs=1, **how), train_dataset=rows).train()
"""


@pytest.mark.parametrize(
    ("training", "parameters", "measures"), [(SKLEARN, 19, 7), (KERAS, 24, 2), (HUGGING_FACE, 146, 9)]
)
def test_a_run_has_the_parameters_and_metrics_that_mlflow_records(
    run, mlflow_database, arrived, training, parameters, measures
):
    out, _ = run(
        "import traceml_agent\ntraceml_agent.autolog()\nimport json, mlflow"
        + training
        + """
mlflow.end_run()
data = mlflow.last_active_run().data
print(json.dumps([sorted(data.params), data.metrics]))
""",
        KERAS_BACKEND="torch",
    )
    their_params, their_metrics = json.loads(out.splitlines()[-1])
    (stored,) = arrived()
    assert status(stored) == "completed"
    assert stored["finishes"][-1]["samples"][0]["elapsed_s"] > 0
    assert sorted(params(stored).keys() - {"mlflow.run_id"}) == their_params
    assert len(their_params) >= parameters
    assert {name: values[-1] for name, values in metrics(stored).items()} == pytest.approx(their_metrics)
    assert len(their_metrics) >= measures


ENDINGS = """
import mlflow, traceml_agent

traceml_agent.autolog()
traceml_agent.autolog()
mlflow.set_experiment("digits")
with mlflow.start_run(run_name="by hand"):
    mlflow.log_param("lr", 0.1)
    mlflow.log_metric("loss", 0.5, step=1)
    mlflow.log_metrics({"loss": 0.25, "system/cpu": 3.0}, step=2, synchronous=False)
mlflow.set_experiment("failing")
try:
    with mlflow.start_run():
        raise ValueError("diverged")
except ValueError:
    pass
mlflow.set_experiment("killed")
mlflow.start_run()
mlflow.end_run("KILLED")
traceml_agent.autolog(disable=True)
mlflow.set_experiment("not taken")
with mlflow.start_run():
    mlflow.log_metric("loss", 0.5)
"""


def test_runs_by_hand_end_as_mlflow_says_and_have_their_experiments_as_models(run, mlflow_database, arrived):
    run(ENDINGS)
    runs = by_model(arrived(3))
    assert {name: status(stored) for name, stored in runs.items()} == {
        "digits": "completed",
        "failing": "failed",
        "killed": "cancelled",
    }
    assert runs["failing"]["finishes"][-1]["exception"] == "ValueError"
    assert runs["digits"]["headers"][-1]["name"] == "by hand"
    assert params(runs["digits"])["lr"] == 0.1
    assert metrics(runs["digits"]) == {"loss": [0.5, 0.25]}


def test_a_training_that_raises_ends_the_process_and_its_runs_as_failed(start, mlflow_database, arrived):
    process = start("""
        import mlflow, traceml_agent

        traceml_agent.autolog()
        mlflow.start_run()
        raise ValueError("diverged")
    """)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ValueError: diverged" in err
    (stored,) = arrived()
    assert status(stored) == "failed"


def test_within_a_track_they_go_to_its_run_and_a_nested_run_is_a_stage(run, mlflow_database, arrived):
    run("""
        import mlflow, traceml_agent

        traceml_agent.autolog()
        with traceml_agent.track("search"):
            with mlflow.start_run():
                mlflow.log_param("trials", 2)
                for number in (1, 2):
                    with mlflow.start_run(nested=True, run_name=f"trial {number}"):
                        mlflow.log_param("lr", number)
                        mlflow.log_metric("loss", number)
    """)
    (stored,) = arrived()
    assert stored["headers"][-1]["model"] == "search"
    assert params(stored) == {"trials": 2}
    assert metrics(stored) == {"loss": [1.0, 2.0]}
    stages = {row["id"]: row for batch in stored["batches"].values() for row in batch.get("stages", [])}
    assert [(row["name"], row["end_s"] is not None) for row in stages.values()] == [
        ("trial 1", True),
        ("trial 2", True),
    ]


def test_mlflow_has_the_energy_too_if_it_is_asked_for_and_the_portal_may_be_down(run, mlflow_database, portal_down):
    out, _ = run("""
        import mlflow, time, traceml_agent

        traceml_agent.autolog(model="digits", report_to="mlflow")
        with mlflow.start_run() as active:
            mlflow.log_metric("loss", 0.5)
            time.sleep(1.5)
        data = mlflow.get_run(active.info.run_id).data
        reports = mlflow.MlflowClient().get_metric_history(active.info.run_id, "traceml/energy_kwh")
        print(len(reports) > 1, reports[-1].value > 0, data.metrics["loss"], data.tags["traceml/url"])
    """)
    *several_and_positive, loss, url = out.split()
    assert (several_and_positive, loss) == (["True", "True"], "0.5")
    assert url.startswith(portal_down.url)


def test_mlflow_runs_of_several_threads_are_runs_of_their_own(run, mlflow_database, arrived):
    run("""
        import mlflow, threading, traceml_agent

        traceml_agent.autolog()
        mlflow.set_experiment("threads")
        together = threading.Barrier(2)

        def train(lr):
            with mlflow.start_run():
                together.wait()
                mlflow.log_param("lr", lr)
                together.wait()

        threads = [threading.Thread(target=train, args=(lr,)) for lr in (1, 2)]
        for each in threads: each.start()
        for each in threads: each.join()
    """)
    assert sorted(params(stored)["lr"] for stored in arrived(2)) == [1, 2]


def test_a_script_that_mlflow_is_not_installed_for_goes_on(run):
    out, err = run("""
        import sys, traceml_agent

        sys.modules["mlflow"] = None
        traceml_agent.autolog()
        print("on")
    """)
    assert out == "on\n"
    assert "autolog needs MLflow, which is not installed" in err
