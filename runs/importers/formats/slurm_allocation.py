"""What SLURM allocated to a job: its cores, memory and GPUs, from the columns that have them."""

import re
from functools import lru_cache
from typing import NamedTuple

from runs.importers import cells
from runs.importers.found import RowRefused
from traceml_agent import catalogue

#: What a job was allocated, else what it had asked for: the columns that name GPUs.
TRES = ("AllocTRES", "ReqTRES")
UNITS = {"": 1.0, "K": 1024.0, "M": 1024.0**2, "G": 1024.0**3, "T": 1024.0**4, "P": 1024.0**5}
GB = 1e9
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)([KMGTP]?)B?([nc]?)\Z", re.IGNORECASE)
_MIG = re.compile(r"[._-]*(?:mig[._-]*)?([1-7])g[._](\d{1,3})gb\Z", re.IGNORECASE)


class Gpus(NamedTuple):
    """GPUs of one type: how many, their name in the catalogue, and the part of each (1/7 steps for MIG)."""

    number: int
    type: str
    name: str
    share: float


def cores_of(row: dict[str, str], tres: str) -> float:
    text = _of_tres(tres, "cpu") or row.get("AllocCPUS") or row.get("NCPUS")
    cores = cells.number(text, "the number of CPUs", 1e6)
    if not cores:
        raise RowRefused("the job has no CPUs")
    return cores


def memory_gb_of(row: dict[str, str], tres: str) -> float | None:
    """GB allocated: of AllocTRES, else of ReqMem, which old releases give for each core (`c`) or node (`n`)."""
    if text := _of_tres(tres, "mem"):
        return _gb(text)[0]
    text = row.get("ReqMem") or ""
    if cells.is_empty(text) or text in ("0", "0n", "0c"):
        return None
    size_gb, per = _gb(text)
    if per == "c":
        return size_gb * cores_of(row, tres)
    return size_gb * (cells.number(row.get("NNodes"), "NNodes", 1e6) or 1) if per == "n" else size_gb


@lru_cache(maxsize=10_000)
def _gb(text: str) -> tuple[float, str]:
    found = _SIZE.match(text)
    if not found:
        raise RowRefused(f"the memory is {cells.quoted(text)}, which is not a size such as 64G")
    # A size without a unit is in MB.
    size_gb = float(found[1]) * UNITS[found[2].upper() or "M"] / GB
    if size_gb > 1e7:
        raise RowRefused(f"the memory is {cells.quoted(text)}, more than any machine has")
    return size_gb, found[3].lower()


def _of_tres(tres: str, name: str) -> str | None:
    for part in tres.split(","):
        key, _, value = part.partition("=")
        if key == name:
            return value
    return None


def gpus_of(tres: str, names: dict[str, str]) -> list[Gpus]:
    """The GPUs of a job: `gres/gpu:TYPE=N` of each type, and of `gres/gpu=N` what no type accounts for."""
    total, typed = 0, []
    for part in tres.split(","):
        key, _, value = part.partition("=")
        if not key.startswith("gres/gpu") or key[8:9] not in ("", ":"):
            continue  # gres/gpumem and the like are no GPUs
        if not value.isdecimal() or int(value) > 100_000:
            raise RowRefused(f"{cells.quoted(part)} is not a number of GPUs")
        if key == "gres/gpu":
            total = int(value)
        else:
            typed.append(_typed(int(value), key[9:], names))
    rest = total - sum(each.number for each in typed)
    return typed + ([_typed(rest, "", names)] if rest > 0 else [])


def _typed(count: int, kind: str, names: dict[str, str]) -> Gpus:
    """The GPUs of a type: by the user's list, else by the catalogue."""
    mig = _MIG.search(kind)
    base = kind[: mig.start()] if mig else kind
    name = names.get(kind.lower()) or names.get(base.lower() or "gpu")
    if name is None:
        found, _ = catalogue.most_likely(base) if base else (None, [])
        name = found.profile.name if found else (cells.words(base) or "GPU")
    return Gpus(count, kind, name, int(mig[1]) / 7 if mig else 1.0)
