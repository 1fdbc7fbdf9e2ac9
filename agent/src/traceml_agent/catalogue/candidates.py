"""Which of several profiles a name may mean: by memory, by power limit, or by a common power.

Pure: standard library only.
"""

from __future__ import annotations

#: Profiles whose TDP differs by no more than this share count as one power class.
POWER_CLASS = 0.05
#: Profiles for a name without form factor must be this close in power: well inside an estimate's range.
DOUBT = 0.2
#: Drivers reserve up to this share of the memory on the label.
MEMORY_TOLERANCE = 0.08
GIB = 2**30 / 1e9


def _memory_misfit(profile, memory_gb: float) -> float:
    """How far, as a share, a profile's memory is from what a driver reports, which may count in GiB."""
    return min(abs(memory_gb / (profile.memory_gb * unit) - 1) for unit in (1, GIB)) if profile.memory_gb else 1.0


def of_memory(profiles: list, memory_gb: float) -> list:
    """The profiles whose memory is nearest; empty if none is near."""
    misfits = [(_memory_misfit(profile, memory_gb), profile) for profile in profiles]
    nearest = min((misfit for misfit, _ in misfits), default=1.0)
    if nearest > MEMORY_TOLERANCE:
        return []
    return [profile for misfit, profile in misfits if misfit <= nearest + 0.01]


def narrowed(profiles: list, memory_gb: float | None, power_limit_w: float | None) -> list:
    """Profiles that fit memory and power limit. A value that fits none, like a MIG slice's GB, is ignored."""
    if memory_gb:
        profiles = of_memory(profiles, memory_gb) or profiles
    if power_limit_w and one_power_class(profiles) is None:
        near = [p for p in profiles if p.tdp_w and abs(p.tdp_w - power_limit_w) <= POWER_CLASS * p.tdp_w]
        profiles = near or profiles
    return profiles


def one_power_class(profiles: list):
    """The first of profiles that draw the same power; None if they differ."""
    powers = [profile.tdp_w or 0.0 for profile in profiles]
    if not powers or max(powers) - min(powers) > POWER_CLASS * max(powers):
        return None
    return profiles[0]


def middle_one(profiles: list):
    """The middle one of the profiles that a loose name may mean; None if one of them is far from its power."""
    powers = sorted(profile.tdp_w or 0.0 for profile in profiles)
    middle_w = powers[len(powers) // 2] if powers else 0.0
    if not middle_w or max(powers[-1] - middle_w, middle_w - powers[0]) > DOUBT * middle_w:
        return None
    return next(profile for profile in profiles if profile.tdp_w == middle_w)
