"""A plain PyTorch loop, with the real package: data loaders with workers, and ranks of torchrun."""

import textwrap

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.arrivals import busy_s, inside, stages

LINES = blocks("docs/integrations/pytorch.md", "python")
WORK_S = 0.02
ROWS = 48
SETS_UP = f"""
import os, sys, time
import torch

class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return {ROWS}
    def __getitem__(self, index):
        until = time.process_time() + {WORK_S}
        while time.process_time() < until:
            pass
        return torch.ones(4), torch.ones(1)

rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
mine = torch.utils.data.Subset(Rows(), range(rank, {ROWS}, size))
workers = dict(num_workers=2, multiprocessing_context=os.environ["WORKERS"], persistent_workers=True)
loader = torch.utils.data.DataLoader(mine, batch_size=4, **workers)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.01)

def train_step(inputs, targets):
    optimizer.zero_grad()
    loss = ((model(inputs) - targets) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss

def evaluate():
    return 0.5
"""
(LINE,) = blocks("docs/integrations/pytorch.md", "sh")


@pytest.fixture(scope="module")
def train(story):
    """The run of the documented loop, with workers that are started in this way."""

    def play(workers, line="python train.py", **more):
        loop, epoch = LINES
        code = SETS_UP + epoch + "if __name__ == '__main__':\n" + textwrap.indent(loop, "    ")
        return story(code, 1, line, WORKERS=workers, **more)[1]["my-model"]

    return play


@pytest.mark.parametrize("workers", ["fork", "spawn"])
def test_a_loop_with_workers_that_load_its_data_is_one_run_with_their_processor_time(train, workers):
    stored = train(workers)
    assert [name for name in stages(stored) if name != "evaluation"] == ["epoch 1", "epoch 2", "epoch 3"]
    assert inside(stored, "epoch 3") == ["evaluation"]
    assert sum(metrics(stored)["samples"]) == 3 * ROWS
    assert len(metrics(stored)["loss"]) == len(metrics(stored)["accuracy"]) == 3
    assert (status(stored), len(stored["finishes"])) == ("completed", 1)
    cores = next(device["threads"] for device in stored["finishes"][0]["devices"] if device["kind"] == "cpu")
    assert busy_s(stored) * cores > 3 * ROWS * WORK_S


def test_ranks_of_torchrun_are_one_run_whose_samples_are_added_up(train):
    stored = train("fork", LINE, PET_STANDALONE="1")
    assert [name for name in stages(stored) if name != "evaluation"] == ["epoch 1", "epoch 2", "epoch 3"]
    assert sum(metrics(stored)["samples"]) == 3 * ROWS
    assert len(metrics(stored)["loss"]) == 3
    assert [finish["status"] for finish in stored["finishes"]] == ["completed"] * 2
    assert busy_s(stored) > 0


def test_importing_the_agent_imports_none_of_the_packages(run):
    packages = "torch lightning pytorch_lightning transformers keras ray numpy"
    out, _ = run(f"import sys, traceml_agent; print(sys.modules.keys() & set({packages!r}.split()))")
    assert out == "set()\n"
