from django.urls import path

from runs.pages.bulk import bulk
from runs.pages.compare import compare, compare_export
from runs.pages.exports import run_export, series_export
from runs.pages.hardware import hardware_detail, hardware_list
from runs.pages.live import run_series
from runs.pages.methodology import methodology
from runs.pages.models import model_detail, model_list
from runs.pages.overview import overview
from runs.pages.runs import run_detail, run_list
from runs.pages.saved_views import delete_view, save_view

urlpatterns = [
    path("", overview, name="overview"),
    path("runs/", run_list, name="run_list"),
    path("runs/bulk/", bulk, name="bulk"),
    path("runs/views/", save_view, name="save_view"),
    path("runs/views/<int:pk>/delete/", delete_view, name="delete_view"),
    path("runs/export.<str:form>", run_export, name="run_export"),
    path("runs/<uuid:run_id>/", run_detail, name="run_detail"),
    path("runs/<uuid:run_id>/series", run_series, name="run_series"),
    path("runs/<uuid:run_id>/series.<str:form>", series_export, name="series_export"),
    path("compare/", compare, name="compare"),
    path("compare/export.<str:form>", compare_export, name="compare_export"),
    path("models/", model_list, name="model_list"),
    path("models/<slug:project>/<slug:slug>/", model_detail, name="model_detail"),
    path("hardware/", hardware_list, name="hardware_list"),
    path("hardware/<slug:slug>/", hardware_detail, name="hardware_detail"),
    path("methodology/", methodology, name="methodology"),
]
