"""`traceml_agent.portal.Portal`: a project's figures in a user's own script, from a real portal."""

import signal
from datetime import datetime, timedelta, timezone

import pytest

from runs.models import Run
from tests.api.test_reads import logged_run
from tests.people import token
from traceml_agent.portal import Portal, PortalError

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def settings_of_nobody(tmp_path, monkeypatch):
    """A home without settings, and no variables of the agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    for name in ("URL", "TOKEN"):
        monkeypatch.delenv(f"TRACEML_AGENT_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def portal(live_server, people, settings_of_nobody) -> Portal:
    return Portal(live_server.url, token(people.project, "read"))


def test_runs_are_rows_over_as_many_pages_as_there_are(portal, wire):
    made = {wire.start() for _ in range(5)}
    rows = portal.runs(page_size=2)
    assert {row["run_id"] for row in rows} == made
    assert len(list(rows)) == 5  # and once more from the start


def test_pages_are_only_read_as_far_as_somebody_asks(portal, wire, monkeypatch):
    for _ in range(5):
        wire.start()
    asked = []
    ask = portal._client.ask
    monkeypatch.setattr(portal._client, "ask", lambda *words: asked.append(words[0]) or ask(*words))
    rows = iter(portal.runs(page_size=2))
    next(rows)
    next(rows)
    assert len(asked) == 1


def test_filters_take_pythons_times_dictionaries_and_lists(portal, wire):
    wanted = logged_run(wire)
    wire.start(params={"lr": 1})
    since = datetime.now(timezone.utc) - timedelta(hours=2)
    (row,) = portal.runs(
        param={"lr": 0.1}, since=since, used_until=since.date() + timedelta(days=1), include=["params"]
    )
    assert (row["run_id"], row["params"]) == (wanted, {"lr": 0.1})
    assert list(portal.runs(since=datetime.now() + timedelta(hours=1))) == []


def test_a_run_is_asked_for_by_its_id_or_its_row(portal, wire):
    run_id = logged_run(wire)
    (row,) = portal.runs()
    assert portal.run(row)["run_id"] == portal.run(run_id)["run_id"] == run_id
    assert [value["value"] for value in portal.metrics(row)] == [0.5]
    assert [stage["name"] for stage in portal.stages(row)] == ["epoch 1"]
    assert [sample["t_s"] for sample in portal.series(row) if sample["device"] == "gpu-0"] == [900.0, 1800.0, 3600.0]
    assert portal.compare(row)["runs"] == [run_id]


def test_models_totals_and_hardware_are_those_of_the_portal(portal, wire, catalogue):
    logged_run(wire)
    (model,) = portal.models()
    whole = portal.model(model)["parts"]["whole_life"]["energy_kwh"]
    assert portal.summary()["total"]["total_energy_kwh"] == pytest.approx(whole)
    assert sum(row["total_energy_kwh"] for row in portal.usage(by=("day", "model"))) == pytest.approx(whole)
    assert portal.totals(by="kind")["groups"][0]["key"] == "training"
    assert portal.hardware("nvidia-a100-sxm4-40gb")["tdp_w"] == 400
    assert len(list(portal.hardware(q="A100"))) > 2
    assert portal.factor()["kg_per_kwh"] > 0
    assert portal.plan("nvidia-a100-sxm4-40gb", count=2, hours=1)[0]["number"] == 2
    assert portal.project()["name"] == "Digits"
    assert portal.citation(model, "tex").startswith("Training resnet-50")


def test_address_and_token_are_those_of_the_agent(live_server, people, settings_of_nobody, monkeypatch):
    monkeypatch.setenv("TRACEML_AGENT_URL", live_server.url)
    monkeypatch.setenv("TRACEML_AGENT_TOKEN", token(people.project, "read"))
    assert Portal().project()["slug"] == "digits"


@pytest.mark.parametrize(
    ("read", "status", "says"),
    [
        (lambda portal: portal.run("00000000-0000-0000-0000-000000000000"), 404, "does not exist"),
        (lambda portal: list(portal.runs(kind="cooking")), 422, "kind: "),
        (lambda portal: list(portal.usage(by="colour")), 422, "has no 'colour'"),
        (lambda portal: portal.citation("no-such"), 404, "does not exist"),
    ],
)
def test_what_the_portal_refuses_is_raised_in_its_words(portal, read, status, says):
    with pytest.raises(PortalError, match=says) as raised:
        read(portal)
    assert raised.value.status == status


def test_a_token_without_read_access_is_told_how_to_get_one(live_server, people, settings_of_nobody):
    with pytest.raises(PortalError, match="create a token with read access"):
        list(Portal(live_server.url, token(people.project, "ingest")).runs())


def test_without_a_portal_the_error_says_how_to_set_one_up(settings_of_nobody):
    with pytest.raises(PortalError, match="traceml-agent login"):
        Portal()


def test_a_portal_that_is_not_there_is_an_error_that_names_it(settings_of_nobody):
    with pytest.raises(PortalError, match=r"http://127\.0\.0\.1:9: the portal can't be reached"):
        Portal("http://127.0.0.1:9", "tml_x").project()


def test_a_portal_that_asks_to_wait_is_asked_again(portal, monkeypatch):
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    answers = iter([(503, 2.0), (429, 900.0), (200, None)])
    answer = portal._client.ask

    def ask(*words):
        status, after_s = next(answers)
        return answer(*words)._replace(status=status, after_s=after_s)

    monkeypatch.setattr(portal._client, "ask", ask)
    assert portal.project()["name"] == "Digits"
    assert waited == [2.0, 60.0]


def test_the_users_own_signal_handlers_stay(portal):
    def handler(*_):
        raise AssertionError

    before = signal.signal(signal.SIGALRM, handler)
    try:
        portal.project()
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.signal(signal.SIGALRM, before)


def test_charlie_reads_nothing_of_alices(live_server, people, wire, settings_of_nobody):
    run_id = logged_run(wire)
    charlies = Portal(live_server.url, token(people.charlies_project, "read"))
    assert (list(charlies.runs()), list(charlies.models()), list(charlies.usage())) == ([], [], [])
    with pytest.raises(PortalError):
        charlies.run(run_id)
    assert Run.objects.count() == 1
