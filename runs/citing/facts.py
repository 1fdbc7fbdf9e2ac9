"""The facts in a citation of a model, for one scope."""

from datetime import date, datetime
from typing import NamedTuple

from django.db.models import Max, Min

from runs.citing.computation import Computation, computation_of
from runs.citing.finals import final_runs
from runs.figures import units
from runs.figures.corrections import Corrections, corrections, corrections_of_runs
from runs.figures.lifetime import ALL, TRAINING, Footprint, HardwareShare, added, amounts_of, bad_ends, lifetime
from runs.figures.run_links import MOST_READ, RunLink, newest
from runs.figures.use import Predictions, use
from runs.models import Correction, Device, EmissionFactor, Run, TrackedModel
from runs.models.device import carriers

SCOPES = {
    "both": "All attempts and final run",
    "training": "All attempts",
    "final": "Final run only",
    "life": "Whole life",
}
DEFAULT_SCOPE = "both"


class UsedHardware(NamedTuple):
    """Hardware that carried the cited runs: its seconds, and the largest number used at once if that is known."""

    name: str
    device_kind: str
    device_s: float
    at_once: int = 1

    @property
    def words(self) -> str:
        """`2 × NVIDIA A100 (2 GPU-hours)`"""
        number = f"{self.at_once} × " if self.at_once > 1 else ""
        shown = units.significant(self.device_s / 3600)
        label = Device.Kind(self.device_kind).label
        return f"{number}{self.name} ({shown} {label}-hour{'' if shown == '1' else 's'})"


class Cited(NamedTuple):
    """The facts of a citation: scope, amounts, certainty and emission factors.

    `finals` are the model's final runs if the scope includes them, and `final` what they used.
    """

    model: TrackedModel
    scope: str
    amounts: Footprint
    finals: list[RunLink]
    bad_ends: int
    kinds: list[str]
    first: datetime
    last: datetime
    factors: list[EmissionFactor]
    pues: list[float]
    used: list[UsedHardware]
    computation: Computation | None
    predictions: Predictions
    corrections: Corrections
    as_of: date

    @property
    def hardware(self) -> list[str]:
        return [each.words for each in self.used]

    @property
    def final(self) -> Footprint:
        return added(map(amounts_of, self.finals))


def cited(model: TrackedModel, scope: str, now: datetime) -> Cited | None:
    """Return the facts of a scope, one of SCOPES; None if no run in it used energy."""
    runs = newest(model, MOST_READ)
    finals = final_runs(model, runs, MOST_READ) if scope in ("both", "final") else []
    if scope == "final":
        return _facts(model, scope, now, runs, finals) if finals else None
    kinds = ALL if scope == "life" else TRAINING
    return _facts(model, scope, now, runs, finals, kinds)


def _facts(
    model: TrackedModel,
    scope: str,
    now: datetime,
    runs: list[RunLink],
    finals: list[RunLink],
    kinds: tuple[str, ...] = (),
) -> Cited | None:
    """Return the facts of all runs of these kinds, or only of the final runs if no kinds are given."""
    life = lifetime(model, kinds) if kinds else None
    amounts = life.total if life else added(map(amounts_of, finals))
    if amounts.energy_kwh <= 0:
        return None
    of_model = Run.objects.filter(tracked_model=model)
    within = of_model.filter(kind__in=life.by_kind) if life else of_model.filter(pk__in=[run.pk for run in finals])
    groups = _groups(within)
    return Cited(
        model=model,
        scope=scope,
        amounts=amounts,
        finals=finals,
        bad_ends=bad_ends(model, now, kinds).count() if life else 0,
        kinds=[kind for kind in Run.Kind.values if kind in {group.kind for group in groups}],
        first=min(group.first for group in groups),
        last=max(group.last for group in groups),
        factors=list(EmissionFactor.objects.filter(pk__in={group.factor for group in groups}).order_by("year", "pk")),
        pues=sorted({group.pue for group in groups}),
        used=_most_used(life.hardware) if life else _cards(finals),
        computation=computation_of([run for run in runs if run.kind in life.by_kind] if life else finals),
        predictions=use(runs)[0],
        corrections=corrections(Correction.objects.filter(tracked_model=model, kind__in=life.by_kind))
        if life
        else corrections_of_runs(finals),
        as_of=now.date(),
    )


class CitedRuns(NamedTuple):
    """Runs for which a citation says the same."""

    factor: int
    pue: float
    kind: str
    first: datetime
    last: datetime


def _groups(runs) -> list[CitedRuns]:
    alike = runs.order_by().values_list("factor", "pue", "kind")
    return [CitedRuns(*row) for row in alike.annotate(Min("started_at"), Max("last_seen_at"))]


def _most_used(hardware: list[HardwareShare]) -> list[UsedHardware]:
    """Return hardware, the most used first: what device-hours are counted for, or else all except memory."""
    carrying = [(share, share.carrying_s) for share in hardware if share.carrying_s > 0]
    others = [(share, share.device_s) for share in hardware if share.device_kind != Device.Kind.RAM]
    return [UsedHardware(share.name or share.slug, share.device_kind, seconds) for share, seconds in carrying or others]


def _cards(runs: list[RunLink]) -> list[UsedHardware]:
    """Return the hardware that carries these runs: the largest number used at once, and its device-hours."""
    places: dict[tuple[str, str], dict[int, set]] = {}
    elapsed_s: dict[tuple[str, str], float] = {}
    counted = Device.objects.filter(run__in=[run.pk for run in runs], counted=True)
    by_run: dict[int, list[Device]] = {}
    for device in counted.select_related("profile", "writer").order_by("-energy_kwh"):
        by_run.setdefault(device.run_id, []).append(device)
    for run, devices in by_run.items():
        for device in carriers(devices):
            key = (device.hardware_name, device.kind)
            places.setdefault(key, {}).setdefault(run, set()).add((device.writer.host, device.key))
            elapsed_s[key] = elapsed_s.get(key, 0.0) + device.last_facts().elapsed_s
    return [
        UsedHardware(name, kind, elapsed_s[name, kind], max(map(len, at.values())))
        for (name, kind), at in places.items()
    ]
