"""What an overview may be narrowed to: which daily totals then count, and which runs made them."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, TypeVar

from django.db.models import Q, QuerySet

from runs.dashboards.run_filters import of_member
from runs.models import Correction, DailyUsage, ProjectUsage, Run, TaggedUsage, TrackedModel, User
from runs.models.usage import UsageQuerySet

Rows = TypeVar("Rows", bound=QuerySet)


class UsageFilters(NamedTuple):
    """What was asked for; an empty field asks for nothing, an unknown value finds nothing.

    `model` is `project/slug`, `member` a person's id.
    """

    project: str = ""
    model: str = ""
    kind: str = ""
    member: str = ""
    tag: str = ""

    @property
    def is_set(self) -> bool:
        return any(self)


class Members(NamedTuple):
    """The people who share a team with the reader: names by id."""

    names: dict[int, str]

    def name_of(self, member_id: int | str) -> str:
        """Whoever left is named no more, but what they sent stays."""
        text = str(member_id)
        known = {str(pk): name for pk, name in self.names.items()} | {"0": "No member"}
        return known.get(text, "A former member")


class Choices(NamedTuple):
    """What the filters offer: what this person may see, by the value that asks for it."""

    models: list[dict]
    members: Members

    @property
    def projects(self) -> dict[str, str]:
        found = {row["project__slug"]: row["project__name"] for row in self.models}
        return dict(sorted(found.items(), key=lambda item: item[1].lower()))

    @property
    def offered(self) -> list[tuple[str, str]]:
        """What asks for each model, and its name."""
        return [(address_of(row), row["name"]) for row in self.models]

    @property
    def project_ids(self) -> list[int]:
        return sorted({row["project_id"] for row in self.models})


def choices(user) -> Choices:
    columns = ("pk", "name", "slug", "project_id", "project__slug", "project__name")
    models = TrackedModel.objects.for_user(user).order_by("name", "pk").values(*columns)
    return Choices(list(models), members_of(user))


def members_of(user) -> Members:
    people = User.objects.filter(teams__membership__user=user).distinct().order_by("first_name", "email")
    names = people.values_list("pk", "first_name", "last_name", "email")
    return Members({pk: f"{first} {last}".strip() or email for pk, first, last, email in names})


def usage_of(found: Choices, filters: UsageFilters) -> UsageQuerySet:
    """The daily totals that the filters leave; with a tag those of the runs that have it.

    By the ids of the projects: through the memberships, the index that answers alone is not taken.
    """
    rows = TaggedUsage.objects.filter(tag=filters.tag) if filters.tag else DailyUsage.objects.all()
    return _narrowed(rows, found, filters)


def days_of(found: Choices, filters: UsageFilters) -> UsageQuerySet:
    """As usage_of where only days matter: of whole projects a table that is a hundredth as long."""
    if any(filters._replace(project="")):
        return usage_of(found, filters)
    return _narrowed(ProjectUsage.objects.all(), found, filters)


def energy_days_of(found: Choices, filters: UsageFilters) -> UsageQuerySet:
    """As days_of without the rows that count runs alone: what is left, an index answers by itself."""
    days = days_of(found, filters)
    return days if days.model is ProjectUsage else days.with_energy()


def corrections_of(found: Choices, filters: UsageFilters) -> QuerySet:
    """What re-estimations did to the daily totals that the filters leave. They know no tags: with one, to all."""
    rows: QuerySet = Correction.objects.all()
    return _narrowed(rows, found, filters)


def runs_of(found: Choices, filters: UsageFilters) -> QuerySet:
    """The runs that the filters leave."""
    runs = Run.objects.filter(tags__has_item=filters.tag) if filters.tag else Run.objects.all()
    return _narrowed(runs, found, filters)


def _narrowed(rows: Rows, found: Choices, filters: UsageFilters) -> Rows:
    rows = rows.filter(project__in=found.project_ids)
    for condition in _conditions(found, filters):
        rows = rows.filter(condition)
    return rows


def _conditions(found: Choices, filters: UsageFilters):
    if filters.project:
        yield Q(project__in=[row["project_id"] for row in found.models if row["project__slug"] == filters.project])
    if filters.model:
        asked = [row["pk"] for row in found.models if address_of(row) == filters.model]
        yield Q(tracked_model__in=asked)
    if filters.kind:
        yield Q(kind=filters.kind)
    if filters.member:
        yield of_member(filters.member)


def address_of(model: dict) -> str:
    """What asks for a model: slugs are unique in a project only."""
    return f"{model['project__slug']}/{model['slug']}"


def begun_in(runs: QuerySet, first: date | None, last: date) -> QuerySet:
    """The runs that began on these days (UTC, as the daily totals have it)."""
    runs = runs.filter(started_at__lt=_midnight(last + timedelta(days=1)))
    return runs if first is None else runs.filter(started_at__gte=_midnight(first))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
