"""The run list: filtered, sorted, with the total of what was found."""

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from runs.models import Project, Run, TrackedModel
from runs.models.run import LOST_AFTER_INTERVALS

PAGE_SIZE = 50
#: What a list may be sorted by, and the columns that do it; a tie falls back on the newest.
SORTS = {
    "started": "started_at",
    "duration": "duration_s",
    "energy": "energy_kwh",
    "emissions": "emissions_kg",
}
DEFAULT_SORT = "-started"
STATES = [*Run.Status.values, Run.LOST]
LOOKS_LIKE_AN_ID = re.compile(r"[0-9a-f-]{4,36}", re.IGNORECASE)


class RunFilters(NamedTuple):
    """What was asked for; an empty field asks for nothing, an unknown value finds nothing."""

    search: str = ""
    project: str = ""
    model: str = ""
    kind: str = ""
    state: str = ""
    sort: str = ""

    @property
    def is_set(self) -> bool:
        return any(self[:-1])


class RunList(NamedTuple):
    page: Page
    totals: dict
    any_runs: bool


def run_list(user, filters: RunFilters, page: int | str) -> RunList:
    """A page of the runs that this person may see, and count, energy and emissions of all that match."""
    visible = Run.objects.for_user(user)
    found = matching(visible, filters)
    totals = found.aggregate(
        count=Count("id"), energy_kwh=Coalesce(Sum("energy_kwh"), 0.0), emissions_kg=Coalesce(Sum("emissions_kg"), 0.0)
    )
    paginator = Paginator(found.with_names().order_by(*ordering(filters.sort)), PAGE_SIZE)
    paginator.count = totals["count"]  # counted above, with the sums, in one query
    return RunList(paginator.get_page(page), totals, bool(totals["count"]) or visible.exists())


def matching(runs, filters: RunFilters):
    """The runs that match all filters."""
    if filters.search:
        runs = runs.filter(_search(filters.search))
    if filters.project:
        runs = runs.filter(project__slug=filters.project)
    if filters.model:
        project, _, model = filters.model.partition("/")
        runs = runs.filter(tracked_model__slug=model, project__slug=project)
    if filters.kind:
        runs = runs.filter(kind=filters.kind)
    return in_state(runs, filters.state, timezone.now()) if filters.state else runs


def _search(text: str) -> Q:
    found = Q(name__icontains=text) | Q(tracked_model__name__icontains=text)
    return found | Q(run_id__startswith=text.lower()) if LOOKS_LIKE_AN_ID.fullmatch(text) else found


def in_state(runs, state: str, now: datetime):
    """Runs in a state as readers see it: `running` ends and `lost` begins after a silence (Run.state)."""
    if state not in (Run.Status.RUNNING, Run.LOST):
        return runs.filter(status=state)
    running = runs.filter(status=Run.Status.RUNNING)
    silent = Q(pk=None)
    for interval_s in running.order_by().values_list("upload_interval_s", flat=True).distinct():
        silent_since = now - timedelta(seconds=LOST_AFTER_INTERVALS * interval_s)
        silent |= Q(upload_interval_s=interval_s, last_seen_at__lt=silent_since)
    return running.filter(silent) if state == Run.LOST else running.exclude(silent)


def ordering(sort: str) -> list[str]:
    """Columns for a sort such as `-energy`; anything unknown is the newest first."""
    name = sort.removeprefix("-")
    if name not in SORTS:
        return ordering(DEFAULT_SORT)
    return ["-" + SORTS[name] if sort.startswith("-") else SORTS[name], "-id"]


def choices(user) -> dict:
    """What the filters offer: this person's projects and models, all kinds and states."""
    models = TrackedModel.objects.for_user(user).order_by("name").values_list("project__slug", "slug", "name")
    return {
        "projects": list(Project.objects.for_user(user).order_by("name").values_list("slug", "name")),
        "models": [(f"{project}/{model}", name) for project, model, name in models],
        "kinds": Run.Kind.values,
        "states": STATES,
    }
