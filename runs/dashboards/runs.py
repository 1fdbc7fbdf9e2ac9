"""The run list: filtered, sorted, with its columns and with the total of what was found."""

from collections import Counter, defaultdict
from typing import NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce

from runs.dashboards.groups import Group, Spread, grouped
from runs.dashboards.run_filters import STATES, RunFilters, matching
from runs.models import Device, Project, Run, TrackedModel

PAGE_SIZE = 50
#: What a list may be sorted by, and the columns that do it; a tie falls back on the newest.
SORTS = {
    "name": "name",
    "kind": "kind",
    "started": "started_at",
    "duration": "duration_s",
    "energy": "energy_kwh",
    "emissions": "emissions_kg",
}
DEFAULT_SORT = "-started"
MOST_SORT_KEYS = 3
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
ACCELERATORS = (Device.Kind.GPU, Device.Kind.TPU, Device.Kind.NPU)


class Look(NamedTuple):
    """How a list is shown: order, columns, grouping, and the run that others are compared with."""

    sort: str = ""
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    params: tuple[str, ...] = ()
    group: str = ""
    base: Run | None = None


class Row(NamedTuple):
    """A line of the list."""

    run: Run
    hardware: str
    params: list[tuple]
    energy_change_kwh: float | None
    emissions_change_kg: float | None


class RunList(NamedTuple):
    rows: list[Row]
    groups: list[Group]
    totals: dict
    count_of_all: int
    page: Page | None = None

    @property
    def runs(self) -> list[Run]:
        return [row.run for row in self.rows]

    @property
    def group_energies(self) -> list[Spread]:
        return [group.energy for group in self.groups]

    @property
    def group_emissions(self) -> list[Spread]:
        return [group.emissions for group in self.groups]


def run_list(user, filters: RunFilters, look: Look, page: int | str) -> RunList:
    """A page of the runs that this person may see, and count, energy and emissions of all that match."""
    found = matching(Run.objects.for_user(user), filters)
    totals = totals_of(found)
    shown = Paginator(found.order_by(*ordering(look.sort)).values_list("pk", flat=True), PAGE_SIZE)
    shown.count = totals["count"]  # counted above, with the sums, in one query
    current = shown.get_page(page)
    return RunList(
        page=current,
        rows=[] if look.group else rows(list(current.object_list), look),
        groups=grouped(found, look.group) if look.group else [],
        totals=totals,
        count_of_all=count_of_all(user, filters, totals),
    )


def live_rows(user, filters: RunFilters, look: Look, run_ids: list) -> RunList:
    """These runs as an open list shows them, with what all that match add up to by now."""
    visible = Run.objects.for_user(user)
    pks = list(visible.addressed(run_ids[:PAGE_SIZE]).values_list("pk", flat=True))
    totals = totals_of(matching(visible, filters))
    return RunList(rows(pks, look), [], totals, count_of_all(user, filters, totals))


def totals_of(runs) -> dict:
    return runs.aggregate(
        count=Count("pk"), energy_kwh=Coalesce(Sum("energy_kwh"), 0.0), emissions_kg=Coalesce(Sum("emissions_kg"), 0.0)
    )


def count_of_all(user, filters: RunFilters, totals: dict) -> int:
    """How many runs there are without any filter."""
    return Run.objects.for_user(user).filter(archived_at=None).count() if filters.is_set else totals["count"]


def rows(pks: list[int], look: Look) -> list[Row]:
    """The lines of these runs, in their order: ids come from an index alone, wide rows only of what is shown."""
    runs = Run.objects.select_related("tracked_model", "project__team").defer("environment", "usage")
    by_pk = (runs if look.params else runs.defer("environment", "usage", "params")).in_bulk(pks)
    hardware = hardware_of(pks) if "hardware" in look.columns else {}
    return [_row(by_pk[pk], hardware.get(pk, ""), look) for pk in pks if pk in by_pk]


def _row(run: Run, hardware: str, look: Look) -> Row:
    base = look.base if look.base and look.base.pk != run.pk else None
    return Row(
        run=run,
        hardware=hardware,
        params=[(key, run.params.get(key)) for key in look.params],
        energy_change_kwh=run.energy_kwh - base.energy_kwh if base else None,
        emissions_change_kg=run.emissions_kg - base.emissions_kg if base else None,
    )


def hardware_of(pks) -> dict[object, str]:
    """What each run ran on in words: its accelerators, else its processors, `4 × NVIDIA A100`."""
    devices = Device.objects.filter(run__in=pks, counted=True).exclude(kind=Device.Kind.RAM)
    counts: dict[object, dict[bool, Counter]] = defaultdict(lambda: defaultdict(Counter))
    for run, kind, name, profile in devices.values_list("run", "kind", "name", "profile__name").order_by("kind", "key"):
        counts[run][kind in ACCELERATORS][profile or name] += 1
    return {run: hardware_words(by_kind.get(True) or by_kind[False]) for run, by_kind in counts.items()}


def hardware_words(counts: Counter) -> str:
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())


def sort_keys(sort: str) -> list[str]:
    """The known keys of a sort such as `-energy,started`, each at most once."""
    keys: dict[str, str] = {}
    for key in sort.split(","):
        if key.removeprefix("-") in SORTS:
            keys.setdefault(key.removeprefix("-"), key)
    return list(keys.values())[:MOST_SORT_KEYS] or [DEFAULT_SORT]


def ordering(sort: str) -> list[str]:
    """Columns for a sort; nothing known is the newest first."""
    keys = [("-" if key.startswith("-") else "") + SORTS[key.removeprefix("-")] for key in sort_keys(sort)]
    return [*keys, "-pk"]


class SortHead(NamedTuple):
    """What a column's head shows and does: `sort` asks for this column first and keeps the former keys behind it."""

    sort: str
    direction: str
    rank: int


def sort_heads(sort: str) -> dict[str, SortHead]:
    keys = sort_keys(sort)
    heads = {}
    for name in SORTS:
        rank = next((n for n, key in enumerate(keys, start=1) if key.removeprefix("-") == name), 0)
        down = rank > 0 and keys[rank - 1].startswith("-")
        turned = name if down and rank == 1 else "-" + name
        rest = [key for key in keys if key.removeprefix("-") != name] if sort else []
        direction = "" if not rank else "descending" if down else "ascending"
        heads[name] = SortHead(",".join([turned, *rest][:MOST_SORT_KEYS]), direction, rank)
    return heads


def choices(user) -> dict:
    """What the filters offer: this person's projects and models, all kinds and states."""
    models = TrackedModel.objects.for_user(user).order_by("name").values_list("project__slug", "slug", "name")
    return {
        "projects": list(Project.objects.for_user(user).order_by("name").values_list("slug", "name")),
        "models": [(f"{project}/{model}", name) for project, model, name in models],
        "kinds": Run.Kind.values,
        "states": STATES,
    }
