"""The examples of agent/README.md, run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import blocks
from traceml_agent.inputs import config

README = Path(__file__).parents[2] / "agent" / "README.md"
EXAMPLES = blocks("agent/README.md", "python")


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs_as_it_stands(code, tmp_path):
    settings = {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("TraceML: ")


def test_every_setting_is_told_with_its_variable():
    told = set(re.findall(r"^\| `(\w+)` \| `TRACEML_AGENT_(\w+)`", README.read_text(), re.MULTILINE))
    assert told == {(name, name.upper()) for name in config.FIELDS}
