"""Energy and emissions of a run, from the facts that the agent reports.

Every formula of TraceML is here and nowhere else: the agent calls these functions to give
numbers without a server, the portal calls them with the catalogue that its admins edit. Pure:
standard library only, no clock, no file, no network.

One formula is used for every device. It is linear in both counters, so totals can be recalculated
exactly from the cumulative counters when a profile changes::

    E = share * (idle_w * elapsed_s + (full_load_w - idle_w) * busy_s)

Sources of the constants: ``docs/methodology.md``.
"""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple, Protocol

from traceml_agent.catalogue.device_names import part_of_card
from traceml_agent.catalogue.power_classes import (
    POWER_CLASSES as POWER_CLASSES,  # for the portal, which imports nothing else
)
from traceml_agent.catalogue.power_classes import PowerClass, class_of
from traceml_agent.forecasting import forecast as forecast

J_PER_KWH = 3.6e6

COUNTER, SENSOR, TDP, FALLBACK = "counter", "sensor", "tdp", "fallback"
#: The run's part of a counter that covers more: a processor's, split by idle power and CPU time.
SPLIT = "split"
#: What another tool calculated in its own way, and what a method calculated for a model that runs elsewhere.
REPORTED, MODELLED = "reported", "modelled"
BASES = (COUNTER, SENSOR, SPLIT, REPORTED, MODELLED, TDP, FALLBACK)
MEASURED = (COUNTER, SENSOR, SPLIT)
#: Bases whose joules arrive with the facts; the others' are estimated from a profile.
GIVEN = (*MEASURED, REPORTED, MODELLED)

#: Increases with every change of a formula, constant or power class; the portal then re-estimates older figures.
REVISION = 2

#: The range of the true energy, as factors of the measured one. Counters are those of boards and packages. Sensors are
#: read once a second, and those of A100 and H100 see 25 % of the time (arXiv 2312.02741).
RANGE_BY_BASIS = {COUNTER: (0.95, 1.05), SENSOR: (0.9, 1.1), SPLIT: (0.6, 1.6)}
#: Of tools that don't say how they measured: CodeCarbon was up to 40 % off an external meter (arXiv 2509.22092). Of
#: methods that state no range themselves: our assumption.
RANGE_BY_BASIS |= {REPORTED: (0.6, 1.6), MODELLED: (0.33, 3.0)}
#: The range for an idle or full-load power that the profile states itself: readings of one model differ this much.
OWN_POWER_RANGE = (0.65, 1.5)
#: If the TDP of a profile is itself an estimate, its range is wider by this factor at both ends.
WIDER_BY_ESTIMATE = 1.5


class PowerProfile(Protocol):
    """What estimation needs from a hardware profile; the agent's and the portal's both provide it.

    ``unit`` says what the watts are for: the whole ``device``, a ``core``, a ``thread`` or a ``gb``.
    They are properties, since a field that is only read may be that of a named tuple or of a model.
    """

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def confidence(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def fallback(self) -> bool: ...
    @property
    def cores(self) -> int | None: ...
    @property
    def memory_gb(self) -> float | None: ...
    @property
    def tdp_w(self) -> float | None: ...
    @property
    def idle_w(self) -> float | None: ...
    @property
    def full_load_w(self) -> float | None: ...


class Facts(NamedTuple):
    """What the agent observed of one device: cumulative counters since the writer's start, and its size.

    ``busy_s`` is utilisation (0 to 1, of what the run held) integrated over time, ``energy_j`` what was measured;
    each is None if unknown. ``cores`` and ``threads`` are those the run was allocated, of the host's
    ``host_cores`` and ``host_threads``; ``share`` is the part of the device it held (1.0 a whole GPU, 2/7 a
    MIG slice). ``name`` is the driver's: a vGPU's states its size. ``range_low`` and ``range_high`` are factors of
    ``energy_j`` if its method states a range of its own.
    """

    kind: str
    elapsed_s: float
    busy_s: float | None
    energy_j: float | None = None
    basis: str | None = None
    cores: float | None = None
    threads: float | None = None
    memory_gb: float | None = None
    share: float = 1.0
    name: str = ""
    host_cores: float | None = None
    host_threads: float | None = None
    range_low: float | None = None
    range_high: float | None = None


class Energy(NamedTuple):
    """Energy of a device in joules with its range, and its basis."""

    energy_j: float
    low_j: float
    high_j: float
    basis: str


class Total(NamedTuple):
    """Energy of several devices; ``measured_j`` is the part that came from a counter or a sensor."""

    energy_j: float
    low_j: float
    high_j: float
    measured_j: float

    @property
    def measured_share(self) -> float:
        """Share of the energy that was measured, 0 to 1."""
        return self.measured_j / self.energy_j if self.energy_j > 0 else 0.0


def power_class(profile: PowerProfile) -> PowerClass:
    """The class that a profile's shares of TDP and its range are taken from, by its kind and name."""
    return class_of(profile.kind, profile.name, profile.fallback)


def idle_power_w(profile: PowerProfile) -> float:
    """Idle power in W of one unit of the profile: measured if known, else its class's share of TDP."""
    if profile.idle_w is not None:
        return profile.idle_w
    return min(power_class(profile).idle_share * (profile.tdp_w or 0.0), full_load_power_w(profile))


def full_load_power_w(profile: PowerProfile) -> float:
    """Full-load power in W of one unit of the profile: measured if known, else its class's share of TDP."""
    if profile.full_load_w is not None:
        return profile.full_load_w
    return power_class(profile).full_load_share * (profile.tdp_w or 0.0)


def ranges_of(profile: PowerProfile) -> tuple[tuple[float, float], tuple[float, float]]:
    """Factors (lowest, highest) of the profile's idle power, and of its full-load power.

    They are those of its class, but narrower if the profile states the power itself, and wider if its TDP is an
    estimate.
    """
    found = power_class(profile)
    if profile.fallback or profile.unit != "device":
        return found.idle_range, found.full_load_range
    idle = OWN_POWER_RANGE if profile.idle_w is not None else found.idle_range
    full_load = OWN_POWER_RANGE if profile.full_load_w is not None else found.full_load_range
    if profile.confidence != "estimate":
        return idle, full_load
    return _wider(*idle), _wider(*full_load)


def _wider(low: float, high: float) -> tuple[float, float]:
    return low / WIDER_BY_ESTIMATE, high * WIDER_BY_ESTIMATE


def units_held(facts: Facts, profile: PowerProfile) -> float:
    """How many of the profile's units the run held: cores of a CPU, GB of memory, part of a GPU.

    A CPU's idle power is shared in proportion to the cores that the run was allocated, and may exceed
    one if it held several sockets. If the profile has no cores, the host's are used.
    """
    if profile.unit == "core":
        return facts.cores or facts.threads or 1.0
    if profile.unit == "thread":
        return facts.threads or facts.cores or 1.0
    if profile.unit == "gb":
        return facts.memory_gb or 0.0
    if profile.kind == "cpu":
        return _part_of_processor(facts, profile)
    # A part that the agent reports is already that in the name, as in "NVIDIA A100-SXM4-40GB MIG 2g.10gb".
    return facts.share if facts.share < 1.0 else facts.share * part_of_card(facts.name, profile.memory_gb)


def _part_of_processor(facts: Facts, profile: PowerProfile) -> float:
    if facts.cores and profile.cores:
        return facts.cores / profile.cores
    for held, whole in ((facts.cores, facts.host_cores), (facts.threads, facts.host_threads)):
        if held and whole:
            return min(held / whole, 1.0)
    return facts.share


def estimated_energy_j(idle_w: float, full_load_w: float, elapsed_s: float, busy_s: float, share: float = 1.0) -> float:
    """Energy in J between idle and full load: ``share * (idle_w * elapsed_s + (full - idle) * busy_s)``."""
    return share * (idle_w * elapsed_s + (full_load_w - idle_w) * busy_s)


def basis_of(facts: Facts, profile: PowerProfile) -> str:
    """The basis of this device's energy: the agent's word if there are joules, else the profile or the fallback."""
    if facts.energy_j is not None:
        return facts.basis if facts.basis in GIVEN else SENSOR
    return FALLBACK if profile.fallback else TDP


def device_energy(facts: Facts, profile: PowerProfile) -> Energy:
    """Energy of one device in J with its range: what was measured, else the linear estimate from its profile.

    An energy that was given never depends on the profile. The ends of an estimate's range are the same formula with the
    lowest and the highest idle and full-load power, so that they add up over days and devices as the estimate does.
    Without utilisation, the whole time counts as busy, as in Lannelongue et al. 2021, and the range begins at idle
    power.
    """
    basis = basis_of(facts, profile)
    if basis in GIVEN:
        energy_j = facts.energy_j or 0.0
        low, high = given_range(facts, basis)
        return Energy(energy_j, low * energy_j, high * energy_j, basis)
    idle_w, full_load_w, held = idle_power_w(profile), full_load_power_w(profile), units_held(facts, profile)
    (idle_low, idle_high), (full_low, full_high) = ranges_of(profile)
    elapsed_s = facts.elapsed_s
    busy_s, least_busy_s = (elapsed_s, 0.0) if facts.busy_s is None else (facts.busy_s, facts.busy_s)
    energy_j = estimated_energy_j(idle_w, full_load_w, elapsed_s, busy_s, held)
    low_j = estimated_energy_j(idle_low * idle_w, full_low * full_load_w, elapsed_s, least_busy_s, held)
    high_j = estimated_energy_j(idle_high * idle_w, full_high * full_load_w, elapsed_s, busy_s, held)
    return Energy(energy_j, min(low_j, energy_j), max(high_j, energy_j), basis)


def given_range(facts: Facts, basis: str) -> tuple[float, float]:
    """Factors (lowest, highest) of an energy that was given: its method's own, or else those of its basis."""
    low, high = RANGE_BY_BASIS[basis]
    return low if facts.range_low is None else facts.range_low, high if facts.range_high is None else facts.range_high


def idle_share(facts: Facts, profile: PowerProfile) -> float:
    """Share, 0 to 1, of a device's energy that it used while it was held but not busy.

    By the linear formula it is ``idle_w * (elapsed - busy)`` over the whole, for any number of units. Measured energy
    is split by the same powers of its profile: the card's own idle power if known, else that of its class. If the
    utilisation is unknown, nothing counts as idle.
    """
    if facts.busy_s is None:
        return 0.0
    idle_w = idle_power_w(profile)
    whole = estimated_energy_j(idle_w, full_load_power_w(profile), facts.elapsed_s, facts.busy_s)
    return idle_w * max(0.0, facts.elapsed_s - facts.busy_s) / whole if whole > 0 else 0.0


def total(energies: list[Energy]) -> Total:
    """Sum over devices. The range adds up too: errors of one method point the same way."""
    return Total(
        sum(e.energy_j for e in energies),
        sum(e.low_j for e in energies),
        sum(e.high_j for e in energies),
        sum(e.energy_j for e in energies if e.basis in MEASURED),
    )


def mean_power_w(energy_kwh: float, seconds: float) -> float:
    """Energy over time, W; 0 where there is no time."""
    return J_PER_KWH * energy_kwh / seconds if seconds > 0 else 0.0


def energy_kwh(energy_j: float) -> float:
    """kWh from J: 1 kWh is 3.6 MJ."""
    return energy_j / J_PER_KWH


def emissions_kg(energy_kwh: float, kg_per_kwh: float, pue: float = 1.0) -> float:
    """Emissions in kgCO2e: energy in kWh times PUE times the emission factor in kgCO2e per kWh.

    Raises ValueError for a PUE below 1, which no data centre can have, and for a negative factor.
    """
    if not (isfinite(pue) and pue >= 1.0):
        raise ValueError(f"PUE is total over IT energy and can't be below 1, got {pue}")
    if not (isfinite(kg_per_kwh) and kg_per_kwh >= 0.0):
        raise ValueError(f"an emission factor is a finite number of kg per kWh, got {kg_per_kwh}")
    return energy_kwh * pue * kg_per_kwh
