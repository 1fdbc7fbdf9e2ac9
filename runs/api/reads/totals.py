"""Totals of the token's project: a summary of a period, and the daily totals grouped as the reader asks."""

from datetime import date

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from runs.api.fields import Text
from runs.api.reads import total_shapes as shapes
from runs.api.reads.paging import Words, checked_query
from runs.figures import periods, usage
from runs.figures.equivalences import equivalences
from runs.figures.lifetime import HARDWARE_NAME
from runs.figures.periods import Period
from runs.models import Project, Run
from runs.models.usage import UsageQuerySet
from runs.selection.choices import Choices, asks_for_member, project_choices
from runs.selection.usage_filters import UsageFilters, days_of, runs_of, tags_of, usage_of
from runs.selection.waste import lost_kwh, waste

#: What the daily totals can be grouped by, with the columns of each.
DIMENSIONS = {
    "day": ["day"],
    "model": ["tracked_model__slug", "tracked_model__name"],
    "kind": ["kind"],
    "member": ["member_id"],
    "hardware": ["hardware", "device_kind"],
    "tag": ["tag"],
}
#: What the API calls a column otherwise.
RENAMED = {"tracked_model__slug": "model", "tracked_model__name": "model_name", "member_id": "member"}
MAX_ROWS = 2_000


class UsageFilterSerializer(serializers.Serializer):
    """Filters of the daily totals, all of which must match. Days are UTC."""

    model = Text(required=False, help_text="Slug of a model.")
    kind = serializers.ChoiceField(Run.Kind.choices, required=False)
    member = Text(required=False, help_text="Id of a person, `team`, `ci`, or `0` for nobody.")
    tag = Text(required=False)
    since = serializers.DateField(required=False, help_text="The first day; without it, since the first run.")
    until = serializers.DateField(required=False, help_text="The last day; without it, today.")


class UsageQuerySerializer(UsageFilterSerializer):
    by = Words(
        *DIMENSIONS,
        default=("day",),
        help_text=f"Group by one or more of {', '.join(DIMENSIONS)}, by commas; `day` if nothing is asked.",
    )
    after = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=10**9, help_text="Position in the list, from `next`."
    )


def asked_filters(project: Project, query: dict) -> UsageFilters:
    asked = {name: str(query.get(name, "")) for name in ("kind", "member", "tag")}
    return UsageFilters(model=f"{project.slug}/{query['model']}" if "model" in query else "", **asked)


def asked_period(query: dict, today: date) -> Period:
    """Return the period between `since` and `until`; without both, all time."""
    since, until = query.get("since"), query.get("until")
    return periods.between(since, until, today) if since or until else periods.period("all", today)


class SummaryView(APIView):
    @extend_schema(
        operation_id="summary", parameters=[UsageFilterSerializer], responses={200: shapes.SummarySerializer}
    )
    def get(self, request):
        """Totals of a period with their range, by kind of run and by day, what was wasted, and everyday equivalents.

        `previous` is what an equally long period before used, None for all time. It and `compared` cover finished days
        only, so that they can be compared.
        """
        project, query, now = request.auth.project, checked_query(request, UsageFilterSerializer), timezone.now()
        found, filters = project_choices(project), asked_filters(project, query)
        period = asked_period(query, now.date())
        days = days_of(found, filters)
        by_kind, by_day = period.days_of(usage_of(found, filters)), period.days_of(days)
        totals = usage.totals(by_day)
        over, before = period.compared(now.date()) or (None, None)
        lost = lost_kwh(runs_of(found, filters), period, now)
        told = {
            "project": project.name,
            "since": period.first,
            "until": period.last,
            "total": by_day.aggregate(**shapes.SUMS),
            "compared": over and over.days_of(days).aggregate(**shapes.SUMS),
            "previous": before and before.days_of(days).aggregate(**shapes.SUMS),
            "by_kind": by_kind.order_by("kind").values("kind").annotate(**shapes.SUMS),
            "by_day": by_day.order_by("day").values("day").annotate(**shapes.SUMS),
            "waste": waste(totals, lost),
            "equivalents": [each._asdict() | {"amount": amount} for each, amount in equivalences(totals)],
        }
        return Response(shapes.SummarySerializer(told).data)


class UsageView(APIView):
    @extend_schema(operation_id="usage", parameters=[UsageQuerySerializer], responses={200: shapes.UsageSerializer})
    def get(self, request):
        """The daily totals, added up by what `by` names: trends, footprints and heat maps are made of these rows.

        A run with two tags is in the rows of both, so rows by tag must not be added up. Rows by hardware have no number
        of runs, because a run uses several. `next` is the address of the next page of 2,000 rows, or null.
        """
        project, query = request.auth.project, checked_query(request, UsageQuerySerializer)
        found, by, start = project_choices(project), query["by"], query["after"]
        period = asked_period(query, timezone.now().date())
        rows = _grouped(period.days_of(_table(found, asked_filters(project, query), by)), by)
        page = [_told(row, found) for row in rows[start : start + MAX_ROWS + 1]]
        has_more = len(page) > MAX_ROWS
        following = replace_query_param(request.build_absolute_uri(), "after", start + MAX_ROWS) if has_more else None
        told = {"by": by, "since": period.first, "until": period.last, "next": following}
        return Response(told | {"results": page[:MAX_ROWS]})


def _table(found: Choices, filters: UsageFilters, by: tuple[str, ...]) -> UsageQuerySet:
    """Return the rows of the smallest table that has what is asked."""
    if "tag" in by:
        return tags_of(found, filters)
    return days_of(found, filters) if by == ("day",) else usage_of(found, filters)


def _grouped(rows: UsageQuerySet, by: tuple[str, ...]):
    columns = [column for each in by for column in DIMENSIONS[each]]
    if "hardware" not in by:
        return rows.order_by(*columns).values(*columns).annotate(**shapes.SUMS)
    sums = {name: sum for name, sum in shapes.SUMS.items() if name not in shapes.OF_RUNS}
    of_hardware = rows.with_energy().order_by(*columns).values(*columns).annotate(**sums)
    return of_hardware.annotate(hardware_name=HARDWARE_NAME)


def _told(row: dict, found: Choices) -> dict:
    """Return a row by the names that the API uses."""
    told = {RENAMED.get(name, name): value for name, value in row.items()}
    if "member" in told:
        told |= {"member": asks_for_member(told["member"]), "member_name": found.members.name_of(told["member"])}
    return told
