"""NVIDIA's library as a test sets it up: `nvml.c`, compiled once and loaded by the name that pynvml asks for."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from traceml_agent import messages
from traceml_agent.host.allocation import Target
from traceml_agent.sensors import nvidia

SOURCE = Path(__file__).parent / "nvml.c"
GIB = 2**30


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None and not os.environ.get("CI"):
        pytest.skip("no C compiler: the fake NVML can't be made")
    assert compiler, "CI needs a C compiler for the fake NVML"
    path = tmp_path_factory.mktemp("nvml") / nvidia.LIBRARY
    words = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{nvidia.LIBRARY}", "-o", path, SOURCE]
    subprocess.run(words, check=True)
    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)  # loaded by this name, pynvml finds it by the same
    return path


@pytest.fixture
def gpus(library, tmp_path, monkeypatch):
    """Writes the GPUs that NVML shows, as lines of the fake; a driver seems to be there."""
    state = tmp_path / "gpus"
    (tmp_path / "root/proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "root/proc/driver/nvidia/version").touch()
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("FAKE_NVML", str(state))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    monkeypatch.setattr(messages, "_said", {})

    def show(*lines):
        state.write_text("".join(f"{line}\n" for line in lines))

    return show


def gpu(
    number=0, name="NVIDIA A100-SXM4-40GB", energy="1000000", power="100000", used="50", slices="", error="", on=""
):
    return f"GPU-{number}{number}{number}-abc|{name}|{40 * GIB}|400000|{energy}|{power}|{used}|{slices}|{error}|{on}"


def found(scope="job"):
    return list(nvidia.probe(scope, Target()))


def uuids(scope="job"):
    return [sensor.facts["uuid"] for sensor in found(scope)]
