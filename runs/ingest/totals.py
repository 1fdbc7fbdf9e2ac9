"""From counters to energy and emissions of devices, of the run, and of its days.

The physics lives in estimation; this module applies it to rows and updates the daily totals.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from datetime import datetime

from runs.models import (
    Correction,
    DailyUsage,
    Device,
    MonthlyUsage,
    ProjectUsage,
    Reestimation,
    Run,
    RunUsage,
    TaggedUsage,
    TrackedModel,
    Writer,
)
from runs.models.device import ACCELERATORS, carriers
from runs.models.reestimation import LEAST_KG
from runs.models.usage import Amounts
from traceml_agent import catalogue, estimation

#: Amounts by (device kind, hardware slug, ISO day).
Usage = dict[tuple[str, str, str], dict[str, float]]
#: The hardware of models behind an API, which is not known.
HOSTED = "Hosted models"
#: The fields of a device that `estimate` sets.
ESTIMATED: tuple[str, ...] = ("matched_by", "profile_id", "profile_revision", "estimation_revision", "basis", "counted")
ESTIMATED += ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "shared_kwh")
#: The additional amount that counts the energy of runs without a result, if their kind can be wasted.
WASTED: dict[str, str] = {Run.Status.FAILED: "failed_kwh", Run.Status.CANCELLED: "cancelled_kwh"}


def estimate(run: Run, devices: list[Device], writers: list[Writer], known: catalogue.Catalogue) -> Usage:
    """Set the energy of a run and all of its devices, and return what it adds to the daily totals. Saves nothing."""
    matches = {id(device): match_of(device, known) for device in devices}
    mark_counted(devices)
    for device in devices:
        apply_energy(device, matches[id(device)])
    profiles = {place: match.profile for place, match in matches.items()}
    counted = [device for device in devices if device.counted]
    if counted and all(device.basis == estimation.MODELLED for device in counted):
        run.pue, run.pue_included = 1.0, True  # the method's energy is that of its data centre
    _total_run(run, counted, writers)
    run.hardware = _hardware(counted, profiles)
    usage = usage_of(run, counted, profiles)
    run.idle_kwh = sum(amounts.get("idle_kwh", 0.0) for amounts in usage.values())
    return usage


def match_of(device: Device, known: catalogue.Catalogue) -> catalogue.Match:
    """Return a device's profile and how it was matched: the portal's own, or the agent's seed if it has none."""
    clues = {"memory_gb": device.memory_gb, "power_limit_w": device.power_limit_w}
    found = known.resolve(device.name, device.kind, **clues)
    return found or catalogue.resolve(device.name, device.kind, **clues)


def apply_energy(device: Device, match: catalogue.Match) -> None:
    """Set a device's energy, range, basis, and the revisions of the profile and formulas that were used."""
    profile = match.profile
    device.matched_by = match.how
    energy = estimation.device_energy(device.last_facts(), profile)
    device.profile_id = getattr(profile, "pk", None)
    device.profile_revision = getattr(profile, "revision", 0)
    device.estimation_revision = estimation.REVISION
    device.basis = energy.basis
    device.energy_kwh = estimation.energy_kwh(energy.energy_j)
    device.energy_low_kwh = estimation.energy_kwh(energy.low_j)
    device.energy_high_kwh = estimation.energy_kwh(energy.high_j)
    device.shared_kwh = 0.0
    if device.shared_held_s:
        counted = estimation.device_energy(device.counted_facts(), profile)
        device.shared_kwh = device.energy_kwh - estimation.energy_kwh(counted.energy_j)


def mark_counted(devices: list[Device]) -> None:
    """Count a device that several writers report at the same time only once: with the longest report.

    Otherwise ranks that each measure every GPU would turn one card into four.
    """
    by_uuid = defaultdict(list)
    for device in devices:
        device.counted = True
        if device.uuid:
            by_uuid[device.uuid].append(device)
    for same in by_uuid.values():
        kept: list[tuple[datetime, datetime]] = []
        for device in sorted(same, key=lambda each: (-each.elapsed_s, each.writer.key)):
            span = device.writer.started_at, device.writer.heard_until
            device.counted = not _overlaps(span, kept)
            if device.counted:
                insort(kept, span)


def _overlaps(span: tuple[datetime, datetime], kept: list[tuple[datetime, datetime]]) -> bool:
    """Return whether it overlaps one of these spans, which are sorted and don't overlap each other.

    Otherwise one card of a run that was resumed a thousand times would be compared a million times per upload.
    """
    start, end = span
    place = bisect_left(kept, span)
    for first, last in map(kept.__getitem__, range(place - 1, -1, -1)):
        if last > start:
            return first < end
        if first < last:  # whatever is before a span of some length is before this one too
            break
    for first, last in map(kept.__getitem__, range(place, len(kept))):
        if first >= end:
            break
        if last > start:
            return True
    return False


def _total_run(run: Run, devices: list[Device], writers: list[Writer]) -> None:
    run.energy_kwh = sum(device.energy_kwh for device in devices)
    run.energy_low_kwh = sum(device.energy_low_kwh for device in devices)
    run.energy_high_kwh = sum(device.energy_high_kwh for device in devices)
    run.measured_kwh = sum(device.energy_kwh for device in devices if device.basis in estimation.MEASURED)
    run.modelled_kwh = sum(device.energy_kwh for device in devices if device.basis == estimation.MODELLED)
    run.emissions_kg = estimation.emissions_kg(run.energy_kwh, run.factor.kg_per_kwh, run.pue)
    run.shared_kwh = sum(device.shared_kwh for device in devices)
    run.shared_kg = estimation.emissions_kg(run.shared_kwh, run.factor.kg_per_kwh, run.pue)
    run.duration_s = seconds_covered([(writer.started_at, writer.heard_until) for writer in writers])


def _hardware(devices: list[Device], profiles: dict) -> list[str]:
    """Return what a run is grouped under: each kind of accelerator that it used, or else its processors."""
    # The agent's seed contains slugs that the portal has no profile for; the name says more then.
    return sorted({profiles[id(device)].slug if device.profile_id else device.name for device in carriers(devices)})


def seconds_covered(intervals: list[tuple[datetime, datetime]]) -> float:
    """Return the seconds that any interval covers: simultaneous hosts count once, pauses not at all."""
    covered, until = 0.0, None
    for start, end in sorted(intervals):
        if until is None or start > until:
            covered += (end - start).total_seconds()
        elif end > until:
            covered += (end - until).total_seconds()
        until = end if until is None else max(until, end)
    return covered


def usage_of(run: Run, devices: list[Device], profiles: dict) -> Usage:
    """Return what a run adds to the daily totals."""
    usage: Usage = {("", "", run.started_at.date().isoformat()): {"runs": 1, "duration_s": run.duration_s}}
    carrying = {id(device) for device in carriers(devices)}
    for device in devices:
        profile = profiles[id(device)]
        for day, facts in device.facts_by_day().items():
            slug = HOSTED if device.basis == estimation.MODELLED else profile.slug
            key = (device.kind, slug, day.isoformat())
            amounts = usage.setdefault(key, {})
            for name, amount in _amounts(run, facts, profile).items():
                amounts[name] = amounts.get(name, 0.0) + amount
            if id(device) in carrying:
                amounts["carrying_s"] = amounts.get("carrying_s", 0.0) + facts.elapsed_s
    return usage


def _amounts(run: Run, facts: estimation.Facts, profile) -> dict[str, float]:
    energy = estimation.device_energy(facts, profile)
    energy_kwh = estimation.energy_kwh(energy.energy_j)
    amounts = {
        "energy_kwh": energy_kwh,
        "energy_low_kwh": estimation.energy_kwh(energy.low_j),
        "energy_high_kwh": estimation.energy_kwh(energy.high_j),
        "measured_kwh": energy_kwh if energy.basis in estimation.MEASURED else 0.0,
        "emissions_kg": estimation.emissions_kg(energy_kwh, run.factor.kg_per_kwh, run.pue),
    }
    if energy.basis == estimation.MODELLED:
        amounts["modelled_kwh"] = energy_kwh
    if facts.kind != Device.Kind.RAM:
        amounts["device_s"] = facts.elapsed_s
    if facts.kind in ACCELERATORS:
        amounts["idle_kwh"] = energy_kwh * estimation.idle_share(facts, profile)
    if run.status in WASTED and run.kind in Run.WASTABLE:
        amounts[WASTED[run.status]] = energy_kwh
    return amounts


class UsageChanges:
    """Changes of the daily totals by runs, collected so that each row is written once."""

    def __init__(self):
        self._days: dict[tuple, dict[str, float]] = {}
        self._tagged: dict[tuple, dict[str, float]] = {}
        self._projects: dict[tuple, dict[str, float]] = {}
        #: What each run used on each of its days, and runs whose previous days must be deleted first.
        self._run_days: dict[tuple, dict[str, float]] = {}
        self._runs_with_fewer_days: set[int] = set()

    def move(self, run: Run, usage: Usage) -> None:
        """Replace what the run added before by `usage`; the run remembers its new share."""
        before = _usage_before(run)
        for key in usage.keys() | before.keys():
            new, old = usage.get(key, {}), before.get(key, {})
            names = new.keys() | old.keys()
            amounts = {
                name: new.get(name, 0) - old.get(name, 0) for name in names if new.get(name, 0) != old.get(name, 0)
            }
            if not amounts:
                continue
            row = usage_key(run, key)
            _add(self._days, row, amounts)
            _add(self._projects, (run.project_id, key[-1]), amounts)
            for tag in set(run.tags):
                _add(self._tagged, (*row, tag), amounts)
        run.usage = sorted((list(key), amounts) for key, amounts in usage.items())
        self._place_days(run, usage, before)

    def _place_days(self, run: Run, usage: Usage, before: Usage) -> None:
        days: dict[tuple, dict[str, float]] = {}
        for key, amounts in usage.items():
            _add(days, (run.project_id, run.pk, key[-1]), amounts)
        self._run_days |= days
        if {key[-1] for key in before} - {key[-1] for key in usage}:
            self._runs_with_fewer_days.add(run.pk)

    def add_new(self, run: Run) -> None:
        """Add the share of a run that was stored with it; `move` would need a second write of the run."""
        self.repeat(run)
        self._place_days(run, _usage_before(run), {})

    def repeat(self, run: Run) -> None:
        """Add what the run has added so far to all totals: the rows are the sums of that over all runs."""
        self._place(run, 1)
        for key, amounts in _usage_before(run).items():
            _add(self._projects, (run.project_id, key[-1]), amounts)

    def by_table(self) -> dict[type[Amounts], dict[tuple, dict[str, float]]]:
        months: dict[tuple, dict[str, float]] = {}
        for (*owner, day), amounts in self._days.items():
            _add(months, (*owner, f"{day[:7]}-01"), amounts)
        return {
            DailyUsage: self._days,
            MonthlyUsage: months,
            TaggedUsage: self._tagged,
            ProjectUsage: self._projects,
        }

    def retag(self, run: Run, tags: list[str]) -> None:
        """Change the run's tags, and move its share to the totals of the new ones."""
        for key, amounts in _usage_before(run).items():
            row = usage_key(run, key)
            for tag in set(tags) - set(run.tags):
                _add(self._tagged, (*row, tag), amounts)
            for tag in set(run.tags) - set(tags):
                _add(self._tagged, (*row, tag), {name: -amount for name, amount in amounts.items()})
        run.tags = tags

    def rehome(self, run: Run, model: TrackedModel, kind: str) -> None:
        """Change the run's model and kind, and move its share to the totals of the new ones."""
        if (model.pk, kind) == (run.tracked_model_id, run.kind):
            return
        self._place(run, -1)
        run.tracked_model, run.kind = model, kind
        self._place(run, 1)

    def _place(self, run: Run, sign: int) -> None:
        """Add what the run has added so far, or subtract it, in the totals by model, kind and tag."""
        for key, before in _usage_before(run).items():
            row, amounts = usage_key(run, key), {name: sign * amount for name, amount in before.items()}
            _add(self._days, row, amounts)
            for tag in set(run.tags):
                _add(self._tagged, (*row, tag), amounts)

    def corrections(self, asked: Reestimation) -> dict[tuple, dict[str, float]]:
        """Return by how much a re-estimation changes each day, by Correction's key."""
        moved: dict[tuple, dict[str, float]] = {}
        for (*owner, _device_kind, _hardware, day), amounts in self._days.items():
            _add(moved, (asked.pk, *owner, day), {name: amounts.get(name, 0.0) for name in Correction.ADDED})
        return {key: sums for key, sums in moved.items() if any(abs(each) > LEAST_KG for each in sums.values())}

    def save(self) -> None:
        if self._runs_with_fewer_days:
            RunUsage.objects.filter(run__in=self._runs_with_fewer_days).delete()
        # Not by differences: the run's lock is held, and its usage is fully known.
        RunUsage.objects.put(self._run_days)
        # A project's totals come last: all that fold for it wait for each other there until they are committed.
        for table, rows in self.by_table().items():
            table.objects.add(rows)


def _usage_before(run: Run) -> Usage:
    return {tuple(key): amounts for key, amounts in run.usage}


def _add(rows: dict[tuple, dict[str, float]], key: tuple, amounts: dict[str, float]) -> None:
    row = rows.setdefault(key, {})
    for name, amount in amounts.items():
        row[name] = row.get(name, 0) + amount


def usage_key(run: Run, key: tuple[str, str, str]) -> tuple:
    """Return the key of a row of daily totals: the run's project, model, kind, member; device kind, hardware, day."""
    return (run.project_id, run.tracked_model_id, run.kind, run.member_id, *key)
