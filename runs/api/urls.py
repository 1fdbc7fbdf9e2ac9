"""Version 1 of the API; no trailing slashes."""

from django.contrib.auth.decorators import login_not_required
from django.urls import path, register_converter
from drf_spectacular.views import SpectacularAPIView

from runs.api import importing, writing
from runs.api.reads import compare, hardware, models, runs, totals


class BatchId:
    regex = "[A-Za-z0-9._-]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(BatchId, "batch_id")


class RunView(writing.RunHeaderView, runs.RunDetailView):
    """PUT announces a run and GET reads it, with different scopes at one address."""

    def initial(self, request, *args, **kwargs):
        if request.method == "PUT":
            super().initial(request, *args, **kwargs)
        else:
            runs.RunDetailView.initial(self, request, *args, **kwargs)


urlpatterns = [
    path("schema", login_not_required(SpectacularAPIView.as_view()), name="api-schema"),
    path("runs", runs.RunListView.as_view(), name="api-runs"),
    path("runs/totals", runs.RunTotalsView.as_view(), name="api-run-totals"),
    path("runs/<uuid:run_id>", RunView.as_view(), name="api-run"),
    path("runs/<uuid:run_id>/batches/<batch_id:batch_id>", writing.BatchView.as_view(), name="api-batch"),
    path("runs/<uuid:run_id>/finish", writing.FinishView.as_view(), name="api-finish"),
    path("runs/<uuid:run_id>/stages", runs.RunStagesView.as_view(), name="api-stages"),
    path("runs/<uuid:run_id>/series", runs.RunSeriesView.as_view(), name="api-series"),
    path("runs/<uuid:run_id>/metrics", runs.RunMetricsView.as_view(), name="api-metrics"),
    path("models", models.ModelListView.as_view(), name="api-models"),
    path("models/<slug:slug>", models.ModelDetailView.as_view(), name="api-model"),
    path("models/<slug:slug>/citation", models.CitationView.as_view(), name="api-citation"),
    path("summary", totals.SummaryView.as_view(), name="api-summary"),
    path("usage", totals.UsageView.as_view(), name="api-usage"),
    path("compare", compare.CompareView.as_view(), name="api-compare"),
    path("hardware", hardware.HardwareListView.as_view(), name="api-hardware"),
    path("hardware/<slug:slug>", hardware.HardwareDetailView.as_view(), name="api-hardware-profile"),
    path("factor", hardware.FactorView.as_view(), name="api-factor"),
    path("plan", hardware.PlanView.as_view(), name="api-plan"),
    path("project", hardware.ProjectView.as_view(), name="api-project"),
    path("imports", importing.ImportsView.as_view(), name="api-imports"),
    path("imports/<int:pk>", importing.ImportView.as_view(), name="api-import"),
    path("imports/<int:pk>/parts/<int:number>", importing.ImportPartView.as_view(), name="api-import-part"),
    *(
        path(f"imports/<int:pk>/{name}", importing.ImportActionView.as_view(action=name), name=f"api-import-{name}")
        for name in importing.ImportActionView.ACTIONS
    ),
]
