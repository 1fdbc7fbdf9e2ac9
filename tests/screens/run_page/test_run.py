"""A run's page: figures with their range, power over time, devices, stages, calls, and how it was calculated."""

import uuid
from datetime import timedelta
from hashlib import sha256

import pytest
from django.utils import timezone

from hardware.models import HardwareProfile
from runs.jobs import reestimate
from runs.models import EmissionFactor, Membership, Reestimation, Run, RunRevision
from tests.screens.conftest import METERED
from tests.wire import A100, CPU, MEMORY, ago, batch, sample

#: What the form of notes holds of an empty text.
EMPTY = sha256(b"").hexdigest()[:16]
UNKNOWN_GPU = {"key": "gpu-1", "kind": "gpu", "name": "Foobar X1", "uuid": "GPU-2222", "note": "half the card"}


def path(run_id: str) -> str:
    return f"/runs/{run_id}/"


def stage(key: str, start_s: float, end_s: float | None, **more) -> dict:
    return {"id": key, "name": f"epoch {key}", "parent": "", "start_s": start_s, "end_s": end_s} | more


@pytest.fixture
def staged(wire, profile) -> str:
    """A metered run of an hour with an epoch of 1 kWh and one of 2, the second with an evaluation inside."""
    run_id = wire.start()
    body = batch(
        [sample("gpu-0", 1800, 900, 3.6e6), sample("gpu-0", 3600, 1800, 10.8e6)],
        [METERED],
        stages=[stage("1", 0, 1800), stage("2", 1800, None), stage("3", 2700, 3600, parent="2", name="evaluation")],
        metrics=[
            {"t_s": 900, "name": "loss", "value": 0.9},
            {"t_s": 1799, "name": "loss", "value": 0.5},
            {"t_s": 3000, "name": "accuracy", "value": 0.93},
        ],
        calls=[
            {"method": "predict", "calls": 12, "items": 400, "busy_s": 360},
            {"method": "embed", "calls": 3, "items": 0, "busy_s": 0.2},
        ],
    )
    assert wire.send(run_id, "b-1", body).status_code == 201
    return run_id


def test_alice_and_bob_see_the_run(alice, bob, run):
    run_id = run(name="the run")
    assert "the run" in alice.read(path(run_id)).one("h1").text
    assert bob.read(path(run_id)).text == alice.read(path(run_id)).text


def test_charlie_gets_the_same_404_as_for_a_run_that_is_not_there(charlie, run):
    theirs, missing = charlie.get(path(run())), charlie.get(path(str(uuid.uuid4())))
    assert theirs.status_code == missing.status_code == 404
    assert theirs.content.replace(theirs.headers["X-Request-ID"].encode(), b"") == missing.content.replace(
        missing.headers["X-Request-ID"].encode(), b""
    )


def test_energy_and_emissions_are_exact_in_the_html_and_have_a_range(alice, run):
    page = alice.read(path(run(kwh=1.25)))
    factor = EmissionFactor.objects.active().kg_per_kwh
    assert page.by_id("energy").figures == [1.25]
    assert page.by_id("emissions").figures == pytest.approx([1.25 * factor])
    assert "1.19–1.31 kWh" in page.by_id("energy").text


def test_the_charts_table_adds_up_to_the_runs_energy(alice, staged):
    page = alice.read(path(staged))
    chart = page.data("power-data")
    width_s = 2 * chart["labels"][0]
    assert sum(chart["series"][0]["values"]) * width_s / 3.6e6 == pytest.approx(3.0)
    table = page.root.all("table")[0]
    assert sum(table.all("tfoot")[0].figures) == pytest.approx(page.by_id("energy").figures[0])
    assert table.all("tbody")[0].figures[1::2] == pytest.approx(chart["series"][0]["values"])


def test_a_stage_has_the_energy_of_its_whole_interval_and_its_last_metrics(alice, staged):
    assert alice.read(path(staged)).by_id("stages").rows == [
        ["epoch 1", "30 min", "1", "2", "0.5", "–"],
        ["epoch 2 open", "30 min", "2", "4", "–", "0.93"],
        ["evaluation", "15 min", "1", "4", "–", "0.93"],
    ]


def test_what_is_logged_within_a_second_after_a_stage_is_its_result(alice, wire, profile):
    run_id = wire.start()
    stages = [
        stage("1", 0, 10, name="train"),
        stage("2", 10.5, 20, name="validate"),
        stage("3", 30, 60, name="whole"),
        stage("4", 35, 59.5, parent="3", name="part"),
    ]
    logged = [(10.4, "loss", 0.9), (10.5, "loss", 0.8), (21, "accuracy", 0.7), (60.2, "score", 0.6)]
    body = batch(
        [sample("gpu-0", 3600, 1800, 3.6e6)],
        [METERED],
        stages=stages,
        metrics=[{"t_s": t_s, "name": name, "value": value} for t_s, name, value in logged],
    )
    assert wire.send(run_id, "b-1", body).status_code == 201
    rows = alice.read(path(run_id)).by_id("stages").rows
    assert {row[0]: row[4:] for row in rows} == {
        "train": ["0.9", "–"],
        "validate": ["0.8", "–"],  # what is logged as it begins is its own; the accuracy a second later is nobody's
        "whole": ["–", "0.6"],
        "part": ["–", "–"],  # the last that ended before the score is the whole
    }


def test_calls_have_their_energy_per_thousand_and_none_where_too_short_to_tell(alice, staged):
    assert alice.read(path(staged)).by_id("calls").rows == [
        ["embed", "3", "–", "0.2 s", "–"],
        ["predict", "12", "400", "6 min", "750"],
    ]


def test_each_device_says_how_its_energy_is_known(alice, wire, profile):
    devices = [METERED, UNKNOWN_GPU, CPU, MEMORY]
    samples = [sample(device["key"], 3600, 1800, 3.6e6 if device is METERED else None) for device in devices]
    page = alice.read(path(wire.whole_run(samples, devices)))
    bases = {row[0].split(" · ")[0]: row[2] for row in page.by_id("devices").rows}
    assert bases == {
        "NVIDIA A100-SXM4-40GB gpu-0": "Measured: counter",
        "Foobar X1 gpu-1": "Estimated: fallback",
        "AMD EPYC 7742 64-Core Processor cpu-0": "Estimated: TDP",
        "Memory ram": "Estimated: TDP",
    }
    assert "/hardware/nvidia-a100-sxm4-40gb/" in page.links()
    assert "gpu-1: half the card" in page.text


def test_the_calculation_can_be_followed_by_hand(alice, wire, profile):
    text = alice.read(path(wire.whole_run([sample("gpu-0", 3600, 1800)], [A100]))).by_id("calculation").text
    assert "1 · (50 W · 3,600 s + (400 W − 50 W) · 1,800 s)" in text
    assert "= 810,000 J = 0.225 kWh" in text
    assert "0.225 kWh · 1 · " in text
    # 0.65 and 1.5 of an idle power that the profile states, 0.3 and 1.1 of the limit, each 1.5 times as far off,
    # as the profile's TDP is an estimate: 0.433 · 50 W and 0.2 · 400 W at least, 2.25 · 50 W and 1.65 · 400 W at most
    assert "idle power × 0.4333333 to × 2.25, full-load power × 0.2 to × 1.65" in text
    assert "Between 0.05083333 and 0.38625 kWh" in text


def test_the_calculation_of_a_measured_device_tells_its_range(alice, wire, profile):
    text = alice.read(path(wire.whole_run([sample("gpu-0", 3600, 1800, 3.6e6)], [METERED]))).by_id("calculation").text
    assert "Between 0.95 and 1.05 kWh: × 0.95 to × 1.05" in text


@pytest.mark.parametrize("devices", [[], [A100, CPU]])
def test_a_run_that_has_just_started_says_that_figures_follow(alice, wire, profile, devices):
    run_id = wire.start(started_at=ago(seconds=2), devices=devices)
    page = alice.read(path(run_id))
    assert "The run has started" in page.text
    assert "within seconds" in page.text
    assert page.by_id("figures").attributes["data-awaited"] == f"{path(run_id)}series"
    assert page.by_id("figures").figures == []
    assert "0 kWh" not in page.text
    assert page.root.all("canvas") == []


def test_a_second_of_data_is_figures_enough(alice, wire, profile):
    run_id = wire.start(started_at=ago(seconds=2))
    wire.send(run_id, "b-1", batch([sample("gpu-0", 1, 0.5)], [A100]))
    page = alice.read(path(run_id))
    assert page.by_id("energy").figures[0] > 0
    assert page.data("power-data")["series"][0]["values"]


def test_a_run_that_ended_unmeasured_does_not_wait(alice, wire):
    run_id = wire.start()
    wire.finish(run_id)
    page = alice.read(path(run_id))
    assert "ended before anything was measured" in page.text
    assert "data-awaited" not in page.by_id("figures").attributes


def test_a_running_run_says_when_data_last_came(alice, wire):
    run_id = wire.start()
    silent = {"last_seen_at": timezone.now() - timedelta(minutes=4), "upload_interval_s": 300}
    Run.objects.update(**silent)
    assert "last heard 4 min ago" in alice.read(path(run_id)).text
    wire.send(run_id, "b-1", batch([sample("gpu-0", 60, 30)]))
    Run.objects.update(**silent)
    text = alice.read(path(run_id)).text
    assert "Running" in text
    assert "last sample 4 min ago" in text


def test_attempts_on_one_device_are_named_apart(alice, wire, profile):
    run_id = wire.start(started_at=ago(hours=3))
    for number, hours in ((1, 3), (2, 1)):
        own = {"writer": f"w-{number}", "writer_started_at": ago(hours=hours)}
        wire.send(run_id, f"b-{number}", batch([sample("gpu-0", 3600, 0, 3.6e6)], [METERED], **own))
    page = alice.read(path(run_id))
    assert page.by_id("energy").figures == [2.0]
    assert [series["name"] for series in page.data("power-data")["series"]] == [
        "gpu-0 (attempt 1)",
        "gpu-0 (attempt 2)",
    ]


def test_a_device_that_two_processes_report_is_counted_once_and_the_page_says_so(alice, wire, profile):
    run_id = wire.start()
    for number in (1, 2):
        body = batch([sample("gpu-0", 3600, 0, 3.6e6)], [METERED], writer=f"w-{number}")
        wire.send(run_id, f"b-{number}", body)
    page = alice.read(path(run_id))
    assert page.by_id("energy").figures == [1.0]
    assert "are counted once" in page.text
    assert "counted elsewhere" in page.text


def test_many_parameters_scroll_in_their_panel_which_the_keyboard_reaches(alice, run):
    """The Hugging Face Trainer logs 148."""
    few, many = ({f"p{number}": number for number in range(count)} for count in (5, 148))
    assert 'aria-label="Parameters"' not in alice.get(path(run(params=few))).content.decode()
    assert 'tabindex="0" role="group" aria-label="Parameters"' in alice.get(path(run(params=many))).content.decode()


def test_parameters_and_environment_are_shown_as_they_were_logged(alice, run):
    text = alice.read(path(run(params={"lr": 0.0001, "amp": True, "layers": [1, 2]}))).text
    for shown in ("lr 0.0001", "amp true", "layers [1, 2]", "python 3.11"):
        assert shown in text


def test_dropped_records_and_a_wrong_clock_are_said(alice, wire):
    run_id = wire.start(sent_at=ago(minutes=30))
    wire.finish(run_id, dropped_records=7)
    text = alice.read(path(run_id)).text
    assert "7 times: the agent's queue was full" in text
    assert "The machine's clock was 30 minutes behind. Times were corrected with the portal's clock." in text


def test_what_was_left_out_is_told_in_one_place(alice, wire, profile):
    run_id = wire.start()
    rows = [{"what": "metric 'loss'", "reason": "not a finite number", "count": 3}]
    wire.send(run_id, "b-1", batch([sample("gpu-0", 60, 30)], left_out=rows))
    wire.finish(run_id, dropped_records=1200)
    text = alice.read(path(run_id)).by_id("left-out").text
    assert text.startswith("Left out: 1,203 values")
    assert "metric 'loss' , 3 times: not a finite number" in text
    assert "1,200 times: the agent's queue was full" in text


def test_where_nothing_was_left_out_nothing_is_said(alice, run):
    assert alice.read(path(run())).by_id("left-out").text == ""


def test_epochs_that_announce_their_number_are_forecast_without_a_question(alice, wire, profile):
    run_id = wire.start()
    body = batch([sample("gpu-0", 3600, 1800, 3.6e6)], [METERED], stages=[stage("1", 0, 3600, total=20)])
    assert wire.send(run_id, "b-1", body).status_code == 201
    assert "1 of 20 finished" in alice.read(path(run_id)).by_id("outlook").text
    assert "1 of 40 finished" in alice.read(path(run_id), epochs="40").by_id("outlook").text


def test_ranks_are_called_ranks_and_no_attempts(alice, wire, profile):
    run_id = wire.start(rank=0, writer="w-0")
    for rank in (0, 1):
        own = {"writer": f"w-{rank}", "rank": rank}
        wire.start(run_id, **own)
        device = METERED | {"uuid": f"GPU-{rank}"}
        wire.send(run_id, f"b-{rank}", batch([sample("gpu-0", 3600, 0, 3.6e6)], [device], writer=f"w-{rank}"))
    page = alice.read(path(run_id))
    assert "2 devices, 2 ranks" in page.by_id("figures").text
    names = [series["name"] for series in page.data("power-data")["series"]]
    assert names == ["gpu-0 (rank 0)", "gpu-0 (rank 1)"]


def test_an_attempt_that_was_stopped_and_continued_wasted_nothing(alice, wire, profile):
    run_id = wire.start(started_at=ago(hours=5))
    for number, hours in ((1, 5), (2, 2)):
        own = {"writer": f"w-{number}", "writer_started_at": ago(hours=hours)}
        wire.send(run_id, f"b-{number}", batch([sample("gpu-0", 3600, 0, 3.6e6)], [METERED], **own))
    wire.finish(run_id, writer="w-1", status="stopped", ended_at=ago(hours=4))
    wire.finish(run_id, writer="w-2")
    page = alice.read(path(run_id))
    assert "Wasted" not in page.text
    assert "Completed" in page.by_id("facts").text


def test_a_killed_attempt_that_was_taken_up_again_is_energy_wasted(alice, wire, profile):
    run_id = wire.start(started_at=ago(hours=5))
    for number, hours in ((1, 5), (2, 2)):
        own = {"writer": f"w-{number}", "writer_started_at": ago(hours=hours)}
        wire.send(run_id, f"b-{number}", batch([sample("gpu-0", 3600, 0, number * 3.6e6)], [METERED], **own))
    wire.finish(run_id, writer="w-2")
    page = alice.read(path(run_id))
    assert (page.by_id("energy").figures[0], page.by_id("wasted").figures) == (3.0, [1.0])


def test_a_run_in_one_go_wasted_nothing(alice, wire, profile):
    assert "Wasted" not in alice.read(path(wire.whole_run())).text


def test_the_energy_of_a_thousand_samples_is_told(alice, wire, profile):
    run_id = wire.start()
    metrics = [{"t_s": t_s, "name": "samples", "value": 2000} for t_s in (10, 20)]
    wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 0, 3.6e6)], [METERED], metrics=metrics))
    text = alice.read(path(run_id)).text
    assert "Energy per 1,000 samples" in text
    assert "250 Wh" in text
    assert "4,000 samples" in text


def test_ranks_of_one_run_share_the_energy_of_a_stage(alice, wire, profile):
    run_id = wire.start(started_at=ago(hours=1))
    stages = [{"id": "1", "name": "epoch 1", "start_s": 0, "end_s": 3600}]
    for number in (1, 2):
        own = {"writer": f"w-{number}", "writer_started_at": ago(hours=1), "stages": stages if number == 1 else []}
        device = METERED | {"uuid": f"GPU-{number}"}
        wire.send(run_id, f"b-{number}", batch([sample("gpu-0", 3600, 0, 3.6e6)], [device], **own))
    assert alice.read(path(run_id)).by_id("stages").figures[0] == pytest.approx(2.0, rel=1e-3)


def test_a_corrected_runs_former_figures_stand_on_its_page(alice, wire, catalogue):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)])
    card = HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb")
    card.full_load_w = 800
    card.save()
    reestimate.request("Measured at the wall")
    reestimate.work_off()
    page = alice.read(f"/runs/{run_id}/")
    assert "Previous figures" in page.text
    assert "Measured at the wall" in page.text


def learning(wire, **header) -> str:
    """A running run of an hour and a kWh, whose accuracy was within a percent of its best at half of it."""
    run_id = wire.start(**header)
    values = [(900, 0.5), (1800, 0.797), (3600, 0.8)]
    body = batch(
        [sample("gpu-0", 900 * n, 450 * n, 0.9e6 * n) for n in range(1, 5)],
        [METERED],
        stages=[stage(str(n), 1200 * n, 1200 * (n + 1)) for n in range(3)],
        metrics=[{"t_s": t_s, "name": "accuracy", "value": value} for t_s, value in values]
        + [{"t_s": t_s, "name": "loss", "value": 1 - value} for t_s, value in values],
    )
    assert wire.send(run_id, "b-1", body).status_code == 201
    return run_id


def test_the_page_says_from_where_on_the_energy_bought_hardly_anything(alice, wire, profile):
    page = alice.read(path(learning(wire)))
    assert "The last 50 % of the energy (500 Wh) improved accuracy by less than 1 %" in page.by_id("finding").text
    assert page.data("power-data")["moments"] == [{"name": "accuracy within 1 % of its best", "value": 1800}]


def test_the_metric_and_which_is_better_are_in_the_address(alice, wire, profile):
    run_id = learning(wire)
    page = alice.read(path(run_id), metric="loss")
    assert page.by_id("finding").text == "loss improved by 1 % or more until its last value."
    assert page.data("learning-data")["series"][0]["name"] == "loss"
    worse = alice.read(path(run_id), metric="loss", better="higher")
    assert "improved loss by less than 1 %: it was 0.5 after 15 min" in worse.by_id("finding").text


def test_a_metric_that_was_not_logged_gives_the_first(alice, wire, profile):
    assert "improved accuracy" in alice.read(path(learning(wire)), metric="nosuch").by_id("finding").text


def test_a_running_run_is_forecast_from_its_epochs(alice, wire, profile):
    run_id = learning(wire, params={"epochs": 6})
    text = alice.read(path(run_id)).by_id("outlook").text
    assert "3 of 6 finished. The whole run is expected to use 2 kWh" in text
    assert "of CO₂e, if the remaining epochs are like the finished ones" in text
    assert "about 1 h left" in text
    assert "3 of 12 finished" in alice.read(path(run_id), epochs="12").by_id("outlook").text


def test_a_finished_run_has_no_forecast(alice, wire, profile):
    run_id = learning(wire, params={"epochs": 6})
    wire.finish(run_id)
    assert alice.read(path(run_id)).by_id("outlook").text == ""


def test_devices_have_their_highest_power(alice, staged):
    assert alice.read(path(staged)).by_id("devices").rows[0][-3:] == ["3", "4", "50"]


def test_stages_lead_to_their_part_of_the_run(alice, staged):
    page = alice.read(path(staged))
    assert "?start=1800&end=3600#over-time" in page.by_id("stages").all("a")[1].attributes["href"]
    part = alice.read(path(staged), start="1800", end="3600")
    assert "2 kWh in 30 min, 4 kW on average" in part.by_id("span-words").text


def test_events_are_told(alice, run):
    assert "Started" in alice.read(path(run())).by_id("events").text


def test_notes_are_markdown_of_those_who_may_write_them(alice, bob, run):
    run_id = run()
    alice.post(f"{path(run_id)}notes/", {"notes": "A **bold** try <script>alert(1)</script>", "before": EMPTY})
    section = bob.read(path(run_id))
    assert [each.text for each in section.root.all("strong") if each.text == "bold"] == ["bold"]
    assert "<script>alert(1)</script>" in section.text
    assert f"{path(run_id)}notes/" in section.links()


def test_a_viewer_reads_notes_and_changes_nothing(people, bob, run):
    run_id = run()
    Membership.objects.filter(user=people.bob).update(role=Membership.Role.VIEWER)
    page = bob.read(path(run_id))
    assert f"{path(run_id)}notes/" not in page.links()
    assert "Recalculate with" not in page.text
    assert bob.post(f"{path(run_id)}notes/", {"notes": "mine"}).status_code == 403
    assert bob.post(f"{path(run_id)}recompute/").status_code == 403
    assert Run.objects.get().notes == ""


def test_charlie_writes_and_recomputes_nothing_of_theirs(charlie, run):
    run_id = run()
    assert charlie.get(f"{path(run_id)}notes/").status_code == 404
    assert charlie.post(f"{path(run_id)}notes/", {"notes": "mine"}).status_code == 404
    assert charlie.post(f"{path(run_id)}recompute/").status_code == 404


def test_recomputing_follows_the_catalogue_and_keeps_the_original(alice, wire, profile):
    run_id = wire.whole_run([sample("gpu-0", 3600, 1800)])
    other = wire.whole_run([sample("gpu-0", 3600, 1800)])
    before = Run.objects.get(run_id=run_id).energy_kwh
    profile.idle_w = 100
    profile.save()
    page = alice.read(path(run_id))
    assert page.by_id("energy").figures == [before]
    alice.post(f"{path(run_id)}recompute/")
    assert alice.read(path(run_id)).by_id("energy").figures == pytest.approx([0.25])
    assert alice.read(path(run_id)).by_id("revisions").figures[0] == before
    assert Run.objects.get(run_id=other).energy_kwh == before
    assert not Reestimation.objects.pending().exists()


def test_recomputing_what_is_up_to_date_changes_nothing(alice, run):
    run_id = run()
    answer = alice.post(f"{path(run_id)}recompute/", follow=True)
    assert "Already up to date." in answer.content.decode()
    assert (RunRevision.objects.count(), Reestimation.objects.count()) == (0, 0)
