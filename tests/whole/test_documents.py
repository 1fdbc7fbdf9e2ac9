"""The examples of the documents, run as they stand by a user's shell against a portal.

What only stands for something is replaced: the portal's address, the token, the number of a process.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runs.models import ApiToken, Run
from tests.documents import blocks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("catalogue")]
TRAINING = "print(sum(range(3_000_000)))"


@pytest.fixture
def shell(tmp_path, live_server, people):
    """Runs lines as a user who has set up the agent; gives what they print to stdout and stderr."""
    _, token = ApiToken.issue(people.project, "documents", [ApiToken.Scope.INGEST, ApiToken.Scope.READ])
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in {"traceml-agent": "-m traceml_agent", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (programs / name).chmod(0o755)
    (tmp_path / "train.py").write_text(TRAINING)
    own = {name: os.environ[name] for name in ("TMPDIR", "TRACEML_AGENT_MEMORY")}  # where a spool may lie too
    environment = own | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TRACEML_AGENT_URL": live_server.url,
        "TRACEML_AGENT_TOKEN": token,
        "TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"),
        "TRACEML_AGENT_FLUSH_S": "20",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "agent" / "src"),
    }

    def run(lines: str, given: str = "") -> str:
        for example in ("http://127.0.0.1:8000", "https://traceml.example"):
            lines = lines.replace(example, live_server.url)
        done = subprocess.run(
            ["bash", "-euc", lines.replace("tml_…", token)],
            env=environment,
            cwd=tmp_path,
            input=given or token,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_the_quick_start_leads_to_a_run(shell):
    portal, agent, alone = blocks("docs/quickstart.md", "sh")
    assert portal == "make run\n"
    (example,) = blocks("docs/quickstart.md", "python")
    install, _, lines = agent.partition("\n")  # pip itself: tests/whole/test_agent_install.py
    assert install.startswith("pip install ")
    assert "accepts the token" in shell(lines)
    said = shell(f"python - <<'END'\n{example}END\n")
    assert " mWh, " in said
    assert not said.startswith("0.000")
    shell(alone)
    assert [run.tracked_model.name for run in Run.objects.all()] == ["my-model", "my-model"]
    assert all(run.energy_kwh > 0 and run.status == "completed" for run in Run.objects.all())


def test_the_readmes_example_runs(shell):
    (example,) = blocks("README.md", "python")
    shell(f"python - <<'END'\ntrain_one_epoch = lambda: 0.5\n{example}END\n")
    assert Run.objects.get().params == {"lr": 0.1}


def test_the_commands_of_the_agents_guide_do_what_it_says(shell):
    _install, commands = blocks("agent/README.md", "sh")
    with subprocess.Popen(["sleep", "3"]) as another:
        lines = commands.replace("4711", str(another.pid)).replace("login https", "login --token-stdin https")
        said = shell(lines.replace("cite resnet-50", "cite train"))
    assert "accepts the token. Saved in " in said
    assert "Training train (" in said
    assert {run.tracked_model.name for run in Run.objects.all()} == {"train", "sleep"}
