"""Recalculations that changed past figures: their reason, and how much a page's figures changed.

They explain why a published figure is different now.
"""

from datetime import datetime
from typing import NamedTuple

from django.db.models import Max, QuerySet, Sum

from runs.figures import units
from runs.figures.run_links import RunLink
from runs.models import RunRevision
from runs.models.reestimation import LEAST_KG

#: The latest ones are enough for a page; the runs' own pages list all.
MOST_TOLD = 3


class Moved(NamedTuple):
    """A recalculation and what it changed; negative values mean less."""

    at: datetime
    reason: str
    energy_kwh: float
    emissions_kg: float

    @property
    def words(self) -> str:
        """`−11 kg of CO₂e, +2 kWh`"""
        kg, kwh = _signed("emissions", self.emissions_kg), _signed("energy", self.energy_kwh)
        return ", ".join(filter(None, (f"{kg} of CO₂e" if kg else "", kwh)))


class Corrections(NamedTuple):
    """The latest ones, newest first, and the number of earlier ones."""

    told: list[Moved]
    earlier: int = 0


def _signed(quantity: str, amount: float) -> str:
    if abs(amount) <= LEAST_KG:
        return ""
    return f"{'+' if amount > 0 else '−'}{units.text(quantity, abs(amount))}"


def corrections(rows: QuerySet) -> Corrections:
    """Return the effects of recalculations from these Correction rows."""
    passes = (
        rows.order_by()
        .values("reestimation", "reestimation__reason")
        .annotate(at=Max("reestimation__created_at"), kwh=Sum("energy_kwh"), kg=Sum("emissions_kg"))
    )
    columns = ("at", "reestimation__reason", "kwh", "kg")
    return _told([Moved(*(row[name] for name in columns)) for row in passes.order_by("-reestimation")])


def _told(moved: list[Moved]) -> Corrections:
    found = [each for each in moved if max(abs(each.energy_kwh), abs(each.emissions_kg)) > LEAST_KG]
    return Corrections(found[:MOST_TOLD], max(len(found) - MOST_TOLD, 0))


def corrections_of_runs(runs: list[RunLink]) -> Corrections:
    """Return the effects of recalculations on these runs, from their revisions, which hold the previous figures."""
    revisions = RunRevision.objects.filter(run__in=[run.pk for run in runs]).select_related("reestimation")
    later = {run.pk: (run.energy_kwh, run.emissions_kg) for run in runs}
    moved: dict[int, Moved] = {}
    for each in revisions.order_by("-pk"):
        after_kwh, after_kg = later[each.run_id]
        kwh, kg = after_kwh - each.energy_kwh, after_kg - each.emissions_kg
        later[each.run_id] = (each.energy_kwh, each.emissions_kg)
        asked = each.reestimation
        so_far = moved.get(asked.pk, Moved(asked.created_at, asked.reason, 0.0, 0.0))
        moved[asked.pk] = so_far._replace(energy_kwh=so_far.energy_kwh + kwh, emissions_kg=so_far.emissions_kg + kg)
    return _told(list(moved.values()))
