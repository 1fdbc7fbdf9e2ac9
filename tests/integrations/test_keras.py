"""Keras 3, with the real package on PyTorch: what a user's callbacks=[TraceMLCallback()] records."""

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.arrivals import busy_s, inside, params, stages

LINES = blocks("docs/integrations/keras.md", "python")
STORY = """
import copy, os, pickle, signal
import keras
import numpy
from traceml_agent import track

x, y = numpy.random.rand(50, 4).astype("float32"), numpy.random.rand(50, 1).astype("float32")

def made(name):
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)], name=name)
    made.compile("adam", "mse", metrics=["mae"])
    return made

model = made("documented")
{documented}

def train(callbacks, epochs=3, **more):
    model = made("ignored")
    history = model.fit(x, y, epochs=epochs, batch_size=8, verbose=0, callbacks=callbacks, **more)
    return model, sum(float(weight.sum()) for weight in model.get_weights()), history

plain = train([], validation_split=0.2)[1]
callback = TraceMLCallback("my-model", name="whole", kind="finetuning")
model, watched, _ = train([callback], validation_split=0.2)
model.evaluate(x, y, verbose=0, callbacks=[callback])
model.predict(x, verbose=0, callbacks=[callback])
model.fit(x, y, verbose=0, callbacks=[callback])
down = train([TraceMLCallback(name="down", url="http://127.0.0.1:9")], validation_split=0.2)[1]
print("same", plain == watched == down)

class Does(keras.callbacks.Callback):
    def __init__(self, what):
        self.what = what
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations > 10:
            self.what()
try:
    train([TraceMLCallback(name="raises"), Does(lambda: 1 / 0)])
except ZeroDivisionError:
    print("caught ZeroDivisionError")
try:
    train([TraceMLCallback(name="interrupted"), Does(lambda: os.kill(os.getpid(), signal.SIGINT))])
except KeyboardInterrupt:
    print("caught_too KeyboardInterrupt")

with track("around", name="around") as run:
    model, _, _ = train([pickle.loads(pickle.dumps(copy.deepcopy(TraceMLCallback("ignored"))))])
    model.evaluate(x, y, verbose=0, callbacks=[TraceMLCallback()])

kept = keras.callbacks.BackupAndRestore("kept")
try:
    train([TraceMLCallback(name="resumed"), kept, Does(lambda: 1 / 0)])
except ZeroDivisionError:
    pass
train([TraceMLCallback(name="resumed"), keras.callbacks.BackupAndRestore("kept")])
train([TraceMLCallback(name="afterwards"), keras.callbacks.BackupAndRestore("kept")])

_, _, history = train([TraceMLCallback(name="budget", budget_kwh=0, on_budget="stop")])
print("epochs", len(history.epoch))

import torch
rows = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
loader = torch.utils.data.DataLoader(rows, batch_size=8)
made("loader").fit(loader, epochs=1, steps_per_epoch=4, verbose=0, callbacks=[TraceMLCallback()])
"""


@pytest.fixture(scope="module")
def told_and_runs(story):
    return story(STORY.format(documented=LINES[0]), 12, KERAS_BACKEND="torch")


@pytest.fixture(scope="module")
def told(told_and_runs):
    return told_and_runs[0]


@pytest.fixture(scope="module")
def runs(told_and_runs):
    return told_and_runs[1]


def test_the_documented_lines_make_one_run_with_its_epochs_metrics_and_energy(runs):
    stored = runs["documented"]
    assert list(stages(stored)) == ["epoch 1", "epoch 2", "epoch 3"]
    assert stages(stored)["epoch 1"]["total"] == 3
    assert {name: len(values) for name, values in metrics(stored).items() if name != "samples"} == {"loss": 3, "mae": 3}
    assert sum(metrics(stored)["samples"]) == 3 * 50
    assert (status(stored), stored["headers"][-1]["kind"]) == ("completed", "training")
    assert busy_s(stored) > 0


def test_as_much_comes_by_itself_as_with_mlflow(runs):
    """MLflow's autologging records 24 parameters of this training."""
    found = params(runs["whole"])
    assert len(found) >= 24
    expected = {"optimizer": "Adam", "loss": "mse", "epochs": 3, "batch_size": 8, "layers": 2, "parameters": 19}
    assert expected.items() <= found.items()
    assert found["optimizer_learning_rate"] == pytest.approx(0.001)


def test_validations_are_stages_inside_their_epochs(runs):
    stored = runs["whole"]
    assert (stored["headers"][-1]["model"], stored["headers"][-1]["kind"]) == ("my-model", "finetuning")
    assert inside(stored, "epoch 3") == ["validation"]
    assert len(metrics(stored)["val_loss"]) == 3
    assert sum(metrics(stored)["samples"]) == 3 * 40


def test_evaluate_and_predict_alone_are_runs_of_their_kinds(runs):
    assert list(stages(runs["whole, evaluation"])) == ["evaluation"]
    assert metrics(runs["whole, evaluation"]).keys() == {"loss", "mae", "samples"}
    assert list(stages(runs["whole, inference"])) == ["prediction"]
    assert sum(metrics(runs["whole, inference"])["samples"]) == 50


def test_a_second_fit_is_a_second_run(runs):
    assert list(stages(runs["whole, again"])) == ["epoch 1"]


def test_the_weights_are_those_without_the_callback_also_with_the_portal_down(told, runs):
    assert told["same"] == "True"
    assert "down" not in runs


def test_a_training_that_raises_or_is_interrupted_ends_so_also_if_the_script_goes_on(told, runs):
    """Keras tells its callbacks nothing of it: other trackers' runs stay open, and take the next training in."""
    assert (told["caught"], told["caught_too"]) == ("ZeroDivisionError", "KeyboardInterrupt")
    assert (status(runs["raises"]), runs["raises"]["finishes"][-1]["exception"]) == ("failed", "ZeroDivisionError")
    assert status(runs["interrupted"]) == "cancelled"
    assert all(row["end_s"] for row in stages(runs["raises"]).values())


def test_inside_track_all_is_one_run(runs):
    assert list(stages(runs["around"])) == ["epoch 1", "epoch 2", "epoch 3", "evaluation"]


def test_a_training_restored_from_its_backup_continues_its_run_and_a_complete_one_is_over(runs):
    stored = runs["resumed"]
    assert [finish["status"] for finish in stored["finishes"]] == ["failed", "completed"]
    assert len({header["writer"] for header in stored["headers"]}) == 2
    assert list(stages(runs["afterwards"])) == ["epoch 1", "epoch 2", "epoch 3"]


def test_a_budget_stops_the_training(told, runs):
    assert told["epochs"] == "1"
    assert status(runs["budget"]) == "completed"


def test_samples_of_a_data_loader_are_counted(runs):
    assert sum(metrics(runs["loader"])["samples"]) == 4 * 8
