"""`traceml-agent import` against a real portal: preview, confirmation, undo, refusals."""

import json

import pytest

from runs.models import Import, Project, Run
from tests import people as cast
from tests.imports.conftest import FILES
from tests.imports.test_storing import file
from traceml_agent import cli

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def command(people, catalogue, live_server, tmp_path, monkeypatch, capsys):
    """Runs the command with Alice's token; returns its exit status, stdout and stderr."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRACEML_AGENT_URL", live_server.url)
    monkeypatch.setenv("TRACEML_AGENT_TOKEN", cast.token(people.project, "ingest"))

    def call(*words):
        status = cli.main(["import", *map(str, words)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def emissions(tmp_path):
    path = tmp_path / "emissions.csv"
    path.write_bytes(file((1, 60, 0.1), (2, 60, 0.2)))
    return path


def test_a_file_is_previewed_imported_and_undone(command, emissions):
    status, out, _ = command(emissions, "--timezone", "Europe/Berlin", "--yes")
    assert status == 0
    assert "emissions.csv: codecarbon, 2 runs, 2026-05-01 to 2026-05-01" in out
    assert "0.3 kWh (0.18 to 0.48)" in out
    assert "Imported 2 runs" in out
    assert Run.objects.count() == 2
    status, out, _ = command("--undo", Import.objects.get().pk)
    assert (status, out) == (0, "Removed the 2 runs of emissions.csv.\n")
    assert not Run.objects.exists()


def test_without_a_terminal_nothing_is_imported_unless_yes_is_said(command, emissions):
    status, out, _ = command(emissions)
    assert (status, Run.objects.count(), Import.objects.count()) == (1, 0, 0)
    assert "add --yes to import" in out
    status, out, _ = command(emissions, "--dry-run")
    assert (status, Run.objects.count(), Import.objects.count()) == (0, 0, 0)


def test_json_is_a_line_for_each_file(command, emissions):
    status, out, _ = command(emissions, FILES / "eco2ai-0.3.12.csv", "--yes", "--json")
    first, second = map(json.loads, out.splitlines())
    assert (status, first["state"], first["runs_added"], second["format"]) == (0, "done", 2, "eco2ai")


def test_a_clusters_jobs_are_imported_by_the_rule(command):
    choices = ["--model-rule", "train-* = {1}", "--model-rule", "* = -", "--gpu", "a100=NVIDIA A100 SXM4 80GB"]
    status, out, _ = command(FILES / "sacct.txt", *choices, "--cpu", "AMD EPYC 7763", "--yes")
    assert status == 0
    assert "resnet-a (training): 1 run" in out
    assert "left out: 2, the job has not ended" in out
    assert "line 13 refused: the number of CPUs is “-4”" in out
    assert Run.objects.get(params__job="1001").devices.get(key="gpu-0").hardware_name == "NVIDIA A100 SXM4 80GB"


def test_a_file_that_is_refused_says_why(command, tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"name,value\n1,2\n")
    status, out, _ = command(path, "--yes")
    assert status == 1
    assert "x.csv: Line 1 is not of a format that can be imported." in out
    status, _, err = command(path, "--timezone", "Mars", "--yes")
    assert (status, err) == (1, "traceml-agent: rule.timezone: This is not a time zone such as Europe/Berlin.\n")
    status, _, err = command(tmp_path / "nosuch")
    assert status == 1
    assert "no such file" in err


def test_a_file_of_more_than_a_part_arrives_whole(command, tmp_path, monkeypatch):
    monkeypatch.setattr("traceml_agent.commands.import_upload.PART_BYTES", 100)
    path = tmp_path / "emissions.csv"
    path.write_bytes(file(*((n, 60, 0.1) for n in range(10))))
    status, _, _ = command(path, "--yes")
    assert (status, Run.objects.count()) == (0, 10)


def test_a_folder_of_wandb_runs_is_one_import(command, tmp_path):
    folder = tmp_path / "wandb" / "offline-run-20261128_204356-r47o56ku"
    folder.mkdir(parents=True)
    (folder / "run-r47o56ku.wandb").write_bytes((FILES / "wandb-0.31.wandb").read_bytes())
    (folder / "secret.txt").write_text("stays here")
    status, out, _ = command(tmp_path / "wandb", "--yes")
    assert (status, Run.objects.get().source) == (0, "wandb")
    assert "wandb: wandb, 1 run" in out
    status, _, err = command(tmp_path / "wandb" / "nosuch", "--yes")
    assert status == 1
    (tmp_path / "empty").mkdir()
    status, _, err = command(tmp_path / "empty", "--yes")
    assert (status, "has no .wandb file" in err) == (1, True)


def test_a_token_reaches_only_its_projects_imports(command, emissions, people, monkeypatch):
    command(emissions, "--yes")
    asked = Import.objects.get()
    monkeypatch.setenv("TRACEML_AGENT_TOKEN", cast.token(people.charlies_project, "ingest"))
    status, _, err = command("--undo", asked.pk)
    assert status == 1
    assert "does not exist, or this token has no access" in err
    assert Run.objects.filter(project=Project.objects.get(slug="digits")).count() == 2
    monkeypatch.setenv("TRACEML_AGENT_TOKEN", cast.token(people.project, "read"))
    status, _, err = command(emissions, "--yes")
    assert (status, "lacks the scope 'ingest'" in err) == (1, True)
