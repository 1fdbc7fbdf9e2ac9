"""The same words for the same sums, and nothing of zero."""

import json

import pytest
from django.test import Client

from hardware.models import HardwareAlias, HardwareProfile
from runs.jobs import reestimate
from runs.models import Run, TrackedModel, Writer
from runs.models.writer import attempts_of
from tests.screens.conftest import METERED
from tests.screens.html import Page
from tests.wire import ago, batch, sample

MODEL = "/models/digits/resnet-50/"
UNKNOWN = {"key": "gpu-0", "kind": "gpu", "name": "Acme Thinker 9", "uuid": "GPU-9"}


@pytest.fixture
def wasteful(wire, run, profile) -> None:
    """A completed, a failed and a cancelled training of 8, 1 and 1 kWh, half of the time idle."""
    run(kwh=8.0)
    for status in ("failed", "cancelled"):
        run_id = wire.start()
        wire.send(run_id, "b-1", batch([sample("gpu-0", 3600, 1800, 3.6e6)], [METERED]))
        wire.finish(run_id, status=status)


def test_waste_is_called_and_summed_alike_on_the_overview_and_on_a_models_page(alice, wasteful):
    overview = alice.read("/", range="all")
    (table,) = (each for each in overview.root.all("table") if "Failed, cancelled and lost runs" in each.text)
    rows = {row.all("th")[0].text: row.figures for row in table.all("tbody")[0].all("tr")}
    told = next(figures for words, figures in rows.items() if words.startswith("Failed, cancelled and lost runs"))
    idle = next(figures for words, figures in rows.items() if words.startswith("Idle accelerators"))
    page = alice.read(MODEL)
    assert page.by_id("without-result").text.startswith("Failed, cancelled and lost runs")
    assert page.by_id("without-result").figures[:2] == pytest.approx([told[1], told[0]])
    assert page.by_id("idle").text.startswith("Idle accelerators")
    assert page.by_id("idle").figures == pytest.approx([idle[1], idle[0]])
    assert told[1] == pytest.approx(0.2)


def test_hardware_that_was_resolved_is_named_nowhere_with_nothing(alice, wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800)], [UNKNOWN])
    HardwareAlias(profile=HardwareProfile.objects.get(slug="nvidia-l4"), name=UNKNOWN["name"]).save()
    reestimate.request("Resolved")
    reestimate.work_off()
    assert "Unknown GPU" not in alice.read(MODEL).text
    for scope in ("both", "training", "final", "life"):
        hardware = json.loads(alice.get(f"{MODEL}cite.json", {"of": scope}).content)["hardware"]
        assert [name.partition(" (")[0] for name in hardware] == ["NVIDIA L4"]
    assert "Unknown GPU" not in alice.read("/hardware/", seen="1").text


def test_the_list_of_unknown_devices_counts_what_it_lists(alice, wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 1800)], [UNKNOWN])
    assert "1 name not in the catalogue" in alice.read("/hardware/", seen="unknown").text


def test_that_nothing_was_used_before_is_said_once(alice, run):
    run(kwh=1.0)
    text = alice.read("/", range="7").text
    assert "none before" not in text
    assert text.count("No energy was used in the previous period") <= 1


def test_one_day_is_one_day(alice, run):
    run(kwh=1.0)
    assert " on 1 day, most on" in alice.read("/").text


def test_where_a_power_is_from_is_said_with_its_share_of_tdp(alice, wire, catalogue):
    cpu = {"key": "cpu", "kind": "cpu", "name": "AMD EPYC 7742 64-Core Processor", "cores": 64}
    run_id = wire.whole_run([sample("cpu", 3600, 1800)], [cpu])
    text = alice.read(f"/runs/{run_id}/").by_id("calculation").text
    assert " % of its TDP of 225 W" in text


def test_ranks_that_do_not_overlap_are_ranks_and_no_attempts(alice, wire, profile):
    run_id = wire.start(rank=0, writer="w-0", started_at=ago(hours=2))
    for rank, hours in ((0, 2), (1, 1)):
        own = {"writer": f"w-{rank}", "rank": rank, "writer_started_at": ago(hours=hours)}
        wire.start(run_id, **own)
        device = METERED | {"uuid": f"GPU-{rank}"}
        wire.send(run_id, f"b-{rank}", batch([sample("gpu-0", 600, 0, 3.6e6)], [device], **own))
    text = alice.read(f"/runs/{run_id}/").by_id("figures").text
    assert "2 ranks" in text
    assert "attempt" not in text


def test_a_rank_that_comes_again_is_another_attempt(alice, wire, profile):
    run_id = wire.start(rank=0, writer="w-0", started_at=ago(hours=2))
    for number, hours in ((0, 2), (1, 1)):
        own = {"writer": f"w-{number}", "rank": 0, "writer_started_at": ago(hours=hours)}
        wire.start(run_id, **own)
        wire.send(run_id, f"b-{number}", batch([sample("gpu-0", 600, 0, 3.6e6)], [METERED], **own))
    assert len(attempts_of(Writer.objects.all())) == 2


def test_a_stranger_reads_which_factor_a_shared_project_rests_on(people, run):
    from runs.models import ShareLink

    run(kwh=1.0)
    for subject in (Run.objects.get().project, TrackedModel.objects.get()):
        _, secret = ShareLink.make(subject, 7, False, people.alice)
        page = Page(Client().get(f"/s/{secret}/"))
        assert "0.458 kg CO₂e per kWh" in page.by_id("basis").text
        assert "/methodology/" in page.links()
