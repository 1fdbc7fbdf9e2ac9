"""Reading: runs, models and totals of the token's project, and the catalogue."""

import hashlib

from django.db.models import Prefetch, Q, Sum
from django.utils.decorators import method_decorator
from django.views.decorators.http import condition
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, generics, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from hardware.models import CatalogueState, HardwareProfile
from runs.api import representations as shapes
from runs.api.fields import Instant, Text
from runs.models import DailyUsage, EmissionFactor, Metric, Run, TrackedModel

MAX_POINTS = 2_000
#: A page of logged values ends with the batch that makes it this long, or after as many batches.
PAGE_OF_VALUES, PAGE_OF_BATCHES = 10_000, 1_000


class PageQuerySerializer(serializers.Serializer):
    """Parameters for paging through a list."""

    cursor = Text(required=False, help_text="Position in the list, from `next` or `previous`.")
    page_size = serializers.IntegerField(required=False, min_value=1, max_value=10**9, help_text="At most 200.")


class ByArrival(CursorPagination):
    page_size, max_page_size, page_size_query_param = 50, 200, "page_size"
    ordering: tuple[str, ...] = ("-received_at", "-id")
    #: What a cursor may hold: the database is asked for nothing that it can't compare.
    position: serializers.Field = Instant()

    def paginate_queryset(self, queryset, request, view=None):
        checked_query(request, PageQuerySerializer)
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request):
        try:
            cursor = super().decode_cursor(request)
            if cursor and cursor.position is not None:
                self.position.run_validation(cursor.position)
        except (exceptions.NotFound, exceptions.ValidationError):
            raise exceptions.ValidationError({"cursor": "is not valid for this list; start without one"}) from None
        return cursor


class BySlug(ByArrival):
    ordering = ("slug",)
    position = serializers.SlugField(max_length=100)


class RunFilterSerializer(serializers.Serializer):
    """Filters of the run list, all of which must match."""

    model = Text(required=False, help_text="Slug of a model.")
    kind = serializers.ChoiceField(Run.Kind.choices, required=False)
    status = serializers.ChoiceField(Run.Status.choices, required=False)
    since = Instant(required=False, help_text="Started at or after.")
    q = Text(required=False, help_text="Part of the run's or model's name.")


def checked_query(request, serializer_class) -> dict:
    serializer = serializer_class(data=request.query_params.dict())
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


class ProjectRunsView(generics.GenericAPIView):
    """Runs of the token's project only."""

    serializer_class = shapes.RunSummarySerializer
    pagination_class = ByArrival
    lookup_field, lookup_url_kwarg = "run_id", "run_id"

    def get_queryset(self):
        return Run.objects.filter(project=self.request.auth.project).with_names()


class RunListView(ProjectRunsView, generics.ListAPIView):
    @extend_schema(operation_id="list_runs", parameters=[RunFilterSerializer])
    def get(self, request):
        return self.list(request)

    def filter_queryset(self, queryset):
        query = checked_query(self.request, RunFilterSerializer)
        narrow = {"model": "tracked_model__slug", "kind": "kind", "status": "status", "since": "started_at__gte"}
        queryset = queryset.filter(**{column: query[name] for name, column in narrow.items() if name in query})
        if query.get("q"):
            queryset = queryset.filter(Q(name__icontains=query["q"]) | Q(tracked_model__name__icontains=query["q"]))
        return queryset


class RunDetailView(ProjectRunsView, generics.RetrieveAPIView):
    serializer_class = shapes.RunWholeSerializer

    def get_queryset(self):
        metrics = Prefetch("metrics", Metric.objects.directed().order_by("pk"))
        return super().get_queryset().defer(None).prefetch_related("devices__profile", "stages", "calls", metrics)


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


class ModelListView(generics.ListAPIView):
    serializer_class = shapes.ModelSummarySerializer
    pagination_class = BySlug

    def get_queryset(self):
        return TrackedModel.objects.filter(project=self.request.auth.project).annotate(
            runs=Sum("dailyusage__runs", default=0),
            energy_kwh=Sum("dailyusage__energy_kwh", default=0.0),
            emissions_kg=Sum("dailyusage__emissions_kg", default=0.0),
        )


class ModelDetailView(generics.RetrieveAPIView):
    serializer_class = shapes.ModelWholeSerializer
    lookup_field = "slug"

    def get_queryset(self):
        return ModelListView.get_queryset(self)  # type: ignore[arg-type]


class SummaryView(APIView):
    @extend_schema(operation_id="summary", responses={200: shapes.SUMMARY})
    def get(self, request):
        """Totals of the project by kind of run and by day, from the daily totals."""
        usage = DailyUsage.objects.filter(project=request.auth.project)
        return Response(
            {
                "project": request.auth.project.name,
                "total": usage.aggregate(**shapes.SUMS),
                "by_kind": list(usage.values("kind").annotate(**shapes.SUMS).order_by("kind")),
                "by_day": list(usage.values("day").annotate(**shapes.SUMS).order_by("day")),
            }
        )


class HardwareFilterSerializer(serializers.Serializer):
    q = Text(required=False, help_text="Part of a name or alias.")
    kind = serializers.ChoiceField(HardwareProfile._meta.get_field("kind").choices or [], required=False)


def _catalogue_etag(request) -> str:
    """An ETag that changes with the catalogue and with the query."""
    query = hashlib.sha256(request.META.get("QUERY_STRING", "").encode()).hexdigest()
    return f'"{CatalogueState.current():x}-{query[:16]}"'


class HardwareListView(generics.ListAPIView):
    """The hardware catalogue, readable with any valid token."""

    scopes = {"GET": None}
    serializer_class = shapes.HardwareSerializer
    pagination_class = BySlug

    @extend_schema(operation_id="list_hardware", parameters=[HardwareFilterSerializer])
    @method_decorator(condition(etag_func=_catalogue_etag))
    def get(self, request):
        return self.list(request)

    def get_queryset(self):
        query = checked_query(self.request, HardwareFilterSerializer)
        profiles = HardwareProfile.objects.prefetch_related("aliases")
        if query.get("kind"):
            profiles = profiles.filter(kind=query["kind"])
        if query.get("q"):
            by_name = Q(name__icontains=query["q"]) | Q(aliases__name__icontains=query["q"])
            profiles = profiles.filter(by_name).distinct()
        return profiles


class FactorView(APIView):
    scopes = {"GET": None}

    @extend_schema(operation_id="factor", responses={200: shapes.FactorInForceSerializer})
    def get(self, request):
        """The emission factor and the PUE in force."""
        return Response(shapes.FactorInForceSerializer(EmissionFactor.objects.active()).data)
