"""Plan a run: compare what different hardware would use, or what a past run would have used on other hardware."""

from collections import defaultdict
from typing import NamedTuple

from hardware.models import CloudInstance, HardwareProfile
from runs.figures import units
from runs.models import Device, EmissionFactor, MonthlyUsage, Pue, Run
from runs.models.device import ACCELERATORS
from traceml_agent import estimation

MOST_CHOICES = 4


class SpeedLimit(NamedTuple):
    """What may limit the speed of the work: a profile's field, its name in words, and its unit."""

    field: str
    words: str
    unit: str

    def of(self, profile: HardwareProfile | None) -> float | None:
        return getattr(profile, self.field) if profile else None


#: By the data type that a person selects; the first is assumed if they select none.
LIMITS = {
    "bf16": SpeedLimit("bf16_tflops", "dense BF16 throughput", "TFLOPS"),
    "fp8": SpeedLimit("fp8_tflops", "dense FP8 throughput", "TFLOPS"),
    "fp32": SpeedLimit("peak_tflops", "single-precision throughput", "TFLOPS"),
    "memory": SpeedLimit("memory_gb_per_s", "memory bandwidth", "GB/s"),
}
ASSUMED, MEMORY = "bf16", "memory"


class Choice(NamedTuple):
    """A number of devices and hours. For the work of a past run, the hours follow from the speed-up."""

    profile: HardwareProfile
    number: float = 1
    hours: float = 1.0
    utilisation: float = 1.0
    speed_up: float | None = None


class Energies(NamedTuple):
    """Energy in kWh, with its range."""

    kwh: float
    low_kwh: float
    high_kwh: float

    def times(self, scale: float) -> "Energies":
        return Energies(*(scale * kwh for kwh in self))

    def plus(self, kwh: float) -> "Energies":
        return Energies(*(own + kwh for own in self))


class CandidateRow(NamedTuple):
    """A choice with its figures, all None if they can't be estimated; `assumption` states their basis."""

    name: str
    profile: HardwareProfile | None
    number: float
    assumption: str
    hours: float | None = None
    power_w: float | None = None
    energy_kwh: float | None = None
    energy_low_kwh: float | None = None
    energy_high_kwh: float | None = None
    emissions_kg: float | None = None
    emissions_low_kg: float | None = None
    emissions_high_kg: float | None = None

    @property
    def seconds(self) -> float | None:
        return None if self.hours is None else 3600 * self.hours

    @property
    def is_claimed(self) -> bool:
        return self.energy_kwh is not None


class Speed(NamedTuple):
    """How much faster one device is than the part of a device that the run held, and the reason in words.

    `slowest` is the speed-up if another limit slows it more; `speed_up` is None if no limit is known.
    """

    speed_up: float | None
    slowest: float | None
    said: str


class PlannedWork(NamedTuple):
    """The work of a past run: its main devices, all of one profile, and the rest of the machine.

    `part` is the share that it held of each device, such as 2/7 for a MIG slice. `ratio` is the energy of the main
    devices divided by the linear estimate for their profile: how hard this work drives such hardware.
    """

    run: Run
    profile: HardwareProfile | None
    number: float
    hours: float
    observed_hours: float
    utilisation: float
    part: float
    cores: float | None
    ratio: float
    rest_kwh: float


def rows(choices: list[Choice], work: PlannedWork | None = None, by: str = "") -> list[CandidateRow]:
    """The past run as it was, if there is one, then each choice; speeds are compared by one of LIMITS."""
    if work is None:
        return [_planned(choice) for choice in choices]
    return [_as_it_was(work), *(_instead(work, choice, by) for choice in choices)]


def _planned(choice: Choice) -> CandidateRow:
    energies = _estimated(choice, choice.hours, choice.utilisation)
    return _row(choice, choice.hours, energies, _assumed(choice))


def _estimated(choice: Choice, hours: float, utilisation: float, cores: float | None = None) -> Energies:
    """Energy of a choice's devices from their profile only; for processors, of `cores` of each, else of all."""
    of_each = min(cores or choice.profile.cores or 0.0, choice.profile.cores or 0.0)
    facts = estimation.Facts(
        choice.profile.kind,
        elapsed_s=hours * 3600,
        busy_s=utilisation * hours * 3600,
        share=float(choice.number),
        cores=of_each * choice.number or None,
    )
    energy = estimation.device_energy(facts, choice.profile)
    return Energies(*(estimation.energy_kwh(j) for j in (energy.energy_j, energy.low_j, energy.high_j)))


def _row(choice: Choice, hours: float, energies: Energies, assumption: str) -> CandidateRow:
    return _figures(choice.profile.name, choice.profile, choice.number, assumption, hours, energies)


def _figures(name: str, profile, number: float, assumption: str, hours: float, energies: Energies) -> CandidateRow:
    factor, pue = EmissionFactor.objects.active().kg_per_kwh, Pue.objects.active().value
    emissions = [estimation.emissions_kg(kwh, factor, pue) for kwh in energies]
    power_w = 1000 * energies.kwh / hours if hours else 0.0
    figures = (hours, power_w, *energies, *emissions)
    return CandidateRow(name, profile, number, assumption, *figures)  # type: ignore[call-arg]  # mypy counts a star as one


def _assumed(choice: Choice) -> str:
    idle_w, full_w = estimation.idle_power_w(choice.profile), estimation.full_load_power_w(choice.profile)
    return f"each between {idle_w:g} W idle and {full_w:g} W at full load, {100 * choice.utilisation:g} % busy"


def _as_it_was(work: PlannedWork) -> CandidateRow:
    name = work.profile.name if work.profile else "unknown hardware"
    rest = units.text("energy", work.rest_kwh)
    said = f"as it ran, {100 * work.utilisation:.0f} % busy; {rest} of the energy is from the rest of the machine"
    return _figures(name, work.profile, work.number, said, work.hours, _whole(work.run))


def _whole(run: Run) -> Energies:
    return Energies(run.energy_kwh, run.energy_low_kwh, run.energy_high_kwh)


def _instead(work: PlannedWork, choice: Choice, by: str) -> CandidateRow:
    """The same work on other devices: number and speed give the time, and the rest of the machine runs as long."""
    speed = _speed(work, choice, by)
    if speed.speed_up is None:
        return CandidateRow(choice.profile.name, choice.profile, choice.number, speed.said)
    stretch = work.number / (choice.number * speed.speed_up)
    energies = _moved(work, choice, stretch)
    if speed.slowest:
        energies = energies._replace(high_kwh=energies.high_kwh * speed.speed_up / speed.slowest)
    return _row(choice, work.hours * stretch, energies, f"{speed.said}; {_driven(work, choice)}")


def _moved(work: PlannedWork, choice: Choice, stretch: float) -> Energies:
    """Energy of the work if it takes `stretch` times as long; in proportion on the same hardware."""
    rest_kwh = work.rest_kwh * stretch
    if choice.profile == work.profile:
        carrying = _whole(work.run).plus(-work.rest_kwh)
        return carrying.times(stretch * choice.number / work.number).plus(rest_kwh)
    cores = work.cores if choice.profile.kind == Device.Kind.CPU else None
    estimate = _estimated(choice, work.observed_hours * stretch, work.utilisation, cores)
    return estimate.times(work.ratio).plus(rest_kwh)


def _driven(work: PlannedWork, choice: Choice) -> str:
    """The assumed utilisation and power, in words."""
    said = f"{100 * work.utilisation:.0f} % busy as before"
    if choice.profile != work.profile and abs(work.ratio - 1) > 0.005:
        said += f", at {units.significant(work.ratio)} times the profile's estimate, as in this run"
    return f"{said}; scales linearly with the number of devices"


def _speed(work: PlannedWork, choice: Choice, by: str) -> Speed:
    if choice.speed_up:
        return Speed(choice.speed_up, None, f"each {choice.speed_up:g} times as fast, as entered")
    if choice.profile == work.profile:
        return Speed(1.0, None, "same hardware, same speed")
    limit, memory = LIMITS[by or ASSUMED], LIMITS[MEMORY]
    speed_up = _ratio(limit, work, choice)
    if speed_up is None:
        unknown = [p.name for p in (work.profile, choice.profile) if p and not limit.of(p)] or ["the run's hardware"]
        return Speed(
            None,
            None,
            f"no estimate: the {limit.words} of {' and '.join(unknown)} is unknown. "
            "Choose another limit, or enter how much faster it is",
        )
    said = f"each {units.significant(speed_up)} times as fast, by {_peaks(limit, work, choice)}"
    said += "" if by else " (assumed)"
    other = _ratio(memory, work, choice) if limit is not memory else None
    if other is None:
        return Speed(speed_up, None, said)
    slower = f"{units.significant(other)} times"
    if other < speed_up:
        said += (
            f". If memory limits it, {slower}, by {_peaks(memory, work, choice)}; the range includes this slower case"
        )
        return Speed(speed_up, other, said)
    return Speed(speed_up, None, f"{said}, the slower of the two limits (memory bandwidth: {slower})")


def _ratio(limit: SpeedLimit, work: PlannedWork, choice: Choice) -> float | None:
    """Speed by a limit: one device of the choice relative to the part of a device that the run held."""
    before, after = limit.of(work.profile), limit.of(choice.profile)
    return after / (before * work.part) if before and after else None


def _peaks(limit: SpeedLimit, work: PlannedWork, choice: Choice) -> str:
    held = "" if work.part == 1.0 else f"{units.significant(work.part)} × "
    return f"{limit.words} ({limit.of(choice.profile):g} over {held}{limit.of(work.profile):g} {limit.unit})"


def work_of(run: Run) -> PlannedWork:
    """The work of a run. Its main devices are of the accelerator (else processor) profile that used most energy."""
    devices = [device for device in run.devices.select_related("profile") if device.counted and device.elapsed_s]
    carrying = [device for device in devices if device.kind in ACCELERATORS] or [
        device for device in devices if device.kind == Device.Kind.CPU
    ]
    by_profile: dict[int | None, list[Device]] = defaultdict(list)
    for device in carrying:
        by_profile[device.profile_id].append(device)
    mine = max(by_profile.values(), key=lambda group: sum(d.energy_kwh for d in group), default=[])
    elapsed_s = sum(device.elapsed_s for device in mine)
    told = [device for device in mine if device.busy_s is not None]
    told_s = sum(device.elapsed_s for device in told)
    number = len({device.uuid or device.key for device in mine}) or 1
    carrying_kwh = sum(device.energy_kwh for device in mine)
    return PlannedWork(
        run,
        mine[0].profile if mine else None,
        number,
        run.duration_s / 3600,
        elapsed_s / number / 3600,
        min(sum(device.busy_s or 0.0 for device in told) / told_s, 1.0) if told_s else 1.0,
        _part(mine, elapsed_s),
        max((device.cores for device in mine if device.cores), default=None),
        _driven_ratio(mine, carrying_kwh),
        max(run.energy_kwh - carrying_kwh, 0.0),
    )


def _part(devices: list[Device], elapsed_s: float) -> float:
    """Mean share of each accelerator that the run held, 0 to 1. For processors the number of cores tells it."""
    held_s = sum(
        estimation.units_held(device.last_facts(), device.profile) * device.elapsed_s
        for device in devices
        if device.profile and device.kind in ACCELERATORS
    )
    return held_s / elapsed_s if held_s else 1.0


def _driven_ratio(devices: list[Device], carrying_kwh: float) -> float:
    """Energy of the devices divided by the linear estimate for their profile; 1 if nothing was measured."""
    estimated_j = sum(
        estimation.device_energy(device.last_facts()._replace(energy_j=None), device.profile).energy_j
        for device in devices
        if device.profile and not device.profile.fallback
    )
    return carrying_kwh / estimation.energy_kwh(estimated_j) if estimated_j and carrying_kwh else 1.0


def named(name: str) -> tuple[HardwareProfile | None, float]:
    """Return the profile of a slug, a catalogue or driver name or a machine type, and how many of it the name means."""
    if machine := CloudInstance.objects.filter(name__iexact=name).select_related("profile").first():
        return machine.profile, machine.count
    found = HardwareProfile.objects.filter(slug=name).first() or HardwareProfile.objects.filter(name=name).first()
    if found is None and (match := HardwareProfile.objects.catalogue().match(name)):
        found = HardwareProfile.objects.filter(pk=match.pk).first()
    return found, 1.0


def offered(user) -> list[str]:
    """Names to suggest: devices that this person's runs used, and accelerators with data-sheet values."""
    seen = HardwareProfile.objects.filter(slug__in=MonthlyUsage.objects.for_user(user).order_by().values("hardware"))
    used = list(seen.order_by("name").values_list("name", flat=True)[:20])
    known = HardwareProfile.objects.filter(kind=Device.Kind.GPU, confidence=HardwareProfile.Confidence.DATASHEET)
    return sorted({*used, *known.order_by("-year", "name").values_list("name", flat=True)[:60]})
