"""Version 1 of the API; no trailing slashes."""

from django.contrib.auth.decorators import login_not_required
from django.urls import path, register_converter
from drf_spectacular.views import SpectacularAPIView

from runs.api import reading, writing


class BatchId:
    regex = "[A-Za-z0-9._-]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(BatchId, "batch_id")


class RunView(writing.RunHeaderView, reading.RunDetailView):
    """PUT announces a run and GET reads it, with different scopes at one address."""

    def initial(self, request, *args, **kwargs):
        if request.method == "PUT":
            super().initial(request, *args, **kwargs)
        else:
            reading.RunDetailView.initial(self, request, *args, **kwargs)


urlpatterns = [
    path("schema", login_not_required(SpectacularAPIView.as_view()), name="api-schema"),
    path("runs", reading.RunListView.as_view(), name="api-runs"),
    path("runs/<uuid:run_id>", RunView.as_view(), name="api-run"),
    path("runs/<uuid:run_id>/batches/<batch_id:batch_id>", writing.BatchView.as_view(), name="api-batch"),
    path("runs/<uuid:run_id>/finish", writing.FinishView.as_view(), name="api-finish"),
    path("runs/<uuid:run_id>/series", reading.RunSeriesView.as_view(), name="api-series"),
    path("runs/<uuid:run_id>/metrics", reading.RunMetricsView.as_view(), name="api-metrics"),
    path("models", reading.ModelListView.as_view(), name="api-models"),
    path("models/<slug:slug>", reading.ModelDetailView.as_view(), name="api-model"),
    path("summary", reading.SummaryView.as_view(), name="api-summary"),
    path("hardware", reading.HardwareListView.as_view(), name="api-hardware"),
    path("factor", reading.FactorView.as_view(), name="api-factor"),
]
