"""Accelerators that are present but not measured.

Either a probe found one and could not read it, or there are cheap signs of one without a probe: device nodes and PCI
vendors. Looking for them loads no library.
"""

from __future__ import annotations

import os

from traceml_agent.host import forks, system
from traceml_agent.messages import warn

#: PCI vendors.
GOOGLE, HABANA, INTEL, NVIDIA, QUALCOMM = "0x1ae0", "0x1da3", "0x8086", "0x10de", "0x17cb"
#: Google's PCI ids of TPU v2 to v7x; its network cards have the same vendor [jax, hardware_utils.py].
TPUS = ("0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076")
#: The address of graphics in Intel's processors, whose energy is the processor's.
INTEGRATED = "0000:00:02.0"
NOT_MEASURED = (
    "is present, but TraceML can't measure it: its energy is not included. "
    'To estimate it, declare it: devices="8x NAME"'
)
#: Device nodes below /dev, without the number that follows.
NODES = {
    "accel": "Google TPU",
    "neuron": "AWS Trainium or Inferentia",
    "hl": "Intel Gaudi",
    "davinci": "Huawei Ascend",
    "ipu": "Graphcore IPU",
    "cambricon_dev": "Cambricon MLU",
    "rbln": "Rebellions NPU",
    "hailo": "Hailo NPU",
    "groqA": "Groq LPU",
}
#: Variables that are set on TPU machines. A container may not show a TPU's device nodes.
TPU_VARIABLES = ("TPU_ACCELERATOR_TYPE", "COLAB_TPU_ADDR")
#: What the probes of this process left out, with the reason of each.
left_out: dict[str, str] = {}
#: What was declared to the last `of_accelerators`.
declared: list = []


def leave_out(what: str, reason: str) -> None:
    """Warn once that a device is present but not measured, and keep it for `devices`."""
    left_out[what] = reason
    warn(reason)


def devices() -> list[tuple[str, str]]:
    """Devices that are present but not measured, mostly accelerators, each with the reason and, if there is one, a
    remedy.

    Call this after `discovery.of_accelerators` was read, which finds what the probes met. A maker's accelerators are
    left out if some of them were declared, since their energy is estimated.
    """
    found = [*left_out.items(), *signs()]
    if not declared:
        return found
    with forks.loading():
        from traceml_agent.sensors import declaration
    makers = declaration.makers(declared)
    return [(what, reason) for what, reason in found if what.split()[0] not in makers]


def signs() -> list[tuple[str, str]]:
    """Devices without a probe, each with the reason."""
    nodes = _listed("dev")
    numbered = {node.rstrip("0123456789") for node in nodes if node[-1:].isdecimal()}
    found = [what for node, what in NODES.items() if node in numbered]
    accelerators = [_vendor("accel", name) for name in _listed("sys", "class", "accel")]
    found += ["Intel Gaudi"] if HABANA in accelerators else []
    found += ["Qualcomm Cloud AI"] if QUALCOMM in accelerators else []
    found += ["Tenstorrent NPU"] if _listed("dev", "tenstorrent") else []
    is_tpu = GOOGLE in accelerators or any(name in os.environ for name in TPU_VARIABLES)
    found += ["Google TPU"] if is_tpu or ("vfio" in nodes and _has_tpu()) else []
    cards = [name for name in _listed("sys", "class", "drm") if name.startswith("renderD")]
    found += ["Intel GPU"] if any(_is_intel_card(name) for name in cards) else []
    reasons = {what: f"{what} {NOT_MEASURED}" for what in found}
    if "nvidiactl" not in nodes and any(_vendor("drm", name) == NVIDIA for name in cards):
        reasons["NVIDIA GPU"] = "an NVIDIA GPU is not measured without NVIDIA's own driver"
    return list(reasons.items())


def _listed(*place: str) -> list[str]:
    try:
        return os.listdir(system.path(*place))
    except OSError:
        return []


def _vendor(kind: str, name: str) -> str | None:
    return system.read("sys", "class", kind, name, "device", "vendor")


def _is_intel_card(name: str) -> bool:
    """Whether it is an Intel card rather than a processor's graphics."""
    if _vendor("drm", name) != INTEL:
        return False
    return os.path.basename(os.path.realpath(system.path("sys", "class", "drm", name, "device"))) != INTEGRATED


def _has_tpu() -> bool:
    """Whether there is a TPU by its PCI ids. From v5 on, a TPU has no node of its own but uses VFIO."""
    place = ("sys", "bus", "pci", "devices")
    return any(
        system.read(*place, name, "vendor") == GOOGLE and system.read(*place, name, "device") in TPUS
        for name in _listed(*place)
    )
