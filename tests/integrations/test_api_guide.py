"""docs/api.md and docs/citing.md: every example runs as it stands, against a portal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.test_reads import logged_run
from tests.documents import all_blocks
from tests.fakes.portal import ROOT
from tests.integrations.conftest import PYTHON
from tests.people import token

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = [
    (block.path.removeprefix("docs/"), block.language, block.code)
    for block in all_blocks("docs/api.md") + all_blocks("docs/citing.md")
]
OUTPUTS = ("text", "json")


@pytest.fixture
def environment(live_server, people, wire, catalogue, tmp_path):
    """What a reader's shell has: settings, the agent's command, and a project with runs of two kinds."""
    run_id = logged_run(wire)
    logged_run(wire, kind="inference", params={"lr": 0.2})
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "traceml-agent"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m traceml_agent "$@"\n')
    command.chmod(0o755)
    settings = {
        "URL": live_server.url,
        "TOKEN": token(people.project, "read", "ingest"),
        "SPOOL_DIR": str(tmp_path / "spool"),
    }
    about = {f"TRACEML_AGENT_{name}": value for name, value in settings.items()}
    about |= {"RUN_ID": run_id, "HOME": str(tmp_path), "PATH": f"{command.parent}:{os.environ['PATH']}"}
    return os.environ | about | {"PYTHONPATH": f"{ROOT / 'agent' / 'src'}"}


def played(words: list[str], environment: dict, folder: Path) -> str:
    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_block_is_an_example_or_marked_as_output():
    assert {language for _, language, _ in EXAMPLES} == {"sh", "python", *OUTPUTS}


def test_every_example_in_a_shell_answers(environment, tmp_path):
    for name, language, code in EXAMPLES:
        if language != "sh":
            continue
        out = played(
            ["bash", "-euc", code.replace("curl --silent", "curl --silent --fail-with-body")], environment, tmp_path
        )
        assert out or "traceml-agent" in code, (name, code)
    assert "co2_eq_emissions" in (tmp_path / "README.md").read_text()
    assert "Model Documentation Form" in (tmp_path / "energy.md").read_text()


def test_every_example_in_python_runs_with_pandas_in_one_session(environment, tmp_path):
    code = [code for _, language, code in EXAMPLES if language == "python"]
    out = played([str(PYTHON), "-c", "\n".join(code)], environment, tmp_path)
    assert "422 http" in out
    assert "Digits" in out
    assert "W at most" in out
    assert "co2_eq_emissions" in (tmp_path / "README.md").read_text()


def test_a_frame_has_times_and_a_column_per_parameter_and_metric(environment, tmp_path):
    code = """
import json
from traceml_agent.portal import Portal
runs = Portal().runs(include=["params", "metrics"]).frame()
days = Portal().usage(by="day").frame()
print(json.dumps([sorted(runs.columns), str(runs["started_at"].dtype), str(days["day"].dtype), len(runs)]))
"""
    columns, started, day, count = json.loads(played([str(PYTHON), "-c", code], environment, tmp_path))
    assert {"params.lr", "metrics.val_loss", "energy_kwh"} <= set(columns)
    assert (started.startswith("datetime64"), "UTC" in started, day.startswith("datetime64"), count) == (
        True,
        True,
        True,
        2,
    )
