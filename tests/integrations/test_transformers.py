"""Hugging Face Transformers, with the real package: what a trainer's callback or `report_to="traceml"` records."""

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.arrivals import busy_s, params, stages

LINES = blocks("docs/integrations/transformers.md", "python")
SETS_UP = """
import os, signal, sys, torch
from transformers import BertConfig, BertForSequenceClassification, set_seed
from transformers import Trainer, TrainerCallback, TrainingArguments

sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=50)
set_seed(1)
data = [{"input_ids": torch.randint(0, 50, (6,)), "labels": torch.tensor(i % 2)} for i in range(20)]

def made():
    set_seed(1)
    return BertForSequenceClassification(BertConfig(**sizes))

def arguments(folder="out", **more):
    given = dict(num_train_epochs=2, per_device_train_batch_size=8, logging_steps=2, use_cpu=True, disable_tqdm=True)
    return TrainingArguments(folder, **given | dict(save_strategy="no") | more)

def train(callbacks, resume=None, **more):
    evaluates = dict(eval_dataset=data) if "eval_strategy" in more else {}
    trainer = Trainer(made(), arguments(**more), train_dataset=data, callbacks=callbacks, **evaluates)
    trainer.train(resume_from_checkpoint=resume)
    return trainer, sum(weight.sum().item() for weight in trainer.model.state_dict().values())

class Does(TrainerCallback):
    def __init__(self, what):
        self.what = what
    def on_step_end(self, args, state, control, **_):
        if state.global_step == 4:
            self.what()
"""
STORY = """
model, args = made(), arguments()
{documented}

import traceml_agent.integrations.transformers
TrainingArguments = arguments
{by_name}
model = made()
model.config.name_or_path = "lab/tiny-bert"
Trainer(model, args, train_dataset=data).train()

evaluates = dict(eval_strategy="epoch", include_num_input_tokens_seen="all")
plain = train([], **evaluates)[1]
trainer, watched = train([TraceMLCallback("my-model", name="whole", kind="finetuning")], **evaluates)
trainer.evaluate()
trainer.predict(data)
trainer.train()
_, down = train([TraceMLCallback(name="down", url="http://127.0.0.1:9")], **evaluates)
print("same", plain == watched == down)

try:
    train([TraceMLCallback(name="raises"), Does(lambda: 1 / 0)])
except ZeroDivisionError:
    print("caught ZeroDivisionError")
try:
    train([TraceMLCallback(name="interrupted"), Does(lambda: os.kill(os.getpid(), signal.SIGINT))])
except KeyboardInterrupt:
    print("caught_too KeyboardInterrupt")

with track("around", name="around") as run:
    trainer, _ = train([TraceMLCallback()])
    trainer.evaluate(data)

try:
    train([TraceMLCallback(name="resumed"), Does(lambda: 1 / 0)], folder=os.path.abspath("kept"), save_strategy="epoch")
except ZeroDivisionError:
    pass
again = [TraceMLCallback(name="resumed", token=os.environ["TRACEML_AGENT_TOKEN"])]
train(again, True, folder=os.path.abspath("kept"), save_strategy="epoch", restore_callback_states_from_checkpoint=True)
print("stored", os.environ["TRACEML_AGENT_TOKEN"] in open("kept/checkpoint-6/trainer_state.json").read())

train([TraceMLCallback(name="named twice")], report_to="traceml")

class Streamed(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(data * 9)

steps = arguments(max_steps=6)
Trainer(made(), steps, train_dataset=Streamed(), callbacks=[TraceMLCallback(name="streamed")]).train()
trainer, _ = train([TraceMLCallback(name="budget", budget_kwh=0, on_budget="stop")])
print("epochs", trainer.state.epoch)
"""


@pytest.fixture(scope="module")
def told_and_runs(story):
    documented, by_name = LINES
    code = SETS_UP + "from traceml_agent import track\n" + STORY.format(documented=documented, by_name=by_name)
    return story(code, 13)


@pytest.fixture(scope="module")
def told(told_and_runs):
    return told_and_runs[0]


@pytest.fixture(scope="module")
def runs(told_and_runs):
    return told_and_runs[1]


def test_the_documented_lines_make_one_run_with_its_epochs_metrics_and_energy(runs):
    stored = runs["BertForSequenceClassification"]
    assert list(stages(stored)) == ["epoch 1", "epoch 2"]
    assert stages(stored)["epoch 1"]["total"] == 2
    assert len(metrics(stored)["loss"]) == 3
    assert sum(metrics(stored)["samples"]) == pytest.approx(2 * 20)
    assert (status(stored), stored["headers"][-1]["kind"]) == ("completed", "finetuning")
    assert busy_s(stored) > 0


def test_report_to_traceml_works_once_the_integration_is_imported(runs):
    stored = runs["lab/tiny-bert"]
    assert (status(stored), list(stages(stored))) == ("completed", ["epoch 1", "epoch 2", "epoch 3"])


def test_a_callback_beside_report_to_counts_nothing_twice(runs):
    stored = runs["named twice"]
    assert sum(metrics(stored)["samples"]) == pytest.approx(2 * 20)
    assert (len(metrics(stored)["loss"]), list(stages(stored))) == (3, ["epoch 1", "epoch 2"])


def test_as_much_comes_by_itself_as_with_mlflow(runs):
    """MLflow's callback records 146 parameters, and these 9 metrics of a training."""
    found = params(runs["whole"])
    assert len(found) >= 146
    expected = {"learning_rate": 5e-05, "num_train_epochs": 2, "hidden_size": 16, "hub_token": "(hidden)"}
    assert expected.items() <= found.items()
    assert "logging_dir" not in found
    assert "output_dir" in found
    assert "output_dir" not in params(runs["resumed"])  # an absolute path, which may name a user
    rates = {"train_samples_per_second", "train_steps_per_second", "train_runtime", "train_loss", "total_flos"}
    assert metrics(runs["whole"]).keys() >= rates | {"loss", "grad_norm", "learning_rate", "epoch"}


def test_evaluations_and_tokens_of_a_training_are_part_of_it(runs):
    stored = runs["whole"]
    assert (stored["headers"][-1]["model"], stored["headers"][-1]["kind"]) == ("my-model", "finetuning")
    names = [row["name"] for batch in stored["batches"].values() for row in batch["stages"] if row["end_s"]]
    assert names == ["epoch 1", "evaluation", "epoch 2", "evaluation"]
    assert len(metrics(stored)["eval_loss"]) == 2
    assert sum(metrics(stored)["tokens"]) == 2 * 20 * 6


def test_evaluate_and_predict_alone_are_runs_of_their_kinds(runs):
    assert list(stages(runs["whole, evaluation"])) == ["evaluation"]
    assert len(metrics(runs["whole, evaluation"])["eval_loss"]) == 1
    assert list(stages(runs["whole, inference"])) == ["prediction"]
    assert sum(metrics(runs["whole, inference"])["samples"]) == 20


def test_a_second_training_is_a_second_run(runs):
    assert [name for name in stages(runs["whole, again"]) if name != "evaluation"] == ["epoch 1", "epoch 2"]


def test_the_weights_are_those_without_the_callback_also_with_the_portal_down(told, runs):
    assert told["same"] == "True"
    assert "down" not in runs


def test_a_training_that_raises_or_is_interrupted_ends_so_also_if_the_script_goes_on(told, runs):
    """The trainer tells its callbacks nothing of it: other trackers' runs stay open, and take the next training in."""
    assert (told["caught"], told["caught_too"]) == ("ZeroDivisionError", "KeyboardInterrupt")
    assert (status(runs["raises"]), runs["raises"]["finishes"][-1]["exception"]) == ("failed", "ZeroDivisionError")
    assert status(runs["interrupted"]) == "cancelled"
    assert all(row["end_s"] for row in stages(runs["raises"]).values())


def test_inside_track_all_is_one_run(runs):
    assert list(stages(runs["around"])) == ["epoch 1", "epoch 2", "evaluation"]
    assert metrics(runs["around"]).keys() > {"loss", "eval_loss"}


def test_a_resumed_training_continues_its_run_and_its_checkpoint_holds_no_token(told, runs):
    stored = runs["resumed"]
    assert [finish["status"] for finish in stored["finishes"]] == ["failed", "completed"]
    assert len({header["writer"] for header in stored["headers"]}) == 2
    assert told["stored"] == "False"


def test_streamed_data_have_no_number_of_epochs(runs):
    """The trainer says `sys.maxsize`, which no portal takes as the number of a series."""
    (epoch,) = stages(runs["streamed"]).values()
    assert "total" not in epoch
    assert (sum(metrics(runs["streamed"])["samples"]), len(metrics(runs["streamed"])["loss"])) == (6 * 8, 3)


def test_a_budget_stops_the_trainer(told, runs):
    assert told["epochs"] == "1.0"
    assert status(runs["budget"]) == "completed"


def test_ranks_of_torchrun_are_one_run_whose_samples_are_counted_once(story):
    """What a job does next is another run, the same on all ranks, though its launcher has given them one name."""
    code = """
from traceml_agent.integrations.transformers import TraceMLCallback
trainer, _ = train([TraceMLCallback(name="ranks", budget_kwh=0, on_budget="stop")], num_train_epochs=9)
trainer.evaluate(data)
torch.distributed.destroy_process_group()
"""
    _, runs = story(SETS_UP + code, 2, "torchrun --standalone --nproc-per-node 2 train.py")
    stored = runs["ranks"]
    epochs = list(stages(stored))
    assert epochs == [f"epoch {number}" for number in range(1, len(epochs) + 1)]
    assert len(epochs) < 9
    assert sum(metrics(stored)["samples"]) == pytest.approx(20 * len(epochs))
    assert sum(metrics(runs["ranks, evaluation"])["samples"]) == 20
    assert [finish["status"] for each in runs.values() for finish in each["finishes"]] == ["completed"] * 4
