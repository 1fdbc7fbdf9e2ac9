"""Classes of devices whose power is estimated alike, with their shares of TDP, ranges and sources. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class PowerClass(NamedTuple):
    """Devices whose power is estimated alike: shares of TDP for profiles without measured power, and their ranges.

    The ranges are factors (lowest, highest) of the idle and of the full-load power. They were chosen so that they hold
    9 of 10 measurements of one half of ``tests/benchmarks/data/measured_power.csv``, and are checked on the other half
    by ``python -m tests.benchmarks ranges``. `source` says what was seen there, and what else a share rests on.
    """

    label: str
    idle_share: float
    full_load_share: float
    idle_range: tuple[float, float]
    full_load_range: tuple[float, float]
    source: str


SERVER = PowerClass(
    "Server processors",
    *(0.15, 0.7, (0.0, 4.0), (0.4, 1.9)),
    "Measured: idle 0.3–62 % of TDP (deep sleep states or none), full load 21–136 %; 146 points of 19 models.",
)
CLIENT = PowerClass(
    "Desktop and laptop processors",
    *(0.15, 0.7, (0.0, 4.0), (0.5, 3.1)),
    "Measured: full load 40–266 % of base TDP, median 97 %, as turbo limits bound it; 82 points of 33 models.",
)
DATACENTRE = PowerClass(
    "Data-centre accelerators",
    *(0.13, 1.0, (0.3, 2.5), (0.3, 1.1)),
    "Idle: median of 35 cards in public nvidia-smi output, 4–21 % of TDP. Full load: the board's power limit, as "
    "Lannelongue et al. 2021 and Lacoste et al. 2019 assume; cards always busy drew 31–98 % (ML.ENERGY leaderboard).",
)
GRAPHICS = PowerClass(
    "Graphics cards",
    *(0.036, 1.0, (0.3, 2.5), (0.3, 1.1)),
    "GeForce, RTX, Radeon and their like. Idle: median of 11 cards in public nvidia-smi output, 2.3–7.2 % of TDP. "
    "Full load: the board's power limit.",
)
TPU = PowerClass(
    "TPUs",
    *(0.47, 1.0, (0.3, 1.5), (0.3, 1.1)),
    "Idle: the least power that Google measured, TPU v3 and v4, and Jouppi et al. 2021 for v4i, 31–47 % of TDP.",
)
MEMORY = PowerClass(
    "Memory",
    *(0.0, 1.0, (1.0, 1.0), (0.3, 5.0)),
    "Measured: 0.04–0.13 W a GB in servers of 512 GB and more, up to 0.6 for small modules under load; 115 points of "
    "21 machines. Modules of 64 GB by boaviztapi's 3 W each and 0.055 W a GB: 0.10.",
)
UNKNOWN_PROCESSOR = PowerClass(
    "Unknown processors",
    *(0.15, 1.0, (0.0, 4.0), (0.3, 3.0)),
    "4 W a thread, CodeCarbon's default. The measured processors drew 0.9–21 W a thread at full load, median 4.7.",
)
UNKNOWN_DEVICE = PowerClass(
    "Unknown devices",
    *(0.13, 1.0, (0.0, 5.0), (0.2, 5.0)),
    "200 W, Green Algorithms' TDP for any GPU; there are cards of 40 W and of 1,000 W.",
)
POWER_CLASSES = (SERVER, CLIENT, DATACENTRE, GRAPHICS, TPU, MEMORY, UNKNOWN_PROCESSOR, UNKNOWN_DEVICE)

_SERVER_NAME = re.compile(
    r"xeon|epyc|opteron|itanium|graviton|ampere|altra|axion|cobalt|kunpeng|thunderx|yitian|neoverse|grace|\bpower\d",
    re.IGNORECASE,
)
_GRAPHICS_NAME = re.compile(r"geforce|quadro|\brtx|titan|radeon|\barc\b|\biris\b|\bu?hd graphics", re.IGNORECASE)


@lru_cache(maxsize=10_000)  # asked for every device at every upload
def class_of(kind: str, name: str, fallback: bool) -> PowerClass:
    """The class of a profile of this kind and name; `fallback` if it stands in for unknown devices."""
    if kind == "ram":
        return MEMORY
    if kind == "cpu":
        return UNKNOWN_PROCESSOR if fallback else SERVER if _SERVER_NAME.search(name) else CLIENT
    if fallback or kind not in ("gpu", "tpu", "npu"):
        return UNKNOWN_DEVICE
    if kind == "tpu":
        return TPU
    return GRAPHICS if _GRAPHICS_NAME.search(name) else DATACENTRE
