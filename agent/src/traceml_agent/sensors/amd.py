"""AMD GPUs by amdsmi, where that is installed: energy accumulator, else power, else utilisation.

The library answers "N/A" for what a card does not tell, in every place where a number may stand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from traceml_agent import host
from traceml_agent.sensors import Reading, Sensor, facts

#: Cards of two dies with one counter, which the first of each pair reads.
TWO_DIES = "MI250"
SIGNS = (("sys", "module", "amdgpu"), ("dev", "kfd"))


def probe(scope: str, target: host.Target) -> Iterator[Sensor]:
    """The GPUs that the job sees; all of them with `scope="machine"`."""
    if not any(os.path.exists(host.path(*sign)) for sign in SIGNS):
        return
    try:
        import amdsmi
    except ImportError:
        return
    amdsmi.amdsmi_init()
    cards = [Card(amdsmi, index, handle) for index, handle in enumerate(amdsmi.amdsmi_get_processor_handles())]
    chosen = cards if scope == "machine" else visible(cards, os.environ)
    for card in chosen:
        if card.is_second_die and cards[card.index - 1] in chosen:
            continue  # its energy stands in the first die's counter
        source, share = (cards[card.index - 1], 0.5) if card.is_second_die else (card, 1.0)
        if card.has_two_dies and not card.is_second_die and not _has_partner(card, chosen):
            share = 0.5
        yield Gpu(card, source, share)


def _has_partner(card: Card, chosen: list[Card]) -> bool:
    return any(other.index == card.index + 1 for other in chosen)


def visible(cards: list, environment) -> list:
    """The cards that ROCR_VISIBLE_DEVICES leaves, and of those the ones that HIP_VISIBLE_DEVICES numbers.

    As the runtimes do, a list ends at its first invalid entry.
    """
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        if name in environment:
            cards = list(_named(environment[name].split(","), cards))
    return cards


def _named(entries: list[str], cards: list) -> Iterator:
    for entry in (each.strip() for each in entries):
        serial = entry.lower().removeprefix("gpu-")
        found = [c for n, c in enumerate(cards) if entry == str(n) or (entry != serial and c.serial.endswith(serial))]
        if not found:
            return
        yield found[0]


class Card:
    """A GPU as amdsmi lists it."""

    def __init__(self, smi, index: int, handle):
        self._smi, self.index, self.handle = smi, index, handle
        asic = self.ask("amdsmi_get_gpu_asic_info") or {}
        self.name = str(asic.get("market_name") or "AMD GPU")
        self.serial = str(asic.get("asic_serial") or "").lower()
        self.uuid = str(self.ask("amdsmi_get_gpu_device_uuid") or "")
        self.has_two_dies = TWO_DIES in self.name
        self.is_second_die = self.has_two_dies and index % 2 == 1

    def ask(self, question: str, *arguments):
        """The answer, or None where this card or version does not know the question."""
        try:
            return getattr(self._smi, question)(self.handle, *arguments)
        except (self._smi.AmdSmiException, AttributeError):
            return None

    def memory_gb(self) -> float | None:
        total = self.ask("amdsmi_get_gpu_memory_total", self._smi.AmdSmiMemoryType.VRAM)
        return total / host.GB if total else None

    def energy_j(self) -> float | None:
        """Joules by the accumulator, which counts in units of its resolution in µJ (`power` before amdsmi 6.2.1)."""
        count = self.ask("amdsmi_get_energy_count") or {}
        ticks = _number(count.get("energy_accumulator", count.get("power")))
        return ticks * count["counter_resolution"] / 1e6 if ticks else None

    def power_w(self) -> float | None:
        power = self.ask("amdsmi_get_power_info") or {}
        found = (_number(power.get(f"{when}_socket_power")) for when in ("current", "average"))
        return next((watts for watts in found if watts is not None), None)

    def busy_share(self) -> float | None:
        percent = _number((self.ask("amdsmi_get_gpu_activity") or {}).get("gfx_activity"))
        return None if percent is None else min(percent / 100, 1.0)


def _number(value) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


class Gpu(Sensor):
    """A GPU or a die; `source` is the card whose counter holds its energy, `share` its part of that."""

    every_s = 0.0

    def __init__(self, card: Card, source: Card, share: float):
        self._card, self._source, self._share = card, source, share
        self.has_counter = source.energy_j() is not None
        self.has_power = source.power_w() is not None
        self.facts = facts(f"gpu-{card.index}", "gpu", card.name, uuid=card.uuid, memory_gb=card.memory_gb())
        self.facts |= self._method()
        if "MI300A" in card.name and self.facts["basis"]:
            self.replaces = ("cpu-0",)  # an APU: the package's power holds the cores'
        if share < 1.0:
            self.facts["note"] = "Two dies have one counter; half of it is an estimate"

    def _method(self) -> dict[str, str]:
        if self.has_counter:
            return {"basis": "counter" if self._share == 1.0 else "sensor", "method": "amdsmi energy counter"}
        if self.has_power:
            return {"basis": "sensor", "method": "amdsmi power"}
        return {"basis": "", "method": "amdsmi utilisation"}

    def read(self) -> Reading | None:
        """The reading of now; None where the card does not answer."""
        busy = self._card.busy_share()
        if self.has_counter:
            energy_j = self._source.energy_j()
            return None if energy_j is None else Reading(busy, energy_j=self._share * energy_j)
        if self.has_power:
            power_w = self._source.power_w()
            return None if power_w is None else Reading(busy, power_w=self._share * power_w)
        return Reading(busy)
