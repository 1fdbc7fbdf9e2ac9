"""The load program at small size, on the lane's database: what was acknowledged is stored once, whoever is killed."""

import os
import signal
import time
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from runs.models import Batch
from tests import people as cast
from tests.benchmarks import agents, ingest, stored
from tests.benchmarks.agents import Plan
from tests.serving import servers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def url() -> str:
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        Path(given["NAME"]).chmod(0o600)  # as the portal asks of a deployment
        return f"sqlite:///{given['NAME']}"
    return "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**given)


@pytest.fixture
def token(people, catalogue) -> str:
    return cast.token(people.project)


def test_what_is_acknowledged_is_stored_once(url, token, tmp_path):
    with ingest.portal(url, tmp_path / "log") as port:
        small = agents.upload(Plan(port, token, clients=2, batches=10))
        large = agents.upload(Plan(port, token, clients=1, batches=1, devices=10, instants=100))
        stored.behind_s(url)
    assert (small.refused, small.undelivered, small.repeated) == ([], [], 0)
    assert (len(small.batch_ms), len(small.acknowledged)) == (20, 22)
    assert len(large.acknowledged) == 2
    assert stored.faults(url, small, large) == []
    call_command("check_totals")
    # A batch that is not there, and a total that is not that of the counters, would be said.
    run = small.acknowledged[0][0]
    small.acknowledged.append([run, "never-sent"])
    small.energy_j[run] *= 2
    assert stored.faults(url, small, large) == ["1 lost", "1 runs whose energy is wrong"]


def test_killed_workers_lose_nothing_that_was_acknowledged(url, token, tmp_path):
    with ingest.portal(url, tmp_path / "log") as port:
        sending = agents.start(Plan(port, token, clients=8, seconds=3.0))
        while sending.poll() is None and not Batch.objects.exists():
            time.sleep(0.05)
        for _ in range(4):
            for pid in servers.processes(port)[1:]:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)
        told = agents.told(sending)
        stored.behind_s(url)
    assert told.repeated, "workers were killed in the middle of uploads"
    assert (told.refused, told.undelivered) == ([], [])
    assert stored.faults(url, told) == []
    call_command("check_totals")


def test_the_bare_view_stores_what_has_its_token(tmp_path):
    url, token = f"sqlite:///{tmp_path}/bare.sqlite3", "tml_012345abcdef_secret"
    ingest.prepare_bare(url, token)
    with ingest.bare(url, tmp_path / "log") as port:
        told = agents.upload(Plan(port, token, clients=2, batches=10))
        other = agents.upload(Plan(port, token + "x", clients=1, batches=1))
    assert len(told.acknowledged) == 22
    assert (other.acknowledged, other.refused[0][:3]) == ([], "403")
