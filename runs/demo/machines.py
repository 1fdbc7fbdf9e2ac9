"""The machines of the demo: what their agents would see, and how much power they draw."""

from typing import NamedTuple


class Card(NamedTuple):
    """An accelerator: its name as the driver gives it, idle and full-load watts, and what measures it."""

    name: str
    idle_w: float
    full_w: float
    measured_by: str


class Machine(NamedTuple):
    host: str
    card: Card | None
    cpu: str
    threads: int
    memory_gb: float


H100 = Card("NVIDIA H100 80GB HBM3", 68, 690, "counter")
A100 = Card("NVIDIA A100-SXM4-80GB", 60, 395, "counter")
L40S = Card("NVIDIA L40S", 24, 340, "counter")
L4 = Card("NVIDIA L4", 12, 71, "counter")
T4 = Card("Tesla T4", 10, 69, "sensor")
RTX = Card("NVIDIA GeForce RTX 4090", 18, 430, "sensor")
#: Not in the catalogue, and nothing measures it: a fallback profile stands in.
PROTOTYPE = Card("Helix NX-1 engineering sample", 20, 180, "")

MACHINES = {
    "h100": Machine("node-h1", H100, "Intel(R) Xeon(R) Platinum 8480+", 112, 1024),
    "a100": Machine("node-a1", A100, "AMD EPYC 7742 64-Core Processor", 128, 512),
    "l40s": Machine("serve-1", L40S, "AMD EPYC 7742 64-Core Processor", 32, 128),
    "l4": Machine("serve-2", L4, "Intel(R) Xeon(R) Gold 6226R CPU @ 2.90GHz", 16, 64),
    "t4": Machine("edge-7", T4, "Intel(R) Xeon(R) Gold 6226R CPU @ 2.90GHz", 8, 32),
    "rtx": Machine("desk-ines", RTX, "AMD Ryzen 9 7950X 16-Core Processor", 32, 64),
    "cpu": Machine("batch-3", None, "AMD EPYC 7742 64-Core Processor", 64, 256),
    "helix": Machine("lab-2", PROTOTYPE, "AMD Ryzen 9 7950X 16-Core Processor", 16, 32),
}
