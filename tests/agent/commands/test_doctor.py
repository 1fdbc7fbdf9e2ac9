"""`traceml-agent doctor`: what it says of runs that wait, of what a portal refused, and of the clock."""

import json
import re
from pathlib import Path

import pytest

from tests.agent.spooling import begun, finish, run_id_of, update, whole
from traceml_agent import cli
from traceml_agent.sensors import unmeasured
from traceml_agent.spool import quarantine

WRONG = "http://127.0.0.1:9"


@pytest.fixture
def doctor(settings, monkeypatch, capsys):
    """Run the quick examination with the fake portal; its status and findings by subject."""
    monkeypatch.setenv("TRACEML_AGENT_URL", settings.url)
    monkeypatch.setenv("TRACEML_AGENT_TOKEN", settings.token)
    monkeypatch.setenv("TRACEML_AGENT_SPOOL_DIR", settings.spool_dir)

    def call():
        status = cli.main(["doctor", "--quick", "--json"])
        return status, {finding["subject"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}

    return call


def test_with_nothing_to_tell_all_is_well(doctor):
    status, found = doctor()
    assert (status, found["runs"]["text"]) == (0, "nothing is waiting")
    assert found["wall clock"]["text"] == "agrees with the portal's"
    assert "set aside" not in found


def test_runs_that_wait_are_told_by_address(doctor, place, settings):
    whole(place, portal=settings.url)
    whole(place, portal="")
    assert doctor()[0] == 0
    whole(place, portal=WRONG)
    status, found = doctor()
    assert (status, found["runs"]["ok"]) == (1, False)
    assert f"1 run is waiting for {settings.url}." in found["runs"]["text"]
    assert "1 run was recorded without a portal." in found["runs"]["text"]
    assert f"1 run is waiting for {WRONG}, another address." in found["runs"]["text"]
    assert "traceml-agent sync --all" in found["runs"]["text"]


def test_runs_recorded_for_an_address_are_well_where_no_portal_is_configured(doctor, place, monkeypatch):
    whole(place, portal=WRONG)
    monkeypatch.delenv("TRACEML_AGENT_URL")
    assert doctor()[0] == 0


def test_what_the_portal_refused_is_told_in_its_words_with_the_remedy(doctor, place, settings):
    made = whole(place)
    quarantine.set_aside(made.path, "started_at: check the machine's clock", settings.url)
    status, found = doctor()
    assert status == 1
    assert f"{run_id_of(made)} (whole file): set aside on " in found["set aside"]["text"]
    assert f"refused by {settings.url}: started_at: check the machine's clock" in found["set aside"]["text"]
    assert "traceml-agent sync" in found["set aside"]["remedy"]


def test_what_was_never_a_runs_is_told_and_is_no_fault(doctor, place):
    place.mkdir()
    (place / "noname.spool").write_text("x")
    status, found = doctor()
    assert (status, "noname.spool" in found["set aside"]["text"]) == (0, True)


def test_what_a_run_had_to_leave_out_is_counted(doctor, place):
    made = begun(place)
    for number in range(400):
        made.append("update", update(number, note="x" * 2000))
    made.append("finish", finish(400) | {"dropped_records": 12})
    made.close()
    assert Path(made.path).stat().st_size > 500_000, "only its end is read"
    status, found = doctor()
    assert (status, found["left out"]["text"][:10]) == (1, "12 records")


@pytest.mark.parametrize(
    ("portal_is_ahead_s", "text"),
    [(-302_420.0, r"3 d 12 h ahead of the portal's"), (1520.0, r"25 min \d+ s behind the portal's")],
)
def test_a_clock_that_is_off_is_told_with_the_remedy(doctor, portal, portal_is_ahead_s, text):
    portal.mode("ok", ahead_s=portal_is_ahead_s)
    status, found = doctor()
    assert status == 1
    assert re.fullmatch(text, found["wall clock"]["text"])
    assert "timedatectl" in found["wall clock"]["remedy"]


def test_an_accelerator_that_is_not_measured_is_a_fault(doctor, monkeypatch):
    monkeypatch.setattr(unmeasured, "devices", lambda: [("TPU v5e", "no reader for it")], raising=False)
    status, found = doctor()
    assert (status, found["not measured"]["text"]) == (1, "TPU v5e: no reader for it")
