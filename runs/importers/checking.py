"""What an import would do, found by reading the whole file and storing nothing."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date

from runs.importers.building import Builder
from runs.importers.found import FileRefused, Found, FoundRun, LeftAside, Refused
from runs.importers.rule import Rule
from runs.importers.storing import Known, Taking, Wanted, chunks
from runs.models import Device, Import

#: Rows of each list that a preview shows.
SHOWN = 50
#: Models that one import may make: a name for each job would be a list that nobody can read.
MOST_MODELS = 1_000
MOST_RUNS = 300_000
LOOKED_UP_AT_ONCE = 1_000
DELETED = "it was deleted here"


@dataclass
class Preview:
    """What was found; `as_json` is what pages and the API show."""

    runs: int = 0
    new: int = 0
    known: int = 0
    grown: int = 0
    refused: int = 0
    rows_refused: list = field(default_factory=list)
    left_aside: Counter = field(default_factory=Counter)
    energy_kwh: float = 0.0
    energy_low_kwh: float = 0.0
    energy_high_kwh: float = 0.0
    emissions_kg: float = 0.0
    first: date | None = None
    last: date | None = None
    models: dict = field(default_factory=dict)
    hardware: dict = field(default_factory=dict)
    users: dict = field(default_factory=dict)

    def as_json(self) -> dict:
        models = sorted(self.models.items(), key=lambda item: -item[1][1])
        hardware = sorted(self.hardware.items(), key=lambda item: -item[1])
        users = sorted(self.users.items(), key=lambda item: -item[1])
        return {
            "runs": self.runs,
            "new": self.new,
            "known": self.known,
            "grown": self.grown,
            "refused": self.refused,
            "left_aside": [{"reason": reason, "count": count} for reason, count in self.left_aside.most_common()],
            "energy_kwh": self.energy_kwh,
            "energy_low_kwh": self.energy_low_kwh,
            "energy_high_kwh": self.energy_high_kwh,
            "emissions_kg": self.emissions_kg,
            "first_day": self.first and self.first.isoformat(),
            "last_day": self.last and self.last.isoformat(),
            "model_count": len(models),
            "models": [
                {"name": name, "kind": kind, "runs": runs, "energy_kwh": kwh}
                for (name, kind), (runs, kwh) in models[:SHOWN]
            ],
            "hardware": [
                {"name": name, "profile": profile, "is_known": is_known, "devices": count}
                for (name, profile, is_known), count in hardware[:SHOWN]
            ],
            "unknown_users": [{"user": user, "runs": count} for user, count in users[:SHOWN]],
            "unknown_user_count": len(users),
        }


def check(asked: Import, rule: Rule, reading: Iterable[Found], hear: Callable[[int], None]) -> Preview:
    """Read everything. Raises FileRefused for a file that can't be imported with this rule."""
    checking = Checking(asked, rule)
    done = 0
    for chunk in chunks(reading, LOOKED_UP_AT_ONCE):
        checking.take(chunk)
        done += len(chunk)
        hear(done)
    return checking.finished()


class Checking:
    """Adds up what is found."""

    def __init__(self, asked: Import, rule: Rule):
        self._import, self._builder, self._taking = asked, Builder(asked), Taking(asked, rule)
        self._profiles: dict = {}
        self._seen: set[bytes] = set()
        self.preview = Preview()

    def take(self, found: list[Found]) -> None:
        """Count some rows of the file."""
        wanted = []
        for each in found:
            if isinstance(each, Refused):
                self.preview.refused += 1
                if len(self.preview.rows_refused) < SHOWN:
                    self.preview.rows_refused.append({"line": each.line, "reason": each.reason})
            elif isinstance(each, LeftAside):
                self.preview.left_aside[each.reason] += 1
            elif isinstance(run := self._taking(each), LeftAside):
                self.preview.left_aside[run.reason] += 1
            else:
                wanted.append(run)
        self._look_up(wanted)

    def _look_up(self, wanted: list[Wanted]) -> None:
        known, preview = Known.of(self._import, wanted), self.preview
        for each in wanted:
            run_id = each.run_id
            preview.runs += 1
            if run_id.bytes in self._seen:
                preview.known += 1
                continue
            self._seen.add(run_id.bytes)
            if run_id in known.deleted:
                preview.left_aside[DELETED] += 1
                preview.runs -= 1
            elif run_id not in known.runs:
                preview.new += 1
                self._add(each)
            elif known.is_longer(each):
                preview.grown += 1
            else:
                preview.known += 1
        if preview.runs > MOST_RUNS:
            raise FileRefused(f"The file has more than {MOST_RUNS:,} runs. Export a shorter period, or split it.")

    def _add(self, wanted: Wanted) -> None:
        found, preview = wanted.found, self.preview
        energy_kwh, low_kwh, high_kwh = self._builder.energy_kwh(found, self._profiles)
        preview.energy_kwh += energy_kwh
        preview.energy_low_kwh += low_kwh
        preview.energy_high_kwh += high_kwh
        preview.emissions_kg += self._builder.emissions_kg(energy_kwh, found.pue_included)
        day = found.started_at.date()
        preview.first = min(preview.first or day, day)
        preview.last = max(preview.last or day, day)
        count, kwh = preview.models.get((wanted.model, wanted.kind), (0, 0.0))
        preview.models[wanted.model, wanted.kind] = (count + 1, kwh + energy_kwh)
        self._count_hardware(found)
        if len(preview.models) > MOST_MODELS:
            raise FileRefused(
                f"The file has more than {MOST_MODELS:,} names of models. Say in the rule which names belong to one "
                "model, such as: train-* = {1}"
            )

    def _count_hardware(self, found: FoundRun) -> None:
        for device in found.devices:
            if device.kind != Device.Kind.RAM:
                profile = self._profiles[device.kind, device.name, device.memory_gb].profile
                key = device.called or device.name, profile.name, not profile.fallback
                self.preview.hardware[key] = self.preview.hardware.get(key, 0) + 1

    def finished(self) -> Preview:
        self.preview.users = dict(self._taking.unknown_users)
        return self.preview
