"""Device names as drivers, kernels and people write them, brought to the words that tell models apart.

Pure: standard library only. Two names of one model get one key, names of different models never do.
"""

from __future__ import annotations

import re
from functools import lru_cache

_MARKS = re.compile(r"\((?:r|tm|c)\)|[®™©]|(?<=\bcore)t\b", re.IGNORECASE)
_COUNT = re.compile(r"^\d+\s*x\s*(?=[a-z]{2})")
_DIGIT = re.compile(r"\d")
_NOT_WORD = re.compile(r"[^a-z0-9]+")

_CPU_TAIL = re.compile(r"@.*$|\bw(?:ith|/) radeon.*$|\bradeon .*$")
_CPU_NOISE = re.compile(
    r"^dual |\b(?:\d+(?:\.\d+)?\s*[gm]hz|\d+(?:st|nd|rd|th) gen|intel|genuine|processors?|cpu|soc|apu|amd(?!64)"
    r"|(?:\d+|dual|two|quad|four|triple|six|eight|ten|twelve|sixteen|thirty-two)[- ]cores?)\b"
)
_CPU_CODENAMES = re.compile(r"^(?:turin|genoa|bergamo|milan|rome|naples)\b(?=.*\d)")
_CPU_BRAND_LEFT_OUT = re.compile(r"^(?=i[3579] \d)|^(?=e[357] \d)")
_XEON_VERSION = re.compile(r"(?<=\d)v(?=\d\b)")
XEON_TIERS = ("", "platinum ", "gold ", "silver ", "bronze ")
XEON_TIER = re.compile(r"\b(?:platinum|gold|silver|bronze) ")

#: "MIG 1c.3g.20gb": one of the three compute slices of a slice of 20 GB.
_MIG = re.compile(r"\bmig (?:(\d+)c\.)?(\d+)g\.\d+gb.*$")
#: Compute slices of a whole card; a few have four.
MIG_SLICES, _FEW_SLICES, _OF_FEW_SLICES = 7, 4, re.compile(r"\ba30\b|\brtx pro\b")
#: "A100DX-7-80C": NVIDIA names a vGPU by a stem that is not always the card's name, slices, GB and licence; "T4-2B4"
#: by the number of screens as well, "H100-1-10CME" by what it has beside compute.
_VGPU = re.compile(r"^(?:(?:nvidia|grid) )*(.*?\d.*?)(?:-\d)?-(\d+)[qcab]\d?(?:-?(?:me|nome|gfx))?$")
_GPU_BRACKETS = re.compile(r"^.*\[((?:amd |nvidia |geforce |radeon |instinct |tesla |quadro )[^\]/]*)\].*$")
_GPU_NOISE = re.compile(
    r"\b(?:nvidia(?: corporation)?|advanced micro devices,? inc|tensor core|amd|ati|intel|tesla|grid"
    r"|geforce|radeon|instinct|google|aws|gpu(?! max)|graphics|generation|dlc|vf|accelerator|processor"
    r"|nps\d|spx|\d{2,4}w|sse2)\b"
)
#: "M10-0B" has half a GB.
HALF_GB = 0.5
MEMORY = re.compile(r"\b(?:(\d+(?:\.\d+)?)\s?gi?b|([12]?\d?\d(?:\.\d+)?)\s?g)\b")
_RTX_GLUED = re.compile(r"\b([rg]tx)(?=a?\d)|(?<=\d)(ti)\b")
FORM = re.compile(r"\b(?:sxm\d?|pcie|oam|hbm\d?e?|gddr\d\w?|vgpu)\b")
#: What a card's name may add to its model.
FORMS = ("", "pcie", "sxm", "sxm2", "sxm3", "sxm4", "sxm5", "sxm6")


def cpu_key(name: str) -> str:
    """What is left of a CPU's name that tells models apart: `core i7 8700k`, `xeon e5 2680 v3`, `epyc 7742`.

    Empty for names without any model number: virtual CPUs, families, engineering samples.
    """
    text = _CPU_TAIL.sub("", _COUNT.sub("", _MARKS.sub("", name).lower()))
    words = _NOT_WORD.sub(" ", _CPU_NOISE.sub(" ", text).replace("+", " plus ")).split()
    if words[-1:] == ["0"]:  # "E5-2680 0": Intel's mark of a first version
        words.pop()
    key = _XEON_VERSION.sub(" v", _CPU_CODENAMES.sub("epyc", " ".join(words)))
    key = _CPU_BRAND_LEFT_OUT.sub("core " if key.startswith("i") else "xeon ", key)
    return key if _DIGIT.search(key) else ""


def accelerator_key(name: str) -> tuple[str, float | None]:
    """What tells accelerator models apart, and the GB that the name states: (`a100 sxm4`, 40.0)."""
    text = _MIG.sub("", _COUNT.sub("", _MARKS.sub("", name).lower())).strip()
    text = _VGPU.sub(r"\1 vgpu", _GPU_BRACKETS.sub(r"\1", text))
    text = _RTX_GLUED.sub(r"\1 \2", text.replace("-", " ").replace("_", " "))
    memory = MEMORY.search(text)
    text = _GPU_NOISE.sub(" ", MEMORY.sub(" ", text))
    key = " ".join(_NOT_WORD.sub(" ", text.replace("+", " plus ")).split())
    return key, float(memory[1] or memory[2]) if memory else None


@lru_cache(maxsize=256)
def vgpu_gb(name: str) -> float | None:
    """GB of the card that a vGPU's name states, 10 of `GRID A100-10C`; None for what is no vGPU."""
    found = _VGPU.match(name.lower().strip())
    return (float(found[2]) or HALF_GB) if found else None


@lru_cache(maxsize=256)
def part_of_card(name: str, card_gb: float | None) -> float:
    """The part of a card, 0 to 1, that a name states: a vGPU's by memory, a MIG slice's by compute slices; else 1.

    A vGPU of all memory may use the whole card; of smaller ones all together do.
    """
    part_gb = vgpu_gb(name)
    if part_gb:
        return min(part_gb / card_gb, 1.0) if card_gb else 1.0
    found = _MIG.search(name.lower())
    if found is None:
        return 1.0
    slices = _FEW_SLICES if _OF_FEW_SLICES.search(name.lower()) else MIG_SLICES
    return min(int(found[1] or found[2]) / slices, 1.0)
