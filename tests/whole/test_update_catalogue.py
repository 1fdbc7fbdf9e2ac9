"""What an admin corrects reaches the estimates that agents make on their own machines."""

import os
import subprocess
import sys

import pytest

from hardware.models import HardwareProfile
from runs.models import EmissionFactor
from tests import people as cast

pytestmark = pytest.mark.django_db(transaction=True)
SLUG = "nvidia-a100-sxm4-40gb"


@pytest.fixture
def agent(tmp_path, live_server, people):
    """Calls the command line as a user of this portal, with a token that may upload and no more."""
    environment = os.environ | {"HOME": str(tmp_path), "TRACEML_AGENT_URL": live_server.url}
    environment |= {"TRACEML_AGENT_TOKEN": cast.token(people.project, "ingest")}

    def call(*words):
        command = [sys.executable, "-m", "traceml_agent", *words]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return call


def estimate(agent) -> str:
    return agent("estimate", "--gpu", "NVIDIA A100-SXM4-40GB", "--hours", "10").stdout


def test_a_correction_reaches_the_agents_estimates(agent, catalogue):
    assert "4 kWh" in estimate(agent)
    profile = HardwareProfile.objects.get(slug=SLUG)
    profile.full_load_w = 600
    profile.save()
    EmissionFactor.objects.create(kg_per_kwh=0.1, year=2030, source="ours").put_in_force()
    done = agent("update-catalogue")
    assert done.returncode == 0, done.stderr
    assert "6 kWh" in estimate(agent)
    assert "600 g CO2e" in estimate(agent)
    assert "is up to date" in agent("update-catalogue").stdout


def test_a_portal_without_a_catalogue_leaves_the_copy_as_it_is(agent, db):
    done = agent("update-catalogue")
    assert (done.returncode, "did not send a catalogue" in done.stderr) == (1, True)
    assert "4 kWh" in estimate(agent)


def test_without_a_portal_it_says_what_to_do(agent, live_server):
    done = agent("update-catalogue", "--help")
    assert done.returncode == 0
    assert "exit status" in done.stdout
