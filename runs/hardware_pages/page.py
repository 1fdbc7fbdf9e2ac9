"""The hardware catalogue for readers: search, and a profile's use in their own runs."""

from datetime import datetime
from typing import NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import Case, F, Q, Sum, Value, When

from hardware.changes import Change, history_of
from hardware.models import HardwareAlias, HardwareProfile
from runs.figures import usage
from runs.figures.lifetime import LEAST_KWH
from runs.models import Device, MonthlyUsage, Run
from traceml_agent import estimation

PAGE_SIZE = 50
RUNS_SHOWN = 10
SEEN, UNKNOWN = "1", "unknown"
SORTS = {"name": "name", "tdp": "tdp_w", "idle": "idle_w", "memory": "memory_gb", "cores": "cores", "year": "year"}


class HardwareFilters(NamedTuple):
    """An empty field does not filter."""

    search: str = ""
    kind: str = ""
    seen: str = ""
    sort: str = ""

    @property
    def is_set(self) -> bool:
        return any((self.search, self.kind, self.seen))


class ProfileList(NamedTuple):
    """A page of profiles, and the slugs that the reader's own runs used."""

    page: Page
    seen: set[str]


class ProfilePage(NamedTuple):
    idle_w: float
    full_load_w: float
    aliases: list[str]
    seen: dict
    mean_w: float | None
    mean_share: float | None  # of TDP
    runs: list[Run]
    changes: list[Change]

    @property
    def edited_at(self) -> datetime | None:
        """When an admin last changed a value that estimates depend on."""
        return self.changes[0].at if self.changes else None


def profiles(user, team, filters: HardwareFilters, page: int | str) -> ProfileList:
    """A page of the profiles that match the search by name, vendor, family or alias.

    Unless sorted otherwise, those used in the reader's own runs (of one team or all) come first.
    """
    used = MonthlyUsage.objects.for_user(user, team).filter(energy_kwh__gt=LEAST_KWH)
    seen = set(used.order_by().values_list("hardware", flat=True).distinct())
    found = HardwareProfile.objects.order_by(*_order(filters.sort, seen))
    if filters.search:
        found = found.filter(_search(filters.search))
    if filters.kind:
        found = found.filter(kind=filters.kind)
    if filters.seen == SEEN:
        found = found.filter(slug__in=seen)
    return ProfileList(Paginator(found, PAGE_SIZE).get_page(page), seen)


def _order(sort: str, seen: set[str]) -> list:
    """The order of the list; profiles without the figure come last in both directions."""
    if (key := sort.removeprefix("-")) not in SORTS:
        # With nothing seen, the CASE would be a bare 1, which PostgreSQL reads as the first column.
        first = [Case(When(slug__in=seen, then=Value(0)), default=Value(1))] if seen else []
        return [*first, "name", "slug"]
    column = F(SORTS[key])
    return [column.desc(nulls_last=True) if sort[0] == "-" else column.asc(nulls_last=True), "name", "slug"]


def _search(text: str) -> Q:
    """All words appear in name, vendor or family, or the whole text in an alias."""
    words = Q()
    for word in text.split():
        words &= Q(name__icontains=word) | Q(vendor__icontains=word) | Q(family__icontains=word)
    return words | Q(pk__in=HardwareAlias.objects.filter(name__icontains=text).values("profile"))


def unknown_kwh(user, team) -> float:
    """Energy (kWh) of this person's runs, of one team or all, on devices that are missing from the catalogue."""
    fallbacks = HardwareProfile.objects.filter(fallback=True).values("slug")
    usage = MonthlyUsage.objects.for_user(user, team).filter(hardware__in=fallbacks)
    return usage.aggregate(kwh=Sum("energy_kwh", default=0.0))["kwh"]


def profile_page(user, team, profile: HardwareProfile) -> ProfilePage:
    """A profile with the power that estimates use, and its use in this person's runs."""
    rows = MonthlyUsage.objects.for_user(user, team).filter(hardware=profile.slug)
    # Ids increase in order of arrival, so the index of a profile's devices gives the latest runs.
    devices = Device.objects.for_user(user, team).filter(profile=profile).order_by("-run")
    latest = list(devices.values_list("run", flat=True).distinct()[:RUNS_SHOWN])
    seen = usage.totals(rows)
    mean_w = usage.mean_power_w(profile, seen)
    return ProfilePage(
        idle_w=estimation.idle_power_w(profile),
        full_load_w=estimation.full_load_power_w(profile),
        aliases=list(HardwareAlias.objects.filter(profile=profile).order_by("name").values_list("name", flat=True)),
        seen=seen,
        mean_w=mean_w,
        mean_share=mean_w and mean_w / profile.tdp_w,
        runs=list(Run.objects.filter(pk__in=latest).with_names().order_by("-received_at", "-id")),
        changes=history_of(profile),
    )
