"""A model's whole life in numbers: what each kind of run used, how much was wasted, and on which hardware."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, F, OuterRef, Subquery, Sum

from hardware.models import HardwareProfile
from runs.figures.run_links import RunLink
from runs.models import MonthlyUsage, Run, TrackedModel

TRAINING = (Run.Kind.TRAINING, Run.Kind.FINETUNING)
ALL = tuple(Run.Kind.values)
#: The parts of a model's life in their order, with their kinds of run.
PARTS = {
    "Training, all attempts": TRAINING,
    "Evaluation": (Run.Kind.EVALUATION,),
    "Inference": (Run.Kind.INFERENCE,),
    "Other": (Run.Kind.OTHER,),
}
#: The name of waste wherever its sums are shown: same sums, same words.
WITHOUT_RESULT = "Failed, cancelled and lost runs"
IDLE = "Idle accelerators"
#: Residue of energies that were added and subtracted again.
LEAST_KWH = 1e-12
#: The name of the profile that a row of the daily totals belongs to; None if it was deleted. Added after the sums, so
#: that it is looked up once per group.
HARDWARE_NAME = Subquery(HardwareProfile.objects.filter(slug=OuterRef("hardware")).order_by().values("name"))
#: No agent waits longer between uploads (the wire's `flush_s`).
LONGEST_INTERVAL_S = 86_400.0


class Footprint(NamedTuple):
    """What some runs used together."""

    runs: int = 0
    duration_s: float = 0.0
    device_s: float = 0.0
    energy_kwh: float = 0.0
    energy_low_kwh: float = 0.0
    energy_high_kwh: float = 0.0
    measured_kwh: float = 0.0
    emissions_kg: float = 0.0
    idle_kwh: float = 0.0
    #: Seconds of accelerators, or of processors in runs without any: the device-hours that pages show.
    carrying_s: float = 0.0
    #: Energy of hosted models, by a method and not by a device.
    modelled_kwh: float = 0.0

    @property
    def modelled_share(self) -> float:
        return self.modelled_kwh / self.energy_kwh if self.energy_kwh > 0 else 0.0

    @property
    def measured_share(self) -> float:
        return self.measured_kwh / self.energy_kwh if self.energy_kwh > 0 else 0.0

    @property
    def emissions_low_kg(self) -> float:
        return self._emissions_of(self.energy_low_kwh)

    @property
    def emissions_high_kg(self) -> float:
        return self._emissions_of(self.energy_high_kwh)

    def _emissions_of(self, energy_kwh: float) -> float:
        return self.emissions_kg * energy_kwh / self.energy_kwh if self.energy_kwh > 0 else 0.0


class HardwareShare(NamedTuple):
    """The share of one hardware profile in a model's energy; `name` is empty for a deleted profile.

    `device_s` is all time of such devices, `carrying_s` only the time that counts as device-hours.
    """

    device_kind: str
    slug: str
    name: str
    device_s: float
    carrying_s: float
    energy_kwh: float
    share: float

    @property
    def bar_width(self) -> float:
        """Percent of the bar's length."""
        return 100 * self.share


class Lifetime(NamedTuple):
    """Footprint by kind of run, and the energy of each hardware profile, the most used first."""

    by_kind: dict[str, Footprint]
    hardware: list[HardwareShare]

    @property
    def total(self) -> Footprint:
        return self.of(*self.by_kind)

    @property
    def training(self) -> Footprint:
        return self.of(*TRAINING)

    @property
    def inference(self) -> Footprint:
        return self.of(Run.Kind.INFERENCE)

    @property
    def parts(self) -> list[tuple[str, Footprint]]:
        return [(name, self.of(*kinds)) for name, kinds in PARTS.items()]

    def of(self, *kinds: str) -> Footprint:
        """Return what all runs of these kinds used."""
        return added(self.by_kind[kind] for kind in kinds if kind in self.by_kind)


def added(parts) -> Footprint:
    columns = list(zip(*parts, strict=True))
    return Footprint(*map(sum, columns)) if columns else Footprint()


def amounts_of(run: RunLink) -> Footprint:
    """Return what one run used; seconds and idle energy of its devices are not on its row."""
    energies = (run.energy_kwh, run.energy_low_kwh, run.energy_high_kwh, run.measured_kwh)
    return Footprint(1, run.duration_s, 0.0, *energies, run.emissions_kg, modelled_kwh=run.modelled_kwh)


def lifetime(model: TrackedModel, kinds: tuple[str, ...] = ALL) -> Lifetime:
    """Return what all runs of these kinds used, from the monthly totals."""
    rows = MonthlyUsage.objects.filter(tracked_model=model, kind__in=kinds).order_by()
    amounts_of_group = {f"{name}_sum": Sum(name) for name in Footprint._fields}
    sums = rows.values_list("kind", "device_kind", "hardware").annotate(**amounts_of_group)
    by_kind: dict[str, list[Footprint]] = defaultdict(list)
    by_hardware: dict[tuple[str, str, str], list[Footprint]] = defaultdict(list)
    for kind, device_kind, slug, *amounts, name in sums.annotate(name=HARDWARE_NAME):
        by_kind[kind].append(Footprint(*amounts))
        by_hardware[device_kind, slug, name or ""].append(Footprint(*amounts))
    return Lifetime({kind: added(parts) for kind, parts in by_kind.items()}, _shares(by_hardware))


def _shares(by_hardware: dict[tuple[str, str, str], list[Footprint]]) -> list[HardwareShare]:
    """Return shares of hardware that was used: names that were matched to another profile later leave empty rows."""
    sums = {hardware: added(parts) for hardware, parts in by_hardware.items()}
    used = {hardware: each for hardware, each in sums.items() if each.energy_kwh > LEAST_KWH}
    whole_kwh = sum(each.energy_kwh for each in used.values())
    shares = [
        HardwareShare(*hardware, each.device_s, each.carrying_s, each.energy_kwh, each.energy_kwh / whole_kwh)
        for hardware, each in used.items()
    ]
    return sorted(shares, key=lambda share: (-share.energy_kwh, share.slug))


#: Each joule counts once, without the part that other runs of the same process count.
COUNTED = {"kwh": Sum(F("energy_kwh") - F("shared_kwh")), "kg": Sum(F("emissions_kg") - F("shared_kg"))}


class ModelWaste(NamedTuple):
    """Energy and emissions of runs without a result, by how they ended."""

    runs: int
    energy_kwh: float
    emissions_kg: float
    states: list[tuple[str, int, float]]


def waste(model: TrackedModel, now: datetime) -> ModelWaste:
    """Return the energy of failed, cancelled and lost training and evaluation runs. Stopped runs are not waste."""
    runs = bad_ends(model, now, Run.WASTABLE)
    rows = runs.values_list("status").annotate(Count("pk"), **COUNTED)
    found = {status: sums for status, *sums in rows}
    names = {Run.Status.FAILED: "failed", Run.Status.CANCELLED: "cancelled", Run.Status.RUNNING: "lost"}
    states = [(word, found[status][0], found[status][1]) for status, word in names.items() if status in found]
    count, energy_kwh, emissions_kg = map(sum, zip(*found.values(), strict=True)) if found else (0, 0.0, 0.0)
    return ModelWaste(count, energy_kwh, emissions_kg, states)


def bad_ends(model: TrackedModel, now: datetime, kinds: Iterable[str] = ALL):
    """The runs that failed, were cancelled or are lost."""
    return Run.objects.filter(tracked_model=model, kind__in=kinds).came_to_nothing(now).order_by()
