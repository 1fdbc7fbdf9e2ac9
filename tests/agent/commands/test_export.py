"""`traceml-agent export`: a run from the spool, without any server."""

import csv
import io
import json

import pytest

from traceml_agent import cli
from traceml_agent.inputs import config
from traceml_agent.spool.file import Spool

RUN = "0b8e2f1c-1111-4222-8333-444455556666"
CPU = {
    "key": "cpu-0",
    "kind": "cpu",
    "name": "=AMD EPYC 7742",
    "uuid": "",
    "basis": "",
    "method": "CPU time",
    "cores": 64.0,
}


def sample(t_s, busy_s):
    return {"device": "cpu-0", "t_s": t_s, "elapsed_s": t_s, "busy_s": busy_s, "energy_j": None}


@pytest.fixture
def export(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRACEML_AGENT_SPOOL_DIR", str(tmp_path / "spool"))

    def call(*words):
        code = cli.main(["export", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def write(export):
    """Writes a run's spool file, unfinished unless told."""

    def run(run_id=RUN, writer="w-1", finish=False):
        made = Spool.create(config.load(), run_id, writer)
        made.append("header", {"model": "digits", "started_at": "2026-11-25T10:00:00Z"})
        stage = {"id": "1", "name": "epoch 1", "parent": "", "start_s": 0.0, "end_s": None}
        made.append("update", {"devices": [CPU], "samples": [sample(10.0, 5.0)], "stages": [stage]})
        metric = {"t_s": 15.0, "name": "loss", "value": 0.5}
        rows = {"samples": [sample(20.0, 10.0)], "stages": [stage | {"end_s": 20.0}], "metrics": [metric]}
        made.append("update", {"devices": [CPU]} | rows)
        if finish:
            made.append("finish", {"status": "completed", "devices": [CPU], "samples": [sample(30.0, 15.0)]})
        made.close()

    return run


def test_json_holds_the_whole_run_with_its_numbers(export, write):
    write(finish=True)
    code, out, _ = export(RUN)
    found = json.loads(out)
    assert (code, found["run_id"], found["headers"][0]["model"]) == (0, RUN, "digits")
    assert [row["t_s"] for row in found["samples"]] == [10.0, 20.0, 30.0]
    assert [stage["end_s"] for stage in found["stages"]] == [20.0]
    assert [metric["value"] for metric in found["metrics"]] == [0.5]
    assert found["finishes"] == [{"writer": "w-1", "status": "completed"}]
    # 15 % of 225 W idle for 30 s, 55 % more for 15 s
    assert found["summary"]["energy_kwh"] == pytest.approx((0.15 * 225 * 30 + 0.55 * 225 * 15) / 3.6e6)


def test_a_run_that_is_not_finished_is_written_as_well(export, write):
    write()
    assert json.loads(export("latest")[1])["finishes"] == []


def test_all_writers_of_a_run_are_one_export(export, write):
    write(writer="w-1")
    write(writer="w-2")
    found = json.loads(export(RUN[:8])[1])
    assert {row["writer"] for row in found["samples"]} == {"w-1", "w-2"}
    assert len(found["devices"]) == 2


def test_csv_is_a_line_a_sample_and_no_formula(export, write, tmp_path):
    write()
    assert export(RUN, "--format", "csv", "--output", str(tmp_path / "run.csv"))[:2] == (0, "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "run.csv").read_text())))
    assert [(row["t_s"], row["busy_s"], row["energy_j"]) for row in rows] == [("10.0", "5.0", ""), ("20.0", "10.0", "")]
    assert {row["name"] for row in rows} == {"'=AMD EPYC 7742"}


def test_the_runs_of_the_spool_are_listed(export, write):
    write(finish=True)
    code, out, _ = export("--list")
    assert code == 0
    assert RUN in out
    assert "completed" in out
    assert "digits" in out


@pytest.mark.parametrize("run", ["latest", "ffffffff"])
def test_a_run_that_the_spool_does_not_hold_is_said(export, run):
    code, _, err = export(run)
    assert (code, "portal" in err) == (1, True)
