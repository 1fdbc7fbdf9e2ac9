"""An agent that is too old or too new for the portal is told so, with the remedy."""

import pytest

from runs.agent_wheel import wheel
from runs.api import agents
from runs.models import Refusal, Run
from tests.wire import finish, header
from traceml_agent import __version__

RUN = "7b0f9c0e-3f5c-4f0a-9a53-0d2f6b1c1a11"


def announced(wire, sender: str, body=None):
    return wire.put(f"runs/{RUN}", body or header(), **{"User-Agent": sender})


@pytest.fixture
def own(monkeypatch):
    """A portal of version 3.4.1."""
    made = wheel()
    monkeypatch.setattr(agents, "wheel", lambda: made.__class__(**{**vars(made), "version": "3.4.1"}))


@pytest.mark.parametrize("version", ["0.0.9", "2.99.0", "3.3.9", "3.3.0rc1"])
def test_an_older_agent_is_taken_and_told_how_to_update(wire, own, version):
    answer = announced(wire, f"traceml-agent/{version}")
    assert answer.status_code == 201
    line = f'pip install "traceml-agent @ http://testserver/agent/{wheel().name}"'
    assert answer.json()["notice"] == f"traceml-agent {version} is older than this portal. Update: {line}"


@pytest.mark.parametrize("version", ["3.5.0", "4.0.0", "3.10.0", "99.0.0.dev3+local"])
def test_a_newer_agent_is_taken_and_told_what_the_portal_has(wire, own, version):
    told = announced(wire, f"traceml-agent/{version}").json()["notice"]
    assert told.startswith(f"traceml-agent {version} is newer than this portal (3.4.1). Install its own: pip install ")


@pytest.mark.parametrize("version", ["3.4.1", "3.4.0", "3.4.7"])
def test_an_agent_of_the_same_release_is_told_nothing(wire, own, version):
    assert "notice" not in announced(wire, f"traceml-agent/{version}").json()


@pytest.mark.parametrize(
    "sender",
    ["", "curl/8.5.0", "python-requests/2.31", "traceml-agent", "traceml-agent/new", "traceml-agent/1", "x" * 9000],
)
def test_other_clients_are_told_nothing(wire, sender):
    answer = announced(wire, sender)
    assert (answer.status_code, "notice" in answer.json()) == (201, False)


def test_todays_agent_is_todays_portals(wire):
    assert "notice" not in announced(wire, f"traceml-agent/{__version__}").json()


def test_every_write_tells_it_and_so_does_a_refusal(wire, own):
    old = {"User-Agent": "traceml-agent/0.0.9"}
    announced(wire, "")
    answers = [
        wire.put(f"runs/{RUN}/batches/b-1", {"writer": "w-1"}, **old),
        wire.put(f"runs/{RUN}/finish", finish(), **old),
        announced(wire, "traceml-agent/0.0.9", {"model": ""}),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 422]
    assert all("is older than this portal" in answer.json()["notice"] for answer in answers)


def test_a_notice_fits_however_long_the_portals_address_is(wire, settings):
    settings.TRACEML_BASE_URL = f"https://{'x' * 60}.example"
    told = announced(wire, "traceml-agent/0.0.9").json()["notice"]
    assert told.endswith(f"Update: https://{'x' * 60}.example/start/")
    assert len(told) <= 200


def test_an_agent_that_would_be_misunderstood_is_refused_and_may_come_again(wire, people, monkeypatch):
    """403 makes it keep its spool: whatever it measured arrives once it is updated."""
    monkeypatch.setattr(agents, "OLDEST", (0, 1))
    answer = announced(wire, "traceml-agent/0.0.9")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (403, "agent-too-old")
    assert problem["detail"].startswith("traceml-agent 0.0.9 is too old for this portal. Update: pip install ")
    assert not Run.objects.exists()
    assert Refusal.objects.get().reason == problem["detail"], "and who waits for the run reads why"
    assert announced(wire, "traceml-agent/0.1.0").status_code == 201
