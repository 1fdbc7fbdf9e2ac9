"""The examples of the loggers' pages in docs/integrations, run as they stand."""

import shlex

import pytest

from tests.cases.conftest import status
from tests.documents import blocks

EXAMPLES = [
    *blocks("docs/integrations/loggers.md", "python"),
    *blocks("docs/integrations/mlflow.md", "python"),
    *blocks("docs/integrations/wandb.md", "python"),
    *blocks("docs/integrations/tensorboard.md", "python"),
    *blocks("docs/integrations/comet.md", "python"),
    *blocks("docs/integrations/opentelemetry.md", "python"),
    *blocks("docs/integrations/prometheus.md", "python"),
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs_as_it_stands_and_leaves_one_run(code, run, mlflow_database, environment, arrived):
    environment["WANDB_MODE"] = "offline"
    _, err = run(code)
    assert "left out" not in err
    (stored,) = arrived()
    assert status(stored) == "completed"


def test_the_command_for_a_textfile_runs_as_it_stands(start, interpreter, tmp_path, arrived):
    (command,) = blocks("docs/integrations/prometheus.md", "sh")
    program, *words = shlex.split(command)
    assert program == "traceml-agent"
    words = [interpreter if word == "python" else word for word in words]
    process = start(
        f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-m', 'traceml_agent', *{words}]))"
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "499999500000\n"), err
    arrived()
    assert "traceml_energy_joules_total{" in (tmp_path / "job-4711.prom").read_text()
