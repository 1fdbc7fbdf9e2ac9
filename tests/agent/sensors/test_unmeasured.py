"""Accelerators that are there and can't be measured: named by cheap signs, once each."""

import sys

import pytest

from traceml_agent.sensors import amd, discovery, unmeasured
from traceml_agent.sensors.unmeasured import leave_out


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Puts a file into a tree that stands for the machine."""
    root = tmp_path / "root"
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/stat").touch()  # a Linux
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(root))
    monkeypatch.setattr(unmeasured, "left_out", {})

    def write(path, text=""):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return write


def named():
    assert list(discovery.of_accelerators()) == []
    return [what for what, _ in unmeasured.devices()]


def pci(slot, vendor, device):
    return {f"sys/bus/pci/devices/{slot}/vendor": vendor, f"sys/bus/pci/devices/{slot}/device": device}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, []),
        ({"dev/accel0": "", "dev/accel1": ""}, ["Google TPU"]),
        ({"dev/vfio/0": ""} | pci("0000:00:04.0", "0x1ae0", "0x0063"), ["Google TPU"]),
        ({"dev/vfio/0": ""} | pci("0000:00:04.0", "0x1ae0", "0x0042"), []),  # Google's network card
        ({"dev/neuron0": ""}, ["AWS Trainium or Inferentia"]),
        ({"dev/hl0": ""}, ["Intel Gaudi"]),
        ({"dev/accel/accel0": "", "sys/class/accel/accel0/device/vendor": "0x1da3"}, ["Intel Gaudi"]),
        ({"dev/accel/accel0": "", "sys/class/accel/accel0/device/vendor": "0x8086"}, []),  # in a laptop's processor
        ({"sys/class/drm/renderD128/device/vendor": "0x8086"}, ["Intel GPU"]),
        ({"sys/class/drm/renderD128/device/vendor": "0x10de"}, ["NVIDIA GPU"]),  # by nouveau
        ({"sys/class/drm/renderD128/device/vendor": "0x1a03"}, []),  # a server's own screen
    ],
)
def test_what_is_there_is_named_by_its_signs(put, files, found):
    for path, text in files.items():
        put(path, text)
    assert named() == found


def test_graphics_of_an_intel_processor_are_no_gpu_that_is_left_out(put, tmp_path):
    put("sys/devices/pci0000:00/0000:00:02.0/vendor", "0x8086")
    (tmp_path / "root/sys/class/drm/renderD128").mkdir(parents=True)
    (tmp_path / "root/sys/class/drm/renderD128/device").symlink_to(
        tmp_path / "root/sys/devices/pci0000:00/0000:00:02.0"
    )
    assert named() == []


@pytest.mark.parametrize(
    ("vram", "found"), [(192e9, ["AMD GPU"]), (536870912, [])], ids=["a card", "a laptop's graphics"]
)
def test_an_amd_card_without_amdsmi_is_named_with_the_remedy(put, monkeypatch, vram, found):
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "amdsmi")
    put("sys/module/amdgpu/refcnt")
    put("sys/class/drm/renderD128/device/mem_info_vram_total", f"{vram:.0f}")
    assert named() == found
    assert all(reason == amd.REMEDY for _, reason in unmeasured.devices())


def test_a_mac_without_the_extra_is_told_of_it(monkeypatch, tmp_path):
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("os.uname", lambda: type("uname", (), {"machine": "arm64"}))
    assert named() == ["Apple GPU"]


def test_a_processor_that_can_not_be_read_is_named_too(put, monkeypatch):
    monkeypatch.setattr("traceml_agent.sensors.cpu.probe", broken := lambda *about: 1 / 0)
    broken.__module__ = "traceml_agent.sensors.cpu"
    list(discovery.of_host())
    assert named() == ["CPU"]


def test_what_an_earlier_look_left_out_is_forgotten(put):
    leave_out("NVIDIA GPU 3", "is lost")
    assert named() == []
