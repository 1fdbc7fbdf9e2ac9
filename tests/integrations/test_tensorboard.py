"""A run's figures in TensorBoard's event files, with the writers of PyTorch and tensorboardX."""

import json

import pytest

from tests.cases.conftest import status

TRAINING = """
import json, time, traceml_agent
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter as Other
from torch.utils.tensorboard import SummaryWriter

one, two = SummaryWriter("one"), Other("two")
try:
    with traceml_agent.track("digits", report_to=[one, two]) as run:
        for epoch in run.epochs(range(3)):
            sum(range(10**6))
            time.sleep(1.1)
            one.add_scalar("loss", 1 / (epoch + 1), epoch)
        {ending}
except ValueError:
    pass
one.close()
two.close()
read = []
for folder in ("one", "two"):
    found = EventAccumulator(folder).Reload()
    tags = found.Tags()
    texts = {{tag: found.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in tags["tensors"]}}
    scalars = {{tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in tags["scalars"]}}
    read.append([scalars, texts])
print(json.dumps([read, run.summary]))
"""


def assert_same_figures(scalars: dict, summary: dict) -> None:
    """TensorBoard keeps 32 bits of a number."""
    for name in ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "duration_s", "measured_share"):
        assert scalars[f"traceml/{name}"][-1][1] == pytest.approx(summary[name], rel=1e-6)
    assert scalars["traceml/energy_kwh"][-1][1] > 0


def test_each_writer_has_the_figures_of_the_summary_and_the_url(run, arrived):
    out, _ = run(TRAINING.format(ending=""))
    ((scalars, texts), (others, other_texts)), summary = json.loads(out.splitlines()[-1])
    assert_same_figures(scalars, summary)
    assert_same_figures(others, summary)
    assert texts["traceml/url/text_summary"] == other_texts["traceml/url/text_summary"] == summary["url"]
    assert status(arrived()[0]) == "completed"
    assert scalars["loss"] == [[0, 1.0], [1, 0.5], [2, pytest.approx(1 / 3)]]
    energies = [value for _, value in scalars["traceml/energy_kwh"]]
    assert len(energies) >= 3 and energies == sorted(energies)


def test_a_training_that_fails_keeps_its_figures_with_the_portal_down_too(run, portal_down):
    out, _ = run(TRAINING.format(ending='raise ValueError("diverged")'))
    ((scalars, _), _), summary = json.loads(out.splitlines()[-1])
    assert_same_figures(scalars, summary)
    assert summary["left_out"] == []
