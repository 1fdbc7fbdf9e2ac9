"""Models of the token's project: the list, a model's whole life, and its figures to cite."""

from django.db.models import Q, Sum
from django.http import Http404, HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import generics, serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.response import Response

from runs.api.fields import Text
from runs.api.reads import total_shapes as shapes
from runs.api.reads.paging import BySlug, checked_query
from runs.citing.facts import DEFAULT_SCOPE, SCOPES, cited
from runs.citing.finals import final_runs
from runs.citing.texts import FORMS, forms_of, text
from runs.figures.break_even import break_even, by_part, days_of_life
from runs.figures.corrections import corrections
from runs.figures.lifetime import lifetime, waste
from runs.figures.run_links import MOST_READ, newest
from runs.figures.use import use
from runs.models import Correction, TrackedModel


class ModelFilterSerializer(serializers.Serializer):
    q = Text(required=False, help_text="Part of the name.")


class ProjectModelsView(generics.GenericAPIView):
    """Models of the token's project only, with their totals."""

    serializer_class: type = shapes.ModelSummarySerializer
    pagination_class = BySlug
    lookup_field = "slug"

    def get_queryset(self):
        return TrackedModel.objects.filter(project=self.request.auth.project).annotate(
            runs=Sum("monthlyusage__runs", default=0),
            energy_kwh=Sum("monthlyusage__energy_kwh", default=0.0),
            emissions_kg=Sum("monthlyusage__emissions_kg", default=0.0),
        )


class ModelListView(ProjectModelsView, generics.ListAPIView):
    @extend_schema(operation_id="list_models", parameters=[ModelFilterSerializer])
    def get(self, request):
        """The project's models, by slug, with the totals of their whole life."""
        return self.list(request)

    def filter_queryset(self, queryset):
        query = checked_query(self.request, ModelFilterSerializer)
        return queryset.filter(Q(name__icontains=query["q"])) if query.get("q") else queryset


class ModelDetailView(ProjectModelsView):
    @extend_schema(operation_id="model", responses={200: shapes.ModelWholeSerializer})
    def get(self, request, slug):
        """A model's whole life: by kind and part, its final runs, waste, predictions, break-even and hardware."""
        model, now = self.get_object(), timezone.now()
        life, runs = lifetime(model), newest(model, MOST_READ)
        made, model.served = use(runs)
        model.life, model.finals, model.wasted = life, final_runs(model, runs, MOST_READ), waste(model, now)
        model.predictions, model.corrections = made, corrections(Correction.objects.filter(tracked_model=model)).told
        model.break_even = break_even(life, by_part(days_of_life(model)), made, now.date())
        return Response(shapes.ModelWholeSerializer(model).data)


class CitationQuerySerializer(serializers.Serializer):
    format = serializers.ChoiceField(
        list(FORMS), default="json", help_text=", ".join(f"`{f}`: {a.name}" for f, a in FORMS.items())
    )
    of = serializers.ChoiceField(list(SCOPES.items()), default=DEFAULT_SCOPE, help_text="What the figures cover.")

    def validate(self, asked: dict) -> dict:
        if asked["format"] not in forms_of(asked["of"]):
            raise serializers.ValidationError({"format": f"has no text of {asked['of']}; it is about training alone"})
        return asked


class AnyFormat(BaseContentNegotiation):
    """Leaves the parameter `format` to the view."""

    def select_renderer(self, request, renderers, format_suffix=None):
        return renderers[0], renderers[0].media_type


class CitationView(ProjectModelsView):
    content_negotiation_class = AnyFormat

    @extend_schema(
        operation_id="citation",
        parameters=[CitationQuerySerializer],
        responses={
            (200, about.content_type): OpenApiTypes.STR
            for about in FORMS.values()
            if about.content_type != "application/json"
        }
        | {(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request, slug):
        """The model's figures as text for papers, model cards and forms. 404 if no run in the scope used energy."""
        model, query = self.get_object(), checked_query(request, CitationQuerySerializer)
        facts = cited(model, query["of"], timezone.now())
        if facts is None:
            raise Http404
        form = query["format"]
        return HttpResponse(text(facts, form), content_type=f"{FORMS[form].content_type}; charset=utf-8")
