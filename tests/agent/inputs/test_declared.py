"""Accelerators that nothing measures: declared by the user, they are estimated, and it is said that they are."""

import json
import time

import pytest

from tests.agent.measuring.test_meter import Scripted
from traceml_agent import limits
from traceml_agent.host import cpuinfo
from traceml_agent.inputs import config
from traceml_agent.inputs.declared import MOST, Declared
from traceml_agent.measuring.meter import Meter
from traceml_agent.sensors import declaration, discovery, unmeasured
from traceml_agent.sensors.sensor import facts
from traceml_agent.track import start
from traceml_agent.tracking import handle

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("TPU v5e", [("TPU v5e", 1, None)]),
        ("8x TPU v5e", [("TPU v5e", 8, None)]),
        ("8xH100", [("H100", 8, None)]),
        ("4 x TPU v4 @ 0.6, NVIDIA H100", [("TPU v4", 4, 0.6), ("NVIDIA H100", 1, None)]),
        (["NVIDIA H100", "NVIDIA H100"], [("NVIDIA H100", 1, None)] * 2),
        (
            ("2x Gaudi 2", {"name": "Trainium2", "count": 16, "utilisation": 0}),
            [("Gaudi 2", 2, None), ("Trainium2", 16, 0.0)],
        ),
        ({"TPU v5e": 8}, [("TPU v5e", 8, None)]),
        ({"TPU v5e": {"count": 8, "utilisation": 0.5}, "H100": {}}, [("TPU v5e", 8, 0.5), ("H100", 1, None)]),
        ({"name": "TPU v5e", "count": 2}, [("TPU v5e", 2, None)]),
        ("", []),
        (None, []),
        ([], []),
        ({}, []),
    ],
)
def test_devices_may_be_declared_in_the_ways_that_people_write_them(given, found):
    assert config.load(devices=given).devices == [Declared(*each) for each in found]


@pytest.mark.parametrize(
    "wrong",
    [
        {"H100": 0},
        {"H100": -1},
        {"H100": 1.5},
        {"H100": True},
        {"H100": float("nan")},
        {"H100": float("inf")},
        {"H100": {"utilisation": 60}},
        {"H100": {"utilisation": "half"}},
        {"H100": {"utilization": 0.5}},
        [3],
        [None],
        [" "],
        ["H100 @ 7"],
        [b"H100"],
        [[]],
        [{"count": 3}],
    ],
)
def test_an_entry_that_can_not_be_right_costs_itself_alone(wrong, caplog):
    entries = wrong if isinstance(wrong, list) else [{name: about} for name, about in wrong.items()]
    assert config.load(devices=[*entries, "TPU v4"]).devices == [Declared("TPU v4")]
    assert "a declared device is ignored" in caplog.text


@pytest.mark.parametrize("wrong", [3, object(), b"H100", iter("ab")])
def test_what_is_no_declaration_is_ignored_with_a_word(wrong, caplog):
    assert config.load(devices=wrong).devices == []
    assert "the setting devices from argument is ignored" in caplog.text


def test_more_than_the_portal_takes_are_named(caplog):
    (one,) = config.load(devices="1000x TPU v5e").devices
    assert one.count == MOST
    assert "only the first 48 declared devices are used" in caplog.text


def test_the_environment_and_files_declare_as_well(monkeypatch, home):
    monkeypatch.setenv("TRACEML_AGENT_DEVICES", "8x TPU v5e, H100 @ 0.5")
    assert config.load().devices == [Declared("TPU v5e", 8), Declared("H100", 1, 0.5)]
    monkeypatch.delenv("TRACEML_AGENT_DEVICES")
    (home / config.PROJECT_FILE).write_text('devices = ["2x Gaudi 3"]')
    assert config.load().devices == [Declared("Gaudi 3", 2)]


def test_settings_survive_the_way_to_another_process():
    given = config.load(devices="2x TPU v4 @ 0.3")
    sent = json.loads(json.dumps(given.as_dict()))
    assert config.load(devices=sent["devices"]).devices == given.devices


def of_declared(given, measured=()):
    return list(declaration.probe(config.load(devices=given).devices, list(measured)))


def test_each_is_a_device_of_the_catalogue_whose_busy_time_is_assumed():
    found = of_declared("2x tpu v5e")
    told = [(each.facts["key"], each.facts["kind"], each.facts["name"], each.facts["basis"]) for each in found]
    assert told == [
        ("declared-0", "tpu", "Google TPU v5e (per chip)", ""),
        ("declared-1", "tpu", "Google TPU v5e (per chip)", ""),
    ]
    assert found[0].facts["method"] == "declared, busy time assumed"
    assert found[0].facts["note"] == declaration.ALWAYS_BUSY


def test_a_name_that_leaves_a_card_open_means_the_common_one():
    assert of_declared("NVIDIA H100")[0].facts["name"] == "NVIDIA H100 SXM5 80GB"


def test_a_name_that_nobody_knows_is_kept_for_an_admin_to_add():
    found = of_declared("Cerebras WSE-9, TPU v99")
    assert [(each.facts["name"], each.facts["kind"]) for each in found] == [
        ("Cerebras WSE-9", "gpu"),
        ("TPU v99", "tpu"),
    ]


@pytest.mark.parametrize(("given", "busy_s"), [("TPU v4", None), ("TPU v4 @ 0.25", 1.0)])
def test_busy_time_is_what_was_said_else_not_known(given, busy_s):
    meter = Meter(of_declared(given)[0])
    for at in range(5):
        meter.take(float(at), meter.sensor.read(), 5.0)
    assert (meter.elapsed_s, meter.busy_s, meter.energy_j) == (4, busy_s, None)


def measured(name):
    sensor = Scripted("counter")
    sensor.facts = facts("gpu-0", "gpu", name, basis="counter", memory_gb=85.0)
    return sensor


def test_what_is_measured_is_not_counted_again(caplog):
    assert len(of_declared("2x NVIDIA H100", [measured("NVIDIA H100 80GB HBM3")])) == 1
    assert "are measured and not counted again" in caplog.text
    assert len(of_declared("2x TPU v5e", [measured("NVIDIA H100 80GB HBM3")])) == 2


def test_of_several_ranks_the_first_reports_what_the_host_has(monkeypatch):
    counts = []
    for rank in ("0", "1"):
        for name, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank}.items():
            monkeypatch.setenv(name, value)
        counts.append(len(of_declared("4x TPU v4")))
    assert counts == [4, 0]


@pytest.fixture
def tpu(monkeypatch, tmp_path):
    (tmp_path / "root/dev").mkdir(parents=True)
    (tmp_path / "root/dev/accel0").touch()
    (tmp_path / "root/proc/self").mkdir(parents=True)
    (tmp_path / "root/proc/self/stat").touch()
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path / "root"))
    monkeypatch.setattr(unmeasured, "left_out", {})


@pytest.mark.parametrize(("given", "named"), [(None, ["Google TPU"]), ("TPU v4", []), ("H100", ["Google TPU"])])
def test_what_was_declared_is_no_more_named_as_left_out(tpu, given, named):
    list(discovery.of_accelerators(declared=config.load(devices=given).devices))
    assert [what for what, _ in unmeasured.devices()] == named
    assert all("declare it" in reason for _, reason in unmeasured.devices())


def test_the_reasons_are_as_short_as_the_wire_wants_them():
    longest = max(map(len, unmeasured.NODES.values()))
    assert longest + 1 + len(unmeasured.NOT_MEASURED) <= limits.MAX_TEXT


def test_a_run_estimates_what_was_declared(tmp_path):
    run = start("x", devices={"TPU v5e": 4}, spool_dir=tmp_path / "spool")
    time.sleep(1.5)
    summary = run.stop()
    tpus = [device for device in summary.devices if device.kind == "tpu"]
    assert [(each.name, each.basis, each.busy_s) for each in tpus] == [("Google TPU v5e (per chip)", "tdp", None)] * 4
    mean_w = sum(each.energy_j for each in tpus) / sum(each.elapsed_s for each in tpus)
    assert mean_w == pytest.approx(140, rel=0.02)


def test_inside_a_measured_command_the_declaration_is_told_of(monkeypatch, caplog):
    class Outer:
        def tell(self, *about): ...
        def keep_to(self, budget): ...

    monkeypatch.setattr(handle, "outer", Outer)
    start("x", devices="TPU v4")
    assert "devices is ignored" in caplog.text


def test_a_processor_of_that_name_is_host_and_no_declaration():
    cpu = Scripted()
    cpu.facts = facts("cpu-0", "cpu", cpuinfo.processor().name)
    assert len(of_declared("TPU v4", [cpu])) == 1
