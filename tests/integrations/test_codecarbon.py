"""CodeCarbon's own client, unmodified, against a portal: set up by environment, by code, by its file; and before 3.2.9.

Its API is a door of the portal (docs/integrations/codecarbon.md); tests/api/test_codecarbon.py has what it sends, case
by case.
"""

import re
import textwrap
import time

import pytest
from django.utils import timezone

from runs.models import ApiToken, Batch, Run
from tests import people as cast
from tests.documents import all_blocks
from tests.integrations.conftest import PYTHON

pytestmark = pytest.mark.django_db(transaction=True)

#: A release that announces its run when the tracker is made; it uses the packages of the newer one.
OLD = PYTHON.parents[1] / "codecarbon-3.2.8"
#: Works until the portal has got something more: the client gives up after two seconds, and tries again with its next
#: part.
WORK = """
    import pathlib, time

    def work(until=60):
        arrived, before = pathlib.Path("arrived"), pathlib.Path("arrived").read_text()
        until += time.monotonic()
        while time.monotonic() < until and arrived.read_text() == before:
            sum(range(50_000))
"""


@pytest.fixture
def token(people):
    return cast.token(people.project, "ingest")


@pytest.fixture
def client_(start, live_server, token, tmp_path):
    """Plays a script with CodeCarbon, which measures and uploads often; what it printed."""

    def play(code, **changes):
        settings = {
            "CODECARBON_API_ENDPOINT": f"{live_server.url}/api/codecarbon/",
            "CODECARBON_API_KEY": token,
            "CODECARBON_EXPERIMENT_ID": "resnet50",
            "CODECARBON_SAVE_TO_API": "true",
            "CODECARBON_MEASURE_POWER_SECS": "1",
            "CODECARBON_API_CALL_INTERVAL": "2",
            "CODECARBON_LOG_LEVEL": "error",
        }
        kept = {name: value for name, value in (settings | changes).items() if value is not None}
        told = tmp_path / "arrived.new"
        told.write_text("0")
        told.replace(tmp_path / "arrived")
        process = start(textwrap.dedent(WORK) + textwrap.dedent(code), cwd=tmp_path, **kept)
        while process.poll() is None:
            told.write_text(str(Batch.objects.count()))
            told.replace(tmp_path / "arrived")
            time.sleep(0.1)
        out, err = process.communicate()
        assert process.returncode == 0, err
        return out, err

    return play


def test_a_client_that_uses_one_door_and_then_both(client_, live_server, token):
    """The address ends with a slash. The second tracker is the one for machines without a network; its totals have no
    id (since 3.2.9) and count once."""
    out, _ = client_(
        f"""
        from codecarbon import EmissionsTracker, OfflineEmissionsTracker

        with EmissionsTracker() as tracker:
            work()
            work()
        both = OfflineEmissionsTracker(
            country_iso_code="FRA", experiment_id="both", api_call_interval=-1,
            emissions_endpoint="{live_server.url}/api/hooks/codecarbon/{token}",
        )
        both.start()
        work(until=2)
        both.flush()
        work(until=1.5)
        both.stop()
        for data in (tracker.final_emissions_data, both.final_emissions_data):
            print(data.energy_consumed, data.emissions)
        """
    )
    one, both = [tuple(map(float, line.split())) for line in out.splitlines()]
    # It drops what took less than a second or got no answer in two, and two of its threads may both announce a run.
    runs = Run.objects.filter(tracked_model__name="resnet50")
    assert 0 < sum(run.energy_kwh for run in runs) <= 1.001 * one[0]
    assert Batch.objects.filter(run__in=runs).count() >= 2
    run = runs[0]
    assert run.reported_kg_per_kwh == pytest.approx(one[1] / one[0])
    assert (run.source, run.source_version, run.state) == ("codecarbon", "3.3.2", "running")
    assert set(run.devices.values_list("kind", "basis")) == {("cpu", "reported"), ("ram", "reported")}
    other = Run.objects.get(tracked_model__name="both")
    assert (other.energy_kwh, other.reported_kg) == (pytest.approx(both[0], rel=0.02), pytest.approx(both[1], rel=0.02))


def test_a_client_before_329_set_up_in_code(client_, live_server, token):
    """It announces its run before it starts, sends twelve keys or sixteen, and knows the run's id."""
    out, _ = client_(
        f"""
        import codecarbon

        tracker = codecarbon.EmissionsTracker(
            api_endpoint="{live_server.url}/api/codecarbon", api_key="{token}", experiment_id="resnet50",
            save_to_api=True, measure_power_secs=1, api_call_interval=1,
            emissions_endpoint="{live_server.url}/api/hooks/codecarbon/{token}",
        )
        tracker.start()
        work()
        tracker.stop()
        print(codecarbon.__version__, tracker.run_id, tracker.final_emissions_data.energy_consumed)
        """,
        **dict.fromkeys(("CODECARBON_API_ENDPOINT", "CODECARBON_API_KEY", "CODECARBON_EXPERIMENT_ID")),
        PYTHONPATH=str(OLD),
    )
    version, run_id, energy_kwh = out.split()
    run = Run.objects.get()  # the one that the tracker knows
    assert version == run.source_version == "3.2.8"
    assert str(run.run_id) == run_id
    assert run.energy_kwh == pytest.approx(float(energy_kwh), rel=0.02)


def test_a_refused_client_ends_well_and_its_log_says_why(client_, token):
    ApiToken.objects.update(revoked_at=timezone.now())
    _, err = client_(
        """
        from codecarbon import EmissionsTracker

        with EmissionsTracker():
            work(until=5)
        """
    )
    assert "is revoked. Create a new one." in err
    assert not Run.objects.exists()


EXAMPLES = all_blocks("docs/integrations/codecarbon.md")


def test_the_pages_examples_run_as_they_stand(client_, live_server, token, tmp_path):
    """The three ways to set up CodeCarbon, its totals, and the changed import, in the order of the page."""
    assert [block.language for block in EXAMPLES] == ["python", "ini", "sh", "python", "python"]
    code, file, exports, totals, changed_import = (
        block.code.replace("https://traceml.example.org", live_server.url).replace("tml_…", token) for block in EXAMPLES
    )
    names = ("API_ENDPOINT", "API_KEY", "EXPERIMENT_ID", "SAVE_TO_API")
    nothing = dict.fromkeys(f"CODECARBON_{name}" for name in names)
    tracked = "from codecarbon import EmissionsTracker\nwith EmissionsTracker():\n    work()\n"

    client_("train = work\n" + code, **nothing)
    (tmp_path / ".codecarbon.config").write_text(file)
    client_(tracked, **nothing)
    (tmp_path / ".codecarbon.config").unlink()
    exported = dict(re.findall(r"export (\w+)=(.*)", exports))
    client_(tracked, **exported)
    client_("train = lambda: time.sleep(1.1)\n" + totals, **nothing)
    runs = Run.objects.filter(source="codecarbon")
    assert len(runs) >= 4
    assert all(run.energy_kwh > 0 for run in runs)

    client_(
        "train = load = lambda: None\n" + changed_import,
        **nothing,
        TRACEML_AGENT_URL=live_server.url,
        TRACEML_AGENT_TOKEN=token,
    )
    deadline = time.monotonic() + 20
    while Run.objects.filter(source="", status="completed").count() < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    whole = Run.objects.get(source="", name="baseline")
    assert (whole.tracked_model.name, whole.stages.get().name) == ("resnet50", "load data")
