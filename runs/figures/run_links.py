"""Runs as small rows, read a thousand at a time, without their metadata: for points, sums and short lists."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Case, When

from runs.models import Run, TrackedModel
from runs.models.run import state_of

#: The most runs of a model that are read one by one, the newest.
MOST_READ = 500


class RunLink(NamedTuple):
    """A run for reading, with the same attribute names as `Run`. `heard_at` is when a run that never ended last sent
    something; most rows don't load it, because converting timestamps is what takes time here."""

    tracked_model: TrackedModel
    pk: int
    run_id: UUID
    kind: str
    name: str
    status: str
    exception: str
    started_at: datetime
    heard_at: datetime | None
    upload_interval_s: float
    is_archived: bool
    duration_s: float
    energy_kwh: float
    energy_low_kwh: float
    energy_high_kwh: float
    measured_kwh: float
    modelled_kwh: float
    emissions_kg: float

    @property
    def state(self) -> str:
        return state_of(self.status, self.heard_at, self.upload_interval_s)

    @property
    def label(self) -> str:
        return self.name or self.tracked_model.name

    @property
    def get_kind_display(self) -> str:
        return Run.Kind(self.kind).label


#: All columns except the model, which the reader already has.
COLUMNS = RunLink._fields[1:]
_HEARD = Case(When(status=Run.Status.RUNNING, then="last_seen_at"))
_ARCHIVED = Case(When(archived_at=None, then=False), default=True)


def lines(model: TrackedModel, runs) -> list[RunLink]:
    """Return these runs, all of one model."""
    rows = runs.annotate(heard_at=_HEARD, is_archived=_ARCHIVED).values_list(*COLUMNS)
    return [RunLink(model, *row) for row in rows]


def newest(model: TrackedModel, most: int) -> list[RunLink]:
    """Return the latest runs of a model to arrive."""
    return lines(model, Run.objects.filter(tracked_model=model).order_by("-received_at", "-pk")[:most])
