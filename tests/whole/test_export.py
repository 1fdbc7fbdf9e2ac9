"""`traceml-agent export` of a run that a portal has: a real portal, and its API."""

import csv
import io
import json

import pytest

from runs.models import ApiToken
from tests.agent.spooling import begun, run_id_of
from tests.wire import A100, CPU, ago, batch, sample
from traceml_agent import cli

pytestmark = pytest.mark.django_db(transaction=True)
READER = [ApiToken.Scope.READ]


@pytest.fixture
def export(live_server, people, tmp_path, monkeypatch, capsys):
    """Run the command with a token of these scopes; its status, stdout and stderr."""

    def call(*words, scopes=READER):
        _, token = ApiToken.issue(people.project, "export", scopes)
        settings = {"URL": live_server.url, "TOKEN": token, "SPOOL_DIR": str(tmp_path / "spool")}
        for name, value in settings.items():
            monkeypatch.setenv(f"TRACEML_AGENT_{name}", value)
        status = cli.main(["export", *words])
        said = capsys.readouterr()
        return status, said.out, said.err

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return call


@pytest.fixture
def delivered(wire):
    """A run on the portal, with two devices, a stage and a call."""
    run_id = wire.start(params={"lr": 0.1}, started_at=ago(hours=1))
    rows = [sample("gpu-0", 10, 5, 900.0), sample("cpu-0", 10, 2), sample("gpu-0", 20, 10, 1900.0)]
    stage = {"id": "1", "name": "epoch 1", "parent": "", "start_s": 0.0, "end_s": 20.0}
    call = {"method": "predict", "calls": 3, "items": 6, "busy_s": 0.5}
    gpu = A100 | {"basis": "counter"}
    wire.send(run_id, "b-1", batch(rows, [gpu, CPU], stages=[stage], calls=[call]))
    wire.finish(run_id)
    return run_id


def test_a_delivered_run_comes_from_the_portal_in_the_shape_of_one_in_the_spool(export, delivered, live_server):
    status, out, err = export(delivered)
    found = json.loads(out)
    assert (status, found["run_id"], found["portal"]) == (0, delivered, live_server.url)
    assert (found["headers"][0]["model"], found["headers"][0]["params"]) == ("resnet-50", {"lr": 0.1})
    gpu = [row for row in found["samples"] if row["device"] == "gpu-0"]
    assert [(row["t_s"], row["busy_s"], row["energy_j"], row["writer"]) for row in gpu] == [
        (10.0, 5.0, 900.0, "w-1"),
        (20.0, 10.0, 1900.0, "w-1"),
    ]
    assert found["stages"] == [{"id": "1", "name": "epoch 1", "parent": "", "start_s": 0.0, "end_s": 20.0}]
    assert [(call["method"], call["items"]) for call in found["calls"]] == [("predict", 6)]
    assert found["finishes"][0]["status"] == "completed"
    assert found["summary"]["energy_kwh"] > 1900 / 3.6e6
    assert next(each for each in found["summary"]["devices"] if each["kind"] == "gpu")["energy_j"] == pytest.approx(
        1900
    )
    assert delivered in err


def test_latest_is_the_portals_where_the_spool_holds_none(export, wire, delivered):
    later = wire.start(started_at=ago(minutes=1))
    assert json.loads(export("latest")[1])["run_id"] == later


@pytest.mark.parametrize(("started_at", "is_here"), [(ago(seconds=1), True), (ago(days=9), False)])
def test_latest_is_the_later_of_spool_and_portal(export, delivered, tmp_path, started_at, is_here):
    made = begun(tmp_path / "spool", started_at=started_at)
    found = json.loads(export("latest")[1])
    assert found["run_id"] == (run_id_of(made) if is_here else delivered)


def test_csv_of_a_delivered_run_has_the_same_columns(export, delivered):
    rows = list(csv.DictReader(io.StringIO(export(delivered, "--format", "csv")[1])))
    gpu = [row for row in rows if row["kind"] == "gpu"]
    assert [(row["name"], row["t_s"], row["energy_j"]) for row in gpu] == [
        ("NVIDIA A100-SXM4-40GB", "10.0", "900.0"),
        ("NVIDIA A100-SXM4-40GB", "20.0", "1900.0"),
    ]


def test_the_beginning_of_an_id_will_do(export, delivered):
    assert json.loads(export(delivered[:8].upper())[1])["run_id"] == delivered


def test_a_run_that_neither_has_is_said(export, delivered, live_server):
    for asked in ("ffffffff", "ffffffff-1111-4222-8333-444455556666"):
        status, out, err = export(asked)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert "the spool has no run ffffffff" in err
        assert live_server.url in err


def test_a_token_that_may_not_read_gets_one_sentence_with_the_remedy(export, delivered):
    status, out, err = export(delivered, scopes=[ApiToken.Scope.INGEST])
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "lacks the scope 'read'" in err
    assert "create a token with read access" in err


def test_another_projects_run_is_no_run(export, charlies_wire):
    theirs = charlies_wire.start()
    assert export(theirs)[0] == 1


def test_the_list_has_the_runs_of_spool_and_portal_once_each(export, delivered, wire, tmp_path):
    begun(tmp_path / "spool", run_id=delivered)
    other = wire.start(started_at=ago(minutes=1))
    status, out, _ = export("--list")
    assert (status, [line[:36] for line in out.splitlines()]) == (0, [delivered, other])
    assert "running  delivered  resnet-50" in out


def test_a_portal_that_does_not_let_read_leaves_the_spool(export, delivered, tmp_path):
    made = begun(tmp_path / "spool")
    for words in (("latest",), ("--list",)):
        status, out, err = export(*words, scopes=[ApiToken.Scope.INGEST])
        assert (status, run_id_of(made) in out, err.count("\n")) == (0, True, 1)


def test_a_large_run_is_written_thinned_and_says_so(export, wire):
    run_id = wire.start()
    for first in range(0, 5000, 1000):
        rows = [sample("gpu-0", number, number / 2) for number in range(first, first + 1000)]
        assert wire.send(run_id, f"b-{first}", batch(rows)).status_code == 201
    status, out, err = export(run_id)
    assert (status, 1000 < len(json.loads(out)["samples"]) <= 2000) == (0, True)
    assert "thinned" in err
