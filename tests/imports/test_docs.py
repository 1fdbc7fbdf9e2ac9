"""The commands of docs/integrations about imports, run as they stand against a real portal."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runs.models import Import, Run
from tests import people as cast
from tests.documents import blocks
from tests.imports.conftest import FILES
from tests.imports.test_trackers import TABLE

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
PAGES = {
    "importing": blocks("docs/integrations/importing.md", "sh"),
    "slurm": blocks("docs/integrations/coming-from-slurm.md", "sh"),
    "mlflow": blocks("docs/integrations/coming-from-mlflow.md", "sh"),
    "wandb": blocks("docs/integrations/coming-from-wandb.md", "sh"),
}
SACCT = f"#!/bin/sh\ncase $* in *--parsable2*JobID,JobName,User*) cat {FILES}/sacct.txt;; *) exit 2;; esac\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A person's folder with the files that the pages name."""
    (tmp_path / "emissions.csv").write_bytes((FILES / "codecarbon-3.3.2.csv").read_bytes())
    unzipped = subprocess.run(["gzip", "-dc", FILES / "mlflow-3.db.gz"], capture_output=True, check=True)
    (tmp_path / "mlflow.db").write_bytes(unzipped.stdout)
    (tmp_path / "wandb" / "run-1").mkdir(parents=True)
    (tmp_path / "wandb" / "run-1" / "run-1.wandb").write_bytes((FILES / "wandb-0.31.wandb").read_bytes())
    (tmp_path / "wandb_export.csv").write_text(TABLE)
    programs = {"sacct": SACCT, "traceml-agent": f'#!/bin/sh\nexec {sys.executable} -m traceml_agent "$@"\n'}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(stat.S_IRWXU)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_works_as_it_stands(page, folder, people, catalogue, live_server):
    own = {name: os.environ[name] for name in ("TMPDIR", "TRACEML_AGENT_MEMORY")}  # where a spool may lie too
    environment = own | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT / "agent" / "src"),
        "TRACEML_AGENT_URL": live_server.url,
        "TRACEML_AGENT_TOKEN": cast.token(people.project, "ingest"),
    }
    assert PAGES[page]
    for block in PAGES[page]:
        if asked := Import.objects.order_by("pk").first():
            block = block.replace("--undo 1", f"--undo {asked.pk}")
        done = subprocess.run(
            ["sh", "-ec", block], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert Import.objects.filter(state__in=("done", "undone")).exists()
    if page != "importing":
        assert Run.objects.exists()
