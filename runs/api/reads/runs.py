"""Runs of the token's project: the list with its filters, sums and groups, one run, its series, stages and metrics."""

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from runs.api.fields import Instant, Text
from runs.api.reads import run_shapes as shapes
from runs.api.reads.paging import Amount, ByArrival, Words, checked_query
from runs.figures.curves import curves
from runs.figures.stages import metrics_of, stage_rows
from runs.models import Metric, Run
from runs.selection.choices import project_choices
from runs.selection.group_tests import against, base_group
from runs.selection.groups import GROUPS, MOST_GROUPS, grouped
from runs.selection.run_filters import STATES, RunFilters, matching
from runs.selection.run_totals import totals_of

MAX_POINTS = 2_000
#: A page of logged values ends with the batch that makes it this long, or after as many batches.
PAGE_OF_VALUES, PAGE_OF_BATCHES = 10_000, 1_000
#: A page of a run reads as many stages.
MAX_STAGES = 1_000
#: A JSON object that selects parameters may be long.
LONGEST_PARAM = 4_000
GROUPINGS = ", ".join(f"`{by}`" for by in GROUPS)


class RunFilterSerializer(serializers.Serializer):
    """Filters of the run list, all of which must match."""

    model = Text(required=False, help_text="Slug of a model.")
    kind = serializers.ChoiceField(Run.Kind.choices, required=False)
    status = serializers.ChoiceField(Run.Status.choices, required=False, help_text="As reported, so never `lost`.")
    state = serializers.ChoiceField(
        STATES, required=False, help_text="As pages show it; `wasted` is failed, cancelled or lost."
    )
    since = Instant(required=False, help_text="Started at or after.")
    until = Instant(required=False, help_text="Started before.")
    used_since = serializers.DateField(required=False, help_text="Began or used energy on this day (UTC) or later.")
    used_until = serializers.DateField(required=False, help_text="Began or used energy on this day (UTC) or earlier.")
    q = Text(required=False, help_text="Part of the run's or model's name, a tag, the start of an id, or `key:value`.")
    tag = Text(required=False)
    hardware = Text(required=False, help_text="Slug of a profile, or part of its name; of any device.")
    main_hardware = Text(required=False, help_text="Slug that the run is grouped under.")
    member = Text(required=False, help_text="Id of a person, `team`, `ci`, or `0` for nobody.")
    exception = Text(required=False, help_text="Type of the exception that ended the run.")
    param = serializers.CharField(
        required=False, max_length=LONGEST_PARAM, trim_whitespace=False, help_text='As JSON: `{"lr": 0.1}`.'
    )
    over_kwh = Amount(required=False, help_text="Used more energy than this.")
    archived = serializers.ChoiceField(
        ["too", "only", "no"], required=False, help_text="By default archived runs are included."
    )


class RunListQuerySerializer(RunFilterSerializer):
    include = Words(
        *shapes.ON_DEMAND, required=False, help_text=f"More of each run, by commas: {', '.join(shapes.ON_DEMAND)}."
    )


class RunTotalsQuerySerializer(RunFilterSerializer):
    by = Text(required=False, help_text=f"Group by {GROUPINGS}, or `param:` with the name of a parameter.")
    against = Text(required=False, help_text="Key of the group that the others are tested against (Welch, Holm).")

    def validate_by(self, by: str) -> str:
        if by not in GROUPS and not by.removeprefix("param:") != by:
            raise serializers.ValidationError(f"use {GROUPINGS} or param:NAME")
        return by


def matching_runs(project, found, query: dict):
    """Return the project's runs that match a checked query; `found` are its choices."""
    renamed = {"q": "search", "over_kwh": "over", "used_since": "since", "used_until": "until"}
    asked = {renamed.get(name, name): query[name] for name in query if name not in ("since", "until", "status")}
    asked["model"] = f"{project.slug}/{query['model']}" if "model" in query else ""
    asked["archived"] = {"no": ""}.get(query.get("archived", "too"), query.get("archived", "too"))
    filters = RunFilters(**{name: value for name, value in asked.items() if name in RunFilters._fields})
    runs = matching(Run.objects.filter(project=project), filters, found.members)
    columns = {"status": "status", "since": "started_at__gte", "until": "started_at__lt"}
    return runs.filter(**{column: query[name] for name, column in columns.items() if name in query})


class ProjectRunsView(generics.GenericAPIView):
    """Runs of the token's project only."""

    serializer_class: type = shapes.RunSummarySerializer
    pagination_class = ByArrival
    lookup_field, lookup_url_kwarg = "run_id", "run_id"

    def get_queryset(self):
        return Run.objects.filter(project=self.request.auth.project).with_names()


class RunListView(ProjectRunsView, generics.ListAPIView):
    serializer_class = shapes.RunListedSerializer

    @extend_schema(operation_id="list_runs", parameters=[RunListQuerySerializer])
    def get(self, request):
        """The project's runs, the latest to arrive first."""
        return self.list(request)

    def get_serializer_context(self):
        return super().get_serializer_context() | {"include": self._asked().get("include", ())}

    def filter_queryset(self, queryset):
        query, project = self._asked(), self.request.auth.project
        runs = matching_runs(project, project_choices(project), query).with_names()
        included = query.get("include", ())
        if "metrics" in included:
            runs = runs.prefetch_related(Prefetch("metrics", Metric.objects.directed().order_by("pk")))
        wide = [name for name in ("params", "environment") if name not in included]
        return runs.defer(None).defer("usage", "notes", *wide)

    def _asked(self) -> dict:
        if not hasattr(self, "_query"):
            self._query = checked_query(self.request, RunListQuerySerializer)
        return self._query


class RunTotalsView(APIView):
    @extend_schema(
        operation_id="run_totals", parameters=[RunTotalsQuerySerializer], responses={200: shapes.RunTotalsSerializer}
    )
    def get(self, request):
        """Number, energy and emissions of the runs that match; with `by`, also of groups of them, the largest first.

        A group's energy and emissions count each joule once; means and standard deviations are those of whole runs.
        """
        project, query = request.auth.project, checked_query(request, RunTotalsQuerySerializer)
        found = project_choices(project)
        runs = matching_runs(project, found, query)
        by, key = query.get("by", ""), query.get("against", "")
        groups = grouped(runs, by, found, key) if by else []
        told = {"by": by, "group_count": len(groups), "groups": groups[:MOST_GROUPS]}
        differences = against(groups, base_group(groups, key)) if key else {}
        answer = shapes.RunTotalsSerializer(totals_of(runs)._asdict() | told, context={"differences": differences})
        return Response(answer.data)


class RunDetailView(ProjectRunsView, generics.RetrieveAPIView):
    serializer_class = shapes.RunWholeSerializer

    def get_queryset(self):
        metrics = Prefetch("metrics", Metric.objects.directed().order_by("pk"))
        more = ("devices__profile", "devices__writer", "stages", "revisions__reestimation", "writers")
        return super().get_queryset().select_related("factor").defer("usage").prefetch_related(*more, metrics)


class RunStagesView(ProjectRunsView):
    @extend_schema(operation_id="run_stages", responses={200: shapes.RunStagesSerializer})
    def get(self, request, run_id):
        """The run's stages (at most 1,000) with their position on its clock, energy, mean power and last metrics.

        A stage has the energy of its interval on all devices; null once retention has deleted the samples.
        """
        run = self.get_object()
        stages = list(run.stages.select_related("writer")[:MAX_STAGES])
        devices = list(run.devices.select_related("profile", "writer"))
        batches = list(run.batches.select_related("writer"))
        known = [] if run.series_removed_at else curves(run, devices, batches)
        rows = stage_rows(run, stages, known, metrics_of(batches))
        return Response(shapes.RunStagesSerializer({"run_id": run.run_id, "results": rows}).data)


class RunSeriesView(ProjectRunsView):
    @extend_schema(operation_id="run_series", responses={200: shapes.SERIES})
    def get(self, request, run_id):
        """Cumulative counters of each device, thinned to at most 2,000 samples per device; thinning loses no energy."""
        run = self.get_object()
        series: dict[str, list] = {}
        for batch in run.batches.select_related("writer").order_by("writer_id", "first_t_s"):
            for key, samples in batch.samples().items():
                series.setdefault(f"{batch.writer.key}/{key}", []).extend(samples)
        return Response({"run_id": str(run.run_id), "devices": [_columns(*item) for item in series.items()]})


class MetricsQuerySerializer(serializers.Serializer):
    name = Text(required=False, help_text="Only this metric.")
    after = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=2**63 - 1, help_text="Position in the list, from `next`."
    )


class RunMetricsView(ProjectRunsView):
    @extend_schema(
        operation_id="run_metrics", parameters=[MetricsQuerySerializer], responses={200: shapes.LoggedValuesSerializer}
    )
    def get(self, request, run_id):
        """Every value that the run logged, in order of arrival, in pages of whole uploads.

        `next` is the address of the next page, or null. A page has about 10,000 values; with `name`, it may be empty.
        """
        run, query = self.get_object(), checked_query(request, MetricsQuerySerializer)
        batches = run.batches.exclude(metrics=[]).filter(pk__gt=query["after"]).select_related("writer", "run")
        results: list[dict] = []
        name, last = query.get("name"), None
        for number, batch in enumerate(batches.defer("series").order_by("pk").iterator(chunk_size=100)):
            if len(results) >= PAGE_OF_VALUES or number == PAGE_OF_BATCHES:
                break
            last = batch.pk
            results += [value._asdict() for value in batch.logged() if name in (None, value.metric)]
        else:
            last = None
        following = last and replace_query_param(request.build_absolute_uri(), "after", last)
        about = {"run_id": str(run.run_id), "next": following, "series_removed_at": run.series_removed_at}
        return Response(about | {"results": results})


def _columns(key: str, samples: list) -> dict:
    unique = sorted(set(samples), key=lambda sample: sample.t_s)
    step = -(-len(unique) // MAX_POINTS)
    kept = unique[::step] if len(unique[::step]) == MAX_POINTS else [*unique[:-1:step], unique[-1]]
    columns = {field: [getattr(sample, field) for sample in kept] for field in kept[0]._fields}
    return {"device": key} | columns
