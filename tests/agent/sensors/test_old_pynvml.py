"""Other packages that put an older pynvml, or another module of that name, in the place of nvidia-ml-py's."""

import re
import sys
from pathlib import Path

import pynvml
import pytest

from tests.fakes.nvml import found, gpu, uuids
from traceml_agent.sensors import discovery, nvidia, unmeasured


class OldPynvml:
    """pynvml without some of its functions, as nvidia-ml-py3 and other packages put it in the same place."""

    def __init__(self, *missing):
        self._missing = missing

    def __getattr__(self, name):
        if name.startswith(self._missing):
            raise AttributeError(f"module 'pynvml' has no attribute '{name}'")
        return getattr(pynvml, name)


#: What nvidia-ml-py3 7.352.0, of 2019, does not have.
SINCE_2019 = (
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetProcessUtilization",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetMaxMigDeviceCount",
    "nvmlDeviceGetMigDeviceHandleByIndex",
    "nvmlDeviceGetAttributes",
)


@pytest.fixture
def old(gpus, monkeypatch):
    """A GPU, and a way to take functions away from pynvml."""
    gpus(gpu(power="250500"))
    return lambda *missing: monkeypatch.setitem(sys.modules, "pynvml", OldPynvml(*missing))


def test_with_an_old_pynvml_a_gpu_is_measured_by_what_is_there_and_the_remedy_told(old, caplog):
    old(*SINCE_2019)
    (sensor,) = found()
    assert (sensor.facts["basis"], sensor.read().power_w) == ("sensor", 250.5)
    assert "pip uninstall -y nvidia-ml-py3" in sensor.facts["note"]
    assert len(caplog.records) == 1


ASKED = set(re.findall(r"nvmlDeviceGet\w+", Path(nvidia.__file__).read_text())) - {"nvmlDeviceGet"}


@pytest.mark.parametrize("missing", sorted(ASKED - {"nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"}))
def test_no_single_function_that_is_missing_costs_the_gpu(old, missing):
    old(missing)
    (sensor,) = found()
    assert sensor.read() is not None


@pytest.mark.parametrize(
    "missing", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvml", "NVMLError"]
)
def test_another_module_of_that_name_is_one_warning_with_the_remedy(old, caplog, missing):
    old(missing)
    assert list(discovery.of_accelerators()) == []
    (said,) = [record.getMessage() for record in caplog.records]
    assert "pip install --force-reinstall nvidia-ml-py" in said
    assert [what for what, _ in unmeasured.devices()] == ["NVIDIA GPU"]


def test_names_may_be_bytes(old, monkeypatch):
    class Bytes(OldPynvml):
        def nvmlDeviceGetName(self, handle):
            return pynvml.nvmlDeviceGetName(handle).encode()

        def nvmlDeviceGetUUID(self, handle):
            return pynvml.nvmlDeviceGetUUID(handle).encode()

    monkeypatch.setitem(sys.modules, "pynvml", Bytes("no such"))
    assert (found()[0].facts["name"], uuids()) == ("NVIDIA A100-SXM4-40GB", ["GPU-000-abc"])
