"""Ray Tune, with the real package. Ray takes many seconds to start, so one script shows all."""

import json
import tempfile

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.arrivals import busy_s, params, stages

LINES = blocks("docs/integrations/ray.md", "python")
STORY = """
import json, os
import ray
from ray.tune import report
ray.init(num_cpus=3, include_dashboard=False, object_store_memory=80 * 1024 * 1024, log_to_driver=False)

def train(config):
    for iteration in range(2):
        sum(range(1_000_000))
        report({{"loss": config["learning_rate"] / (iteration + 1)}})
    if config["learning_rate"] == 0.2:
        raise ValueError("diverged")

{search}
found = [[each.metrics["loss"], each.metrics["energy_kwh"], each.metrics["emissions_kg"]] for each in results]
print("found", json.dumps(sorted(found)))

def train_worker():
    ray.train.report({{"loss": 0.5}})

{training}
"""


@pytest.fixture(scope="module")
def told_and_runs(story):
    search, training = LINES
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # the names of Ray's sockets have at most 107 bytes
        return story(STORY.format(search=search, training=training), 3, RAY_TMPDIR=short)


def test_each_trial_is_a_run_whose_energy_is_a_result(told_and_runs):
    told, runs = told_and_runs
    trials = [stored for stored in runs.values() if stored["headers"][-1]["model"] == "train"]
    good, bad = sorted(trials, key=lambda stored: params(stored)["learning_rate"])
    assert [status(good), status(bad), bad["finishes"][-1]["exception"]] == ["completed", "failed", "ValueError"]
    assert list(stages(good)) == ["iteration 1", "iteration 2"]
    assert metrics(good)["loss"] == [0.1, 0.05]
    assert busy_s(good) > 0
    (loss, energy_kwh, emissions_kg), _ = json.loads(told["found"])
    assert loss == 0.05
    assert energy_kwh > emissions_kg > 0


def test_the_workers_of_a_training_are_one_run(told_and_runs):
    stored = told_and_runs[1]["train_worker"]
    assert [finish["status"] for finish in stored["finishes"]] == ["completed"] * 2
    assert (metrics(stored)["loss"], list(stages(stored))) == ([0.5], ["iteration 1"])
