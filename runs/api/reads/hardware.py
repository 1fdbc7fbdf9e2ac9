"""The hardware catalogue, the emission factor, plans made with both, and what the token is for."""

import hashlib

from django.db.models import Q
from django.utils.decorators import method_decorator
from django.views.decorators.http import condition
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from hardware.models import CatalogueState, HardwareProfile
from runs.api.fields import Text
from runs.api.reads import hardware_shapes as shapes
from runs.api.reads.paging import Amount, BySlug, checked_query
from runs.figures import usage
from runs.figures.candidates import LIMITS, Choice, named, rows, work_of
from runs.models import ApiToken, EmissionFactor, MonthlyUsage, Run


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


class HardwareDetailView(generics.GenericAPIView):
    scopes = {"GET": None}
    queryset = HardwareProfile.objects.prefetch_related("aliases")
    lookup_field = "slug"

    @extend_schema(operation_id="hardware_profile", responses={200: shapes.HardwareWholeSerializer})
    def get(self, request, slug):
        """A profile with the power that estimates use, its changes, and its use in the project (needs scope `read`)."""
        profile = self.get_object()
        profile.seen = None
        if request.auth.allows(ApiToken.Scope.READ):
            of_it = MonthlyUsage.objects.filter(project=request.auth.project, hardware=profile.slug)
            profile.seen = usage.totals(of_it)
            profile.seen["mean_power_w"] = usage.mean_power_w(profile, profile.seen)
        return Response(shapes.HardwareWholeSerializer(profile).data)


class FactorView(APIView):
    scopes = {"GET": None}

    @extend_schema(operation_id="factor", responses={200: shapes.FactorInForceSerializer})
    def get(self, request):
        """The emission factor and the PUE in force."""
        return Response(shapes.FactorInForceSerializer(EmissionFactor.objects.active()).data)


class PlanQuerySerializer(serializers.Serializer):
    hardware = Text(help_text="Slug, name, driver name or cloud machine type.")
    count = serializers.IntegerField(default=1, min_value=1, max_value=100_000)
    hours = Amount(default=24.0, min_value=0.001, max_value=1e6, help_text="Not with `run`, whose work takes its time.")
    utilisation = Amount(default=1.0, min_value=0.0, max_value=1.0, help_text="0 to 1. Not with `run`.")
    run = serializers.UUIDField(required=False, help_text="A past run: the same work on this hardware instead.")
    speed_up = Amount(required=False, min_value=0.001, max_value=1e4, help_text="How much faster; else by data sheets.")
    by = serializers.ChoiceField([*LIMITS], required=False, help_text="What limits the speed of a past run's work.")

    def validate_hardware(self, name: str) -> tuple:
        profile, held = named(name)
        if profile is None:
            raise serializers.ValidationError("is not in the catalogue")
        return profile, held


class PlanView(APIView):
    @extend_schema(operation_id="plan", parameters=[PlanQuerySerializer], responses={200: shapes.PlanSerializer})
    def get(self, request):
        """What hardware would use: for some hours, or for the work of a past run, which is the first row then."""
        query = checked_query(request, PlanQuerySerializer)
        work = None
        if "run" in query:
            run = generics.get_object_or_404(Run, project=request.auth.project, run_id=query["run"])
            work = work_of(run)
        profile, held = query["hardware"]
        times = (query["hours"], query["utilisation"], query.get("speed_up"))
        found = rows([Choice(profile, query["count"] * held, *times)], work, query.get("by", ""))
        return Response(shapes.PlanSerializer({"rows": found}).data)


class ProjectView(APIView):
    scopes = {"GET": None}

    @extend_schema(operation_id="project", responses={200: shapes.ProjectSerializer})
    def get(self, request):
        """The token's project and team, and what the token may do."""
        return Response(shapes.ProjectSerializer(request.auth).data)
