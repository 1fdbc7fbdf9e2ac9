"""What a portal refuses of a run that another agent recorded: that value alone, with a word; the rest arrives."""

import os
import subprocess
import sys

import pytest

from runs.models import Run
from tests import people as cast
from tests import wire
from tests.agent.spooling import begun, finish, update

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("catalogue")]

#: Bodies that today's agent does not write, each with what is not taken of it, in words.
ODD = {
    "a metric without a name": ({"metrics": [{"t_s": 1.0, "name": "", "value": 1.0}]}, "metric ''"),
    "a value that is none": ({"metrics": [{"t_s": 1.0, "name": "loss", "value": "0.5"}]}, "metric 'loss'"),
    "a stage that ends before it begins": (
        {"stages": [{"id": "1", "name": "odd", "parent": "", "start_s": 5.0, "end_s": 1.0}]},
        "stage 'odd'",
    ),
    "a call count below zero": ({"calls": [{"method": "predict", "calls": -1}]}, "calls of 'predict'"),
}


@pytest.fixture
def sync(tmp_path, people, live_server):
    def run():
        settings = {
            "TRACEML_AGENT_URL": live_server.url,
            "TRACEML_AGENT_TOKEN": cast.token(people.project),
            "TRACEML_AGENT_SPOOL_DIR": str(tmp_path),
        }
        words = [sys.executable, "-m", "traceml_agent", "sync"]
        return subprocess.run(words, env=os.environ | settings, capture_output=True, text=True, timeout=60)

    return run


@pytest.mark.parametrize("case", ODD)
def test_a_value_that_is_refused_takes_nothing_along(sync, tmp_path, live_server, case):
    body, what = ODD[case]
    good = {"metrics": [{"t_s": 2.0, "name": "accuracy", "value": 0.9}]}
    made = begun(tmp_path, portal=live_server.url, started_at=wire.ago(hours=1))
    made.append("update", update(1) | body)
    made.append("update", update(2) | good)
    made.append("finish", finish(2))
    made.close()
    done = sync()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"refused: {what}" in done.stdout
    run = Run.objects.get()
    assert run.status == "completed"
    assert run.metrics.get().last == 0.9
    assert run.energy_kwh > 0


def test_of_a_header_one_odd_parameter_and_tag_are_not_taken(sync, tmp_path, live_server):
    made = begun(tmp_path, portal=live_server.url, params={"lr": 0.1, "bad\u0000key": 1}, tags=["good", "b\u202ead"])
    made.append("update", update(1))
    made.append("finish", finish(1))
    made.close()
    assert sync().returncode == 0
    run = Run.objects.get()
    assert (run.params, run.tags) == ({"lr": 0.1}, ["good"])
