"""Devices whose energy is part of a GPU's own figure, so that adding them would count it twice."""

from __future__ import annotations

CPU, MEMORY = "cpu-0", "ram"

#: Words in names of modules whose counter, sensor and TDP include CPU and memory. GH200's counter is the module's,
#: including DRAM and regulator losses [zeus PR 172, Alumet's grace-hopper plugin]; Jetson's watts are
#: power modes of the module, MI300A's those of the socket.
WHOLE_MODULES = ("GH200", "MI300A", "Jetson", "Tegra", "Orin", "Xavier", "Thor")
#: Words in names of chips whose TDP includes the CPU, but whose sensor does not: NVML has no module scope on GB10 [zeus
#: PR 242], where it reads 3 W at rest.
TDP_OF_CHIP = ("GB10",)
#: GB200 and GB300 are in neither: their limit and counter are the GPU's, the module's are a scope of their own.


def held_by(name: str, is_measured: bool) -> tuple[str, ...]:
    """Keys of the devices that a GPU of this name includes."""
    words = name.replace("-", " ").replace("(", " ").split()
    if any(word in WHOLE_MODULES for word in words):
        return (CPU, MEMORY)
    if not is_measured and any(word in TDP_OF_CHIP for word in words):
        return (CPU,)
    return ()


def is_integrated(name: str) -> bool:
    """Whether a Radeon is part of a processor: `AMD Radeon 780M Graphics`, `AMD Radeon Graphics`, `Radeon 8060S`.

    Its sensor is the whole processor's, and the processor's TDP includes it.
    """
    words = name.replace("(TM)", "").split()
    if "Radeon" not in words:
        return False
    model = (words[words.index("Radeon") + 1 :] or ["Graphics"])[0]
    if model == "Graphics" or ("Vega" in words and words[-1] == "Graphics"):
        return True
    return model[:-1].isdigit() and model[-1] in "MS"
