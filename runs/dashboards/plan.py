"""Before a run: what hardware would use for it, side by side; or a past run's work on other hardware."""

from collections import defaultdict
from typing import NamedTuple

from hardware.models import HardwareProfile
from runs.models import DailyUsage, Device, EmissionFactor, Pue, Run
from runs.models.device import ACCELERATORS
from traceml_agent import estimation

MOST_CHOICES = 4


class Choice(NamedTuple):
    """What a person asks for: so many devices for so long. Of a past run's work the time follows from the speed-up."""

    profile: HardwareProfile
    number: float = 1
    hours: float = 1.0
    utilisation: float = 1.0
    speed_up: float | None = None


class Row(NamedTuple):
    """A choice with its figures; `assumption` says in words what they rest on."""

    name: str
    profile: HardwareProfile | None
    number: float
    hours: float
    power_w: float
    energy_kwh: float
    energy_low_kwh: float
    energy_high_kwh: float
    emissions_kg: float
    emissions_low_kg: float
    emissions_high_kg: float
    assumption: str

    @property
    def seconds(self) -> float:
        return 3600 * self.hours


class Work(NamedTuple):
    """What a past run was: devices of one profile that carried it, and the rest of the machine beside them."""

    run: Run
    profile: HardwareProfile | None
    number: float
    hours: float
    utilisation: float
    carrying_kwh: float
    rest_kwh: float


def rows(choices: list[Choice], work: Work | None = None) -> list[Row]:
    """The past run as it was, where there is one, then each choice."""
    if work is None:
        return [_row(choice, choice.hours, _assumed(choice)) for choice in choices]
    return [_as_it_was(work), *(_instead(work, choice) for choice in choices)]


def _row(choice: Choice, hours: float, assumption: str, rest_kwh: float = 0.0) -> Row:
    facts = estimation.Facts(
        choice.profile.kind,
        elapsed_s=hours * 3600,
        busy_s=choice.utilisation * hours * 3600,
        share=float(choice.number),
        cores=choice.profile.cores and float(choice.number * choice.profile.cores),
    )
    energy = estimation.device_energy(facts, choice.profile)
    kwh, low_kwh, high_kwh = (
        estimation.energy_kwh(j) + rest_kwh for j in (energy.energy_j, energy.low_j, energy.high_j)
    )
    return _figures(choice.profile.name, choice.profile, choice.number, hours, (kwh, low_kwh, high_kwh), assumption)


def _figures(name: str, profile, number: float, hours: float, energies_kwh: tuple, assumption: str) -> Row:
    factor, pue = EmissionFactor.objects.active().kg_per_kwh, Pue.objects.active().value
    emissions = [estimation.emissions_kg(kwh, factor, pue) for kwh in energies_kwh]
    power_w = 1000 * energies_kwh[0] / hours if hours else 0.0
    figures = (*energies_kwh, *emissions)
    return Row(name, profile, number, hours, power_w, *figures, assumption)  # type: ignore[call-arg]  # mypy counts a star as one


def _assumed(choice: Choice) -> str:
    idle_w, full_w = estimation.idle_power_w(choice.profile), estimation.full_load_power_w(choice.profile)
    return f"between {idle_w:g} W idle and {full_w:g} W at full load each, {100 * choice.utilisation:g} % busy"


def _as_it_was(work: Work) -> Row:
    run = work.run
    name = work.profile.name if work.profile else "unknown hardware"
    energies = (run.energy_kwh, run.energy_low_kwh, run.energy_high_kwh)
    said = f"as it was, {100 * work.utilisation:.0f} % busy; {work.rest_kwh:.3g} kWh of it by the rest of the machine"
    return _figures(name, work.profile, work.number, work.hours, energies, said)


def _instead(work: Work, choice: Choice) -> Row:
    """The same work on other devices: number and speed make the time, and the rest of the machine runs as long."""
    speed_up, said = _speed_up(work, choice)
    hours = work.hours * work.number / (choice.number * speed_up)
    moved = choice._replace(utilisation=work.utilisation)
    rest_kwh = work.rest_kwh * hours / work.hours if work.hours else 0.0
    return _row(
        moved,
        hours,
        f"{said}; {100 * work.utilisation:.0f} % busy as before; scales evenly with their number",
        rest_kwh,
    )


def _speed_up(work: Work, choice: Choice) -> tuple[float, str]:
    """How much faster one of these devices is than one of the run's, and where that is from."""
    if choice.speed_up:
        return choice.speed_up, f"each {choice.speed_up:g} times as fast, as you said"
    before = work.profile.peak_tflops if work.profile else None
    if before and choice.profile.peak_tflops:
        ratio = choice.profile.peak_tflops / before
        peaks = f"{choice.profile.peak_tflops:g} over {before:g} TFLOPS"
        return ratio, f"each {ratio:.3g} times as fast, by peak single precision ({peaks})"
    return 1.0, "each as fast as before, as its peak throughput is not known: say how much faster it is"


def work_of(run: Run) -> Work:
    """What carried a run: the profile of its accelerators, else of its processors, that used the most energy."""
    devices = [device for device in run.devices.select_related("profile") if device.counted and device.elapsed_s]
    carrying = [device for device in devices if device.kind in ACCELERATORS] or [
        device for device in devices if device.kind == Device.Kind.CPU
    ]
    by_profile: dict[int | None, list[Device]] = defaultdict(list)
    for device in carrying:
        by_profile[device.profile_id].append(device)
    mine = max(by_profile.values(), key=lambda group: sum(d.energy_kwh for d in group), default=[])
    told = [device for device in mine if device.busy_s is not None]
    elapsed_s = sum(device.elapsed_s for device in told)
    carrying_kwh = sum(device.energy_kwh for device in mine)
    return Work(
        run,
        mine[0].profile if mine else None,
        len({device.uuid or device.key for device in mine}) or 1,
        run.duration_s / 3600,
        min(sum(device.busy_s or 0.0 for device in told) / elapsed_s, 1.0) if elapsed_s else 1.0,
        carrying_kwh,
        max(run.energy_kwh - carrying_kwh, 0.0),
    )


def offered(user) -> list[str]:
    """Names to choose from: what this person's runs used, and accelerators whose data sheets were read."""
    seen = HardwareProfile.objects.filter(slug__in=DailyUsage.objects.for_user(user).order_by().values("hardware"))
    used = list(seen.order_by("name").values_list("name", flat=True)[:20])
    known = HardwareProfile.objects.filter(kind=Device.Kind.GPU, confidence=HardwareProfile.Confidence.DATASHEET)
    return sorted({*used, *known.order_by("-year", "name").values_list("name", flat=True)[:60]})
