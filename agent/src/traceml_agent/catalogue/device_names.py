"""Reduces device names, as drivers, kernels and people write them, to the words that distinguish models.

Pure: standard library only. Two names of one model get one key, names of different models never do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby

_MARKS = re.compile(r"\((?:r|tm|c)\)|[®™©]|(?<=\bcore)t\b", re.IGNORECASE)
#: What tools and people put before a name: its position in a list, how many there are, of what.
_BEFORE = re.compile(
    r"^(?:(?:[\da-f:.]+ )?(?:model name|product name|brand|card series|device|name|processor|cpu|gpu|hpu"
    r"|(?:vga compatible|3d|display) controller|processing accelerators)\b\s*\d*\s*[:=]\s*"
    r"|\d+:\s*|cuda:\d+\s+|\(?\d+\s*[x×*]\)?\s*(?=[a-z]{2})"
    r"|\d+\s*-?\s*(?:v?cpus?|vcores?|sockets?|threads?|p)\b(?:\s*(?:of|x))?\s+(?=[a-z]))+"
)
#: And after it: `x 8`, `(8)`, `-02` as a board's version, `rev a1`.
_AFTER = re.compile(
    r"(?:\s*\(?[×*]\s*\d+\)?|\s+x(?: +\d+|[48]|16)|\s+\((?:x ?)?\d+\)|-0\d|\s+\(?rev\.? ?(?:[a-f]?\d(?:\.\d)?)\)?)$"
)
_COUNT = re.compile(r"^\d+\s*x\s*(?=[a-z]{2})")
_BRACKETS = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]")
_DIGIT = re.compile(r"\d")
_NOT_WORD = re.compile(r"[^a-z0-9]+")

_CPU_TAIL = re.compile(r"@.*$|\bw(?:ith|/) radeon.*$|\bradeon .*$")
_CPU_NOISE = re.compile(
    r"^dual |\b(?:\d+(?:\.\d+)?\s*[gm]hz|\d+(?:st|nd|rd|th) gen|intel|genuine|processors?|cpu|soc|apu|x86[-_]64|amd64"
    r"|aarch64|arm64|amd|(?:\d+|single|dual|two|quad|four|triple|hexa|six|octal?|eight|ten|twelve|sixteen|thirty-two)"
    r"[- ]?cores?|\d+c\+\d+c)\b"
)
#: Architectures that replace the brand, `AMD TURIN 9965`, or beside it, `EPYC Milan 7763`.
_EPYC = re.compile(r"\b(?:turin|genoa|bergamo|siena|milan|rome|naples|trento)(?: x| dense)?\b(?=.*\d)")
_XEON = re.compile(
    r"\b(?:(?:sandy|ivy) bridge|haswell|broadwell|sky ?lake|cascade ?lake|cooper ?lake|ice ?lake|sapphire ?rapids"
    r"|emerald ?rapids|granite ?rapids|sierra ?forest|clearwater ?forest)(?: [esa]p| [ewx])?\b(?=.*\d)"
)
_BRANDED = re.compile(r"\b(?:epyc|ryzen|threadripper|xeon|core|pentium|celeron|atom|athlon|opteron)\b")
_CPU_BRAND_LEFT_OUT = re.compile(r"^(?=i[3579] \d)|^(?=(?:e[357]|platinum|gold|silver|bronze) \d)")
_XEON_VERSION = re.compile(r"(?<=\d)v(?=\d\b)")
_XEON_SIX = re.compile(r"^xeon 6 (?=6\d{3}[pe])")
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
    r"|geforce|radeon|instinct|google|aws|gpu(?! max)|graphics|generation|dlc|vf|(?:ai )?accelerators?|processor"
    r"|hpu|habana(?: ?labs)?|nps\d|spx|\d{2,4}w|sse2|mcm oam ac mba)\b"
)
_GAUDI = re.compile(r"\bgaudi(?=\d)")
#: "M10-0B" has half a GB.
HALF_GB = 0.5
MEMORY = re.compile(r"\b(?:(\d+(?:\.\d+)?)\s?gi?b|([12]?\d?\d(?:\.\d+)?)\s?g)\b")
_RTX_GLUED = re.compile(r"\b([rg]tx)(?=a?\d)|(?<=\d)(ti)\b")
FORM = re.compile(r"\b(?:sxm\d?|pcie|oam|hbm\d?e?|gddr\d\w?|vgpu)\b")
#: What a card's name may add to its model.
FORMS = ("", "pcie", "sxm", "sxm2", "sxm3", "sxm4", "sxm5", "sxm6")


def _readings(name: str) -> list[str]:
    """How a name may be read: without list decorations, without brackets, and as what is in the brackets."""
    text = _MARKS.sub(" ", name).lower()
    inside = [found[1] or found[2] or "" for found in _BRACKETS.finditer(text)]
    found = map(_bare, (text, _BRACKETS.sub(" ", text), *inside))
    return [each for each in found if _DIGIT.search(each)]


def _bare(text: str) -> str:
    """A name without counts and its position in a list."""
    return _AFTER.sub("", _BEFORE.sub("", text.strip())).strip()


def cpu_key(name: str) -> str:
    """The part of a CPU's name that distinguishes models: `core i7 8700k`, `xeon e5 2680 v3`, `epyc 7742`.

    Empty for names without any model number: virtual CPUs, families, engineering samples.
    """
    text = _CPU_TAIL.sub("", _MARKS.sub(" ", name).lower())
    words = _NOT_WORD.sub(" ", _CPU_NOISE.sub(" ", text).replace("+", " plus ")).split()
    if words[-1:] == ["0"]:  # "E5-2680 0": Intel's mark of a first version
        words.pop()
    key = _XEON_SIX.sub("xeon ", _CPU_BRAND_LEFT_OUT.sub(_brand, _XEON_VERSION.sub(" v", " ".join(words))))
    return key if _DIGIT.search(key) else ""


def _brand(left_out: re.Match) -> str:
    return "core " if left_out.string.startswith("i") else "xeon "


def cpu_keys(name: str) -> Iterator[str]:
    """The possible keys of a name, most likely first; last are those without an architecture."""
    yield cpu_key(name)
    yield from _other_cpu_keys(name)


@lru_cache(maxsize=1024)
def _other_cpu_keys(name: str) -> tuple[str, ...]:
    key = cpu_key(name)
    keys = [key, *map(cpu_key, _readings(name))]
    return tuple(dict.fromkeys(each for each in (*keys, *map(_without_architecture, keys)) if each not in ("", key)))


def _without_architecture(key: str) -> str:
    """A CPU's key without its architecture and repeated words, and with the brand if the architecture replaced it."""
    has_brand = _BRANDED.search(key)
    key = _XEON.sub(" " if has_brand else "xeon", _EPYC.sub(" " if has_brand else "epyc", key))
    return " ".join(word for word, _ in groupby(key.split()))  # "Xeon E E-2488"


def accelerator_key(name: str) -> tuple[str, float | None]:
    """The part of an accelerator's name that distinguishes models, and the GB in the name: (`a100 sxm4`, 40.0)."""
    text = _MIG.sub("", _COUNT.sub("", _MARKS.sub(" ", name).lower())).strip()
    text = _VGPU.sub(r"\1 vgpu", _GPU_BRACKETS.sub(r"\1", text))
    text = _RTX_GLUED.sub(r"\1 \2", text.replace("-", " ").replace("_", " "))
    memory = MEMORY.search(text)
    text = _NOT_WORD.sub(" ", MEMORY.sub(" ", text).replace("+", " plus "))
    key = " ".join(_GAUDI.sub("gaudi ", _GPU_NOISE.sub(" ", " ".join(text.split()))).split())
    boards = 2 if " dual " in f" {key} " else 1  # two of them share a card and the memory in its name
    return key, float(memory[1] or memory[2]) / boards if memory else None


def accelerator_keys(name: str) -> Iterator[tuple[str, float | None]]:
    """The possible keys and GB of a name, most likely first."""
    yield accelerator_key(name)
    yield from _other_accelerator_keys(name)


@lru_cache(maxsize=1024)
def _other_accelerator_keys(name: str) -> tuple[tuple[str, float | None], ...]:
    key = accelerator_key(name)
    return tuple(each for each in dict.fromkeys(map(accelerator_key, _readings(name))) if each != key)


#: Words beside a model's number by which makers name models of a different power.
# fmt: off
_TELLING = frozenset((
    "ti", "tim", "super", "xt", "xtx", "gre", "mobile", "mobility", "laptop", "notebook", "max", "lite", "le",
    "mini", "nano", "micro", "fury", "duo", "frontier", "low", "power", "oem", "refresh", "cnx", "embedded",
    "server", "workstation", "sff", "pro", "plus", "extreme", "ultra", "ai", "phi", "jetson", "drive", "eng",
    "sample", "preview", "gtx", "gts", "gt", "rtx", "rx", "hd", "vega", "arc", "iris", "uhd", "rage", "firepro",
    "quadro", "nvs", "titan", "cmp", "matrox", "mtt", "core", "xeon", "epyc", "ryzen", "athlon", "threadripper",
    "opteron", "phenom", "sempron", "pentium", "celeron", "atom", "apple",
))
# fmt: on
_SHORT_ADDITIONS = frozenset(("oc", "fe"))


def models(keys: Iterable[str]) -> list[list[str]]:
    """The words of keys that distinguish models, without form factors."""
    found = ([word for word in key.split() if not FORM.fullmatch(word)] for key in keys)
    return [words for words in found if any(map(_DIGIT.search, words))]


def without_additions(key: str, known: list[list[str]]) -> str:
    """A key without words that distinguish no model of its number: makers' editions, `virtualized`, suffixes.

    Empty if a word may mean a different model: one with a digit, one of `_TELLING`, a short one after the number, or
    one that distinguishes another of the `known` models from the one that is left.
    """
    words = key.split()
    model = max((model for model in known if _stands_in(model, words)), key=len, default=None)
    if model is None:
        return ""
    behind = max(at for at, word in enumerate(words) if word in model) + 1
    added = {at: word for at, word in enumerate(words) if word not in model and not FORM.fullmatch(word)}
    if not added or any(_tells(word, at == behind, model, known) for at, word in added.items()):
        return ""
    return " ".join(word for at, word in enumerate(words) if at not in added)


def _stands_in(model: list[str], words: list[str]) -> bool:
    rest = iter(words)
    return all(word in rest for word in model)


def _tells(word: str, is_next: bool, model: list[str], known: list[list[str]]) -> bool:
    if _DIGIT.search(word) or word in _TELLING:
        return True
    if is_next and len(word) < 3 and word not in _SHORT_ADDITIONS:
        return True
    return any(word in other and set(model) <= set(other) for other in known)


@lru_cache(maxsize=1024)
def vgpu_gb(name: str) -> float | None:
    """The GB in a vGPU's name, 10 for `GRID A100-10C`; None if it is not a vGPU."""
    found = _VGPU.match(name.lower().strip())
    return (float(found[2]) or HALF_GB) if found else None


@lru_cache(maxsize=1024)
def part_of_card(name: str, card_gb: float | None) -> float:
    """The part of a card, 0 to 1, in a name: of a vGPU by memory, of a MIG slice by compute slices; else 1.

    A vGPU with all the memory may use the whole card; smaller ones share it.
    """
    part_gb = vgpu_gb(name)
    if part_gb:
        return min(part_gb / card_gb, 1.0) if card_gb else 1.0
    found = _MIG.search(name.lower())
    if found is None:
        return 1.0
    slices = _FEW_SLICES if _OF_FEW_SLICES.search(name.lower()) else MIG_SLICES
    return min(int(found[1] or found[2]) / slices, 1.0)
