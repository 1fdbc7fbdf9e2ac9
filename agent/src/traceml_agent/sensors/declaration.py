"""Accelerators that the user declared and nothing measures. They are held the whole time; a profile gives their energy.

The user may say how busy they are; otherwise the estimate assumes that they are always busy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from traceml_agent.host import job
from traceml_agent.inputs import config
from traceml_agent.inputs.declared import Declared
from traceml_agent.messages import warn
from traceml_agent.sensors.sensor import Reading, Sensor, facts

#: The kind of an accelerator that is not in the catalogue, by a word in its name.
KINDS = (("tpu", "tpu"), ("gaudi", "npu"), ("trainium", "npu"), ("inferentia", "npu"), ("npu", "npu"), ("ipu", "npu"))
ALWAYS_BUSY = "Declared, not measured: estimated as busy the whole time"
AS_SAID = "Declared, not measured: estimated at a utilisation of"


def probe(declared: Iterable[Declared], measured: list[Sensor]) -> Iterator[Sensor]:
    """A sensor for each declared accelerator that is not among the measured ones.

    A declaration is for the host, so only the first of several ranks reports it.
    """
    if job.local_size() > 1 and job.local_rank() > 0:
        return
    there = Counter(_slug(sensor.facts) for sensor in measured if sensor.facts["kind"] != "cpu")
    number = 0
    for one in declared:
        name, kind, slugs = known_as(one.name)
        missing = one.count
        for slug in slugs:
            seen = min(missing, there[slug])
            there[slug] -= seen
            missing -= seen
        if missing < one.count:
            warn(f"{one.count - missing} of the declared {one.name} are measured and not counted again")
        for _ in range(missing):
            yield Accelerator(f"declared-{number}", kind, name, one.utilisation)
            number += 1


def known_as(given: str) -> tuple[str, str, list[str]]:
    """The catalogue's name for an accelerator as people write it, its kind, and slugs of what else it may be."""
    match, others = config.catalogue().most_likely(given)
    if match is None:
        kind = next((kind for word, kind in KINDS if word in given.lower()), "gpu")
        return given, kind, [each.slug for each in others] or [given.lower()]
    profile = match.profile
    # With the profile's own name, the portal finds the same profile.
    return profile.name, profile.kind, [profile.slug, *(each.slug for each in others)]


def makers(declared: Iterable[Declared]) -> set[str]:
    """The makers of declared accelerators, like the first words of the names in `unmeasured`."""
    matches = (config.catalogue().most_likely(one.name)[0] for one in declared)
    return {match.profile.vendor for match in matches if match}


def _slug(found: dict) -> str:
    from traceml_agent import catalogue

    clues = {"memory_gb": found.get("memory_gb"), "power_limit_w": found.get("power_limit_w")}
    profile = catalogue.profile_for(found["name"], found["kind"], **clues)
    return found["name"].lower() if profile.fallback else profile.slug


class Accelerator(Sensor):
    """One declared accelerator."""

    every_s = 60.0

    def __init__(self, key: str, kind: str, name: str, utilisation: float | None):
        self._utilisation = utilisation
        note = ALWAYS_BUSY if utilisation is None else f"{AS_SAID} {utilisation:g}"
        self.facts = facts(key, kind, name, method="declared, busy time assumed", note=note)

    def read(self) -> Reading:
        return Reading(busy_share=self._utilisation)
