"""PyTorch Lightning, with the real package: what a user's callbacks=[TraceMLCallback()] records."""

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.arrivals import busy_s, inside, params, stages

LINES = blocks("docs/integrations/lightning.md", "python")
SETS_UP = """
import logging, os, signal, sys, warnings
import torch
import pytorch_lightning
import lightning
warnings.simplefilter("ignore")

class Digits(lightning.LightningModule):
    def __init__(self, width=4, learning_rate=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Linear(width, 1)
    def training_step(self, batch, number):
        self.log("loss", loss := self.error(batch), on_step=True, on_epoch=True)
        return loss
    def error(self, batch):
        return ((self.net(batch[0]) - batch[1]) ** 2).mean()
    def validation_step(self, batch, number):
        self.log("val_loss", self.error(batch))
        self.log("constant", 1.0)
    def test_step(self, batch, number):
        self.log("test_loss", self.error(batch))
    def predict_step(self, batch, number):
        return self.net(batch[0])
    def on_train_epoch_end(self):
        self.log("late", float(self.current_epoch))
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.learning_rate, momentum=0.9)

torch.manual_seed(1)
rows = torch.utils.data.TensorDataset(torch.randn(40, 4), torch.randn(40, 1))
data = torch.utils.data.DataLoader(rows, batch_size=8)
QUIET = dict(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
QUIET["log_every_n_steps"] = 2

def made(kind=Digits):
    torch.manual_seed(1)
    return kind()

def train(callbacks, model=None, epochs=3, library=lightning, **how):
    model = made() if model is None else model
    trainer = library.Trainer(max_epochs=epochs, callbacks=callbacks, **QUIET, **how)
    trainer.fit(model, data, data)
    return trainer, model, sum(weight.sum().item() for weight in model.state_dict().values())
"""
STORY = """
model = made()
{documented}

plain = train([])[2]
trainer, model, watched = train([TraceMLCallback("my-model", name="whole", kind="finetuning", tags=["a"])])
trainer.test(model, data, verbose=False)
trainer.predict(model, data)
trainer.fit_loop.max_epochs = 4
trainer.fit(model, data)
_, _, down = train([TraceMLCallback(name="down", url="http://127.0.0.1:9")])
print("same", plain == watched == down)

class Old(pytorch_lightning.LightningModule):
    training_step, validation_step, configure_optimizers = Digits.training_step, Digits.validation_step, None
    error = Digits.error
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(4, 1)
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
train([TraceMLCallback(name="old name")], made(Old), library=pytorch_lightning)

class Raises(Digits):
    epoch, does = 1, lambda self: 1 / 0
    def on_train_batch_start(self, batch, number):
        if self.current_epoch == self.epoch:
            self.does()
try:
    train([TraceMLCallback(name="raises")], made(Raises))
except ZeroDivisionError:
    print("caught ZeroDivisionError")

with track("around", name="around") as run:
    trainer, model, _ = train([TraceMLCallback("ignored")])
    trainer.test(model, data, verbose=False)

keep = [TraceMLCallback(name="resumed"), lightning.pytorch.callbacks.ModelCheckpoint("kept", save_last=True)]
try:
    train(keep, made(Raises))
except ZeroDivisionError:
    pass
trainer = lightning.Trainer(max_epochs=3, callbacks=[TraceMLCallback(name="resumed")], **QUIET)
trainer.fit(made(), data, data, ckpt_path="kept/last.ckpt")

trainer, _, _ = train([TraceMLCallback(name="budget", budget_kwh=0, on_budget="stop")])
print("epochs", trainer.current_epoch)

class Silent(Digits):
    def training_step(self, batch, number):
        return self.error(batch)
compiled = torch.compile(made(Silent), backend="eager")
callback = pickle.loads(pickle.dumps(copy.deepcopy(TraceMLCallback(name="compiled"))))
train([callback], compiled, epochs=1)

class ToldToStop(Raises):
    def does(self):
        os.kill(os.getpid(), signal.SIGTERM)
try:
    train([TraceMLCallback(name="told to stop")], made(ToldToStop))
except SystemExit:
    pass

class Interrupted(Raises):
    def does(self):
        os.kill(os.getpid(), signal.SIGINT)
try:
    train([TraceMLCallback(name="interrupted")], made(Interrupted))
except SystemExit as exit:
    print("exit", exit.code)
"""


@pytest.fixture(scope="module")
def told_and_runs(story):
    imports = "import copy, pickle\nfrom traceml_agent import track\n"
    return story(imports + SETS_UP + STORY.format(documented=LINES[0]), 13)


@pytest.fixture(scope="module")
def told(told_and_runs):
    return told_and_runs[0]


@pytest.fixture(scope="module")
def runs(told_and_runs):
    return told_and_runs[1]


def test_the_documented_lines_make_one_run_with_its_epochs_metrics_and_energy(runs):
    stored = runs["Digits"]
    assert [name for name in stages(stored) if name.startswith("epoch")] == ["epoch 1", "epoch 2", "epoch 3"]
    assert stages(stored)["epoch 1"]["total"] == 3
    assert len(metrics(stored)["loss"]) == 3
    assert sum(metrics(stored)["samples"]) == 3 * 40
    assert (status(stored), stored["headers"][-1]["kind"]) == ("completed", "training")
    assert busy_s(stored) > 0


def test_metrics_come_as_the_trainer_reports_them(runs):
    """Of each epoch and validation one, also if it doesn't change; of single steps as often as the trainer logs; and
    those that the module logs after the callback was called."""
    found = {name: len(values) for name, values in metrics(runs["whole"]).items() if name != "samples"}
    assert found == {"loss": 3, "loss_epoch": 3, "loss_step": 7, "val_loss": 3, "constant": 3, "late": 3}


def test_validations_are_stages_inside_their_epochs(runs):
    assert inside(runs["whole"], "epoch 3") == ["validation"]
    assert next(iter(stages(runs["whole"]))) == "sanity check"


def test_parameters_come_by_themselves(runs):
    found = params(runs["whole"])
    expected = {"width": 4, "learning_rate": 0.1, "max_epochs": 3, "precision": "32-true", "num_devices": 1}
    expected |= {"optimizer": "SGD", "optimizer_momentum": 0.9, "parameters": 5, "batch_size": 8}
    assert expected.items() <= found.items()


def test_the_users_words_count_and_evaluations_stay_evaluations(runs):
    header = runs["whole"]["headers"][-1]
    assert (header["model"], header["kind"], header["tags"]) == ("my-model", "finetuning", ["a"])
    assert list(stages(runs["whole, evaluation"])) == ["test"]
    assert len(metrics(runs["whole, evaluation"])["test_loss"]) == 1
    assert list(stages(runs["whole, inference"])) == ["prediction"]
    assert sum(metrics(runs["whole, inference"])["samples"]) == 40


def test_a_second_fit_is_a_second_run(runs):
    assert list(stages(runs["whole, again"])) == ["epoch 4"]


def test_the_weights_are_those_without_the_callback_also_with_the_portal_down(told, runs):
    assert told["same"] == "True"
    assert "down" not in runs


def test_pytorch_lightning_works_by_its_old_name(runs):
    assert status(runs["old name"]) == "completed"
    assert "epoch 3" in stages(runs["old name"])


def test_a_training_that_raises_has_failed_also_if_the_script_goes_on(told, runs):
    assert told["caught"] == "ZeroDivisionError"
    assert (status(runs["raises"]), runs["raises"]["finishes"][-1]["exception"]) == ("failed", "ZeroDivisionError")
    assert all(row["end_s"] for row in stages(runs["raises"]).values())


def test_a_training_that_is_interrupted_is_cancelled_and_one_that_is_told_to_stop_has_stopped(told, runs):
    assert told["exit"] == "1"  # Lightning's own
    assert status(runs["interrupted"]) == "cancelled"
    assert (status(runs["told to stop"]), runs["told to stop"]["finishes"][-1]["exception"]) == ("stopped", "SIGTERM")


def test_inside_track_all_is_one_run(runs):
    stored = runs["around"]
    assert stored["headers"][-1]["model"] == "around"
    assert {"epoch 1", "epoch 3", "test"} <= stages(stored).keys()
    assert metrics(stored).keys() > {"loss", "test_loss"}


def test_a_resumed_training_continues_its_run(runs):
    stored = runs["resumed"]
    assert [finish["status"] for finish in stored["finishes"]] == ["failed", "completed"]
    assert len({header["writer"] for header in stored["headers"]}) == 2
    names = [row["name"] for batch in stored["batches"].values() for row in batch.get("stages", [])]
    assert {"epoch 1", "epoch 2", "epoch 3"} < set(names)


def test_a_budget_stops_the_trainer(told, runs):
    assert told["epochs"] == "1"
    assert status(runs["budget"]) == "completed"


def test_copies_and_compiled_modules_work(runs):
    assert runs["compiled"]["headers"][-1]["model"] == "Silent"
    assert "epoch 1" in stages(runs["compiled"])


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_ranks_that_lightning_launches_are_one_run_and_stop_together(story, strategy):
    """The environment doesn't tell these ranks about each other: other trackers make a run of each, or listen to the
    first alone. With `ddp` the others are children of the first, with `ddp_spawn` they are siblings."""
    options = f"devices=2, strategy={strategy!r}"
    code = f"""
from traceml_agent.integrations.lightning import TraceMLCallback
if __name__ == "__main__":
    train([TraceMLCallback(name="ranks", budget_kwh=0, on_budget="stop")], epochs=9, {options})
"""
    _, runs = story(SETS_UP + code, 1)
    stored = runs["ranks"]
    epochs = [name for name in stages(stored) if name.startswith("epoch")]
    assert len(epochs) < 9
    assert sum(metrics(stored)["samples"]) == 40 * len(epochs)
    assert len(metrics(stored)["loss"]) == len(epochs)
    assert {finish["status"] for finish in stored["finishes"]} == {"completed"}
    assert params(stored)["world_size"] == 2
