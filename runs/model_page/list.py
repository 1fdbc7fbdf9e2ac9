"""The list of models, each with its whole-life footprint."""

from typing import NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import OuterRef, Subquery

from runs.figures import usage
from runs.models import MonthlyUsage, Run, TrackedModel
from runs.selection.choices import Choices

PAGE_SIZE = 50
#: The sort orders of the list; ties are sorted by name.
SORTS = {"name": "name", "emissions": "kg", "energy": "kwh", "runs": "run_count", "used": "last_run"}
DEFAULT_SORT = "-emissions"


class ModelList(NamedTuple):
    page: Page
    kg: float
    kwh: float


def model_list(choices: Choices, search: str, sort: str, page: int | str) -> ModelList:
    """Return a page of these models, and what all matches used; `sort` is one of SORTS, descending with a minus."""
    last_runs = _last_runs(choices)
    # By project ids: through memberships, the rows would be sorted before they are added up.
    rows = MonthlyUsage.objects.filter(project__in={project for _, project, _ in last_runs})
    if search:
        rows = rows.filter(tracked_model__name__icontains=search)
    found = usage.footprints(rows)
    last_run_of = {model: last_run for model, _, last_run in last_runs}
    projects = choices.projects
    for row in found:
        row["last_run"] = last_run_of.get(row["tracked_model_id"])
        row["project_name"] = projects[row["project_slug"]]
    shown = Paginator(_sorted(found, sort), PAGE_SIZE).get_page(page)
    longest_kg = max((row["kg"] for row in found), default=0.0) or 1.0
    for row in shown.object_list:
        row["segments"] = usage.segments(row["parts"], longest_kg)
    return ModelList(shown, sum(row["kg"] for row in found), sum(row["kwh"] for row in found))


def _last_runs(choices: Choices) -> list[tuple]:
    """Return (model, project, arrival of its last run) for each model, with one look-up each."""
    newest = Run.objects.filter(tracked_model=OuterRef("pk")).order_by("-received_at").values("received_at")[:1]
    models = TrackedModel.objects.filter(project__in=choices.project_ids).annotate(last=Subquery(newest))
    return list(models.values_list("pk", "project", "last"))


def _sorted(rows: list[dict], sort: str) -> list[dict]:
    key, is_falling = SORTS[sort.removeprefix("-")], sort.startswith("-")
    rows = sorted(rows, key=lambda row: row["name"].casefold())
    return sorted(rows, key=lambda row: _comparable(row[key]), reverse=is_falling)


def _comparable(value) -> tuple:
    """Return text in lower case; missing values come first."""
    return (value is not None, value.casefold() if isinstance(value, str) else value)
