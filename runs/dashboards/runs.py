"""The run list: filtered, sorted, with its columns and with the total of what was found."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from math import fsum
from typing import NamedTuple

from django.core.paginator import Page

from runs.dashboards import metric_columns
from runs.dashboards.groups import MOST_GROUPS, OVERLAPPING, Group, Spread, grouped
from runs.dashboards.metric_columns import MetricColumn
from runs.dashboards.run_filters import STATES, RunFilters, matching
from runs.dashboards.run_order import DEFAULT_SORT, PAGE_SIZE, page_of, page_of_few
from runs.dashboards.run_totals import Totals, days_know, totals_by_day, totals_of
from runs.models import Device, Project, Run, TrackedModel
from runs.models.device import ACCELERATORS

#: Columns that a reader may choose, in the order of the table.
COLUMNS = {
    "state": "State",
    "kind": "Kind",
    "project": "Project",
    "hardware": "Hardware",
    "tags": "Tags",
    "started": "Started",
    "duration": "Duration",
    "measured": "Measured share",
    "energy": "Energy",
    "emissions": "CO₂e",
}
DEFAULT_COLUMNS = ("state", "kind", "started", "duration", "energy", "emissions")
MOST_PARAMS = 6
#: What the lines of a list show of a run.
SHOWN = ["run_id", "name", "kind", "tags", "status", "exception", "last_seen_at", "upload_interval_s", "archived_at"]
SHOWN += ["params", "started_at", "duration_s", "energy_kwh", "measured_kwh", "emissions_kg"]
SHOWN += ["tracked_model__name", "project__name"]


class Look(NamedTuple):
    """How a list is shown: order, columns, grouping, and the group or run that others are compared with."""

    sort: str = ""
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    params: tuple[str, ...] = ()
    metrics: tuple[MetricColumn, ...] = ()
    group: str = ""
    against: str = ""
    base: Run | None = None

    @property
    def value(self) -> str:
        """Which value of its metrics it shows."""
        return self.metrics[0].value if self.metrics else "last"

    @property
    def metric_names(self) -> list[str]:
        return [column.name for column in self.metrics]


class Row(NamedTuple):
    """A line of the list, with the run that it is compared with, unless it is that one itself."""

    run: Run
    hardware: str
    params: list[tuple]
    metrics: list[tuple[str, float | None]]
    base: Run | None


class RunList(NamedTuple):
    """Rows or groups, what all runs that match add up to, and how many there are without any filter."""

    totals: Totals
    count_of_all: int
    rows: list[Row] = []
    groups: list[Group] = []
    group_count: int = 0
    page: Page | None = None
    #: What the runs at hand have most often, to be chosen as a column.
    params: list[str] = []
    metrics: list[str] = []

    @property
    def runs(self) -> list[Run]:
        return [row.run for row in self.rows]

    @property
    def group_energies(self) -> list[Spread]:
        return [group.energy for group in self.groups]

    @property
    def group_emissions(self) -> list[Spread]:
        return [group.emissions for group in self.groups]


def run_list(everywhere: dict[int, str], filters: RunFilters, look: Look, page: int | str) -> RunList:
    """A page of the runs of these projects (slugs by id), and count, energy and emissions of all that match."""
    projects = narrowed(everywhere, filters)
    found = matching(Run.objects.filter(project__in=projects), filters)
    if look.group:
        groups = grouped(found, look.group, look.against)
        overlap = look.group in OVERLAPPING
        totals = _totals(found, projects, filters) if overlap else _totals_of_groups(groups)
        newest = page_of(found, [] if filters.hardware else projects, DEFAULT_SORT, 1, totals)
        logged = Run.objects.filter(pk__in=list(newest.object_list)).values_list("params", flat=True)
        shown = {"groups": groups[:MOST_GROUPS], "group_count": len(groups), "params": most_common(logged)}
        return _list(everywhere, filters, totals, **shown)
    if days_know(filters):
        totals = totals_by_day(projects, filters.tag)
        current = page_of(found, projects, look.sort, page, totals, look.metrics)
    else:
        # Merging projects would look up the devices of a hardware filter for each of them.
        current, totals = page_of_few(found, [] if filters.hardware else projects, look.sort, page, look.metrics)
    pks = list(current.object_list)
    found_rows, metrics = rows(pks, look), metric_columns.names_logged(pks)
    params = most_common(row.run.params for row in found_rows)
    return _list(everywhere, filters, totals, rows=found_rows, page=current, params=params, metrics=metrics)


def live_rows(user, filters: RunFilters, look: Look, run_ids: list) -> RunList:
    """These runs as an open list shows them, with what all that match add up to by now."""
    pks = list(Run.objects.for_user(user).addressed(run_ids[:PAGE_SIZE]).values_list("pk", flat=True))
    everywhere = slugs_of_projects(user)
    projects = narrowed(everywhere, filters)
    found = matching(Run.objects.filter(project__in=projects), filters)
    return _list(everywhere, filters, _totals(found, projects, filters), rows=rows(pks, look))


def _totals(runs, projects: list[int], filters: RunFilters) -> Totals:
    return totals_by_day(projects, filters.tag) if days_know(filters) else totals_of(runs)


def _totals_of_groups(groups: list[Group]) -> Totals:
    return Totals(
        runs=sum(group.runs for group in groups),
        energy_kwh=fsum(group.energy.sum for group in groups),
        emissions_kg=fsum(group.emissions.sum for group in groups),
    )


def _list(everywhere: dict[int, str], filters: RunFilters, totals: Totals, **shown) -> RunList:
    of_all = totals_by_day(list(everywhere)) if filters.is_set else totals
    return RunList(totals, of_all.runs, **shown)


def slugs_of_projects(user) -> dict[int, str]:
    """The projects that this person may see, by id."""
    return dict(Project.objects.for_user(user).order_by("pk").values_list("pk", "slug"))


def narrowed(projects: dict[int, str], filters: RunFilters) -> list[int]:
    """The projects that the filters leave."""
    asked = set(filter(None, (filters.project, filters.model.partition("/")[0])))
    return [pk for pk, slug in projects.items() if asked <= {slug}]


def rows(pks: list[int], look: Look) -> list[Row]:
    """The lines of these runs, in their order: ids come from an index alone, wide rows only of what is shown."""
    runs = Run.objects.select_related("tracked_model", "project")
    by_pk = runs.only(*SHOWN).in_bulk(pks)
    hardware = hardware_of(pks) if "hardware" in look.columns else {}
    logged = metric_columns.values_of(pks, list(look.metrics))
    return [_row(by_pk[pk], hardware.get(pk, ""), logged, look) for pk in pks if pk in by_pk]


def _row(run: Run, hardware: str, logged: dict[tuple[int, str], float], look: Look) -> Row:
    base = look.base if look.base and look.base.pk != run.pk else None
    params = [(key, run.params.get(key)) for key in look.params]
    return Row(run, hardware, params, [(name, logged.get((run.pk, name))) for name in look.metric_names], base)


def most_common(names: Iterable[Iterable[str]]) -> list[str]:
    """The names that most of these runs have, the most frequent first."""
    counts = Counter(name for of_run in names for name in of_run)
    return sorted(counts, key=lambda name: (-counts[name], name))[: metric_columns.MOST_OFFERED]


def hardware_of(pks) -> dict[object, str]:
    """What each run ran on in words: its accelerators, else its processors, `4 × NVIDIA A100`."""
    devices = Device.objects.filter(run__in=pks, counted=True).exclude(kind=Device.Kind.RAM)
    counts: dict[object, dict[bool, Counter]] = defaultdict(lambda: defaultdict(Counter))
    for run, kind, name, profile in devices.values_list("run", "kind", "name", "profile__name").order_by("kind", "key"):
        counts[run][kind in ACCELERATORS][profile or name] += 1
    return {run: hardware_words(by_kind.get(True) or by_kind[False]) for run, by_kind in counts.items()}


def hardware_words(counts: Counter) -> str:
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())


def choices(user) -> dict:
    """What the filters offer: this person's projects and models, all kinds and states; and the projects' ids."""
    projects = list(Project.objects.for_user(user).order_by("name").values_list("pk", "slug", "name"))
    models = TrackedModel.objects.for_user(user).order_by("name").values_list("project__slug", "slug", "name")
    return {
        "everywhere": {pk: slug for pk, slug, _ in projects},
        "projects": [(slug, name) for _, slug, name in projects],
        "models": [(f"{project}/{model}", name) for project, model, name in models],
        "kinds": Run.Kind.values,
        "states": STATES,
    }
