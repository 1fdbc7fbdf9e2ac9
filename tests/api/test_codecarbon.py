"""CodeCarbon's door: what its clients send, as runs. tests/integrations/test_codecarbon.py has the real clients."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from runs.ingest.folding.fold import fold_waiting
from runs.jobs.silent_ends import end_silent_runs
from runs.models import ApiToken, Batch, DailyUsage, Device, EmissionFactor, Pue, Refusal, Remembered, Run, TrackedModel
from runs.run_page.page import run_page
from tests import people as cast
from tests.wire import Wire, totals_later

pytestmark = pytest.mark.django_db

#: As CodeCarbon 3.3.2 sends it (on a machine with GPUs), with its columns about a place.
MACHINE = {
    "experiment_id": "resnet50",
    "os": "Linux-6.18-x86_64-with-glibc2.36",
    "python_version": "3.11.7",
    "codecarbon_version": "3.3.2",
    "cpu_count": 2,
    "cpu_model": "Intel(R) Xeon(R) Processor",
    "gpu_count": 2,
    "gpu_model": "2 x NVIDIA A40",
    "longitude": -71.2,
    "latitude": 46.8,
    "region": None,
    "provider": None,
    "ram_total_size": 23.5,
    "tracking_mode": "machine",
}
KWH = 1 / 1000


#: Five minutes ago, as the client's clock has it while a test runs.
BEGAN = timezone.now() - timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    monkeypatch.setattr("tests.api.test_codecarbon.BEGAN", timezone.now() - timedelta(minutes=5))


def seconds(after_s: float) -> str:
    return (BEGAN + timedelta(seconds=after_s)).isoformat()


class Client:
    """What an unmodified client does, with the times that a test chooses."""

    def __init__(self, client, token: str):
        self.client, self.token = client, token

    def post(self, path: str, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"x-api-token": self.token} | headers
        return self.client.post(f"/api/{path}", data, content_type="application/json", headers=sent)

    def announce(self, **changes) -> str:
        body = MACHINE | {"timestamp": seconds(0)} | changes
        answer = self.post("codecarbon/runs", body)
        assert answer.status_code == 201, answer.content
        return answer.json()["id"]

    def report(self, run_id: str, at_s: float, duration: float = 100, **changes):
        return self.post("codecarbon/emissions", report(run_id, at_s, duration, **changes))

    def total(self, run_id, duration: float, **changes):
        body = MACHINE | report(run_id, 0, duration, **changes) | {"project_name": "codecarbon", "user": "alice"}
        body["emissions"] = body.pop("emissions_sum")
        in_nepal = timezone.now() + timedelta(hours=5, minutes=45)
        body["timestamp"] = in_nepal.strftime("%Y-%m-%dT%H:%M:%S")
        return self.post(f"hooks/codecarbon/{self.token}", body, **{"x-api-token": ""})


def report(run_id: str, at_s: float, duration: float, **changes) -> dict:
    """An emission of 16 keys: 3 Wh, 0.1 kg per kWh."""
    return {
        "timestamp": seconds(at_s),
        "run_id": run_id,
        "duration": duration,
        "emissions_sum": 0.3 * KWH,
        "emissions_rate": 3e-6,
        "cpu_power": 36.0,
        "gpu_power": 36.0,
        "ram_power": 36.0,
        "cpu_energy": 1 * KWH,
        "gpu_energy": 1 * KWH,
        "ram_energy": 1 * KWH,
        "energy_consumed": 3 * KWH,
        "cpu_utilization_percent": 40.0,
        "gpu_utilization_percent": 80,
        "ram_utilization_percent": 2.3,
        "wue": 0.0,
    } | changes


@pytest.fixture
def codecarbon(client, people):
    return Client(client, cast.token(people.project, "ingest"))


def whole_run(codecarbon) -> Run:
    run_id = codecarbon.announce()
    for at_s in (100, 200):
        assert codecarbon.report(run_id, at_s).status_code == 201
    return Run.objects.get(run_id=run_id)


def test_differences_become_the_counters_of_a_run(codecarbon, people):
    run = whole_run(codecarbon)
    assert (run.project, run.tracked_model.name, run.source, run.source_version) == (
        people.project,
        "resnet50",
        "codecarbon",
        "3.3.2",
    )
    assert run.energy_kwh == pytest.approx(6 * KWH)
    assert run.emissions_kg == pytest.approx(6 * KWH * EmissionFactor.objects.active().kg_per_kwh)
    assert run.duration_s == pytest.approx(200, abs=1)
    assert {device.key: (device.name, device.basis) for device in run.devices.all()} == {
        "cpu": ("Intel(R) Xeon(R) Processor", "reported"),
        "gpu-0": ("NVIDIA A40", "reported"),
        "gpu-1": ("NVIDIA A40", "reported"),
        "ram": ("Memory", "reported"),
    }
    assert run.devices.get(key="gpu-1").energy_kwh == pytest.approx(1 * KWH)
    assert run.devices.get(key="gpu-1").utilisation == pytest.approx(0.8)
    assert run.measured_share == 0


def test_the_series_and_the_daily_totals_are_those_of_any_run(codecarbon, client, people):
    run = whole_run(codecarbon)
    series = Wire(client, cast.token(people.project, "read")).get(f"runs/{run.run_id}/series").json()["devices"]
    cpu = next(each for each in series if each["device"] == "codecarbon/cpu")
    assert cpu["energy_j"] == [pytest.approx(3600), pytest.approx(7200)]
    assert cpu["elapsed_s"] == [pytest.approx(100, abs=1), pytest.approx(200, abs=1)]
    assert sum(DailyUsage.objects.values_list("energy_kwh", flat=True)) == pytest.approx(6 * KWH)
    assert sum(DailyUsage.objects.values_list("runs", flat=True)) == 1


def test_what_codecarbon_calculated_is_kept_beside_our_figure(codecarbon):
    run = whole_run(codecarbon)
    assert (run.reported_kwh, run.reported_kg) == (pytest.approx(6 * KWH), pytest.approx(0.6 * KWH))
    assert run.reported_kg_per_kwh == pytest.approx(0.1)


def test_nothing_of_a_place_is_stored(codecarbon):
    run = whole_run(codecarbon)
    kept = json.dumps([run.environment, run.params, *Remembered.objects.values_list("value", flat=True)])
    assert not any(word in kept for word in ("longitude", "latitude", "region", "46.8"))


def test_a_pue_that_the_client_applied_is_not_applied_again(codecarbon):
    Pue.objects.active()
    Pue.objects.update(value=1.5)
    run = whole_run(codecarbon)
    assert (run.pue, run.pue_included) == (1.0, True)
    assert run.emissions_kg == pytest.approx(6 * KWH * run.factor.kg_per_kwh)


def test_a_run_that_never_reports_is_never_shown(codecarbon):
    codecarbon.announce()
    assert not Run.objects.exists()


def test_a_report_that_a_proxy_repeats_counts_once(codecarbon):
    run_id, body = codecarbon.announce(), None
    body = report(run_id, 100, 100)
    assert [codecarbon.post("codecarbon/emissions", body).status_code for _ in range(2)] == [201, 201]
    assert Run.objects.get().energy_kwh == pytest.approx(3 * KWH)


def test_a_lost_report_is_told(codecarbon):
    run_id = codecarbon.announce()
    codecarbon.report(run_id, 100)
    codecarbon.report(run_id, 300)
    run = Run.objects.get()
    assert run.energy_kwh == pytest.approx(6 * KWH)
    assert run.duration_s == pytest.approx(300, abs=1)
    assert run.left_out == [
        {
            "what": "seconds of the run",
            "reason": "the CodeCarbon client did not report them, so their energy is missing",
            "count": pytest.approx(99, abs=1),
        }
    ]
    assert "About 33 % of this run was not reported by CodeCarbon, so its energy is missing." in run_page(run).notes
    assert not run_page(run).left_out


def test_durations_cut_to_whole_seconds_are_no_gap(codecarbon):
    run_id = codecarbon.announce()
    for at_s in (10, 20.9, 31.8):
        codecarbon.report(run_id, at_s, 10)
    assert Run.objects.get().left_out == []


def test_emissions_below_zero_are_taken(codecarbon):
    run_id = codecarbon.announce()
    assert codecarbon.report(run_id, 100, emissions_sum=-0.1).status_code == 201
    assert Run.objects.get().reported_kg == pytest.approx(-0.1)


def test_the_twelve_keys_of_older_clients_are_enough(codecarbon):
    run_id = codecarbon.announce(gpu_count=None, gpu_model=None, codecarbon_version="3.0.8", longitude=None)
    body = {key: value for key, value in report(run_id, 100, 100).items() if "utili" not in key and key != "wue"}
    body["gpu_energy"] = 0.0
    assert codecarbon.post("codecarbon/emissions", body).status_code == 201
    run = Run.objects.get()
    assert set(run.devices.values_list("key", "busy_s")) == {("cpu", None), ("ram", None)}


def test_gpus_that_are_only_seen_later_count(codecarbon):
    run_id = codecarbon.announce(gpu_count=0, gpu_model="")
    codecarbon.report(run_id, 100, gpu_energy=0)
    codecarbon.report(run_id, 200)
    assert Run.objects.get().devices.get(kind="gpu").energy_kwh == pytest.approx(1 * KWH)


@pytest.mark.parametrize("named", ["resnet-50", "ResNet 50"])
def test_the_experiment_is_a_model_by_name_or_address(codecarbon, people, named):
    model = TrackedModel.objects.create(project=people.project, name="ResNet 50", slug="resnet-50")
    codecarbon.report(codecarbon.announce(experiment_id=named), 100)
    assert Run.objects.get().tracked_model == model


def test_a_machine_with_a_wrong_clock_is_placed_by_the_portals(codecarbon):
    run_id = codecarbon.announce()
    codecarbon.report(run_id, 0, timestamp="1999-01-01T00:00:00+00:00")
    assert abs(timezone.now() - timedelta(seconds=100) - Run.objects.get().started_at) < timedelta(seconds=10)


def test_a_clock_that_is_set_back_loses_neither_energy_nor_time(codecarbon):
    run_id = codecarbon.announce()
    for at_s in (100, 200, 90):
        codecarbon.report(run_id, at_s)
    run = Run.objects.get()
    assert (run.energy_kwh, run.duration_s) == (pytest.approx(9 * KWH), pytest.approx(300))


def silent(run_id, silent_s: float) -> None:
    Run.objects.filter(run_id=run_id).update(last_seen_at=timezone.now() - timedelta(seconds=silent_s))


@pytest.mark.parametrize(
    ("duration", "silent_s", "state"),
    [(15, 590, "running"), (15, 610, "completed"), (600, 1790, "running"), (600, 1810, "completed")],
)
def test_a_run_is_completed_after_ten_minutes_or_three_intervals_of_silence(codecarbon, duration, silent_s, state):
    run_id = codecarbon.announce()
    for at_s in (-duration, 0):
        codecarbon.report(run_id, at_s, duration)
    silent(run_id, silent_s)
    end_silent_runs()
    run = Run.objects.get()
    assert run.state == state
    assert (run.ended_at is None) == (state == "running")


def test_a_run_that_was_taken_for_ended_goes_on_with_its_next_report(codecarbon):
    run_id = codecarbon.announce()
    codecarbon.report(run_id, 100)
    silent(run_id, 700)
    end_silent_runs()
    codecarbon.report(run_id, 200)
    run = Run.objects.get()
    assert (run.state, run.ended_at) == ("running", None)
    assert run.energy_kwh == pytest.approx(6 * KWH)


def test_the_agents_runs_are_not_ended_by_silence(wire):
    run_id = wire.start()
    silent(run_id, 86_400)
    assert end_silent_runs() == 0
    assert Run.objects.get().state == "lost"


@pytest.mark.parametrize("path", ["codecarbon/runs", "codecarbon//runs", "codecarbon/runs/"])
def test_no_slash_leads_to_a_redirect(codecarbon, path):
    assert codecarbon.post(path, MACHINE).status_code == 201


# Refusals


def test_each_refusal_says_what_to_do(codecarbon, people):
    _, ended = ApiToken.issue(people.project, "old", ["ingest"])
    ApiToken.objects.filter(name="old").update(revoked_at=timezone.now())
    reader = cast.token(people.project, "read")
    told = {
        token: codecarbon.post("codecarbon/runs", MACHINE, **{"x-api-token": token})
        for token in ("", "api_key", "nonsense", ended, reader)
    }
    assert {answer.status_code for answer in told.values()} == {403}
    words = {token: answer.json()["detail"] for token, answer in told.items()}
    assert words[""] == words["api_key"]
    assert words[""].startswith("CodeCarbon sent no token. Set api_key to a token of your project")
    assert "is revoked. Create a new one." in words[ended]
    assert "unknown" in words["nonsense"]
    assert "lacks the scope 'ingest'" in words[reader]
    assert "http://testserver/start/" in words["nonsense"]


def test_who_waits_for_a_first_run_reads_why_it_was_refused(codecarbon):
    answer = codecarbon.post("codecarbon/runs", MACHINE | {"experiment_id": "5b0fa12a-3dd7-45bb-9766-cc326314d9f1"})
    assert answer.status_code == 403
    assert "Set experiment_id to the name of your model" in answer.json()["detail"]
    assert Refusal.objects.get().reason == answer.json()["detail"]


def test_a_login_session_is_no_token(client, people):
    client.force_login(people.alice)
    assert client.post("/api/codecarbon/runs", MACHINE, content_type="application/json").status_code == 403


def test_charlies_token_adds_nothing_to_alices_run(codecarbon, people):
    run = whole_run(codecarbon)
    announced = codecarbon.announce()
    charlie = Client(codecarbon.client, cast.token(people.charlies_project, "ingest"))
    for run_id in (str(run.run_id), announced, str(uuid.uuid4())):
        assert charlie.report(run_id, 300).status_code == 404
    assert charlie.total(str(run.run_id), 900).status_code == 201  # a run of that id in a project of his own
    run.refresh_from_db()
    assert run.energy_kwh == pytest.approx(6 * KWH)
    assert set(Run.objects.values_list("project", flat=True)) == {people.project.pk, people.charlies_project.pk}


def test_a_run_of_the_agent_takes_no_reports(codecarbon, wire):
    run_id = wire.start()
    assert codecarbon.report(run_id, 100).status_code == 404
    assert codecarbon.total(run_id, 100).status_code == 404


def test_a_deleted_run_stays_deleted(codecarbon, people, client):
    run = whole_run(codecarbon)
    client.force_login(people.alice)
    client.post(f"/runs/{run.run_id}/delete/")
    assert codecarbon.report(str(run.run_id), 300).status_code == 410


@pytest.mark.parametrize(
    "changes",
    [
        {"duration": -1},
        {"duration": "ten"},
        {"cpu_energy": -1.0},
        {"cpu_energy": 1e9},
        {"energy_consumed": 1e9},
        {"cpu_utilization_percent": 101},
        {"emissions_sum": 1.7e308},
        {"run_id": "../../etc"},
        {"run_id": None},
    ],
)
def test_impossible_reports_are_refused_by_name(codecarbon, changes):
    run_id = codecarbon.announce()
    answer = codecarbon.post("codecarbon/emissions", report(run_id, 100, 100) | changes)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in changes
    assert not Run.objects.exists()


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999"])
def test_numbers_that_are_none_are_refused(codecarbon, number):
    body = json.dumps(report(codecarbon.announce(), 100, 100)).encode().replace(b"36.0", number)
    assert codecarbon.post("codecarbon/emissions", body).status_code == 400


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "x" * 5000, "名前", "=cmd()"])
def test_odd_names_are_taken_as_text(codecarbon, client, people, text):
    codecarbon.report(codecarbon.announce(cpu_model=text, experiment_id=text), 100)
    run = Run.objects.get()
    assert run.tracked_model.name == text[:200]
    client.force_login(people.alice)
    page = client.get(f"/runs/{run.run_id}/").content.decode()
    assert "<script>alert" not in page


def test_names_that_may_not_be_stored_are_refused(codecarbon):
    assert codecarbon.post("codecarbon/runs", MACHINE | {"experiment_id": "a\u202eb"}).status_code == 422
    assert codecarbon.post("codecarbon/runs", MACHINE | {"cpu_model": "a\x00b"}).status_code == 422


def test_a_machine_with_absurdly_many_gpus_is_one_device(codecarbon):
    codecarbon.report(codecarbon.announce(gpu_count=1e300, gpu_model="GPUs"), 100)
    assert Run.objects.get().devices.filter(kind="gpu").count() == 1


# The other door: totals, by an address that contains the token


def test_totals_make_one_run_and_the_longest_counts(codecarbon):
    run_id = str(uuid.uuid4())
    assert codecarbon.total(run_id, 100).status_code == 201
    assert codecarbon.total(run_id, 200, cpu_energy=2 * KWH, energy_consumed=4 * KWH).status_code == 201
    assert codecarbon.total(run_id, 100, wue=1).status_code == 201  # late
    run = Run.objects.get()
    assert run.energy_kwh == pytest.approx(4 * KWH)
    assert run.reported_kwh == pytest.approx(4 * KWH)
    assert run.devices.get(key="cpu").elapsed_s == pytest.approx(200)


def test_a_total_says_its_time_without_its_zone(codecarbon):
    """However long it took to arrive, as behind a slow proxy; and a time that is none is that of its arrival."""
    at = timezone.now() - timedelta(minutes=3)
    for told in ((at - timedelta(hours=8)).isoformat()[:19], "yesterday", None):
        body = MACHINE | report(str(uuid.uuid4()), 0, 100) | {"timestamp": told, "emissions": 0.0}
        assert codecarbon.post(f"hooks/codecarbon/{codecarbon.token}", body).status_code in (201, 422)
    began = list(Run.objects.order_by("pk").values_list("started_at", flat=True))
    assert abs(began[0] - (at - timedelta(seconds=100))) < timedelta(seconds=2)
    assert abs(began[1] - (timezone.now() - timedelta(seconds=100))) < timedelta(seconds=20)


def test_totals_without_an_experiment_belong_to_the_project_name(codecarbon):
    default = "5b0fa12a-3dd7-45bb-9766-cc326314d9f1"
    codecarbon.total(str(uuid.uuid4()), 100, experiment_id=default)
    assert Run.objects.get().tracked_model.name == "codecarbon"


def test_both_doors_with_one_id_count_once(codecarbon):
    """Before 3.2.9 both have the id of the API; at the end, the total is sent before the last difference."""
    run_id = codecarbon.announce()
    codecarbon.report(run_id, 200, 100)
    total = {"cpu_energy": 2 * KWH, "gpu_energy": 2 * KWH, "ram_energy": 2 * KWH, "energy_consumed": 6 * KWH}
    assert codecarbon.total(run_id, 200, **total).status_code == 201
    codecarbon.report(run_id, 300, 100)
    run = Run.objects.get()
    assert run.energy_kwh == pytest.approx(6 * KWH, rel=0.02)
    assert run.reported_kwh == pytest.approx(6 * KWH, rel=0.02)


def test_what_was_used_after_a_total_counts(codecarbon):
    run_id = codecarbon.announce()
    codecarbon.total(run_id, 100)
    Batch.objects.update(received_at=timezone.now() - timedelta(seconds=100))
    codecarbon.report(run_id, 300, 100)
    assert Run.objects.get().energy_kwh == pytest.approx(6 * KWH)


def test_both_doors_without_an_id_count_once(codecarbon):
    """From 3.2.9 on the total has no id; a short run's total even comes before the API hears of it."""
    assert codecarbon.total("None", 100).status_code == 201
    run_id = codecarbon.announce()
    codecarbon.report(run_id, 300, 100)
    assert Run.objects.get().energy_kwh == pytest.approx(3 * KWH, rel=0.02)
    assert str(Run.objects.get().run_id) == run_id
    total = {"cpu_energy": 2 * KWH, "gpu_energy": 2 * KWH, "ram_energy": 2 * KWH, "energy_consumed": 6 * KWH}
    assert codecarbon.total("None", 101, **total).status_code == 201
    assert Run.objects.get().energy_kwh == pytest.approx(6 * KWH)


def test_a_total_without_an_id_that_is_sent_again_makes_no_second_run(codecarbon):
    body = MACHINE | report("None", 0, 100) | {"emissions": 0.0}
    for _ in range(2):
        assert codecarbon.post(f"hooks/codecarbon/{codecarbon.token}", body).status_code == 201
    assert Run.objects.get().energy_kwh == pytest.approx(3 * KWH)


def test_a_wrong_token_in_the_address_is_refused(codecarbon):
    assert codecarbon.post("hooks/codecarbon/tml_x", MACHINE).status_code == 403


# What people see


def test_the_page_says_who_recorded_the_run_and_what_it_reported(codecarbon, client, people):
    run = whole_run(codecarbon)
    client.force_login(people.alice)
    page = " ".join(client.get(f"/runs/{run.run_id}/").content.decode().split())
    assert "recorded by <bdi>CodeCarbon 3.3.2</bdi>" in page
    assert "Reported by CodeCarbon" in page
    assert "0.1 kg CO₂e per kWh" in page
    assert "Calculated by CodeCarbon, and not measured by TraceML" in page


def test_the_api_and_files_tell_the_source(codecarbon, client, people):
    run = whole_run(codecarbon)
    found = Wire(client, cast.token(people.project, "read")).get(f"runs/{run.run_id}").json()
    assert (found["source"], found["source_version"], found["pue_included"]) == ("codecarbon", "3.3.2", True)
    assert (found["reported_kwh"], found["reported_kg"]) == (pytest.approx(6 * KWH), pytest.approx(0.6 * KWH))
    client.force_login(people.alice)
    (row,) = json.loads(b"".join(client.get("/runs/export.json").streaming_content))
    assert (row["source"], row["source_version"]) == ("codecarbon", "3.3.2")


def test_devices_say_that_their_energy_was_reported(codecarbon):
    run = whole_run(codecarbon)
    methods = set(Device.objects.filter(run=run).values_list("key", "method"))
    assert ("cpu", "CodeCarbon") in methods
    assert ("gpu-0", "CodeCarbon, an equal share of all GPUs") in methods


@pytest.mark.django_db(transaction=True)
def test_sixteen_clients_at_once_make_sixteen_runs(people, live_server):
    """Each sends its first report twice, at the same time, as a proxy may."""
    token = cast.token(people.project, "ingest")

    def post(path: str, body: dict) -> requests.Response:
        url, headers = f"{live_server.url}/api/codecarbon/{path}", {"x-api-token": token}
        while (answer := requests.post(url, json=body, headers=headers, timeout=60)).status_code == 503:
            time.sleep(1)  # a slow machine can't give 48 requests a connection at once, and says so
        return answer

    def client(number: int) -> set[int]:
        run_id = post("runs", MACHINE).json()["id"]
        bodies = [report(run_id, 100, 100), report(run_id, 100, 100), report(run_id, 200, 100)]
        with ThreadPoolExecutor(3) as senders:
            return {answer.status_code for answer in senders.map(lambda body: post("emissions", body), bodies)}

    # As in a web process, where no request waits for the totals.
    with totals_later(), ThreadPoolExecutor(16) as clients:
        assert set().union(*clients.map(client, range(16))) == {201}
    while fold_waiting():
        pass
    assert [run.energy_kwh for run in Run.objects.all()] == pytest.approx([6 * KWH] * 16)
    assert sum(DailyUsage.objects.values_list("energy_kwh", flat=True)) == pytest.approx(16 * 6 * KWH)
